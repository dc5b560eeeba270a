"""Word2Vec as its libraries train it, from many seeds at once: how much of what it finds is chance?

The continuous bag of words: the mean of the vectors around a word must tell that word from words drawn at random.
Learning rates, the number of negatives, their power and the subsampling are gensim's defaults; the vectors start in
[-0.5, 0.5] / size, as in word2vec.c, which is half as long as in gensim 4.

Sources: Mikolov et al. 2013, "Efficient Estimation of Word Representations in Vector Space", section 3.1, and
"Distributed Representations of Words and Phrases and their Compositionality", sections 2.2 and 2.3.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

import numpy as np

LEARNING_RATE, FINAL_LEARNING_RATE = 0.025, 0.0001  # of learning, at the beginning and at the end
MAX_COMPONENT = 100  # number in a vector; a training in which it is larger has no limit
NEGATIVES, POWER = 5, 0.75  # words drawn at random for each one read; by this power of their counts


def keep_probability(counts: np.ndarray, sample: float) -> np.ndarray:
    """Probability (N) that an occurrence of each word is kept in training, from the words' counts (N): subsampling.

    A word with the share f of all words is kept with probability (sqrt(f / sample) + 1) sample / f, at most 1, as in
    word2vec.c and gensim; with `sample` 0 every word is.

    >>> keep_probability(np.array([90, 10]), sample=0.1)
    array([0.44444444, 1.        ])
    """
    if not sample:
        return np.ones(len(counts))
    ratio = counts / (sample * counts.sum())
    return np.minimum(1, (np.sqrt(ratio) + 1) / ratio)


class WordVectors(NamedTuple):
    """The words, and their vectors in each of S trainings, before and after."""

    words: list[str]
    start: Annotated[np.ndarray, "S N C"]
    vectors: Annotated[np.ndarray, "S N C"]


def train(sentences: Sequence[Sequence[str]], **how: float) -> WordVectors:
    """The end of `train_epochs`, which takes the same and raises the same."""
    *_, trained = train_epochs(sentences, **how)
    return trained


def train_epochs(
    sentences: Sequence[Sequence[str]],
    size: int = 50,
    window: int = 3,
    epochs: int = 100,
    sample: float = 1e-3,
    seeds: int = 20,
) -> Iterator[WordVectors]:
    """The vectors (size) of all words of some sentences after each epoch, trained from so many seeds side by side.

    Of a word that is more than 2.6 times the share `sample` of all, some occurrences are left out; at 0 none are.
    A sentence is one step. Raises ValueError where there are no words, and where the vectors grow without bound.
    """
    counts = Counter(word for sentence in sentences for word in sentence)
    if not counts:
        raise ValueError("there is no word to learn from")
    words, count = list(counts), np.array(list(counts.values()))
    one_hot = np.eye(len(words), dtype=np.float32)
    told = [sentence for sentence in sentences if len(sentence) > 1]  # a word alone has nothing around it
    read = [one_hot[[words.index(word) for word in sentence]] for sentence in told]  # each (T, N)
    keep = keep_probability(count, sample)
    noise = count**POWER / (count**POWER).sum()

    rng = np.random.default_rng(0)
    inside = ((rng.random((seeds, len(words), size)) - 0.5) / size).astype(np.float32)
    outside = np.zeros_like(inside)
    start = inside.copy()
    for epoch in range(epochs):
        rate = LEARNING_RATE + (FINAL_LEARNING_RATE - LEARNING_RATE) * epoch / epochs
        for sentence in read:
            kept = rng.random((seeds, len(sentence))) < sentence @ keep
            place = kept.cumsum(1)
            reach = rng.integers(1, window + 1, place.shape)
            near = abs(place[:, :, None] - place[:, None]) <= reach[:, :, None]
            near &= kept[:, :, None] & kept[:, None] & ~np.eye(len(sentence), dtype=bool)
            around = (near @ sentence).astype(np.float32)  # (S, T, N): how often each word stands around each place
            read_any = around.sum(-1, keepdims=True)
            hidden = around @ inside / np.maximum(read_any, 1)
            drawn = rng.multinomial(NEGATIVES, noise, place.shape) * (1 - sentence)
            guess = 1 / (1 + np.exp(-hidden @ outside.swapaxes(1, 2)))
            error = (rate * (read_any > 0) * (sentence * (1 - guess) - drawn * guess)).astype(np.float32)
            back = error @ outside
            outside += error.swapaxes(1, 2) @ hidden
            inside += around.swapaxes(1, 2) @ back  # the whole error for each word around, not its share of the mean
        if not abs(inside).max() < MAX_COMPONENT:
            raise ValueError("the vectors grew without bound; take fewer epochs, or lines that repeat themselves less")
        yield WordVectors(words, start, inside)


def analogy_ranks(trained: WordVectors, a: str, b: str, c: str, d: str) -> list[int]:
    """Of each training the rank of d among the words nearest to b - a + c, all words made equally long.

    The three words themselves are left out. Raises ValueError for a word that was not read.
    """
    for word in (a, b, c, d):
        if word not in trained.words:
            raise ValueError(f"the word {word!r} does not occur in them, but the question needs it")
    if len(trained.words) < 5:
        raise ValueError("they have no word besides the four of the question, so there is nothing to choose from")
    unit = _unit(trained.vectors)
    rows = [trained.words.index(word) for word in (a, b, c, d)]
    alike = np.einsum("snc,sc->sn", unit, unit[:, rows[1]] - unit[:, rows[0]] + unit[:, rows[2]])
    alike[:, rows[:3]] = -np.inf
    return (alike >= alike[:, rows[3], None]).sum(1).tolist()


def cosine(trained: WordVectors, a: str, b: str) -> np.ndarray:
    """The cosine of two words in each training: (S); raises ValueError for a word that was not read."""
    unit = _unit(trained.vectors)
    return (unit[:, trained.words.index(a)] * unit[:, trained.words.index(b)]).sum(-1)


def cosine_with_start(trained: WordVectors) -> float:
    """The mean cosine of all vectors with what they were at the start: 1 where nothing was learned."""
    return float((_unit(trained.start) * _unit(trained.vectors)).sum(-1).mean())


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
