"""Generation pass by pass: with the cache as without, as transformers does it, and as torch counts it."""

import time
from itertools import islice

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM

from model.decoding import kv_cache, sampling
from model.loading import checkpoint
from model.transformer.decoder import Decoder
from model.transformer.parameter_count import PRESETS
from model.transformer.record import Cache, cache_length
from pages.shared import models

GREEDY, DRAWN = [("temperature", 0.0)], [("temperature", 1.3), ("top-k", 40.0)]
PENALISED = [("repetition", 1.4), *GREEDY]


@pytest.mark.parametrize("chain", [GREEDY, DRAWN, PENALISED], ids=["greedy", "drawn", "penalised"])
@pytest.mark.parametrize("prompt", [1, 17, 31])
def test_passes_with_a_cache_equal_those_without(decoder: Decoder, idx: Tensor, chain, prompt: int) -> None:
    """Before the context of 31 is full and after: the same logits, and where the newest token looks."""
    told = torch.cat([idx[0], idx[1]])[:prompt].tolist()
    drawn = [id for id, _ in islice(sampling.sample_tokens(decoder, told, chain, 5), 20)]
    for step in islice(kv_cache.steps(decoder, told, chain, 5), 20):
        assert step.first + step.cached + step.new == len(told)
        assert step.first == max(0, len(told) - 31)
        assert step.new == (1 if prompt < len(told) <= 31 else len(told) - step.first)
        whole = decoder.trace(torch.tensor([told[step.first :]]))
        torch.testing.assert_close(step.logits, whole.logits[0, -1], rtol=0, atol=2e-5)
        for layer, block in enumerate(whole.blocks):
            torch.testing.assert_close(step.pattern[layer], block.attn.pattern[0, :, -1], rtol=0, atol=1e-5)
        told.append(step.id)
    assert told[prompt:] == drawn and len(drawn) == 20
    begun = decoder.trace(torch.tensor([told[:prompt]]))
    again = islice(kv_cache.steps(decoder, told[:prompt], chain, 5, begun), 20)
    assert [step.id for step in again] == drawn


def test_generation_equals_that_of_transformers() -> None:
    theirs = AutoModelForCausalLM.from_pretrained(built_in(), dtype=torch.float32).eval()
    ours = checkpoint.load(built_in())
    ids = models.load(models.NAMES[0]).tokenizer.encode("Once upon a time there was a").ids
    settings = {"attention_mask": torch.ones(1, len(ids)), "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    for use_cache, chain, penalty in ((True, GREEDY, 1.0), (False, GREEDY, 1.0), (True, PENALISED, 1.4)):
        settings |= {"use_cache": use_cache, "repetition_penalty": penalty}
        expected = theirs.generate(torch.tensor([ids]), max_new_tokens=32, **settings)[0, len(ids) :].tolist()
        assert [step.id for step in islice(kv_cache.steps(ours, ids, chain, 0), 32)] == expected


def test_the_bytes_of_a_pass_are_those_of_what_it_holds(decoder: Decoder, idx: Tensor) -> None:
    """And not the logits of all positions, of which it shows the last ones."""
    for step in islice(kv_cache.steps(decoder, idx[0].tolist(), GREEDY, 0), 3):
        held = [of.untyped_storage().nbytes() for of in (step.pattern, step.logits)]
        assert step.bytes == sum(held) == 4 * (3 * decoder.config.n_head * (step.cached + step.new) + 97)


def test_a_traced_prompt_is_not_computed_again(decoder: Decoder, idx: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, passed = decoder.trace(idx[:1]), []
    trace = decoder.trace
    monkeypatch.setattr(decoder, "trace", lambda idx, **kept: passed.append(idx.size(1)) or trace(idx, **kept))
    for _ in islice(kv_cache.steps(decoder, idx[0].tolist(), GREEDY, 0, begun), 4):
        pass
    assert passed == [1, 1, 1]


def built_in():
    return models.CATALOG[models.NAMES[0]].folder()


@pytest.mark.parametrize(("new", "before"), [(1, 0), (17, 0), (1, 16), (5, 12)])
def test_multiply_adds_are_what_torch_counts(decoder: Decoder, idx: Tensor, new: int, before: int) -> None:
    kept = decoder.step(idx[:1, :before])[1] if before else None
    with FlopCounterMode(display=False) as counter:
        decoder.step(idx[:1, before : before + new], kept)
    assert counter.get_total_flops() == 2 * decoder.config.multiply_adds(new, before)
    with FlopCounterMode(display=False) as counter:
        decoder.trace(idx[:1, before : before + new], cache=kept)
    assert counter.get_total_flops() == 2 * decoder.config.multiply_adds(new, before, read_off=new)


def test_kv_bytes_are_those_of_the_cache(decoder: Decoder, idx: Tensor) -> None:
    trace = decoder.trace(idx[:1])
    assert sum(k.nbytes + v.nbytes for k, v in trace.cache) == decoder.config.kv_bytes(17)
    assert PRESETS["GPT-2"].kv_bytes(1024, 2) == 2 * 12 * 1024 * 768 * 2
    # Llama 3.1 8B: 8 heads of 128 numbers in 32 layers; with 32 heads it would be four times as much
    assert PRESETS["Llama 3.1 8B"].kv_bytes(1, 2) == 131_072


def test_cached_and_recomputed_passes_are_timed_on_the_same_text(
    decoder: Decoder, idx: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, passed, step = idx.flatten().tolist(), [], decoder.step

    def stepped(idx: Tensor, kept: Cache | None = None) -> tuple[Tensor, Cache]:
        passed.append((cache_length(kept), idx[0].tolist()))
        return step(idx, kept)

    monkeypatch.setattr(decoder, "step", stepped)
    found = list(kv_cache.timed(decoder, told, 17))
    assert len(found) == 17 and all(one.same and 0 <= one.difference < 1e-4 for one in found)
    assert found[-1].difference == 0 and any(one.difference for one in found)  # past the context both compute the same
    for end in range(17, 34):
        all_of_it = 0, told[max(0, end - 31) : end]
        one = (end - 1, told[end - 1 : end]) if 17 < end <= 31 else all_of_it
        assert passed[2 * (end - 17) :][:2] == [one, all_of_it]


def test_each_pass_is_timed_in_cpu_time_of_this_thread(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kv_cache.thread_time is time.thread_time
    clock = iter([10, 11, 13, 20, 24, 29])
    monkeypatch.setattr(kv_cache, "thread_time", lambda: next(clock))
    assert [(one.cached, one.recomputed) for one in kv_cache.timed(decoder, [1, 2, 3], 1)] == [(1, 2), (4, 5)]


def test_timing_reports_the_difference_of_the_logits(
    decoder: Decoder, idx: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache that forgets positions is found out, by the logits and by the likeliest token."""
    embed, rotation = decoder.embed, decoder.rotation
    monkeypatch.setattr(decoder, "embed", lambda idx, start=0, **more: embed(idx, 0, **more))
    monkeypatch.setattr(decoder, "rotation", lambda start, end: rotation(0, end - start))
    first, *others = kv_cache.timed(decoder, idx[0].tolist(), 9)
    assert first.same and not first.difference and max(one.difference for one in others) > 0.1
    assert not all(one.same for one in others)
    _, kept = decoder.step(idx[:1, :9])
    for end, one in enumerate(others, 10):
        right, _ = decoder.step(idx[:1, :end])
        wrong, kept = decoder.step(idx[:1, end - 1 : end], kept)
        assert one.difference == (wrong - right).abs().max() and one.same == (wrong.argmax() == right.argmax())


def test_a_shortened_model_shares_its_weights_and_reads_less(decoder: Decoder, idx: Tensor) -> None:
    short = decoder.shortened(9)
    assert torch.equal(short(idx[:, :9]), decoder(idx[:, :9])) and decoder.config.block_size == 31
    with pytest.raises(ValueError, match="1 to 9"):
        short(idx[:, :10])
    assert short.h is decoder.h and short.W_U is decoder.W_U
    assert decoder.W_pos is None or short.W_pos.data_ptr() == decoder.W_pos.data_ptr()
