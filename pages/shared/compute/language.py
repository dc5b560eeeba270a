"""Cached computations of the lessons on language: tokenizers, word vectors, analogies, Word2Vec."""

from collections.abc import Iterator

from cachetools.keys import hashkey
from tokenizers import Tokenizer

from model.language import tokenization, word_vectors
from model.language.analogies import ANALOGIES, answer
from model.language.embeddings import Embeddings
from model.language.word2vec import WordVectors, train_epochs
from model.loading import checkpoint, hub
from pages.shared.models import Model
from pages.shared.runtime import jobs
from pages.shared.runtime.catalog import GPT2
from pages.shared.runtime.jobs import Job
from pages.shared.runtime.memo import memoize
from pages.shared.runtime.queue import permit

GPT2_TOKENIZER = (GPT2.repo, ("tokenizer.json",))  # a download: the repository, and the files
STUDIED, LETTERS = 50_000, 100  # characters of a text from which merges are learned, and of each of its words
TRAINED_ON = 150  # words of a text that Word2Vec learns from


@memoize(1)
def gpt2_tokenizer() -> Tokenizer:
    """GPT-2's own tokenizer; raises FileNotFoundError if it was not downloaded yet, ValueError if it is damaged."""
    folder = hub.cached_folder(*GPT2_TOKENIZER)
    if folder is None:
        raise FileNotFoundError("the tokenizer of GPT-2 is not on this machine")
    return checkpoint.tokenizer(folder, 50_257)


@memoize(4, key=lambda name, tokenizer: hashkey(name))
def merge_ranks(name: str, tokenizer: Tokenizer) -> dict[tokenization.Pair, int]:
    """The merges of a tokenizer, each with its rank; cached by the name of its model."""
    return tokenization.merge_ranks(tokenizer)


@memoize(32, doing="Learning the merges")
def learn_merges(corpus: str, count: int) -> list[tokenization.LearnedMerge]:
    """The first `count` merges that BPE learns from the beginning of a text, each of its words up to LETTERS."""
    words = tokenization.pre_tokenize(tokenization.from_merges([]), corpus[:STUDIED])
    with permit():
        return list(tokenization.learn_merges((word[:LETTERS] for word in words), count))


@memoize(1)
def toy_world_vectors() -> Embeddings:
    """The word vectors of the toy world."""
    return word_vectors.load()


def embeddings(model: Model | None) -> Embeddings:
    """The token embedding of a model; None is the word vectors of the toy world."""
    return model.words if model else toy_world_vectors()


@memoize(4, doing="Asking 160 analogies")
def answer_analogies(model: Model | None) -> dict[str, list[tuple[str, str]]]:
    """For each analogy of each kind, with these embeddings: the nearest word, and the nearest that is not an input."""
    vectors = embeddings(model)
    with permit():
        return {kind: [answer(vectors, question) for question in questions] for kind, questions in ANALOGIES.items()}


def train_word2vec(text: str, sample: float, epochs: int) -> Job[WordVectors]:
    """The job that trains Word2Vec on the lines of a text, from 20 seeds; it fails if the text has no words, or too
    many."""

    def steps() -> Iterator[tuple[float, WordVectors]]:
        sentences = [line.lower().split() for line in text.splitlines() if line.strip()]
        count = sum(map(len, sentences))
        if count > TRAINED_ON:
            raise ValueError(f"the text has {count:,} words; it may have {TRAINED_ON}")
        for epoch, trained in enumerate(train_epochs(sentences, epochs=epochs, sample=sample), 1):
            yield epoch / epochs, trained

    return jobs.run(("train_word2vec", text, sample, epochs), steps)
