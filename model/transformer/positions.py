"""Ways to tell a transformer the order of its tokens, as mathematics: sinusoids, rotary positions, ALiBi.

Sources: Vaswani et al. 2017, "Attention Is All You Need", section 3.5 (sinusoidal); Su et al. 2021, "RoFormer", section
3.2 (RoPE); Press et al. 2022, "Train Short, Test Long", section 3 (ALiBi).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

Rotation = tuple[Tensor, Tensor]  # cosine and signed sine (T, D) of the angles by which queries and keys are rotated


def angles(positions: Tensor, pairs: int, base: float = 10_000) -> Tensor:
    """The angles (T, pairs), in radians and float64, of each pair of dimensions at each of the positions (T).

    The first pair turns by 1 radian a step, each later one more slowly, the last almost `base` times more slowly.
    """
    return positions[:, None] * base ** (-torch.arange(pairs, dtype=torch.double) / pairs)


def sinusoidal(T: int, C: int, base: float = 10_000) -> Tensor:
    """Sinusoidal position vectors (T, C) in float64: sine and cosine of each angle, side by side.

    Source: Vaswani et al. 2017, section 3.5. Raises ValueError for an odd C, which the paper does not define.

    >>> sinusoidal(2, 4).round(decimals=4).tolist()
    [[0.0, 1.0, 0.0, 1.0], [0.8415, 0.5403, 0.01, 1.0]]
    """
    if C % 2:
        raise ValueError(f"sinusoids of {C} dimensions do not make pairs of sine and cosine; C must be even")
    turned = angles(torch.arange(T), C // 2, base)
    return torch.stack([turned.sin(), turned.cos()], dim=-1).flatten(1)


def rotation_matrix(k: int, C: int, base: float = 10_000) -> Tensor:
    """The matrix M (C, C) of a shift by k: sinusoidal(p + k) = M sinusoidal(p) at every position p. C is even."""
    turned = angles(torch.tensor([k]), C // 2, base)[0]
    sin, cos = turned.sin(), turned.cos()
    return torch.block_diag(*torch.stack([cos, sin, -sin, cos], dim=-1).unflatten(-1, (2, 2)))


def rotation(positions: Tensor, D: int, base: float = 10_000) -> Rotation:
    """Cosine and signed sine (T, D), in float64, of the rotary angles at the positions (T), for `rotate_by`.

    Dimensions i and i + D/2 share an angle; the sine of the first of them is negative. Raises ValueError for an odd D.
    """
    if D % 2:
        raise ValueError(f"vectors of {D} dimensions cannot be rotated in pairs; D must be even")
    turned = angles(positions, D // 2, base)
    cos, sin = turned.cos(), turned.sin()
    return torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1)


def rotate_by(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Vectors x (..., T, D), each pair of dimensions i and i + D/2 rotated by the angles of a `rotation`."""
    first, second = x.chunk(2, dim=-1)
    return torch.addcmul(x * cos, torch.cat([second, first], dim=-1), sin)  # x cos + swapped sin, with one sum


def rotate(x: Tensor, positions: Tensor, base: float = 10_000) -> Tensor:
    """Rotary positions (RoPE): x (..., T, D), each pair of dimensions rotated by its angle at the positions (T).

    The paper pairs neighboring dimensions, most code the two halves; for a model trained this way the two are
    equivalent. Raises ValueError for an odd D.

    >>> rotate(torch.tensor([[1.0, 0.0]], dtype=torch.double), torch.tensor([1])).round(decimals=4).tolist()  # 1 radian
    [[0.5403, 0.8415]]
    """
    cos, sin = rotation(positions, x.size(-1), base)
    return rotate_by(x, cos.to(x), sin.to(x))


def alibi_slopes(H: int) -> Tensor:
    """ALiBi's penalty for each step of distance, for each of H heads: (H), from 1/2 to 1/256 if H is 8.

    If H is not a power of two, the slopes of the power below it come first, then every other slope of the power above,
    as in the code of Press et al.

    >>> alibi_slopes(4).tolist()
    [0.25, 0.0625, 0.015625, 0.00390625]
    """
    power = 1 << (H.bit_length() - 1)
    whole, finer = (2.0 ** (-8 * torch.arange(1, n + 1) / n) for n in (power, 2 * power))
    return torch.cat([whole, finer[::2][: H - power]])


def alibi(H: int, T: int) -> Tensor:
    """The bias (H, T, T) that ALiBi adds to the scores of H heads between T positions; 0 on the diagonal."""
    positions = torch.arange(T)
    return -alibi_slopes(H)[:, None, None] * (positions[:, None] - positions).abs()


def by_distance(vectors: Tensor) -> Tensor:
    """The dot products of vectors (T, C) at each distance: (T, 3), their mean, minimum and maximum."""
    products = vectors @ vectors.T
    diagonals = [products.diagonal(distance) for distance in range(len(vectors))]
    return torch.stack([torch.stack([dots.mean(), dots.min(), dots.max()]) for dots in diagonals])


def first_rise(curve: Sequence[float]) -> int | None:
    """The first index at which a curve is higher than before; None if it never rises."""
    return next((n for n in range(1, len(curve)) if curve[n] > curve[n - 1]), None)
