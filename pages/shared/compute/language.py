"""Computations of the lessons on language: tokenizers, word vectors, sums of words, analogies, Word2Vec."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from cachetools.keys import hashkey
from tokenizers import Tokenizer

from model.language import tokenization, word_vectors
from model.language.analogies import ANALOGIES, answer
from model.language.embeddings import Embeddings, Term, WordVector, calculate, contextual_similarity, parse
from model.language.word2vec import WordVectors, train_epochs
from model.loading import checkpoint, hub
from pages.shared.compute.readings import Reading
from pages.shared.models import Model
from pages.shared.runtime import jobs
from pages.shared.runtime.catalog import GPT2
from pages.shared.runtime.jobs import Job
from pages.shared.runtime.memo import memoize
from pages.shared.runtime.queue import permit

GPT2_TOKENIZER = (GPT2.repo, ("tokenizer.json",))  # a download: the repository, and the files
STUDIED, LETTERS = 50_000, 100  # characters of a text from which merges are learned, and of each of its words
SUM, NEAR = "the sum", 3  # its name on the map, and how many of the words nearest to it are there
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


class WordSum(NamedTuple):
    """A sum of words: its terms, the vector of each word, and the vector (C) of the sum."""

    terms: list[Term]
    words: dict[str, WordVector]
    vector: torch.Tensor

    @property
    def inputs(self) -> set[str]:
        """The words of the sum that have a vector of their own."""
        return {word.texts[0] for word in self.words.values() if len(word.texts) == 1}

    @property
    def has_plane(self) -> bool:
        """Whether the sum lies in the plane of its words: three different ones whose weights add up to 1."""
        different = {tuple(word.texts) for word in self.words.values()}
        return len(different) == 3 and math.isclose(sum(term.weight for term in self.terms), 1)

    @property
    def parallelogram(self) -> tuple[str, str, str] | None:
        """The words a, b, c of a sum b - a + c, which is the fourth corner beside c; None for any other sum."""
        plus, minus = ([term.word for term in self.terms if term.weight == weight] for weight in (1, -1))
        if (len(plus), len(minus), len(self.terms)) != (2, 1, 3):
            return None
        return minus[0], plus[0], plus[1]


def sum_words(vectors: Embeddings, expression: str) -> WordSum:
    """The sum of words that an expression asks for; raises ValueError as `parse` and `calculate` do."""
    terms = parse(expression)
    return WordSum(terms, *calculate(vectors, terms))


class MappedWord(NamedTuple):
    """A word on the map: its vector (C), and its role: listed, nearest, typed or sum."""

    vector: torch.Tensor
    role: str


def map_words(vectors: Embeddings, listed: dict[str, WordVector], total: WordSum | None) -> dict[str, MappedWord]:
    """The words on the map: those of the visitor's list, the nearest to the sum, those in the sum, and the sum."""
    words = {word: MappedWord(entry.vector, "listed") for word, entry in listed.items()}
    if total:
        nearest = vectors.nearest(total.vector, total.inputs, NEAR)
        words |= {word: MappedWord(vectors[word], "nearest") for word, _ in nearest}
        words |= {word: MappedWord(entry.vector, "typed") for word, entry in total.words.items()}
        words[SUM] = MappedWord(total.vector, "sum")
    return words


@memoize(4, doing="Asking 160 analogies")
def answer_analogies(model: Model | None) -> dict[str, list[tuple[str, str]]]:
    """For each analogy of each kind, with these embeddings: the nearest word, and the nearest that is not an input."""
    vectors = embeddings(model)
    with permit():
        return {kind: [answer(vectors, question) for question in questions] for kind, questions in ANALOGIES.items()}


def analogy_table(model: Model | None) -> list[dict[str, str]]:
    """The 160 analogies with the answers of `answer_analogies`, a row for each question."""
    return [
        {"kind": kind, "question": f"{a} : {b} = {c} : ?", "answer": d, "nearest": raw, "inputs left out": without}
        for kind, questions in ANALOGIES.items()
        for (a, b, c, d), (raw, without) in zip(questions, answer_analogies(model)[kind])
    ]


def analogy_shares(rows: list[dict[str, str]]) -> list[dict[str, str | int | float]]:
    """For each kind of analogy: the number of questions, and the share of right ones, with the inputs and without."""
    shares = []
    for kind in ANALOGIES:
        shown = [row for row in rows if row["kind"] == kind]
        right = {
            column: sum(row[column] == row["answer"] for row in shown) / len(shown)
            for column in ("nearest", "inputs left out")
        }
        shares.append({"kind": kind, "questions": len(shown)} | right)
    return shares


class SharedToken(NamedTuple):
    """A token that two texts share, and the cosines (L + 1) of `contextual_similarity` for its first places in them."""

    between_texts: torch.Tensor
    with_start: torch.Tensor
    any_two: torch.Tensor


def compare_contexts(a: Reading, b: Reading, token: str) -> SharedToken:
    """How alike a token's vector is in two texts, at the start and after each block."""
    return SharedToken(*contextual_similarity(a.trace, a.tokens.index(token), b.trace, b.tokens.index(token)))


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
