"""Training: it learns, it stops and goes on, and what it writes is a GPT-2-format folder."""

import json
import math
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch.nn import functional as F
from transformers import AutoModelForCausalLM

from model.loading import checkpoint
from model.toy_world import grammar
from model.toy_world.exact import Truth
from model.toy_world.questions import QUESTIONS
from model.training import evaluation, pretrain
from model.training.recipes import Phase, Recipe, Stage
from model.transformer.decoder import Decoder
from model.transformer.gpt2 import GPT2Config

TINY = Recipe(
    "Tiny",
    GPT2Config(vocab_size=400, block_size=96, n_layer=2, n_head=2, n_embd=16),
    stages=(
        Stage(16, 1e-2, (Phase(0.5, 0.12), Phase(1, 0.6))),
        Stage(8, 5e-3, (Phase(1, 0.03, asking=0.3),), last=1),
    ),
    keep=(0, 12),
    batch=4,
)


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    """Few documents held out, that the runs end soon."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "held_out_documents", partial(evaluation.held_out_documents, count=20))
        yield


def run(folder: Path) -> bool:
    return pretrain.train(folder, TINY, seed=7)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert run(folder)
    return folder


@pytest.mark.parametrize("stop", [10, 16])  # 16: between two stages
def test_a_run_that_was_stopped_goes_on_to_the_same_weights(
    stop: int, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    rows, made = pretrain.training_rows, []

    def rows_then_ctrl_c(*arguments: object) -> torch.Tensor:
        made.append(arguments)
        if len(made) == stop:
            signal.raise_signal(signal.SIGINT)
        return rows(*arguments)

    monkeypatch.setattr(pretrain, "training_rows", rows_then_ctrl_c)
    assert not run(tmp_path)
    assert f"stopped after {stop} steps" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["run"]  # a model that was there would still work
    with pytest.raises(ValueError, match="seed 7"):
        pretrain.train(tmp_path, TINY, seed=8)
    assert run(tmp_path)
    assert len(made) == 24
    stopped, at_once = (load_file(folder / "model.safetensors") for folder in (tmp_path, whole))
    assert all(torch.equal(stopped[name], weight) for name, weight in at_once.items())


def test_each_stage_has_its_own_course_and_begins_as_from_a_saved_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, asked, rates, begun = pretrain.training_rows, [], [], []
    step, clip = torch.optim.AdamW.step, torch.nn.utils.clip_grad_norm_

    def rows_are_asked_for(*arguments: object) -> torch.Tensor:
        asked.append(arguments[4:])
        return rows(*arguments)

    def weights_before_a_step(parameters: Iterator[torch.nn.Parameter], most: float) -> torch.Tensor:
        kept = [*parameters]
        begun.append(all(torch.equal(weight, weight.half().float()) for weight in kept))
        return clip(kept, most)

    def rate_of_a_step(adam: torch.optim.AdamW, *arguments: object) -> object:
        rates.append((adam.param_groups[0]["lr"], len(adam.state) > 0))
        return step(adam, *arguments)

    monkeypatch.setattr(pretrain, "training_rows", rows_are_asked_for)
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", weights_before_a_step)
    monkeypatch.setattr(torch.optim.AdamW, "step", rate_of_a_step)
    assert run(tmp_path)
    assert asked == 8 * [(0.12, 0.0)] + 8 * [(0.6, 0.0)] + 8 * [(0.03, 0.3)]
    first, second = ([pretrain.learning_rate(n, steps, peak, last) for n in range(steps)] for steps, peak, last in (
        (16, 1e-2, 0.05), (8, 5e-3, 1),
    ))  # fmt: skip
    assert [rate for rate, _ in rates] == first + second
    assert [n for n, (_, remembers) in enumerate(rates) if not remembers] == [0, 16]
    assert begun[16] and not begun[15] and not begun[17]


def test_a_run_that_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "state.safetensors").write_bytes(b"cut")
    with pytest.raises(ValueError, match="state.safetensors cannot be read .*delete it"):
        run(tmp_path)


def test_the_folder_is_whole_and_transformers_opens_it(whole: Path) -> None:
    files = {"config.json", "model.safetensors", "tokenizer.json", "card.json", "steps"}
    assert {path.name for path in whole.iterdir()} == files
    assert AutoModelForCausalLM.from_pretrained(whole).config.n_embd == 16
    card = json.loads((whole / "card.json").read_text())
    assert card["tokens"] == 24 * 4 * 96
    assert card["nats_per_token"]["held out"]["floor"] < card["nats_per_token"]["held out"]["loss"] < math.log(400)
    assert (card["compile"], card["bfloat16"], card["device"]) == (False, False, "cpu")
    assert set(QUESTIONS) < set(card["probes"])


def test_the_weights_on_the_way_are_kept(whole: Path) -> None:
    losses = [F.cross_entropy(*_held_out(checkpoint.load(folder), whole)) for folder in (
        whole / "steps" / "0", whole / "steps" / "12", whole,
    )]  # fmt: skip
    assert losses[0] == pytest.approx(math.log(400), abs=0.1)  # untrained: every token is as likely
    assert losses[0] > losses[1] > losses[2]


def _held_out(gpt: Decoder, folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    idx = pretrain.training_rows(Tokenizer.from_file(str(folder / "tokenizer.json")), "other", 8, 97)
    return gpt(idx[:, :-1]).flatten(0, 1), idx[:, 1:].flatten()


def test_rows_are_whole_documents_one_after_the_other(whole: Path) -> None:
    tokenizer = Tokenizer.from_file(str(whole / "tokenizer.json"))
    first, second = pretrain.training_rows(tokenizer, "seed", 2, 400).tolist()
    assert tokenizer.decode(first).startswith(next(grammar.documents("seed")) + "\n")
    assert tokenizer.decode(second).startswith("\n")


def test_a_random_row_says_a_list_of_tokens_again_and_again(whole: Path) -> None:
    tokenizer = Tokenizer.from_file(str(whole / "tokenizer.json"))
    assert torch.equal(
        pretrain.training_rows(tokenizer, "seed", 4, 97),
        pretrain.training_rows(tokenizer, "seed", 4, 97, random_share=0.0),
    )
    drawn = pretrain.training_rows(tokenizer, "seed", 200, 129, random_share=1.0)
    lengths = [next(n for n in range(1, 129) if torch.equal(row[n:], row[:-n])) for row in drawn]
    assert min(lengths) == 10 and max(lengths) == 60
    assert drawn.unique().numel() == 400  # any token at all
    assert not torch.equal(drawn, pretrain.training_rows(tokenizer, "other", 200, 129, random_share=1.0))
    questions = [
        tokenizer.decode(pretrain.training_rows(tokenizer, "seed", 20, 129, asking=share).flatten().tolist()).count("?")
        for share in (0, 0.5, 1)
    ]
    assert questions[0] < questions[1] < questions[2] and questions[2] > 1.5 * questions[0]
    mixed = pretrain.training_rows(tokenizer, "seed", 200, 129, random_share=0.3)
    assert 0.15 < sum(any(torch.equal(row[n:], row[:-n]) for n in range(10, 61)) for row in mixed) / 200 < 0.45


def test_loss_and_floor_are_those_of_the_document(whole: Path) -> None:
    gpt, tokenizer = checkpoint.load(whole), Tokenizer.from_file(str(whole / "tokenizer.json"))
    (document,) = told = evaluation.held_out_documents(count=1, seed="one")
    ids = tokenizer.encode(f"\n{document}\n").ids[:97]
    log_p = gpt(torch.tensor([ids[:-1]]))[0].log_softmax(-1)
    surprise = -sum(log_p[n, id].item() for n, id in enumerate(ids[1:])) / (len(ids) - 1)
    found = evaluation.losses(gpt, tokenizer, told)["held out"]
    assert found.loss == pytest.approx(surprise, rel=1e-5)
    assert found.floor == pytest.approx(sum(Truth(tokenizer).nats(document)[:96]) / (len(ids) - 1))


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [pretrain.learning_rate(step, 1000, 1.0) for step in range(1000)]
    assert rates.index(max(rates)) in (99, 100)
    assert rates[0] == 0.01 and rates[-1] == pytest.approx(0.05, abs=1e-3)
    assert pretrain.learning_rate(999, 1000, 1.0, last=0.01) == pytest.approx(0.01, abs=1e-3)
