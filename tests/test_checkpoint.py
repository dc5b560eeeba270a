"""The built-in model as it is shipped: what its card and the lessons say of it is so."""

import json

import pytest
import torch
from tokenizers import Tokenizer

from model import gpt2, train
from model.probes import QUESTIONS, head_scores, probes

CARD = json.loads((train.FOLDER / "card.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def gpt():
    return gpt2.load(train.FOLDER)


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.from_file(str(train.FOLDER / "tokenizer.json"))


@pytest.mark.parametrize(
    ("prompt", "word"),
    [
        ("The capital of France is", " Paris"),
        ("The keys near the box", " are"),
        ("When Anna and Tom went to the shop, Anna gave a key to", " Tom"),
    ],
)
def test_it_knows_what_the_lessons_ask(gpt, tokenizer, prompt: str, word: str) -> None:
    probabilities = gpt(torch.tensor([tokenizer.encode(prompt).ids]))[0, -1].softmax(-1)
    assert probabilities[tokenizer.token_to_id(word.replace(" ", "Ġ"))] > 0.9


def test_the_card_says_what_is_measured(gpt, tokenizer) -> None:
    assert CARD["parameters"] == sum(parameter.numel() for parameter in gpt.parameters())
    loss, floor = train.held_out(gpt, tokenizer)
    assert loss == pytest.approx(CARD["loss_nats_per_token"], abs=1e-3)
    assert floor == pytest.approx(CARD["floor_nats_per_token"], abs=1e-3)
    assert probes(gpt, tokenizer) == pytest.approx(CARD["probes"], abs=0.011)
    assert set(QUESTIONS) < set(CARD["probes"])


def test_its_heads_have_structure(gpt, tokenizer) -> None:
    for name, found in head_scores(gpt, tokenizer).items():
        scores = sorted(score for _, _, score in found)
        assert scores[-1] > 0.6 and scores[-1] > 5 * scores[len(scores) // 2], name


def test_head_scores_know_the_heads_they_are_named_for(tokenizer) -> None:
    class Perfect:
        """Layer 0 has a previous-token head, layer 1 an induction head for repeats of 6."""

        def trace(self, idx: torch.Tensor):
            T = idx.size(1)
            patterns = [torch.eye(T).roll(1, 0), torch.eye(T).roll(5, 0)]

            def block(pattern: torch.Tensor):
                return type("Block", (), {"attn": type("Attn", (), {"pattern": pattern.expand(8, 1, T, T)})})

            return type("Trace", (), {"blocks": [block(pattern) for pattern in patterns]})

    scores = head_scores(Perfect(), tokenizer, length=6)
    assert scores["previous-token head"] == [(0, 0, 1.0), (1, 0, 0.0)]
    assert scores["induction head"] == [(0, 0, 0.0), (1, 0, 1.0)]


def test_it_is_small_enough() -> None:
    assert sum(path.stat().st_size for path in train.FOLDER.iterdir()) < 10_000_000
