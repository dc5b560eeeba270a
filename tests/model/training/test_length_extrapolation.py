"""The five models that are trained short and read long."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from torch.nn import functional as F

from model.language.tokenization import train_bpe
from model.toy_world import grammar
from model.training import length_extrapolation
from model.transformer.gpt2 import GPT2Config
from model.transformer.position_schemes import SCHEMES, gpt2_with

TINY = GPT2Config(vocab_size=300, block_size=96, n_layer=1, n_head=2, n_embd=16)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    told = grammar.documents("words")
    return train_bpe([next(told) for _ in range(200)], TINY.vocab_size)


def test_the_five_learn_and_untrained_positions_stay_as_drawn(tokenizer: Tokenizer) -> None:
    gpts = length_extrapolation.train(TINY, tokenizer, steps=12, seed=3)
    assert list(gpts) == list(SCHEMES)
    data = length_extrapolation.training_rows(tokenizer, "other", 8, 97)
    for scheme, gpt in gpts.items():
        torch.manual_seed(3)
        fresh = gpt2_with(scheme, TINY)
        before, after = (torch.tensor(length_extrapolation.mean_losses(one, data)) for one in (fresh, gpt))
        assert len(after) == 96 and after.mean() < before.mean() - 0.3
        changed = (gpt.wpe.weight != fresh.wpe.weight).any(-1)
        assert changed.tolist() == [scheme == "learned" and n < length_extrapolation.CONTEXT for n in range(96)]


def test_the_loss_is_measured_at_each_position(tokenizer: Tokenizer) -> None:
    gpt, data = gpt2_with("RoPE", TINY), length_extrapolation.training_rows(tokenizer, "some", 11, 97)
    logits = gpt(data[:, :-1]).detach()
    for position, loss in list(enumerate(length_extrapolation.mean_losses(gpt, data)))[::19]:
        assert loss == pytest.approx(F.cross_entropy(logits[:, position], data[:, position + 1]).item(), abs=1e-5)


def test_the_command_writes_the_curves_and_how_they_came_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    small = GPT2Config(vocab_size=6144, block_size=70, n_layer=1, n_head=2, n_embd=8)
    monkeypatch.setattr(length_extrapolation, "CONFIG", small)
    monkeypatch.setattr(length_extrapolation, "LENGTH", 70)
    path = tmp_path / "positions.json"
    length_extrapolation.main(["--steps", "1", "--rows", "2", "--threads", "1", "--result", str(path)])
    result = json.loads(path.read_text("utf-8"))
    assert (result["config"]["n_embd"], result["steps"], result["rows"], result["context"]) == (8, 1, 2, 64)
    assert [len(losses) for losses in result["loss"].values()] == [70] * 5
    assert "learned" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", ["--steps=0", "--rows=-1", "--threads=0"])
def test_numbers_that_make_no_run_are_refused(wrong: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        length_extrapolation.main([wrong])
    assert "must be at least 1" in capsys.readouterr().err


def test_the_shipped_curves_are_those_of_the_settings_beside_them() -> None:
    shipped = json.loads(length_extrapolation.RESULT.read_text("utf-8"))
    assert list(shipped["loss"]) == list(SCHEMES)
    assert all(len(losses) == length_extrapolation.LENGTH for losses in shipped["loss"].values())
    assert GPT2Config(**shipped["config"]) == length_extrapolation.CONFIG
    assert (shipped["context"], shipped["batch"]) == (length_extrapolation.CONTEXT, length_extrapolation.BATCH_SIZE)
