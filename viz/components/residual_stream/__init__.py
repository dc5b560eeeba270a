"""The residual stream of each token as a road, and what attention and the MLPs add to it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from viz.tokens import visible


def data(
    tokens: Sequence[str],
    places: Sequence[tuple[int, str]],
    stream: np.ndarray,
    written: np.ndarray,
    cosines: np.ndarray,
    shares: np.ndarray,
    picked: tuple[int, int],
) -> dict[str, Any]:
    """What is drawn of T tokens past N places; a place is a layer (-1 before the first) and the part that adds there.

    For each token and place (T, N): the length of the stream behind it (`stream`) and of what was added (`written`);
    the cosine of what was added with the stream at the end, and its share of that. `picked` is a token and a layer.
    """
    numbers = {"stream": stream, "written": written, "cosines": cosines, "shares": shares}
    return {
        "tokens": visible(tokens),
        "places": [{"layer": layer, "part": part} for layer, part in places],
        **{name: values.round(4).tolist() for name, values in numbers.items()},
        "picked": list(picked),
    }
