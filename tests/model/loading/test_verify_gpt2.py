"""The check of GPT-2: the facts pass, and each change of one is named."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tokenizers import Tokenizer

from model.interpretability.published_heads import GPT2_SMALL
from model.loading import checkpoint, gpt2_format, verify_gpt2
from model.loading.folders import BUILT_IN
from model.loading.gpt2_facts import FACTS
from model.transformer.decoder import Decoder
from model.transformer.gpt2 import GPT2, GPT2Config


class StandIn:
    """A GPT and a tokenizer that say what the facts say."""

    config = GPT2_SMALL

    def __init__(self, facts: tuple = FACTS) -> None:
        self.facts = facts

    def get_vocab_size(self) -> int:
        return GPT2_SMALL.vocab_size

    def encode(self, prompt: str) -> SimpleNamespace:
        return SimpleNamespace(ids=[list(fact.ids) for fact in self.facts if fact.prompt == prompt][0])

    def trace(self, idx: torch.Tensor) -> SimpleNamespace:
        (at,) = [n for n, fact in enumerate(FACTS) if list(fact.ids) == idx[0].tolist()]
        fact, tokens = self.facts[at], idx.size(1)
        likely = torch.full((GPT2_SMALL.vocab_size,), (1 - sum(fact.next.values())) / (GPT2_SMALL.vocab_size - 5))
        likely[list(fact.next)] = torch.tensor(list(fact.next.values()))
        patterns = torch.zeros(12, 1, 12, tokens, tokens)
        for (layer, head), row in fact.rows.items():
            patterns[layer, 0, head, -1] = torch.tensor(row)
        blocks = [SimpleNamespace(attn=SimpleNamespace(pattern=pattern)) for pattern in patterns]
        logits = torch.zeros(1, tokens, GPT2_SMALL.vocab_size)
        logits[0, -1] = likely.log() + 3  # a constant added to all logits changes nothing
        return SimpleNamespace(logits=logits, blocks=blocks)


def failed(stand_in: StandIn) -> list[str]:
    return [finding.what for finding in verify_gpt2.check(stand_in, stand_in) if not finding.passed]


def changed(number: int, **fields: object) -> StandIn:
    facts = list(FACTS)
    facts[number] = dataclasses.replace(facts[number], **fields)
    return StandIn(tuple(facts))


def test_the_facts_themselves_pass() -> None:
    assert failed(StandIn()) == []
    assert len(verify_gpt2.check(StandIn(), StandIn())) == 8 + 3 * (1 + 5 + 3)


def test_the_facts_are_those_of_a_model() -> None:
    for fact in FACTS:
        assert list(fact.next.values()) == sorted(fact.next.values(), reverse=True) and sum(fact.next.values()) < 1
        for row in fact.rows.values():
            assert len(row) == len(fact.ids) and sum(row) == pytest.approx(1, abs=3e-4)


@pytest.mark.parametrize("number", range(3))
def test_one_changed_id_is_named(number: int) -> None:
    ids = (*FACTS[number].ids[:-1], 11)
    assert failed(changed(number, ids=ids)) == [f"ids of “{FACTS[number].prompt}”"]


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("off", [0.006, -0.006, float("nan")])
def test_one_changed_row_is_named(number: int, off: float) -> None:
    first, *others = FACTS[number].rows[2, 2]
    rows = FACTS[number].rows | {(2, 2): (first + off, *others)}
    assert failed(changed(number, rows=rows)) == [f"last row of L2 H2 for “{FACTS[number].prompt}”"]
    if off == off:
        rows = FACTS[number].rows | {(2, 2): (first + off / 2, *others)}  # as half precision does
        assert failed(changed(number, rows=rows)) == []


@pytest.mark.parametrize(("number", "id"), [(0, 38350), (1, 995), (2, 4858)])
def test_one_changed_probability_is_named(number: int, id: int) -> None:
    fact = FACTS[number]
    likely = changed(number, next=fact.next | {id: fact.next[id] + 0.006})
    assert failed(likely) == [f"probability of id {id} after “{fact.prompt}”"]


def test_nan_passes_nothing_that_was_computed() -> None:
    broken = StandIn(tuple(dataclasses.replace(f, next=dict.fromkeys(f.next, float("nan"))) for f in FACTS))
    assert len(failed(broken)) == 15


@pytest.mark.parametrize(
    ("sizes", "named"),
    [
        ({"vocab_size": 50256}, "vocab_size"),
        ({"block_size": 4}, "block_size"),
        ({"n_layer": 6}, "n_layer"),
        ({"n_head": 6}, "n_head"),
        ({"n_embd": 1024, "n_head": 16}, "n_embd"),
        ({"layer_norm_epsilon": 1e-6}, "layer_norm_epsilon"),
    ],
)
def test_other_sizes_are_named_and_nothing_is_run(sizes: dict, named: str) -> None:
    stand_in = StandIn()
    stand_in.config = dataclasses.replace(GPT2_SMALL, **sizes)
    stand_in.trace = None
    assert named in failed(stand_in) and set(failed(stand_in)) == set(sizes)


def test_random_weights_of_the_right_sizes_fail() -> None:
    with torch.device("meta"):
        gpt = GPT2(GPT2_SMALL)
    gpt = gpt.to_empty(device="cpu").requires_grad_(False)
    torch.manual_seed(0)
    for parameter in gpt.parameters():
        parameter.uniform_(-0.03, 0.03)
    assert len([finding for finding in verify_gpt2.check(gpt, StandIn()) if not finding.passed]) > 15


def saved(folder: Path, **sizes: int) -> Path:
    """A tiny random model in a folder, with the tokenizer of the built-in one."""
    gpt2_format.save(
        GPT2(GPT2Config(**{"vocab_size": 6144, "block_size": 3, "n_layer": 1, "n_head": 1, "n_embd": 4} | sizes)),
        folder,
    )
    (folder / "tokenizer.json").write_text((BUILT_IN / "tokenizer.json").read_text("utf-8"), "utf-8")
    return folder


def test_the_command_ends_with_1_for_another_model(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "model.loading.verify_gpt2", str(saved(tmp_path / "tiny"))],
        cwd=BUILT_IN.parents[2],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1 and "Traceback" not in run.stderr
    assert "vocab_size: expected 50257; found 6144" in run.stdout and "block_size: expected 1024; found 3" in run.stdout
    assert "is not GPT-2 small" in run.stderr


def test_the_command_passes_what_says_the_facts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(checkpoint, "load", lambda folder: StandIn())
    monkeypatch.setattr(checkpoint, "tokenizer", lambda folder, vocab_size: StandIn())
    verify_gpt2.main([str(tmp_path)])
    assert capsys.readouterr().out.startswith("pass: ")


def test_what_is_not_there_or_cannot_be_read_gets_a_sentence(tmp_path: Path) -> None:
    said = {}
    (tmp_path / "empty").mkdir()
    broken = saved(tmp_path / "broken")
    (broken / "tokenizer.json").write_text("{")
    for name in (
        "gpt2",
        "some/other",
        "../a/../b/c d",
        str(tmp_path / "empty"),
        str(broken),
        str(tmp_path / "none"),
    ):
        with pytest.raises(SystemExit) as ended:
            verify_gpt2.main([name])
        said[name] = ended.value.code
    assert all(isinstance(one, str) and one.startswith("not checked: ") for one in said.values())
    assert "python -m model.loading.hub gpt2" in said.pop("gpt2")
    assert not any("model.loading.hub" in one for one in said.values())
    assert "tokenizer.json" in said[str(broken)]


def test_a_model_in_the_cache_of_the_hub_is_found(tmp_path: Path) -> None:
    stored = tmp_path / "hub" / "models--openai-community--gpt2"
    (stored / "refs").mkdir(parents=True)
    (stored / "refs" / "main").write_text("abc")
    saved(stored / "snapshots" / "abc")
    assert verify_gpt2.find_folder("gpt2") == stored / "snapshots" / "abc"
    with pytest.raises(SystemExit, match="is not GPT-2 small"):
        verify_gpt2.main([])


@pytest.mark.weights
def test_the_released_weights_pass(gpt2_small: tuple[Decoder, Tokenizer]) -> None:
    assert [finding for finding in verify_gpt2.check(*gpt2_small) if not finding.passed] == []


@pytest.mark.weights
def test_the_released_weights_rounded_to_half_precision_pass(
    gpt2_small: tuple[Decoder, Tokenizer], tmp_path: Path
) -> None:
    gpt, tokenizer = gpt2_small
    gpt2_format.save(gpt, tmp_path)
    assert [finding for finding in verify_gpt2.check(checkpoint.load(tmp_path), tokenizer) if not finding.passed] == []


@pytest.mark.weights
def test_the_released_weights_without_one_layer_of_attention_fail(
    gpt2_small: tuple[Decoder, Tokenizer], tmp_path: Path
) -> None:
    gpt, tokenizer = gpt2_small
    gpt2_format.save(gpt, tmp_path)
    moved = checkpoint.load(tmp_path)
    moved.h[5].attn.c_proj.weight *= 0
    assert any(not finding.passed for finding in verify_gpt2.check(moved, tokenizer))
