"""The picture of attention: every layer and head at once, one of them large, arcs between the words.

The patterns travel once, as bytes: 12 bits a weight, only what is not masked. From there on the
browser draws; picking a head, hovering and the switches ask nothing of the server.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
JS, CSS, HTML = ((HERE / f"attention.{kind}").read_text("utf-8") for kind in ("js", "css", "html"))
STEPS = 4095  # a weight is sent as a whole number of 4095ths: 12 bits, right to 0.02 %


def pack(patterns: np.ndarray) -> bytes:
    """The weights (N, T, T) below and on the diagonal, row by row, two in three bytes.

    Raises ValueError where a weight is not in [0, 1], NaN included.
    """
    below = patterns[:, *np.tril_indices(patterns.shape[-1])].ravel()
    if not ((below >= 0) & (below <= 1)).all():
        raise ValueError(f"an attention weight must be from 0 to 1; these are from {below.min()} to {below.max()}")
    steps = np.rint(below * STEPS).astype(np.uint16)
    if steps.size % 2:
        steps = np.append(steps, np.uint16(0))
    first, second = steps[::2], steps[1::2]
    return np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=1).astype(np.uint8).tobytes()


def payload(tokens: Sequence[str], patterns: np.ndarray, **header: Any) -> bytes:
    """What the picture draws: the length of a JSON header (4 bytes), the header, the packed patterns (L, H, T, T)."""
    layers, heads = patterns.shape[:2]
    described = {"tokens": list(tokens), "layers": layers, "heads": heads, **header}
    head = json.dumps(described, ensure_ascii=False).encode()
    return len(head).to_bytes(4, "little") + head + pack(patterns.reshape(layers * heads, *patterns.shape[2:]))
