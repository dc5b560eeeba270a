"""The naive generate() fails as the lesson says, ours does not, and in ordinary cases both draw the same."""

import inspect
import re
from dataclasses import replace

import pytest
import torch
from torch import Generator, Tensor
from torch.utils.flop_counter import FlopCounterMode
from transformers import TopKLogitsWarper

from model.decoding import naive_generate
from model.decoding.generate import generate
from model.transformer.config import DecoderConfig
from model.transformer.decoder import Decoder
from model.transformer.gpt2 import GPT2

CASES = {case.request: case for case in naive_generate.CASES}
TIES, TRAINING, WORK = list(CASES)[-3:]


def test_naive_generate_equals_generate_in_the_normal_case(decoder: Decoder, idx: Tensor) -> None:
    for settings in ((0.8, 20), (1.3, 97)):
        ways = [
            way(decoder, idx, 9, *settings, Generator().manual_seed(3))
            for way in (naive_generate.naive_generate, generate)
        ]
        assert torch.equal(*ways) and ways[0].shape == (2, 26)
    assert naive_generate.new_ids_or_error(
        naive_generate.naive_generate, decoder, idx, 9
    ) == naive_generate.new_ids_or_error(generate, decoder, idx, 9)


@pytest.mark.parametrize("way", [naive_generate.naive_generate, generate])
def test_no_graph_is_kept_for_a_gradient(way: naive_generate.Generate) -> None:
    with torch.autograd.graph.saved_tensors_hooks(lambda _: pytest.fail("something was kept"), lambda kept: kept):
        way(GPT2(naive_generate.TINY_CONFIG), torch.zeros(1, 1, dtype=torch.long), 2, 1.0, 3)


def test_each_failure_of_naive_generate_happens(decoder: Decoder, idx: Tensor) -> None:
    found = dict(zip(CASES, naive_generate.run_cases(decoder, idx[:1]), strict=True))
    order = decoder(idx[:1])[0, -1].argsort().tolist()
    theirs, ours = found["Write past the context"]
    past_the_table = "IndexError: index out of range in self"
    assert theirs == past_the_table if decoder.W_pos is not None else len(theirs) == naive_generate.NEW_TOKENS
    assert len(ours) == naive_generate.NEW_TOKENS
    theirs, ours = found["Temperature 0"]
    assert theirs.startswith("RuntimeError: probability tensor contains either `inf`, `nan`") and ours == [order[-1]]
    theirs, ours = found["Temperature −1"]
    assert theirs[0] in order[:50] and ours == "ValueError: temperature is -1.0; it must be at least 0"
    theirs, ours = found["A top-k larger than the vocabulary"]
    assert theirs.startswith("RuntimeError: selected index k out of range") and len(ours) == 1
    assert found[TIES] == ("10 different tokens in 200 draws",) * 2
    assert found[TRAINING] == ("training is False afterwards", "training is True afterwards")
    assert all("\n" not in one for both in found.values() for one in both if isinstance(one, str))


def test_each_case_runs_the_request_that_its_text_describes(decoder: Decoder, idx: Tensor) -> None:
    """Asked of a way that writes down what it is asked."""
    asked = {}

    def way(model: Decoder, idx: Tensor, count: int, temperature: float, top_k: int, generator: Generator) -> Tensor:
        asked[case.request] = model, idx.size(1), count, temperature, top_k
        return torch.cat([idx, idx[:, :1].expand(-1, count)], dim=1)

    for case in naive_generate.CASES[:-1]:
        case.run(way, decoder, idx[:1, :9])
    model, tokens, count, *_ = asked["Write past the context"]
    assert model.config == replace(decoder.config, block_size=tokens) and count > 1  # as long as the prompt
    assert asked["Temperature 0"] == (decoder, 9, 1, 0.0, 50) and asked["Temperature −1"] == (decoder, 9, 1, -1.0, 50)
    assert asked["A top-k larger than the vocabulary"] == (decoder, 9, 1, 1.0, 98)
    model, _, count, temperature, top_k = asked[TIES]
    assert (count, temperature, top_k) == (1, 1.0, 3) and "Top-k 3 among ten" in TIES
    assert model(torch.zeros(1, 1, dtype=torch.long)).unique().numel() == 1 and model.config.vocab_size == 10
    assert asked[TRAINING][0].training


def test_top_k_keeps_all_ties() -> None:
    why = CASES["A top-k larger than the vocabulary"].why
    default, vocabulary = map(int, re.findall(r"\d+", why))
    assert inspect.signature(naive_generate.naive_generate).parameters["top_k"].default == default > vocabulary
    small = GPT2(replace(naive_generate.TINY_CONFIG, vocab_size=vocabulary)).requires_grad_(False)
    with pytest.raises(RuntimeError, match="out of range"):
        naive_generate.naive_generate(small, torch.zeros(1, 1, dtype=torch.long), 1)
    even = torch.zeros(1, 10)
    assert TopKLogitsWarper(3)(None, even).isfinite().all() and "as transformers does" in CASES[TIES].why


def test_multiply_adds_of_both_functions_equal_torchs_count(
    decoder: Decoder, idx: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = DecoderConfig.multiply_adds
    millions = lambda *work: 1_000_000 * counted(*work)  # shown to the last one  # noqa: E731
    monkeypatch.setattr(DecoderConfig, "multiply_adds", millions)
    for way, positions in ((naive_generate.naive_generate, sum(range(6, 15))), (generate, 6 + 8)):
        with FlopCounterMode(display=False) as counter:
            way(decoder, idx[:1, :6], 9)
        expected = f"{positions:,} positions computed, {counter.get_total_flops() // 2:,} million multiply-adds"
        assert naive_generate.multiply_adds(way, decoder, idx[:1, :6], 9) == expected
    assert WORK == "Write 32 tokens" and naive_generate.multiply_adds(
        way, decoder, idx
    ) == naive_generate.multiply_adds(way, decoder, idx, 32)


def test_run_cases_leaves_the_shared_model_unchanged(decoder: Decoder, idx: Tensor) -> None:
    model = GPT2(decoder.config).requires_grad_(False).train()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    naive_generate.run_cases(model, idx[:1])
    assert all(module.training for module in model.modules())
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_the_copy_that_is_tried_has_the_same_weights_in_the_same_place(
    decoder: Decoder, idx: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []
    case = CASES["Temperature 0"]._replace(run=lambda way, model, idx: used.append(model) or "")
    monkeypatch.setattr(naive_generate, "CASES", [case])
    naive_generate.run_cases(decoder, idx[:1])
    for model in used:
        assert model is not decoder and all(map(lambda a, b: a is b, model.parameters(), decoder.parameters()))
