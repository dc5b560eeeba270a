"""Skip-gram vectors: their loss by plain loops and autograd, and the command that trains them."""

from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from model.language import word_vectors
from model.toy_world import grammar


def test_pairs_are_weighted_by_distance_and_stay_within_a_document() -> None:
    ids, documents = torch.tensor([0, 1, 2, 3, 0]), torch.tensor([0, 0, 0, 0, 1])
    counts = word_vectors.pair_counts(ids, documents, 4, window=2)
    assert counts[0].tolist() == [0, 1, 0.5, 0]  # 3 is outside the window, and the second 0 in another document
    assert torch.equal(counts, counts.T)


def plain_counts(texts: list[list[str]], words: list[str], window: int) -> torch.Tensor:
    """Weighted counts of the pairs of words, word by word."""
    counts = torch.zeros(len(words), len(words))
    for text in texts:
        ids = [words.index(word) for word in text if word in words]
        for place, center in enumerate(ids):
            for other_place, context in enumerate(ids):
                if other_place != place and abs(place - other_place) <= window:
                    counts[center, context] += (window + 1 - abs(place - other_place)) / window
    return counts


def test_one_step_follows_the_gradient_of_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """One step of plain gradient descent against autograd on the loss of the paper, from counts by plain loops."""
    monkeypatch.setattr(torch.optim, "Adam", lambda parameters, eps: torch.optim.SGD(parameters))
    monkeypatch.setattr(word_vectors, "LEARNING_RATE", 1.0)
    trained = word_vectors.train(300, 8, steps=1)
    texts = [word_vectors.WORD.findall(text) for text in islice(grammar.documents("1 word vectors"), 300)]
    frequency = Counter(word for text in texts for word in text)
    words = trained.words
    assert set(words) == {word for word, count in frequency.items() if count >= 5}
    total = sum(frequency[word] for word in words)
    keep = torch.tensor([min(1.0, (3e-5 * total / frequency[word]) ** 0.5) for word in words])
    positives = torch.einsum("io,i,o->io", plain_counts(texts, words, window=8), keep, keep)
    noise = torch.tensor([frequency[word] ** (3 / 4) for word in words])
    generator = torch.Generator().manual_seed(1)
    centers, contexts = ((0.01 * torch.randn(len(words), 8, generator=generator)).requires_grad_() for _ in range(2))
    products = centers @ contexts.T
    loss = torch.zeros(())
    for center in range(len(words)):  # each observed pair, and five words drawn at random for each of them
        loss = loss - (positives[center] * F.logsigmoid(products[center])).sum()
        negatives = 5 * positives[center].sum() * noise / noise.sum()
        loss = loss - (negatives * F.logsigmoid(-products[center])).sum()
    loss.backward()
    step = (-centers.grad - contexts.grad).detach()
    start = (centers + contexts).detach()
    torch.testing.assert_close(trained.vectors - start, step, rtol=1e-3, atol=1e-5)
    assert step.abs().max() > 1e-3


def test_the_command_trains_and_saves_vectors(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "words.safetensors"
    sizes = ["--documents", "20000", "--size", "24", "--steps", "60", "--threads", "1"]  # one thread, as in all tests
    word_vectors.main(["--path", str(path), *sizes])
    vectors = word_vectors.load(path)
    assert vectors["king"].shape == (24,) and "words" in capsys.readouterr().out
    neighbors = [word for word, _ in vectors.nearest(vectors["Paris"], leave_out=("Paris",), count=5)]
    countries = grammar.TABLES["country"]
    places = {row["capital"] for row in countries} | {row["name"] for row in countries}
    assert len(places & set(neighbors)) >= 3, neighbors


def test_a_missing_file_raises_and_a_saved_one_is_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        word_vectors.load(tmp_path / "none.safetensors")
    save_file({"vectors": torch.ones(1, 2)}, tmp_path / "one.safetensors", metadata={"words": '["a"]'})
    assert word_vectors.load(tmp_path / "one.safetensors").words == ["a"]


def test_too_few_documents_are_refused() -> None:
    with pytest.raises(ValueError, match="1 documents are too few"):
        word_vectors.train(1, 8, steps=1)
