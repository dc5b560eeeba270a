"""A whole model as boxes from the token to the next word, each with its vector in colors."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from viz.tokens import visible

DRAWN = 256  # numbers of a vector that are drawn
CLIPPED = 98  # percent of the numbers lie within the scale; what is beyond has the color of its end


class Box(NamedTuple):
    """One step of the forward pass and its values for one token: a vector, or a matrix."""

    name: str
    label: str
    role: str  # embedding, stream, norm, query, key, value, attention or MLP: its color
    values: np.ndarray
    before: str = "→"  # the sign between it and the box before


def data(
    tokens: Sequence[str],
    road: Sequence[Box],
    inside: Sequence[Box],
    words: Sequence[tuple[str, float]],
    *,
    token: int,
    block: str,
    picked: str,
) -> dict[str, Any]:
    """What is drawn: the tokens, the road with the open block of that name, what is inside it, and the next words."""
    return {
        "tokens": visible(tokens),
        "road": [_drawn(box) for box in road],
        "inside": [_drawn(box) for box in inside],
        "words": [{"word": visible([word])[0], "share": share} for word, share in words],
        "token": token,
        "block": block,
        "picked": picked,
        "drawn": DRAWN,
    }


def _drawn(box: Box) -> dict[str, Any]:
    """A box with its values as whole percents of its own scale, and their length."""
    values = box.values.ravel()
    shown = values if box.values.ndim > 1 else values[:DRAWN]
    bound = float(np.percentile(np.abs(shown), CLIPPED)) or float(np.abs(shown).max()) or 1.0
    return {
        "name": box.name,
        "label": box.label,
        "role": box.role,
        "before": box.before,
        "length": float(np.linalg.norm(values)) if box.values.ndim == 1 else None,
        "size": " × ".join(map(str, box.values.shape)),
        "columns": box.values.shape[1] if box.values.ndim > 1 else None,
        "percents": np.clip(np.rint(100 * shown / bound), -100, 100).astype(int).tolist(),
    }
