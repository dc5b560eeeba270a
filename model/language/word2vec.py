"""Word2Vec (continuous bag of words), trained from many seeds at once: how much of the result is chance?

The mean of the vectors around a word must distinguish that word from words drawn at random. Learning rates, the number
of negatives, their power and the subsampling are gensim's defaults; the vectors start in [-0.5, 0.5] / size, as in
word2vec.c, which is half as long as in gensim 4.

Sources: Mikolov et al. 2013, "Efficient Estimation of Word Representations in Vector Space", section 3.1, and
"Distributed Representations of Words and Phrases and their Compositionality", sections 2.2 and 2.3.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

import numpy as np

LEARNING_RATE, FINAL_LEARNING_RATE = 0.025, 0.0001  # at the first and at the last epoch
MAX_COMPONENT = 100  # largest component of a vector; beyond it the training diverges
NEGATIVES, POWER = 5, 0.75  # random words for each word read; drawn by this power of their counts


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
    """The words, and their vectors in each of S trainings, before and after training."""

    words: list[str]
    start: Annotated[np.ndarray, "S N C"]
    vectors: Annotated[np.ndarray, "S N C"]


def train(sentences: Sequence[Sequence[str]], **how: float) -> WordVectors:
    """The last result of `train_epochs`, with the same arguments and errors."""
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
    """Training from `seeds` random starts side by side; yields the word vectors after each epoch.

    Occurrences of words with more than 2.6 times the share `sample` of the text are left out at random (subsampling);
    at 0 none are. A sentence is one step. Raises ValueError if there are no words, and if the vectors diverge.
    """
    counts = Counter(word for sentence in sentences for word in sentence)
    if not counts:
        raise ValueError("there is no word to learn from")
    words, count = list(counts), np.array(list(counts.values()))
    one_hot = np.eye(len(words), dtype=np.float32)
    longer = [sentence for sentence in sentences if len(sentence) > 1]  # a single word has no context
    encoded = [one_hot[[words.index(word) for word in sentence]] for sentence in longer]  # each (T, N)
    keep = keep_probability(count, sample)
    noise = count**POWER / (count**POWER).sum()

    rng = np.random.default_rng(0)
    inside = ((rng.random((seeds, len(words), size)) - 0.5) / size).astype(np.float32)
    outside = np.zeros_like(inside)
    start = inside.copy()
    for epoch in range(epochs):
        rate = LEARNING_RATE + (FINAL_LEARNING_RATE - LEARNING_RATE) * epoch / epochs
        for sentence in encoded:
            context = _contexts(sentence, keep, window, seeds, rng)
            _update(inside, outside, sentence, context, noise, rate, rng)
        if not abs(inside).max() < MAX_COMPONENT:
            raise ValueError("the vectors grew without bound; take fewer epochs, or lines that repeat themselves less")
        yield WordVectors(words, start, inside)


def _contexts(sentence: np.ndarray, keep: np.ndarray, window: int, seeds: int, rng: np.random.Generator) -> np.ndarray:
    """Counts (S, T, N) of each word in the window around each position of a sentence (T, N), after subsampling."""
    keep_now = rng.random((seeds, len(sentence))) < sentence @ keep
    place = keep_now.cumsum(1)
    reach = rng.integers(1, window + 1, place.shape)
    near = abs(place[:, :, None] - place[:, None]) <= reach[:, :, None]
    near &= keep_now[:, :, None] & keep_now[:, None] & ~np.eye(len(sentence), dtype=bool)
    return (near @ sentence).astype(np.float32)


def _update(
    inside: np.ndarray,
    outside: np.ndarray,
    sentence: np.ndarray,
    context: np.ndarray,
    noise: np.ndarray,
    rate: float,
    rng: np.random.Generator,
) -> None:
    """One gradient step of negative sampling on a sentence, in place, on both tables of vectors (S, N, C)."""
    total = context.sum(-1, keepdims=True)
    hidden = context @ inside / np.maximum(total, 1)
    negatives = rng.multinomial(NEGATIVES, noise, context.shape[:2]) * (1 - sentence)
    guess = 1 / (1 + np.exp(-hidden @ outside.swapaxes(1, 2)))
    error = (rate * (total > 0) * (sentence * (1 - guess) - negatives * guess)).astype(np.float32)
    back = error @ outside
    outside += error.swapaxes(1, 2) @ hidden
    inside += context.swapaxes(1, 2) @ back  # the whole error for each context word, not its share of the mean


def analogy_ranks(trained: WordVectors, a: str, b: str, c: str, d: str) -> list[int]:
    """Rank of d, in each training, among the words nearest to b - a + c, with all vectors normalized to length 1.

    a, b and c are left out. Raises ValueError for a word that is not in the text.
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
    """Cosine similarity (S) of two words in each training; raises ValueError for a word that is not in the text."""
    unit = _unit(trained.vectors)
    return (unit[:, trained.words.index(a)] * unit[:, trained.words.index(b)]).sum(-1)


def cosine_with_start(trained: WordVectors) -> float:
    """Mean cosine similarity of all vectors with their start: 1 if nothing was learned."""
    return float((_unit(trained.start) * _unit(trained.vectors)).sum(-1).mean())


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
