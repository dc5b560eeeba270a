"""Pitfalls of attention masks: each is computed as a faulty program would, beside the correct result.

Sources: the documentation of torch's `nn.MultiheadAttention` (True in a bool mask is blocked) and
`functional.scaled_dot_product_attention` (True is attended to); NumPy's NEP 50 (type promotion).
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.transformer.attention_steps import MASK_VALUE


class Pitfall(NamedTuple):
    """Attention weights (T, T) under each variant of a mask, the correct one last, and a note on the outcome."""

    weights: Mapping[str, np.ndarray]
    note: str = ""


def softmax_with_added_mask(scores: np.ndarray, blocked: np.ndarray) -> np.ndarray:
    """Softmax of scores (T, T) plus −1e9 where `blocked` (T, T) is 1, in the number type of the scores."""
    with np.errstate(over="ignore", invalid="ignore"):  # the overflow is the pitfall
        masked = scores + blocked.astype(scores.dtype) * MASK_VALUE
        powers = np.exp(masked - masked.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)


def causal_softmax(scores: np.ndarray) -> np.ndarray:
    """Softmax of scores (T, T) with −∞ at future tokens."""
    values = torch.from_numpy(scores)
    return values.masked_fill(torch.ones_like(values, dtype=torch.bool).triu(1), -math.inf).softmax(-1).numpy()


def inverted_mask(scores: np.ndarray) -> Pitfall:
    """Inverted mask: 1 means blocked, but `tril` has its ones at the allowed tokens."""
    ones = np.ones_like(scores)
    return Pitfall(
        {
            "tril": softmax_with_added_mask(scores, np.tril(ones)),
            "triu(1)": softmax_with_added_mask(scores, np.triu(ones, 1)),
        }
    )


def fully_masked_row(scores: np.ndarray) -> Pitfall:
    """Fully masked row: the diagonal is blocked, too, so that no key remains for the first token."""
    blocked = np.triu(np.ones_like(scores))
    infinite = torch.from_numpy(scores).masked_fill(torch.from_numpy(blocked).bool(), -math.inf).softmax(-1)
    return Pitfall(
        {
            "−1e9, float64": softmax_with_added_mask(scores.astype(np.float64), blocked),
            "−1e9, float32": softmax_with_added_mask(scores.astype(np.float32), blocked),
            "−∞": infinite.numpy(),
            "triu(1)": causal_softmax(scores),
        }
    )


def half_precision(scores: np.ndarray) -> Pitfall:
    """Half precision: −1e9 overflows to −∞, and 0 times −∞ is NaN."""
    small = scores.astype(np.float16)
    future = np.triu(np.ones_like(small), 1)
    largest = np.finfo(np.float16).max
    with np.errstate(over="ignore"):
        note = f"The largest number of float16 is {largest:g}; −1e9 becomes {np.float16(MASK_VALUE)}."
    return Pitfall(
        {"mask * −1e9": softmax_with_added_mask(small, future), "filled with −∞": causal_softmax(small)}, note
    )


def type_promotion(scores: np.ndarray) -> Pitfall:
    """Type promotion: NumPy's square root of an integer is a float64, and so is every quotient by it."""
    q, width = scores.astype(np.float32), scores.shape[-1]
    by_numpy, by_math = q / np.sqrt(width), q / math.sqrt(width)
    note = f"float32 / np.sqrt({width}) is {by_numpy.dtype}; float32 / math.sqrt({width}) is {by_math.dtype}."
    return Pitfall({"np.sqrt": causal_softmax(by_numpy), "math.sqrt": causal_softmax(by_math)}, note)


@torch.inference_mode()
def bool_conventions(scores: np.ndarray) -> Pitfall:
    """Two conventions: one bool mask, given to a module and a function of torch that read it in opposite ways."""
    values = torch.from_numpy(scores).float()
    tokens = len(values)
    identity = torch.eye(tokens)
    module = nn.MultiheadAttention(tokens, 1, bias=False, batch_first=True)
    module.in_proj_weight.copy_(torch.cat([identity] * 3))  # queries are the scores, keys the unit vectors
    future = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
    q = values * math.sqrt(tokens)  # both divide by it
    _, multihead = module(q[None], identity[None], identity[None], attn_mask=future)

    def product(mask: Tensor) -> np.ndarray:
        return F.scaled_dot_product_attention(q, identity, identity, mask).numpy()

    return Pitfall(
        {
            "the function, True = future": product(future),
            "the module, True = future": multihead[0].numpy(),
            "the function, True = past": product(~future),
        }
    )


PITFALLS = {
    "1 = blocked": inverted_mask,
    "A row without a key": fully_masked_row,
    "Half precision": half_precision,
    "np.sqrt": type_promotion,
    "Two conventions": bool_conventions,
}
