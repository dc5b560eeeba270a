"""The residual stream as a road, one for each token, and what attention and the MLPs add to it."""

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
    """What is drawn of T tokens past N places, each a layer (-1 before the first) and what adds there: each (T, N).

    Lengths of the stream behind a place and of what was added there, its cosine with the stream at the end and its
    share of that. Picked are a token and a layer.
    """
    numbers = {"stream": stream, "written": written, "cosines": cosines, "shares": shares}
    return {
        "tokens": visible(tokens),
        "places": [{"layer": layer, "part": part} for layer, part in places],
        **{name: values.round(4).tolist() for name, values in numbers.items()},
        "picked": list(picked),
    }
