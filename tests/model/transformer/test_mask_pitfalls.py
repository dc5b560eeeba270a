"""Each trap of a mask: its right way is torch's own causal attention, and its wrong ones do what is told of them."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from model.transformer import mask_pitfalls


@pytest.fixture
def scores() -> np.ndarray:
    return np.random.default_rng(7).normal(size=(4, 4)) * 2


def softmax(scores: np.ndarray) -> np.ndarray:
    return torch.from_numpy(scores).softmax(-1).numpy()


@pytest.mark.parametrize("name", mask_pitfalls.PITFALLS)
def test_the_last_variant_of_each_pitfall_is_torchs_causal_attention(name: str, scores: np.ndarray) -> None:
    trap = mask_pitfalls.PITFALLS[name](scores)
    *wrong, right = trap.weights.values()
    one = torch.eye(4, dtype=torch.double)
    divide = 2 if name == "np.sqrt" else 1
    expected = F.scaled_dot_product_attention(torch.from_numpy(scores) * 2 / divide, one, one, is_causal=True).numpy()
    np.testing.assert_allclose(right, expected, atol=2e-3 if name == "Half precision" else 1e-6)
    assert name == "np.sqrt" or not all(np.allclose(of, right, atol=1e-3) for of in wrong)


def test_softmax_with_added_mask_works_row_by_row_without_overflow(scores: np.ndarray) -> None:
    blocked = np.triu(np.ones((4, 4)), 1)
    far = 2000 * scores + np.array([[0.0], [4000], [-4000], [0]])
    np.testing.assert_allclose(
        mask_pitfalls.softmax_with_added_mask(far, blocked), softmax(np.where(blocked, -np.inf, far)), atol=1e-12
    )
    assert mask_pitfalls.softmax_with_added_mask(far.astype(np.float32), blocked).dtype == np.float32


def test_an_inverted_mask_attends_to_the_future_alone(scores: np.ndarray) -> None:
    found, ones = mask_pitfalls.inverted_mask(scores).weights, np.ones((4, 4))
    for name, blocked in {"tril": np.tril(ones), "triu(1)": np.triu(ones, 1)}.items():
        np.testing.assert_array_equal(found[name], mask_pitfalls.softmax_with_added_mask(scores, blocked))
    inverted = found["tril"]
    assert not np.tril(inverted)[:3].any()
    np.testing.assert_allclose(inverted[3], softmax(scores)[3], atol=1e-6)


def test_a_fully_masked_row_differs_by_number_type(scores: np.ndarray) -> None:
    for given in (scores, scores.astype(np.float32)):
        found = mask_pitfalls.fully_masked_row(given).weights
        np.testing.assert_allclose(found["−1e9, float64"][0], softmax(scores)[0], atol=1e-6)
        assert (found["−1e9, float32"][0] == 0.25).all()
        np.testing.assert_allclose(found["triu(1)"], mask_pitfalls.causal_softmax(scores), atol=1e-6)
        assert np.isnan(found["−∞"][0]).all() and not np.isnan(found["−∞"][1:]).any()
        assert [found[f"−1e9, float{bits}"].dtype for bits in (64, 32)] == [np.float64, np.float32]


def test_in_half_precision_every_weight_is_nan(scores: np.ndarray) -> None:
    small = mask_pitfalls.half_precision(scores)
    assert np.isnan(small.weights["mask * −1e9"]).all() and small.weights["filled with −∞"].dtype == np.float16
    largest, became = torch.finfo(torch.float16).max, torch.tensor(-1e9).half().item()
    assert small.note == f"The largest number of float16 is {largest:g}; −1e9 becomes {became}."


def test_numpys_square_root_promotes_float32_to_float64() -> None:
    scores = np.random.default_rng(7).normal(size=(9, 9)).astype(np.float32)
    promoted = mask_pitfalls.type_promotion(scores)
    theirs, ours = promoted.weights["np.sqrt"], promoted.weights["math.sqrt"]
    assert (theirs.dtype, ours.dtype) == (np.float64, np.float32)
    np.testing.assert_allclose(theirs, mask_pitfalls.causal_softmax(scores / 3), atol=1e-6)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert promoted.note == "float32 / np.sqrt(9) is float64; float32 / math.sqrt(9) is float32."


def test_module_and_function_read_a_bool_mask_in_opposite_ways(scores: np.ndarray) -> None:
    found = mask_pitfalls.bool_conventions(scores).weights
    assert not np.tril(found["the function, True = future"]).any()
    assert not np.triu(found["the module, True = future"], 1).any()
    np.testing.assert_allclose(found["the module, True = future"], found["the function, True = past"], atol=1e-6)
