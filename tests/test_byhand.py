"""The steps of attention against torch's own functions, and what masks and scales do to them."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from model import byhand, lens, masks, scale
from model.gpt import GPT

GIVEN = {"causal": True, "none": False}


@pytest.mark.parametrize("kind", GIVEN)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_steps_are_those_of_torch(kind: str, seed: int) -> None:
    q, k, v = byhand.drawn(5, 3, seed)[4:7]
    found = byhand.steps(q, k, v, byhand.mask(kind, 5, 5), math.sqrt(3))
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=GIVEN[kind])
    torch.testing.assert_close(found.z, expected, atol=4e-16, rtol=0)
    torch.testing.assert_close(found.weights.sum(-1), torch.ones(5, dtype=torch.double))
    torch.testing.assert_close(found.scaled * math.sqrt(3), found.products)


def test_the_numbers_of_the_course_notes_come_out() -> None:
    random = np.random.RandomState(42)
    q, k, v = (torch.from_numpy(random.randn(3, 4)) for _ in range(3))
    weights = byhand.steps(q, k, v, byhand.mask("none", 3, 3), 2).weights
    expected = torch.tensor([[0.393, 0.168, 0.439], [0.231, 0.283, 0.486], [0.225, 0.559, 0.216]])
    assert (weights - expected).abs().max() < 6e-4


def test_wrong_masks_do_what_is_said_of_them() -> None:
    q, k, v = byhand.drawn(4, 3, 0)[4:7]
    bare = byhand.steps(q, k, v, byhand.mask("none", 4, 4), 1).weights
    inverted = byhand.steps(q, k, v, byhand.mask("wrong: 1 = blocked, with tril", 4, 4), 1).weights
    assert not inverted[:3].tril().any() and torch.allclose(inverted[3], bare[3], atol=1e-6)
    shifted = byhand.steps(q, k, v, byhand.mask("wrong: off by one", 4, 4), 1).weights
    assert not shifted[1:].triu(1).any() and not shifted[1:].diagonal(1).any()
    assert torch.allclose(shifted[0], bare[0], atol=1e-6)  # nothing is left, and the mask is ignored


def test_the_library_shares_between_books_that_fit_equally_well() -> None:
    book = byhand.LIBRARY
    soft, hard = (
        byhand.steps(n * book.q, book.k, book.v, byhand.mask("none", 4, 4), math.sqrt(3)).weights for n in (1, 20)
    )
    torch.testing.assert_close(soft[3], torch.full((4,), 0.25, dtype=torch.double))  # no match: all alike
    assert hard[0, 0] > 0.999999 > 0.7 > soft[0, 0]
    torch.testing.assert_close(hard[1], torch.tensor([0, 0.5, 0, 0.5], dtype=torch.double), atol=1e-9, rtol=0)


def test_a_contract_has_no_penalty_for_distance_and_one_for_length() -> None:
    weights = [byhand.contract(100, n) for n in (1, 10, 46, 99)]
    assert weights == pytest.approx([weights[0]] * 4, rel=1e-12) and 0.15 < weights[0] < 0.35
    taken = [byhand.contract(100, n, penalty=1 / 8) for n in (1, 10, 46, 99)]
    assert taken == sorted(taken, reverse=True) and taken[-1] < 1e-3 * taken[0]
    lengths = [np.median([byhand.contract(n, n - 1, seed=seed) for seed in range(9)]) for n in (10, 100, 1000, 10_000)]
    fit = math.exp(4)
    expected = [fit / (fit + (n - 1) * math.exp(0.5)) for n in (10, 100, 1000, 10_000)]
    assert lengths == pytest.approx(expected, rel=0.25)
    assert lengths[-1] == pytest.approx(0.0033, rel=0.25)
    with_all = byhand.contract(50, 7, fit=2, seed=3)
    assert with_all != byhand.contract(50, 7, fit=2, seed=4)


def test_heads_and_bias_add_up_and_torch_has_a_module_that_does_the_same(
    gpt: GPT, idx: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = gpt.trace(idx)
    for layer in range(3):
        attention, block = gpt.h[layer].attn, trace.blocks[layer]
        heads = lens.by_heads(gpt, trace, 9, [(layer, head) for head in range(5)])
        assert torch.allclose(heads.sum(0) + attention.c_proj.bias, block.attn.out[0, 9], atol=1e-5)
        assert byhand.module_differs(attention, gpt.h[layer].ln_1(block.resid_pre)) < 1e-5
    wrong = byhand.as_module(attention)
    with torch.no_grad():
        wrong.in_proj_weight[0] += 1
    x = gpt.h[2].ln_1(trace.blocks[2].resid_pre)
    future = torch.ones(17, 17, dtype=torch.bool).triu(1)
    assert (wrong(x, x, x, attn_mask=future)[0] - attention(x).out).abs().max() > 1e-3  # the poured weights count
    monkeypatch.setattr(byhand, "as_module", lambda _: wrong)
    assert byhand.module_differs(attention, x) > 1e-3


def test_in_double_precision_the_module_is_equal_to_the_last_digits(gpt: GPT, idx: Tensor) -> None:
    layer = gpt.h[1]
    attention = type(layer.attn)(gpt.config).double().requires_grad_(False)
    attention.load_state_dict(layer.attn.state_dict())
    x = layer.ln_1(gpt.trace(idx).blocks[1].resid_pre).double()
    module = byhand.as_module(attention).double()
    module.load_state_dict(byhand.as_module(attention).state_dict())
    future = torch.ones(17, 17, dtype=torch.bool).triu(1)
    assert (module(x, x, x, attn_mask=future)[0] - attention(x).out).abs().max() < 1e-12


@pytest.mark.parametrize(("width", "bare"), [(64, 0.116), (256, 0.0059), (1024, 2.2e-5)])
def test_undivided_the_gradient_is_lost_with_the_width(width: int, bare: float) -> None:
    found = [scale.scores(width, seed) for seed in range(9)]
    lost = [scale.measure(scores).gradient for scores in found]
    kept = np.median([scale.measure(scores / math.sqrt(width)).gradient for scores in found])
    assert abs(math.log10(np.median(lost) / bare)) < math.log10(max(lost) / min(lost))  # as far as seeds differ
    assert kept == pytest.approx(0.304, abs=0.004)
    assert scale.measure(found[0]).spread == pytest.approx(math.sqrt(width), rel=0.05)


def test_the_jacobian_is_that_of_autograd() -> None:
    scores = scale.scores(8, 0)[0]
    expected = torch.autograd.functional.jacobian(lambda x: x.softmax(-1), scores)
    torch.testing.assert_close(scale.jacobian(scores.softmax(-1)), expected)
    even = scale.measure(torch.zeros(3, 16))
    assert even.entropy == pytest.approx(math.log(16)) and even.gradient == pytest.approx(math.sqrt(15) / 16)


def test_weights_drawn_with_a_tenth_are_saturated_from_the_start() -> None:
    spread, largest = np.mean([scale.untrained(0.1, seed) for seed in range(5)], 0)
    assert spread == pytest.approx(5.1, rel=0.05) and largest == pytest.approx(0.79, abs=0.03)
    spread, largest = scale.untrained(512**-0.5, 0)
    assert spread == pytest.approx(1, rel=0.1) and largest < 0.4


@pytest.fixture
def scores() -> np.ndarray:
    return np.random.default_rng(7).normal(size=(4, 4)) * 2


@pytest.mark.parametrize("name", masks.TRAPS)
def test_the_last_way_of_each_trap_is_torchs_own_causal_attention(name: str, scores: np.ndarray) -> None:
    trap = masks.TRAPS[name](scores)
    *wrong, right = trap.weights.values()
    one = torch.eye(4, dtype=torch.double)
    divide = 2 if name == "np.sqrt" else 1
    expected = F.scaled_dot_product_attention(torch.from_numpy(scores) * 2 / divide, one, one, is_causal=True).numpy()
    np.testing.assert_allclose(right, expected, atol=2e-3 if name == "Half precision" else 1e-6)
    assert name == "np.sqrt" or not all(np.allclose(of, right, atol=1e-3) for of in wrong)


def test_each_trap_comes_to_what_its_text_says(scores: np.ndarray) -> None:
    bare = torch.from_numpy(scores).softmax(-1).numpy()
    inverted = masks.tril(scores).weights["tril"]
    assert not np.tril(inverted)[:3].any()
    np.testing.assert_allclose(inverted[3], bare[3], atol=1e-6)
    ignored, alike, none, _ = masks.nothing_left(scores).weights.values()
    np.testing.assert_allclose(ignored[0], bare[0], atol=1e-6)
    assert (alike[0] == 0.25).all() and np.isnan(none[0]).all() and not np.isnan(none[1:]).any()
    small = masks.half(scores)
    assert np.isnan(small.weights["mask * −1e9"]).all() and "becomes -inf" in small.found
    assert masks.promoted(scores).weights["np.sqrt"].dtype == np.float64
    assert masks.promoted(scores).weights["math.sqrt"].dtype == np.float32
    assert "np.sqrt(4) is float64" in masks.promoted(scores).found
    function, module, turned = masks.conventions(scores).weights.values()
    assert not np.tril(function).any() and not np.triu(module, 1).any()
    np.testing.assert_allclose(module, turned, atol=1e-6)
