"""Word2Vec: one step against autograd, and the facts that its lesson tells."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from model.language import word2vec
from tests.driver import examples

TEXTS = examples("language/word2vec")
QUESTION = ("man", "king", "woman", "queen")


def lines(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_the_slope_is_that_of_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the second epoch on two words: what autograd makes of the paper's loss."""
    monkeypatch.setattr(word2vec, "FINAL_LEARNING_RATE", word2vec.LEARNING_RATE)
    one = word2vec.train([["a", "b"]], size=6, window=1, epochs=1, sample=0, seeds=3)
    two = word2vec.train([["a", "b"]], size=6, window=1, epochs=2, sample=0, seeds=3)
    # Whatever is drawn beside a target is the other word, up to five times; at the start `outside` is zero, so that
    # nothing inside moves in the first epoch and the slopes of the second are known but for those counts.
    np.testing.assert_array_equal(one.vectors, one.start)
    rng = np.random.default_rng(0)
    inside = torch.tensor((rng.random((3, 2, 6)) - 0.5) / 6, dtype=torch.float32, requires_grad=True)
    outside = torch.zeros(3, 2, 6, requires_grad=True)
    for _ in range(2):
        rng.random((3, 2)), rng.integers(1, 2, (3, 2))
        drawn = torch.tensor(rng.multinomial(word2vec.NEGATIVES, [0.5, 0.5], (3, 2)) * (1 - np.eye(2)))
        x = inside.flip(1) @ outside.mT  # each word is told by the other one
        loss = -(torch.eye(2) * F.logsigmoid(x) + drawn * F.logsigmoid(-x)).sum()
        slopes = torch.autograd.grad(loss, (inside, outside))
        with torch.no_grad():
            inside -= word2vec.LEARNING_RATE * slopes[0]
            outside -= word2vec.LEARNING_RATE * slopes[1]
    np.testing.assert_allclose(two.vectors, inside.detach().numpy(), atol=1e-7)
    assert not np.array_equal(two.vectors, two.start)


def test_a_training_is_that_of_plain_loops() -> None:
    """Words that come more or less often, a window that is wider or narrower: place by place, with the same draws."""
    sentence, seeds, size, window = ["a", "b", "a", "c", "d", "a"], 2, 5, 2
    trained = word2vec.train([sentence], size=size, window=window, epochs=3, sample=0, seeds=seeds)
    rng = np.random.default_rng(0)
    inside = (rng.random((seeds, 4, size)) - 0.5) / size
    outside = np.zeros_like(inside)
    ids = ["abcd".index(word) for word in sentence]
    noise = np.array([3.0, 1, 1, 1]) ** 0.75
    for epoch in range(3):
        rate = word2vec.LEARNING_RATE + (word2vec.FINAL_LEARNING_RATE - word2vec.LEARNING_RATE) * epoch / 3
        rng.random((seeds, 6))
        reach = rng.integers(1, window + 1, (seeds, 6))
        drawn = rng.multinomial(word2vec.NEGATIVES, noise / noise.sum(), (seeds, 6))
        for s in range(seeds):
            new_inside, new_outside = inside[s].copy(), outside[s].copy()
            for at, target in enumerate(ids):
                around = [ids[n] for n in range(6) if n != at and abs(n - at) <= reach[s, at]]
                hidden = inside[s, around].mean(0)
                for word in range(4):
                    guess = 1 / (1 + np.exp(-outside[s, word] @ hidden))
                    error = rate * (1 - guess) if word == target else -rate * drawn[s, at, word] * guess
                    new_outside[word] += error * hidden
                    for other in around:
                        new_inside[other] += error * outside[s, word]
            inside[s], outside[s] = new_inside, new_outside
    np.testing.assert_allclose(trained.vectors, inside, atol=1e-7)
    assert abs(trained.vectors - trained.start).max() > 1e-5


@pytest.mark.parametrize("sample", [0.02, 0.1, 0.3])
def test_frequent_words_are_kept_with_the_probability_of_the_libraries(sample: float) -> None:
    """A word with the share f of all words is kept with probability (sqrt(f / s) + 1) s / f.

    Before the second epoch a pair trains if both of its words were kept in both epochs; the input vectors move only
    then. Of 20,000 trainings the share in which they move is within four standard deviations of that probability.
    """
    seeds = 20_000
    trained = word2vec.train([["a", "b"]], size=2, window=1, epochs=2, sample=sample, seeds=seeds)
    keep = min(1.0, (math.sqrt(0.5 / sample) + 1) * sample / 0.5)
    expected = keep**4
    deviation = math.sqrt(expected * (1 - expected) / seeds)
    assert 4 * deviation < 0.5 * expected
    assert (trained.vectors != trained.start).any((1, 2)).mean() == pytest.approx(expected, abs=4 * deviation)


def test_nothing_is_left_out_where_the_threshold_is_the_whole_text() -> None:
    trained = word2vec.train([["a", "b"]], size=4, window=1, epochs=2, sample=1, seeds=400)
    assert (trained.vectors != trained.start).any((1, 2)).all()


def test_six_sentences_leave_the_answer_to_chance() -> None:
    trained = word2vec.train(lines(TEXTS["Six sentences"].prompt))
    assert len(trained.words) == 23
    assert word2vec.cosine_with_start(trained) > 0.999
    alike = word2vec.cosine(trained, "paris", "london")
    assert abs(alike.mean()) < 0.1 and 0.05 < alike.std() < 0.2
    ranks = word2vec.analogy_ranks(trained, *QUESTION)
    assert ranks.count(1) <= 4 and 5 <= np.median(ranks) <= 16


def test_twelve_lines_of_the_right_kind_do_not() -> None:
    trained = word2vec.train(lines(TEXTS["Twelve lines"].prompt), sample=0)
    assert word2vec.analogy_ranks(trained, *QUESTION).count(1) >= 19
    lost = word2vec.train(lines(TEXTS["Twelve lines"].prompt))
    assert word2vec.analogy_ranks(lost, *QUESTION).count(1) <= 8


def test_a_rank_counts_the_words_that_are_nearer_but_the_inputs() -> None:
    vectors = np.array([[[1.0, 0], [1, 0.1], [0, 1], [0.1, 1], [0, -1]]])
    trained = word2vec.WordVectors(["a", "b", "c", "d", "e"], vectors, vectors)
    assert word2vec.analogy_ranks(trained, "a", "b", "c", "d") == [1]
    assert word2vec.analogy_ranks(trained, "a", "b", "c", "e") == [2]
    assert word2vec.cosine(trained, "c", "e").tolist() == [-1]
    with pytest.raises(ValueError, match="'x' does not occur in them"):
        word2vec.analogy_ranks(trained, "a", "b", "c", "x")
    with pytest.raises(ValueError, match="no word to learn"):
        word2vec.train([])
    with pytest.raises(ValueError, match="nothing to choose from"):
        word2vec.analogy_ranks(
            word2vec.WordVectors(["a", "b", "c", "d"], vectors[:, :4], vectors[:, :4]), "a", "b", "c", "d"
        )


def test_vectors_that_grow_without_bound_are_refused() -> None:
    with pytest.raises(ValueError, match="without bound"), np.errstate(all="ignore"):
        word2vec.train([["king", "queen", "man", "woman", "x"] * 20], epochs=300, sample=0)
