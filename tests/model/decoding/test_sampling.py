"""The steps between logits and the next token, against transformers' own."""

import math
from itertools import islice

import pytest
import torch
from torch import Tensor
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from model.decoding import sampling

THEIRS = {
    "temperature": TemperatureLogitsWarper,
    "top-k": TopKLogitsWarper,
    "top-p": TopPLogitsWarper,
    "min-p": MinPLogitsWarper,
    "repetition": RepetitionPenaltyLogitsProcessor,
}
IDS = [3, 7, 7, 50_000, 12]


def random_logits(vocabulary: int = 50_257, seed: int = 0) -> Tensor:
    return torch.randn(vocabulary, generator=torch.Generator().manual_seed(seed)) * 4


def logits_of(*probabilities: float) -> Tensor:
    return torch.tensor(probabilities, dtype=torch.double).log()


def kept(logits: Tensor) -> list[int]:
    return logits.isfinite().nonzero()[:, 0].tolist()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("temperature", value) for value in (0.1, 0.8, 1.0, 2.0)],
        *[("top-k", value) for value in (1, 5, 50, 50_257, 60_000)],
        *[("top-p", value) for value in (0.0, 0.1, 0.5, 0.9, 0.95, 1.0)],
        *[("min-p", value) for value in (0.0, 0.05, 0.5, 1.0)],
        *[("repetition", value) for value in (1.0, 1.3, 2.0)],
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_each_step_equals_the_warper_of_transformers(name: str, value: float, seed: int) -> None:
    logits = random_logits(seed=seed)
    expected = THEIRS[name](value)(torch.tensor([IDS]), logits[None].clone())[0]
    found = sampling.apply([(name, value)], logits, IDS)
    assert kept(found) == kept(expected)
    torch.testing.assert_close(found.softmax(-1), expected.softmax(-1), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_a_chain_applies_its_steps_in_order(seed: int) -> None:
    logits = random_logits(seed=seed)
    chain = [("repetition", 1.2), ("top-p", 0.9), ("temperature", 0.7), ("top-k", 40), ("min-p", 0.02)]
    theirs = LogitsProcessorList([THEIRS[name](value) for name, value in chain])
    expected = theirs(torch.tensor([IDS]), logits[None].clone())[0].softmax(-1)
    torch.testing.assert_close(sampling.apply(chain, logits, IDS).softmax(-1), expected, rtol=1e-5, atol=1e-8)
    other = sampling.apply(chain[::-1], logits, IDS).softmax(-1)
    assert not torch.allclose(other, expected, atol=1e-3)
    theirs = LogitsProcessorList([THEIRS[name](value) for name, value in chain[::-1]])
    expected = theirs(torch.tensor([IDS]), logits[None].clone())[0].softmax(-1)
    torch.testing.assert_close(other, expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    ("probabilities", "p", "count"),
    [
        ([0.5, 0.3, 0.15, 0.05], 0.9, 3),
        ([0.5, 0.4, 0.1], 0.95, 3),
        ([0.5, 0.4, 0.1], 0, 1),
        ([0.5, 0.4, 0.1], 1, 3),
        ([0.5, 0.25, 0.25], 0.5, 1),  # exactly p: nothing has to cross it
        ([0.25, 0.25, 0.25, 0.25], 0.5, 2),
    ],
)
def test_the_token_that_crosses_p_is_kept(probabilities: list[float], p: float, count: int) -> None:
    assert len(kept(sampling.top_p(logits_of(*probabilities), p))) == count


def test_ties_at_the_edge_of_top_k_are_all_kept() -> None:
    assert len(kept(sampling.top_k(torch.zeros(10), 3))) == 10


@pytest.mark.parametrize("value", [0, 1e-40, 1e-300, 1e-10])
def test_a_temperature_near_0_keeps_the_largest_logit(value: float) -> None:
    probabilities = sampling.temperature(random_logits(), value).softmax(-1)
    assert probabilities.max() == 1 and probabilities.argmax() == random_logits().argmax()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("top-k", 0),
        ("top-p", -0.1),
        ("top-p", 1.1),
        ("min-p", math.nan),
        ("repetition", 0.5),
        ("dice", 1),
    ],
)
def test_a_number_out_of_its_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        sampling.apply([(name, value)], torch.zeros(5))


def test_a_chain_longer_than_there_are_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="6 steps"):
        sampling.apply([("top-p", 0.9)] * 6, torch.zeros(5))


def test_a_nan_logit_is_rejected() -> None:
    with pytest.raises(ValueError, match="NaN"):
        sampling.apply([], torch.tensor([1.0, math.nan]))


def test_greedy_sample_tokens_equal_generate(decoder) -> None:
    """Past the end of the context, too, where the last block_size tokens are read anew."""
    ids = [5, 9, 2]
    told = list(islice(sampling.sample_tokens(decoder, ids, [("temperature", 0)], seed=0), 40))
    expected = decoder.generate(torch.tensor([ids]), 40)[0, 3:].tolist()
    assert [id for id, _ in told] == expected
    full = [*ids, *expected[:20]]
    log_p = decoder(torch.tensor([full]))[0].log_softmax(-1)
    for at, (id, surprise) in enumerate(told[:20], len(ids)):
        assert surprise == pytest.approx(-log_p[at - 1, id].item(), abs=1e-4)


def test_sample_tokens_repeat_with_the_seed_and_follow_the_chain(decoder) -> None:
    def write(seed: int, *chain: tuple[str, float]) -> list[int]:
        return [id for id, _ in islice(sampling.sample_tokens(decoder, [1], chain, seed), 25)]

    assert write(3) == write(3) != write(4)
    first = decoder(torch.tensor([[1]]))[0, -1]
    allowed = set(kept(sampling.top_k(first, 3)))
    assert {next(sampling.sample_tokens(decoder, [1], [("top-k", 3)], seed))[0] for seed in range(60)} == allowed
