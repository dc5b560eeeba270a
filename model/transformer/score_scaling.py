"""Score scaling: the softmax of random attention scores with and without division by the square root of the width.

Source: Vaswani et al. 2017, "Attention Is All You Need", section 3.2.1.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

KEYS, DRAWS = 16, 200  # keys of each query, and number of random queries
WIDTHS = tuple(2**n for n in range(11))


class SoftmaxStatistics(NamedTuple):
    """Statistics over many queries: standard deviation of the scores, mean entropy in nats, and median gradient."""

    spread: float
    entropy: float
    gradient: float  # Frobenius norm of the Jacobian of the softmax


def random_scores(width: int, seed: int) -> Tensor:
    """Dot products (DRAWS, KEYS) of random queries and keys of a width, each component with variance 1."""
    random = torch.Generator().manual_seed(seed)
    q = torch.randn(DRAWS, 1, width, generator=random)
    k = torch.randn(DRAWS, KEYS, width, generator=random)
    return (q * k).sum(-1).double()


def jacobian(weights: Tensor) -> Tensor:
    """Jacobian diag(w) − w wᵀ (…, n, n) of a softmax with output weights w (…, n).

    >>> jacobian(torch.tensor([0.5, 0.5]))
    tensor([[ 0.2500, -0.2500],
            [-0.2500,  0.2500]])
    """
    return weights.diag_embed() - weights[..., :, None] * weights[..., None, :]


def measure(scores: Tensor) -> SoftmaxStatistics:
    """Statistics of the softmax of each row of scores (N, n)."""
    weights = scores.softmax(-1)
    entropy = torch.special.entr(weights).sum(-1).mean()
    gradient = jacobian(weights).norm(dim=(-2, -1)).median()
    return SoftmaxStatistics(scores.std().item(), entropy.item(), gradient.item())


def by_width(seed: int, divided: bool) -> list[SoftmaxStatistics]:
    """Statistics for each of WIDTHS, with division by the root of the width or without it."""
    return [measure(random_scores(width, seed) / (math.sqrt(width) if divided else 1)) for width in WIDTHS]


def untrained_layer(size: float, seed: int, width: int = 512, heads: int = 8, tokens: int = 10) -> tuple[float, float]:
    """Scores of an untrained layer whose weights have standard deviation `size`.

    Returns the standard deviation of the divided scores, and the mean of the largest weight of each row. The input has
    variance 1, as after a layer norm.
    """
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(2, tokens, width, generator=random)
    q, k = (
        (x @ (size * torch.randn(width, width, generator=random))).unflatten(-1, (heads, -1)).transpose(1, 2)
        for _ in range(2)
    )
    scores = q @ k.transpose(-2, -1) / math.sqrt(width // heads)
    return scores.std().item(), scores.softmax(-1).amax(-1).mean().item()
