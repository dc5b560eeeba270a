"""Analogies, king - man + woman = ?, asked of any word vectors.

Source: Mikolov et al. 2013, "Efficient Estimation of Word Representations in Vector Space", section 4;
on leaving out the three words of the question from the answers: Rogers et al. 2017, "The (too many)
problems of analogical reasoning with word vectors".
"""

import random
from collections.abc import Mapping, Sequence
from itertools import permutations

import torch
from torch import Tensor
from torch.nn import functional as F

from model.world import TABLES

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


def nearest(vectors: Mapping[str, Tensor], query: Tensor, leave_out: Sequence[str] = (), count: int = 1) -> list[str]:
    """The `count` words whose vectors (C) have the largest cosine with the query (C), the largest first."""
    words = [word for word in vectors if word not in leave_out]
    similar = F.cosine_similarity(torch.stack([vectors[word] for word in words]), query, dim=-1)
    return [words[n] for n in similar.topk(min(count, len(words))).indices]


def score(vectors: Mapping[str, Tensor]) -> dict[str, float]:
    """The share of the 160 questions whose nearest word is right: with and without the words of the question.

    A question with a word that has no vector is a wrong answer.
    """
    asked = [question for questions in ANALOGIES.values() for question in questions]
    raw = other = 0
    for a, b, c, d in asked:
        if {a, b, c, d} <= vectors.keys():
            query = vectors[b] - vectors[a] + vectors[c]
            raw += nearest(vectors, query) == [d]
            other += nearest(vectors, query, leave_out=(a, b, c)) == [d]
    return {"analogies": other / len(asked), "analogies, inputs not left out": raw / len(asked)}
