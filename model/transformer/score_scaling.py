"""Why scores are divided by the square root of the width: what becomes of a softmax over random scores.

Source: Vaswani et al. 2017, "Attention Is All You Need", section 3.2.1.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

KEYS, DRAWS = 16, 200  # that a query may look at, and queries that are drawn
WIDTHS = tuple(2**n for n in range(11))


class SoftmaxStatistics(NamedTuple):
    """Over many queries: how far scores spread, the mean entropy of the weights in nats, and the median gradient."""

    spread: float
    entropy: float
    gradient: float  # the length (Frobenius norm) of the softmax's Jacobian


def random_scores(width: int, seed: int) -> Tensor:
    """The products of random queries with random keys of a width, every number with variance 1: (DRAWS, KEYS)."""
    random = torch.Generator().manual_seed(seed)
    q = torch.randn(DRAWS, 1, width, generator=random)
    k = torch.randn(DRAWS, KEYS, width, generator=random)
    return (q * k).sum(-1).double()


def jacobian(weights: Tensor) -> Tensor:
    """The derivatives of weights (…, n), made by a softmax, by their scores: diag(w) − w wᵀ, (…, n, n)."""
    return weights.diag_embed() - weights[..., :, None] * weights[..., None, :]


def measure(scores: Tensor) -> SoftmaxStatistics:
    """What a softmax makes of each row of scores (N, n)."""
    weights = scores.softmax(-1)
    entropy = torch.special.entr(weights).sum(-1).mean()
    gradient = jacobian(weights).norm(dim=(-2, -1)).median()
    return SoftmaxStatistics(scores.std().item(), entropy.item(), gradient.item())


def by_width(seed: int, divided: bool) -> list[SoftmaxStatistics]:
    """For each of WIDTHS, with the division or without it."""
    return [measure(random_scores(width, seed) / (math.sqrt(width) if divided else 1)) for width in WIDTHS]


def untrained_layer(size: float, seed: int, width: int = 512, heads: int = 8, tokens: int = 10) -> tuple[float, float]:
    """The standard deviation of the divided scores of a layer whose weights were drawn with a size, and the mean of
    the largest weight of each row. What it reads has variance 1, as behind a layer norm.
    """
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(2, tokens, width, generator=random)
    q, k = (
        (x @ (size * torch.randn(width, width, generator=random))).unflatten(-1, (heads, -1)).transpose(1, 2)
        for _ in range(2)
    )
    found = q @ k.transpose(-2, -1) / math.sqrt(width // heads)
    return found.std().item(), found.softmax(-1).amax(-1).mean().item()
