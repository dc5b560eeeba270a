"""What goes wrong with a mask, each as a program that computes it, beside how it should be.

Sources: the documentation of torch's `nn.MultiheadAttention` (in a bool mask True is blocked) and
`functional.scaled_dot_product_attention` (True is kept); NumPy's NEP 50 (which type a result has).
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
    """The weights (T, T) that each of some ways to write it comes to, the right one last, and what else was found."""

    weights: Mapping[str, np.ndarray]
    found: str = ""


def softmax_with_added_mask(scores: np.ndarray, blocked: np.ndarray) -> np.ndarray:
    """The softmax of scores to which −1e9 was added where `blocked` is 1, all in the type of the scores."""
    with np.errstate(over="ignore", invalid="ignore"):  # an overflow is what is to be seen
        masked = scores + blocked.astype(scores.dtype) * MASK_VALUE
        powers = np.exp(masked - masked.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)


def causal_softmax(scores: np.ndarray) -> np.ndarray:
    """The softmax of scores (T, T) where what lies in the future is −∞."""
    found = torch.from_numpy(scores)
    return found.masked_fill(torch.ones_like(found, dtype=torch.bool).triu(1), -math.inf).softmax(-1).numpy()


def inverted_mask(scores: np.ndarray) -> Pitfall:
    """1 means blocked, and the ones stand where a token may look."""
    ones = np.ones_like(scores)
    return Pitfall(
        {
            "tril": softmax_with_added_mask(scores, np.tril(ones)),
            "triu(1)": softmax_with_added_mask(scores, np.triu(ones, 1)),
        }
    )


def fully_masked_row(scores: np.ndarray) -> Pitfall:
    """The diagonal is blocked, too, so that the first token has nothing to look at."""
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
    """In half precision −1e9 is −∞, and 0 times that is no number."""
    small = scores.astype(np.float16)
    future = np.triu(np.ones_like(small), 1)
    least = np.finfo(np.float16).max
    with np.errstate(over="ignore"):
        found = f"The largest number of float16 is {least:g}; −1e9 becomes {np.float16(MASK_VALUE)}."
    return Pitfall(
        {"mask * −1e9": softmax_with_added_mask(small, future), "filled with −∞": causal_softmax(small)}, found
    )


def type_promotion(scores: np.ndarray) -> Pitfall:
    """The square root that numpy takes of a whole number is a float64, and so is all that it divides."""
    q, width = scores.astype(np.float32), scores.shape[-1]
    by_numpy, by_math = q / np.sqrt(width), q / math.sqrt(width)
    found = f"float32 / np.sqrt({width}) is {by_numpy.dtype}; float32 / math.sqrt({width}) is {by_math.dtype}."
    return Pitfall({"np.sqrt": causal_softmax(by_numpy), "math.sqrt": causal_softmax(by_math)}, found)


@torch.inference_mode()
def bool_conventions(scores: np.ndarray) -> Pitfall:
    """One mask of True and False, given to two functions of torch that read it each in its own way."""
    found = torch.from_numpy(scores).float()
    tokens = len(found)
    one = torch.eye(tokens)
    module = nn.MultiheadAttention(tokens, 1, bias=False, batch_first=True)
    module.in_proj_weight.copy_(torch.cat([one, one, one]))  # the scores go in as queries, and meet keys of one 1 each
    future = one.bool().new_ones(tokens, tokens).triu(1)
    q = found * math.sqrt(tokens)  # both divide by it
    _, multihead = module(q[None], one[None], one[None], attn_mask=future)

    def product(mask: Tensor) -> np.ndarray:
        return F.scaled_dot_product_attention(q, one, one, mask).numpy()

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
