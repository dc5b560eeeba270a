"""Analogies such as king - man + woman = ?, answered by word vectors.

Sources: Mikolov, Yih and Zweig 2013, "Linguistic Regularities in Continuous Space Word Representations" (the vectors
are made equally long before they are added; so does gensim's `most_similar`); Mikolov et al. 2013, "Efficient
Estimation of Word Representations in Vector Space", section 4 (the kinds of questions); Rogers et al. 2017, "The (too
many) problems of analogical reasoning with word vectors" (the three words of the question among the answers).
"""

import random
from itertools import permutations
from typing import NamedTuple

from torch.nn import functional as F

from model.language.embeddings import Embeddings
from model.toy_world.grammar import TABLES


class Analogy(NamedTuple):
    """a is to b as c is to d; d is the answer."""

    a: str
    b: str
    c: str
    d: str


class Answer(NamedTuple):
    """The nearest word to b - a + c of all words, and of all words but a, b and c; empty if a word has no vector."""

    nearest: str
    nearest_other: str


def _pairs(table: str, first: str, second: str) -> list[tuple[str, str]]:
    """Two columns of a table, each pair once, without equal words and words that are written with a space."""
    pairs = dict.fromkeys((row[first], row[second]) for row in TABLES[table])
    return [(a, b) for a, b in pairs if " " not in a + b and a != b]


def _gender_pairs() -> list[tuple[str, str]]:
    rows = TABLES["royal"] + TABLES["kin"]
    return [(row["name"], row["other"]) for row in rows if row["he"] == "he"]


def _questions() -> dict[str, list[Analogy]]:
    """Of each kind so many different questions, drawn from all ordered pairs of pairs."""
    kinds = {
        "gender": (_gender_pairs(), 40),
        "capital": (_pairs("country", "name", "capital"), 30),
        "past tense": (_pairs("act", "name", "past"), 30),
        "comparative": (_pairs("quality", "name", "er"), 25),
        "plural": (_pairs("animal", "name", "pl") + _pairs("thing", "name", "pl"), 35),
    }
    rng = random.Random(0)
    return {
        kind: [Analogy(*pair, *other) for pair, other in rng.sample(list(permutations(pairs, 2)), count)]
        for kind, (pairs, count) in kinds.items()
    }


ANALOGIES = _questions()


def answer(embeddings: Embeddings, question: Analogy) -> Answer:
    """The words with the largest cosine to b - a + c, where all vectors have length 1.

    >>> import torch
    >>> words = ["man", "woman", "king", "queen"]
    >>> vectors = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [3.0, 0.0, 4.0], [0.0, 0.9, 1.2]])
    >>> answer(Embeddings(words, vectors), Analogy("man", "king", "woman", "queen"))
    Answer(nearest='queen', nearest_other='queen')
    """
    a, b, c, _ = question
    if not all(word in embeddings for word in question):
        return Answer("", "")
    a_unit, b_unit, c_unit = (F.normalize(embeddings[word], dim=0) for word in (a, b, c))
    target = b_unit - a_unit + c_unit
    ((nearest, _),) = embeddings.nearest(target)
    ((nearest_other, _),) = embeddings.nearest(target, leave_out=(a, b, c))
    return Answer(nearest, nearest_other)


def accuracy(embeddings: Embeddings) -> dict[str, float]:
    """Share of the 160 questions whose nearest word is the answer: with the words of the question left out, and not."""
    questions = [question for kind in ANALOGIES.values() for question in kind]
    answers = [answer(embeddings, question) for question in questions]
    pairs = list(zip(questions, answers))
    return {
        "analogies": sum(given.nearest_other == question.d for question, given in pairs) / len(pairs),
        "analogies, inputs not left out": sum(given.nearest == question.d for question, given in pairs) / len(pairs),
    }
