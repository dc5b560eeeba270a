"""The attention of every layer and head at once, one head large, arcs between the tokens.

The patterns are sent once, as bytes: about 12 bits a weight, and only those that are not masked. From there on the
browser draws; picking a head, hovering and the switches ask nothing of the server.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from viz.components.component import pack

STEPS = 4095  # a share is sent as a whole number of 4095ths, in 12 bits


def encode(patterns: np.ndarray) -> bytes:
    """The weights (N, T, T) below and on the diagonal, in few bytes.

    First, for each row, its rest: what does not go to the first token (4 bytes, float32). Many heads give nearly all
    to the first token, and the little that they give to the others must stay exact. Then, row by row from the second
    column on, each weight as a share of the rest, two shares in three bytes. Raises ValueError if a weight is not in
    [0, 1], or is NaN.
    """
    rows, columns = np.tril_indices(patterns.shape[-1])
    lower = patterns[:, rows, columns]
    if not ((lower >= 0) & (lower <= 1)).all():
        raise ValueError(f"an attention weight must be from 0 to 1; these are from {lower.min()} to {lower.max()}")
    rows, columns = np.tril_indices(patterns.shape[-1], -1)
    others = patterns[:, rows, columns + 1]
    rest = np.tril(patterns)[..., 1:].sum(-1)
    shares = np.divide(others, rest[:, rows], out=np.zeros_like(others), where=rest[:, rows] > 0)
    steps = np.rint(shares.ravel() * STEPS).astype(np.uint16)
    if steps.size % 2:
        steps = np.append(steps, np.uint16(0))
    first, second = steps[::2], steps[1::2]
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=1).astype(np.uint8)
    return rest.astype("<f4").tobytes() + packed.tobytes()


def payload(tokens: Sequence[str], patterns: np.ndarray, **header: Any) -> bytes:
    """What is drawn: the tokens, the patterns (L, H, T, T), and what else the header holds, as a binary message."""
    layers, heads, *shape = patterns.shape
    header |= {"tokens": list(tokens), "layers": layers, "heads": heads}
    return pack(header, encode(patterns.reshape(layers * heads, *shape)))
