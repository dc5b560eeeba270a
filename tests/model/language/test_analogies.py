"""Analogies: found in vectors that hold them, and not found in others."""

import random

import pytest
import torch

from model.language import analogies
from model.language.analogies import ANALOGIES, Analogy, accuracy
from model.language.embeddings import Embeddings
from model.toy_world.grammar import TABLES

QUESTIONS = [question for kind in ANALOGIES.values() for question in kind]


def perfect_vectors() -> Embeddings:
    """Vectors in which the two words of every pair of a kind differ by the same step, and no others do."""
    generator = torch.Generator().manual_seed(0)
    vectors: dict[str, torch.Tensor] = {}
    for questions in ANALOGIES.values():
        step = 3 * torch.randn(400, generator=generator)
        for a, b, c, d in questions:
            for word, other in ((a, b), (c, d)):
                if word not in vectors and other not in vectors:
                    vectors[word] = torch.randn(400, generator=generator)
                if word in vectors:
                    vectors.setdefault(other, vectors[word] + step)
                else:
                    vectors[word] = vectors[other] - step
    return Embeddings(list(vectors), torch.stack(list(vectors.values())))


def test_the_160_analogies_are_different_and_pair_words_of_one_row() -> None:
    assert len(QUESTIONS) == len({*QUESTIONS}) == 160
    assert {kind: len(questions) for kind, questions in ANALOGIES.items()} == {
        "gender": 40,
        "capital": 30,
        "past tense": 30,
        "comparative": 25,
        "plural": 35,
    }
    rows = [set(row.values()) for rows in TABLES.values() for row in rows]
    for a, b, c, d in QUESTIONS:
        assert len({a, b, c, d}) == 4
        assert any({a, b} <= row for row in rows) and any({c, d} <= row for row in rows)


def test_accuracy_is_high_on_perfect_vectors_and_low_on_shuffled_ones() -> None:
    vectors = perfect_vectors()
    assert accuracy(vectors)["analogies"] > 0.9
    words = list(vectors.words)
    random.Random(0).shuffle(words)
    assert accuracy(Embeddings(words, vectors.vectors))["analogies"] < 0.1


def test_a_word_without_a_vector_makes_the_answers_empty() -> None:
    vectors = Embeddings(["king", "man"], torch.eye(2))
    assert analogies.answer(vectors, Analogy("man", "king", "woman", "queen")) == ("", "")
    assert accuracy(vectors) == {"analogies": 0, "analogies, inputs not left out": 0}


def test_the_answers_are_those_of_normalized_vectors() -> None:
    """As in gensim's most_similar: with raw sums the long vector of "king" would decide alone, and "crown" win."""
    words = ["man", "king", "woman", "queen", "crown"]
    vectors = torch.tensor([[1.0, 0.0, 0.1], [30.0, 40.0, 3.0], [0.0, 0.0, 1.0], [-0.4, 0.8, 0.9], [0.6, 0.8, 0.1]])
    a, b, c = (vectors[row].double() / vectors[row].double().norm() for row in (0, 1, 2))
    cosines = torch.cosine_similarity(vectors.double(), (b - a + c)[None], dim=-1)
    raw = torch.cosine_similarity(vectors, (vectors[1] - vectors[0] + vectors[2])[None], dim=-1)
    assert words[raw[3:].argmax() + 3] == "crown" != words[cosines[3:].argmax() + 3] == "queen"
    found = analogies.answer(Embeddings(words, vectors), Analogy("man", "king", "woman", "queen"))
    assert found == (words[cosines.argmax()], "queen")


@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
def test_the_length_of_a_vector_changes_no_answer(scale: float) -> None:
    vectors = perfect_vectors()
    row = {word: number for number, word in enumerate(vectors.words)}
    scaled = vectors.vectors.clone()
    scaled[[row[question.b] for question in QUESTIONS]] *= scale
    other = Embeddings(vectors.words, scaled)
    for question in QUESTIONS[::8]:
        assert analogies.answer(other, question) == analogies.answer(vectors, question)
