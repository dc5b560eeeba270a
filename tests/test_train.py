"""Training: it learns, it stops and goes on, and what it writes is a GPT-2-format folder."""

import json
import math
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from model import gpt2, train, world
from model.gpt import GPTConfig

TINY = GPTConfig(vocab_size=300, block_size=96, n_layer=2, n_head=2, n_embd=16)


def run(folder: Path) -> bool:
    return train.train(folder, TINY, steps=24, batch=4, peak=1e-2, seed=7)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert run(folder)
    return folder


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    rows, made = train.rows, []

    def rows_then_ctrl_c(*arguments: object) -> torch.Tensor:
        made.append(arguments)
        if len(made) == 10:
            signal.raise_signal(signal.SIGINT)
        return rows(*arguments)

    monkeypatch.setattr(train, "rows", rows_then_ctrl_c)
    assert not run(tmp_path)
    assert "stopped after 10 steps" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["run"]  # a model that was there would still work
    with pytest.raises(ValueError, match="seed 7"):
        train.train(tmp_path, TINY, steps=24, batch=4, peak=1e-2, seed=8)
    assert run(tmp_path)
    assert len(made) == 24
    stopped, at_once = (load_file(folder / "model.safetensors") for folder in (tmp_path, whole))
    assert all(torch.equal(stopped[name], weight) for name, weight in at_once.items())


def test_a_run_that_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "state.safetensors").write_bytes(b"cut")
    with pytest.raises(ValueError, match="state.safetensors cannot be read .*delete it"):
        run(tmp_path)


def test_the_folder_is_whole_and_transformers_opens_it(whole: Path) -> None:
    assert {path.name for path in whole.iterdir()} == {
        "config.json", "model.safetensors", "tokenizer.json", "card.json",
    }  # fmt: skip
    assert AutoModelForCausalLM.from_pretrained(whole).config.n_embd == 16
    card = json.loads((whole / "card.json").read_text())
    assert card["tokens"] == 24 * 4 * 96
    assert card["floor_nats_per_token"] < card["loss_nats_per_token"] < math.log(300)


def test_rows_are_whole_documents_one_after_the_other(whole: Path) -> None:
    tokenizer = Tokenizer.from_file(str(whole / "tokenizer.json"))
    first, second = train.rows(tokenizer, "seed", 2, 400).tolist()
    assert tokenizer.decode(first).startswith(next(world.documents("seed")).text + "\n")
    assert tokenizer.decode(second).startswith("\n")


def test_the_loss_held_out_is_that_of_each_document(whole: Path) -> None:
    gpt, tokenizer = gpt2.load(whole), Tokenizer.from_file(str(whole / "tokenizer.json"))
    loss, floor = train.held_out(gpt, tokenizer, documents=1, seed="one")
    document = next(world.documents("one"))
    ids = tokenizer.encode(f"\n{document.text}\n").ids[: TINY.block_size + 1]
    log_p = gpt(torch.tensor([ids[:-1]]))[0].log_softmax(-1)
    assert loss == pytest.approx(-sum(log_p[n, id].item() for n, id in enumerate(ids[1:])) / (len(ids) - 1), rel=1e-5)
    assert floor == pytest.approx(document.nats / (len(ids) - 1))


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [train.learning_rate(step, 1000, 1.0) for step in range(1000)]
    assert rates.index(max(rates)) in (99, 100)
    assert rates[0] == 0.01 and rates[-1] == pytest.approx(0.05, abs=1e-3)
