"""Generation pass by pass: with the cache as without, as transformers does it, and as torch counts it."""

from itertools import islice

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM

from model import cache, gpt2, noted, sampling
from model.gpt import GPT
from model.parameters import PRESETS, of
from pages.shared import models

GREEDY, DRAWN = [("temperature", 0.0)], [("temperature", 1.3), ("top-k", 40.0)]


@pytest.mark.parametrize("chain", [GREEDY, DRAWN], ids=["greedy", "drawn"])
@pytest.mark.parametrize("prompt", [1, 17, 31])
def test_the_passes_are_those_of_a_model_without_a_cache(gpt: GPT, idx: Tensor, chain, prompt: int) -> None:
    """Before the context of 31 is full and after: the same logits, and where the newest token looks."""
    told = torch.cat([idx[0], idx[1]])[:prompt].tolist()
    drawn = [id for id, _ in islice(sampling.write(gpt, told, chain, 5), 20)]
    for step in islice(cache.steps(gpt, told, chain, 5), 20):
        assert step.first + step.cached + step.new == len(told)
        assert step.first == max(0, len(told) - 31)
        assert step.new == (1 if prompt < len(told) <= 31 else len(told) - step.first)
        whole = gpt.trace(torch.tensor([told[step.first :]]))
        torch.testing.assert_close(step.logits, whole.logits[0, -1], rtol=0, atol=2e-5)
        for layer, block in enumerate(whole.blocks):
            torch.testing.assert_close(step.looks[layer], block.attn.pattern[0, :, -1], rtol=0, atol=1e-5)
        told.append(step.id)
    assert told[prompt:] == drawn and len(drawn) == 20
    begun = gpt.trace(torch.tensor([told[:prompt]]))
    again = islice(cache.steps(gpt, told[:prompt], chain, 5, begun), 20)
    assert [step.id for step in again] == drawn


def test_what_is_written_is_what_transformers_generate_writes() -> None:
    theirs = AutoModelForCausalLM.from_pretrained(built_in(), dtype=torch.float32).eval()
    ours = gpt2.load(built_in())
    ids = models.load(models.NAMES[0]).tokenizer.encode("Once upon a time there was a").ids
    settings = {"attention_mask": torch.ones(1, len(ids)), "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    for use_cache in (True, False):
        expected = theirs.generate(torch.tensor([ids]), max_new_tokens=32, use_cache=use_cache, **settings)
        assert [step.id for step in islice(cache.steps(ours, ids, GREEDY, 0), 32)] == expected[0, len(ids) :].tolist()


def built_in():
    return models.OFFERS[models.NAMES[0]].folder()


@pytest.mark.parametrize(("new", "before"), [(1, 0), (17, 0), (1, 16), (5, 12)])
def test_multiply_adds_are_what_torch_counts(gpt: GPT, idx: Tensor, new: int, before: int) -> None:
    kept = gpt.step(idx[:1, :before])[1] if before else None
    with FlopCounterMode(display=False) as counter:
        gpt.step(idx[:1, before : before + new], kept)
    assert counter.get_total_flops() == 2 * cache.multiply_adds(gpt.config, new, before)
    with FlopCounterMode(display=False) as counter:
        gpt.trace(idx[:1, before : before + new], cache=kept)
    assert counter.get_total_flops() == 2 * cache.multiply_adds(gpt.config, new, before, read_off=new)


def test_the_work_of_both_ways_is_what_torch_counts(gpt: GPT, idx: Tensor) -> None:
    for way in (noted.generate, GPT.generate):
        with FlopCounterMode(display=False) as counter:
            way(gpt, idx[:1], 9)
        assert f"{counter.get_total_flops() / 2e6:,.0f} million" in noted.work(way, gpt, idx[:1], 9)


def test_the_bytes_kept_are_those_of_the_cache(gpt: GPT, idx: Tensor) -> None:
    trace = gpt.trace(idx[:1])
    assert sum(k.nbytes + v.nbytes for k, v in trace.cache) == cache.kept(of(gpt.config), 17)
    assert cache.kept(PRESETS["GPT-2"], 1024, 2) == 2 * 12 * 1024 * 768 * 2
    # Llama 3.1 8B: 8 heads of 128 numbers in 32 layers; with 32 heads it would be four times as much
    assert cache.kept(PRESETS["Llama 3.1 8B"], 1, 2) == 131_072


def test_both_ways_are_timed_on_the_same_text(gpt: GPT, idx: Tensor) -> None:
    told = idx.flatten().tolist()
    found = list(cache.timed(gpt, told, 17))
    assert len(found) == 17 and all(one.same and one.apart < 1e-4 and one.kept > 0 < one.anew for one in found)
    assert found[-1].apart == 0 and any(one.apart for one in found)  # past the context both compute the same


def test_timing_tells_where_the_ways_part(gpt: GPT, idx: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that forgets positions is found out."""
    embed = gpt._embed
    monkeypatch.setattr(gpt, "_embed", lambda idx, start=0, *more: embed(idx, 0, *more))
    assert max(one.apart for one in cache.timed(gpt, idx[0].tolist(), 9)) > 0.1


def test_a_shortened_model_shares_its_weights_and_reads_less(gpt: GPT, idx: Tensor) -> None:
    short = cache.shortened(gpt, 9)
    assert torch.equal(short(idx[:, :9]), gpt(idx[:, :9])) and gpt.config.block_size == 31
    with pytest.raises(ValueError, match="1 to 9"):
        short(idx[:, :10])
    assert short.h is gpt.h and short.wpe.weight.data_ptr() == gpt.wpe.weight.data_ptr()


def test_each_failure_of_the_notes_happens(gpt: GPT, idx: Tensor) -> None:
    found = dict(zip([case.asked for case in noted.CASES], noted.tried(gpt, idx[:1]), strict=True))
    order = gpt(idx[:1])[0, -1].argsort().tolist()
    theirs, ours = found["Write past the context"]
    assert theirs.startswith("IndexError") and len(ours) == 3
    theirs, ours = found["Temperature 0"]
    assert theirs.startswith("RuntimeError: probability tensor") and ours == [order[-1]]
    theirs, ours = found["Temperature −1"]
    assert theirs[0] in order[:50] and ours == "ValueError: temperature is -1.0; it must be 0 or more, and finite"
    theirs, ours = found["A top-k larger than the vocabulary"]
    assert theirs.startswith("RuntimeError: selected index k out of range") and len(ours) == 1
    assert [one[:2] for one in found["Top-k 3 among ten equally likely tokens"]] == ["10", "10"]
    theirs, ours = found["A sample in the middle of training"]
    assert "False" in theirs and "True" in ours
    assert gpt.training is False


def test_where_nothing_is_odd_the_notes_draw_what_ours_draws(gpt: GPT, idx: Tensor) -> None:
    ways = [way(gpt, idx, 9, 0.8, 20, torch.Generator().manual_seed(3)) for way in (noted.generate, GPT.generate)]
    assert torch.equal(*ways)
