"""The picture of attention: every layer and head at once, one of them large, arcs between the words.

The patterns travel once, as bytes: some 12 bits a weight, only what is not masked. From there on the
browser draws; picking a head, hovering and the switches ask nothing of the server.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from viz.components.component import LINK, PERCENT

HERE = Path(__file__).parent
JS, CSS, HTML = ((HERE / f"attention.{kind}").read_text("utf-8") for kind in ("js", "css", "html"))
JS = LINK + PERCENT + JS
STEPS = 4095  # a share is sent as a whole number of 4095ths, in 12 bits


def pack(patterns: np.ndarray) -> bytes:
    """The weights (N, T, T) below and on the diagonal, in few bytes.

    First, for each row, what does not go to the first token (4 bytes, float32): many heads rest
    there, and what little they give to the others must stay exact. Then, row by row from the
    second column on, each weight as a share of that, two shares in three bytes. Raises ValueError
    where a weight is not in [0, 1], NaN included.
    """
    below = patterns[:, *np.tril_indices(patterns.shape[-1])]
    if not ((below >= 0) & (below <= 1)).all():
        raise ValueError(f"an attention weight must be from 0 to 1; these are from {below.min()} to {below.max()}")
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
    """What the picture draws: the length of a JSON header (4 bytes), the header, the packed patterns (L, H, T, T)."""
    layers, heads = patterns.shape[:2]
    described = {"tokens": list(tokens), "layers": layers, "heads": heads, **header}
    head = json.dumps(described, ensure_ascii=False).encode()
    return len(head).to_bytes(4, "little") + head + pack(patterns.reshape(layers * heads, *patterns.shape[2:]))
