"""The four steps of attention on matrices with their numbers, and the arithmetic of one query's row, step by step."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from viz.components.component import assets
from viz.tokens import visible

JS, CSS = assets("attention_steps")
SINGLE, EXACT = 9, 17  # digits that tell every float32, and every float64, from the next


def data(
    queries: Sequence[str],
    keys: Sequence[str],
    numbers: Mapping[str, np.ndarray],
    divisor: float,
    contents: Sequence[str] = (),
) -> dict[str, Any]:
    """What is drawn of T queries and S keys.

    Of them q (T, d), k (S, d) and v (S, D); products, scaled, masked and weights (T, S); z (T, D). The divisor is
    what the products were divided by, the contents are the names of v's columns. What is no finite number is sent as
    its name. From the masked scores the picture takes powers: they are exact, the others have the digits of a float32.
    """
    digits = {"masked": EXACT}
    sent = {
        name: [[_sent(value, digits.get(name, SINGLE)) for value in row] for row in of.tolist()]
        for name, of in numbers.items()
    }
    names = {"queries": visible(queries), "keys": visible(keys), "contents": list(contents)}
    return {**names, "divisor": divisor, **sent}


def _sent(value: float, digits: int) -> float | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return float(f"{value:.{digits}g}")
