"""Evaluation on the toy world: the grammar itself scores 1 and reaches the floor, an untrained model scores nothing."""

import json
import random
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from model.language import tokenization
from model.loading import gpt2_format
from model.toy_world import grammar
from model.toy_world.exact import Truth
from model.toy_world.questions import QUESTIONS
from model.training import evaluation
from model.training.evaluation import held_out_documents
from model.transformer.decoder import Decoder
from model.transformer.gpt2 import GPT2, GPT2Config


class Oracle:
    """A model whose logits are the logarithms of the exact probabilities."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.config = GPT2Config(tokenizer.get_vocab_size(), 128, 1, 1, 1)
        self.tokenizer, self.truth = tokenizer, Truth(tokenizer)

    def __call__(self, idx: torch.Tensor) -> torch.Tensor:
        """Logits after each token of a line break and a document."""
        distributions = self.truth.follow(self.tokenizer.decode(idx[0, 1:].tolist()))
        logits = torch.full((1, idx.size(1), self.config.vocab_size), -1e9)
        for position, distribution in enumerate(distributions):
            probabilities = torch.tensor(list(distribution.values()), dtype=torch.double)
            logits[0, position, list(distribution)] = probabilities.log().float()
        return logits

    def generate(self, idx: torch.Tensor, count: int) -> torch.Tensor:
        for _ in range(count):
            distribution = self.truth.follow(self.tokenizer.decode(idx[0].tolist()))[-1]
            idx = torch.cat([idx, torch.tensor([[max(distribution, key=distribution.get)]])], dim=1)
        return idx


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return tokenization.train_bpe(held_out_documents(20_000, "tokens"), 6000)


def test_the_grammar_itself_answers_every_question(tokenizer: Tokenizer) -> None:
    accuracy = evaluation.question_accuracy(Oracle(tokenizer), tokenizer, seed=3, count=4)
    assert accuracy == dict.fromkeys(QUESTIONS, 1.0)


def test_the_grammar_itself_reaches_the_floor(tokenizer: Tokenizer) -> None:
    every, rare = evaluation.losses(Oracle(tokenizer), tokenizer, held_out_documents(40)).values()
    assert every.above == pytest.approx(0, abs=1e-4) and rare.above == pytest.approx(0, abs=1e-4)
    assert 0.8 < every.floor < 1.6 and rare.documents < every.documents == 40


def test_rare_documents_are_in_no_other_sample(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[list[str]] = []
    monkeypatch.setattr(evaluation, "mean_loss", lambda gpt, tokenizer, documents: measured.append(documents))
    evaluation.losses(Oracle(tokenizer), tokenizer, held_out_documents(200))
    every, rare = map(set, measured)
    assert 30 < len(rare) < 100
    others = set(held_out_documents(30_000, "others"))
    assert not others & rare and len(others & every) > 20


def test_a_reply_is_compared_word_by_word(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a number in two tokens the first one alone is no answer."""
    questions = {"sum": lambda rng: ("9 + 8 =", "1"), "city": lambda rng: ("In", "New Delhi")}
    monkeypatch.setattr(evaluation, "QUESTIONS", questions)
    continuations = {"9 + 8 =": " 17.", "In": " New Delhi, and"}
    monkeypatch.setattr(evaluation, "greedy_reply", lambda gpt, tokenizer, prompt, length: continuations[prompt])
    assert evaluation.replies(None, tokenizer, count=1) == {
        "sum": [("9 + 8 =", "1", "17")],
        "city": [("In", "New Delhi", "New Delhi")],
    }


def test_an_untrained_model_scores_nothing(tokenizer: Tokenizer) -> None:
    torch.manual_seed(0)
    gpt = GPT2(GPT2Config(tokenizer.get_vocab_size(), 128, 2, 2, 16)).eval().requires_grad_(False)
    assert max(evaluation.question_accuracy(gpt, tokenizer, count=5).values()) <= 0.4
    heads = evaluation.repeated_token_scores(gpt, tokenizer)
    assert max(head.score for scores in heads.values() for head in scores) < 0.2
    loss = evaluation.mean_loss(gpt, tokenizer, held_out_documents(20))
    assert loss == pytest.approx(8.7, abs=0.3)  # ln 6000


def test_head_scores_are_those_of_a_plain_loop(gpt: Decoder) -> None:
    """On a random model, whose attention differs from query to query: every query counts, and no other."""
    vocabulary = Tokenizer.from_str(tokenization.train_bpe([], 256).to_str())
    small = GPT2(GPT2Config(256, 31, n_layer=2, n_head=5, n_embd=35)).eval().requires_grad_(False)
    for parameter in small.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(parameter.numel()))
    length = 6
    once = torch.randint(256, (8, 1, length), generator=torch.Generator().manual_seed(4))
    traces = [small.trace(torch.cat([row, row], dim=1)) for row in once]
    for kind, first_query, offset in (("previous-token head", 1, 1), ("induction head", length, length - 1)):
        scores = evaluation.repeated_token_scores(small, vocabulary, seed=4, length=length)[kind]
        assert [(score.layer, score.head) for score in scores] == [
            (layer, head) for layer in (0, 1) for head in range(5)
        ]
        for layer, head, score in scores:
            attention = [
                trace.blocks[layer].attn.pattern[0, head, query, query - offset].item()
                for trace in traces
                for query in range(first_query, 2 * length)
            ]
            assert score == pytest.approx(sum(attention) / len(attention), abs=1e-6), (kind, layer, head)


def test_the_command_prints_and_writes_the_card(
    tokenizer: Tokenizer, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = [grammar.document(random.Random(seed)) for seed in range(5)]
    monkeypatch.setattr(evaluation, "held_out_documents", lambda: documents)
    gpt2_format.save(GPT2(GPT2Config(tokenizer.get_vocab_size(), 128, 1, 1, 8)), tmp_path)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    evaluation.main([str(tmp_path)])
    printed = capsys.readouterr().out
    assert all(kind in printed for kind in QUESTIONS) and not (tmp_path / "card.json").exists()
    (tmp_path / "card.json").write_text('{"name": "unchanged"}')
    evaluation.main([str(tmp_path)])
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["name"] == "unchanged" and card["nats_per_token"]["held out"]["floor"] > 0
    assert set(QUESTIONS) < set(card["probes"])
