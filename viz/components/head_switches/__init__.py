"""All heads as switches, a row for each layer; the effect of each head may be written on it."""

from collections.abc import Collection
from typing import Any

import numpy as np


def data(
    layers: int, heads: int, off: Collection[tuple[int, int]], effects: np.ndarray | None = None
) -> dict[str, Any]:
    """What is drawn: the heads that are off, and the effect (L, H) of each, from -1 to 1, if it is known."""
    rows = None if effects is None else [[float(effect) for effect in row] for row in effects]
    return {"layers": layers, "heads": heads, "off": [list(head) for head in sorted(off)], "effects": rows}
