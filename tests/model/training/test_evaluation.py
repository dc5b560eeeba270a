"""The probes and the analogies: that they find what is there, and nothing where there is nothing."""

import json
import random
from itertools import islice
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch.nn import functional as F

from model.language import analogies
from model.language import tokenization as tokens
from model.language import word_vectors as skipgram
from model.language.embeddings import Embeddings
from model.loading import gpt2_format as gpt2
from model.toy_world import evaluation as probes
from model.toy_world import grammar as world
from model.toy_world.exact import Truth
from model.transformer.gpt2 import GPT, GPTConfig


class Oracle:
    """Says what the grammar says: its logits are the log of the truth."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.config = GPTConfig(tokenizer.get_vocab_size(), 128, 1, 1, 1)
        self.tokenizer, self.truth = tokenizer, Truth(tokenizer)

    def __call__(self, idx: torch.Tensor) -> torch.Tensor:
        """The logits after each token of a line break and a document."""
        followed = self.truth.follow(self.tokenizer.decode(idx[0, 1:].tolist()))
        logits = torch.full((1, idx.size(1), self.config.vocab_size), -1e9)
        for at, next in enumerate(followed):
            logits[0, at, list(next)] = torch.tensor(list(next.values()), dtype=torch.double).log().float()
        return logits

    def generate(self, idx: torch.Tensor, count: int, temperature: float) -> torch.Tensor:
        assert temperature == 0
        for _ in range(count):
            next = self.truth.follow(self.tokenizer.decode(idx[0].tolist()))[-1]
            idx = torch.cat([idx, torch.tensor([[max(next, key=next.get)]])], dim=1)
        return idx


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return tokens.train_bpe(probes.held_out(20_000, "tokens"), 6000)


def test_the_grammar_itself_answers_every_question(tokenizer: Tokenizer) -> None:
    assert probes.probes(Oracle(tokenizer), tokenizer, seed=3, asked=4) == dict.fromkeys(probes.QUESTIONS, 1.0)


def test_the_grammar_itself_reaches_the_floor(tokenizer: Tokenizer) -> None:
    told = probes.held_out(40)
    every, rare = probes.losses(Oracle(tokenizer), tokenizer, told).values()
    assert every.above == pytest.approx(0, abs=1e-4) and rare.above == pytest.approx(0, abs=1e-4)
    assert 0.8 < every.floor < 1.6 and rare.documents < every.documents == 40


def test_what_is_too_rare_to_have_been_read_is_found(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "loss", lambda gpt, tokenizer, told: asked.append(told))
    asked: list[list[str]] = []
    probes.losses(Oracle(tokenizer), tokenizer, probes.held_out(200))
    told, rare = map(set, asked)
    assert 30 < len(rare) < 100
    others = set(probes.held_out(30_000, "others"))
    assert not others & rare and len(others & told) > 20


def test_an_answer_ends_where_its_last_word_ends(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a number in two tokens the first one alone is no answer."""
    monkeypatch.setattr(
        probes, "QUESTIONS", {"sum": lambda rng: ("9 + 8 =", "1"), "city": lambda rng: ("In", "New Delhi")}
    )
    says = {"9 + 8 =": " 17.", "In": " New Delhi, and"}
    monkeypatch.setattr(probes, "reply", lambda gpt, tokenizer, prompt, length: says[prompt])
    assert probes.examine(None, tokenizer, asked=1) == {
        "sum": [("9 + 8 =", "1", "17")],
        "city": [("In", "New Delhi", "New Delhi")],
    }


def test_an_untrained_model_knows_nothing(tokenizer: Tokenizer) -> None:
    torch.manual_seed(0)
    gpt = GPT(GPTConfig(tokenizer.get_vocab_size(), 128, 2, 2, 16)).eval().requires_grad_(False)
    assert max(probes.probes(gpt, tokenizer, asked=5).values()) <= 0.4
    assert max(score for found in probes.head_scores(gpt, tokenizer).values() for _, _, score in found) < 0.2
    assert probes.loss(gpt, tokenizer, probes.held_out(20)) == pytest.approx(8.7, abs=0.3)  # ln 6000


def test_a_question_has_its_answer_in_the_world(tokenizer: Tokenizer) -> None:
    truth = Truth(tokenizer)
    for kind, ask in probes.QUESTIONS.items():
        for seed in range(3):
            prompt, answer = ask(random.Random(seed))
            ids = tokenizer.encode(f"{prompt} {answer}").ids
            assert ids[-1] in truth.follow(f"{prompt} {answer}")[len(ids) - 1], (kind, prompt, answer)


def test_the_command_prints_and_writes_the_card(
    tokenizer: Tokenizer, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "held_out", lambda: world_documents[:5])
    world_documents = [world.document(random.Random(n)) for n in range(5)]
    gpt2.save(GPT(GPTConfig(tokenizer.get_vocab_size(), 128, 1, 1, 8)), tmp_path)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    probes.main([str(tmp_path)])
    printed = capsys.readouterr().out
    assert all(kind in printed for kind in probes.QUESTIONS) and not (tmp_path / "card.json").exists()
    (tmp_path / "card.json").write_text('{"name": "kept"}')
    probes.main([str(tmp_path)])
    card = json.loads((tmp_path / "card.json").read_text())
    assert (
        card["name"] == "kept"
        and card["nats_per_token"]["held out"]["floor"] > 0
        and set(probes.QUESTIONS) < set(card["probes"])
    )


def perfect_vectors() -> Embeddings:
    """Every pair of a kind differs by the same vector, and nothing else is alike."""
    generator = torch.Generator().manual_seed(0)
    vectors: dict[str, torch.Tensor] = {}
    for questions in analogies.ANALOGIES.values():
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


def test_analogies_are_160_true_ones() -> None:
    asked = [question for questions in analogies.ANALOGIES.values() for question in questions]
    assert len(asked) == 160
    assert len({*asked}) == 160 and all(len({*question}) == 4 for question in asked)
    rows = [set(row.values()) for rows in world.TABLES.values() for row in rows]
    for a, b, c, d in asked:
        assert any({a, b} <= row for row in rows) and any({c, d} <= row for row in rows)


def test_analogies_are_found_where_they_are_and_only_there() -> None:
    vectors = perfect_vectors()
    assert analogies.score(vectors)["analogies"] > 0.9
    words = list(vectors.words)
    random.Random(0).shuffle(words)
    assert analogies.score(Embeddings(words, vectors.vectors))["analogies"] < 0.1
    assert analogies.score(Embeddings(["king"], torch.ones(1, 4))) == {
        "analogies": 0,
        "analogies, inputs not left out": 0,
    }


def test_near_words_are_counted_and_far_ones_are_not() -> None:
    ids, document = torch.tensor([0, 1, 2, 3, 0]), torch.tensor([0, 0, 0, 0, 1])
    counts = skipgram.near(ids, document, 4, window=2)
    assert counts[0].tolist() == [0, 1, 0.5, 0]  # 3 is too far, and the other 0 in another document
    assert torch.equal(counts, counts.T)


def test_the_slope_is_that_of_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """One step of plain descent: what autograd makes of the paper's loss, pair by pair."""
    monkeypatch.setattr(torch.optim, "Adam", lambda parameters, eps: torch.optim.SGD(parameters))
    monkeypatch.setattr(skipgram, "LEARNING_RATE", 1.0)
    seen = {}
    monkeypatch.setattr(skipgram, "near", lambda *a, near=skipgram.near: seen.setdefault("near", near(*a)))
    moved = skipgram.train(300, 8, steps=1)
    words = moved.words
    texts = [skipgram.WORD.findall(text) for text in islice(world.documents("1 word vectors"), 300)]
    frequency = torch.tensor([sum(text.count(word) for text in texts) for word in words], dtype=torch.float)
    keep = (skipgram.COMMON / (frequency / frequency.sum())).sqrt().clamp(max=1)
    together, noise = seen["near"] * keep[:, None] * keep, frequency**0.75
    generator = torch.Generator().manual_seed(1)
    one, other = ((0.01 * torch.randn(len(words), 8, generator=generator)).requires_grad_() for _ in range(2))
    x = one @ other.T
    drawn = 5 * together.sum(1, keepdim=True) * noise / noise.sum()
    (-(together * F.logsigmoid(x)).sum() - (drawn * F.logsigmoid(-x)).sum()).backward()
    expected = (one + other - one.grad - other.grad).detach()
    start = (one + other).detach()
    assert torch.allclose(moved.vectors - start, expected - start, rtol=1e-3, atol=1e-5)


def test_word_vectors_are_learned_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "words.safetensors"
    sizes = ["--documents", "20000", "--size", "24", "--steps", "60", "--threads", "1"]  # one, as in all tests
    skipgram.main(["--path", str(path), *sizes])
    vectors = skipgram.load(path)
    assert vectors["king"].shape == (24,) and "words" in capsys.readouterr().out
    near = [word for word, _ in vectors.nearest(vectors["Paris"], leave_out=("Paris",), count=5)]
    capitals = {row["capital"] for row in world.TABLES["country"]} | {row["name"] for row in world.TABLES["country"]}
    assert len(capitals & set(near)) >= 3, near


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        skipgram.load(tmp_path / "none.safetensors")
    save_file({"vectors": torch.ones(1, 2)}, tmp_path / "one.safetensors", metadata={"words": '["a"]'})
    assert skipgram.load(tmp_path / "one.safetensors").words == ["a"]
