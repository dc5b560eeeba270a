"""Analogies, king - man + woman = ?, asked of any word vectors.

Source: Mikolov et al. 2013, "Efficient Estimation of Word Representations in Vector Space", section 4;
on leaving out the three words of the question from the answers: Rogers et al. 2017, "The (too many)
problems of analogical reasoning with word vectors".
"""

import random
from collections.abc import Sequence
from itertools import permutations
from operator import eq

from model.language.embeddings import Embeddings
from model.toy_world.grammar import TABLES

Analogy = tuple[str, str, str, str]  # a is to b as c is to d; d is asked for


def _pairs(table: str, a: str, b: str) -> list[tuple[str, str]]:
    pairs = dict.fromkeys((row[a], row[b]) for row in TABLES[table])  # in order, each once
    return [(a, b) for a, b in pairs if " " not in a + b and a != b]


def _gender() -> list[tuple[str, str]]:
    rows = TABLES["royal"] + TABLES["kin"]
    return [(row["name"], row["other"]) for row in rows if row["he"] == "he"]


def _questions() -> dict[str, list[Analogy]]:
    kinds = {
        "gender": (_gender(), 40),
        "capital": (_pairs("country", "name", "capital"), 30),
        "past tense": (_pairs("act", "name", "past"), 30),
        "comparative": (_pairs("quality", "name", "er"), 25),
        "plural": (_pairs("animal", "name", "pl") + _pairs("thing", "name", "pl"), 35),
    }
    rng = random.Random(0)

    def ask(pairs: Sequence[tuple[str, str]], count: int) -> list[Analogy]:
        return [(*a, *b) for a, b in rng.sample(list(permutations(pairs, 2)), count)]

    return {kind: ask(pairs, count) for kind, (pairs, count) in kinds.items()}


ANALOGIES = _questions()


def answer(embeddings: Embeddings, question: Analogy) -> tuple[str, str]:
    """The nearest word to b - a + c, and the nearest of those that are not in the question.

    Both are empty where one of the words has no vector.
    """
    a, b, c, _ = question
    if not all(word in embeddings for word in question):
        return "", ""
    query = embeddings[b] - embeddings[a] + embeddings[c]
    return embeddings.nearest(query)[0][0], embeddings.nearest(query, leave_out=(a, b, c))[0][0]


def score(embeddings: Embeddings) -> dict[str, float]:
    """The share of the 160 questions whose nearest word is right: with and without the words of the question."""
    asked = [question for questions in ANALOGIES.values() for question in questions]
    raw, other = zip(*(answer(embeddings, question) for question in asked))
    right = [d for *_, d in asked]
    return {
        "analogies": sum(map(eq, other, right)) / len(asked),
        "analogies, inputs not left out": sum(map(eq, raw, right)) / len(asked),
    }
