"""The four steps of attention on matrices with their numbers, and the arithmetic of one query's row, step by step."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from viz.tokens import visible

SINGLE, EXACT = 9, 17  # significant digits that distinguish all float32, and all float64


def data(
    queries: Sequence[str],
    keys: Sequence[str],
    numbers: Mapping[str, np.ndarray],
    divisor: float,
    contents: Sequence[str] = (),
) -> dict[str, Any]:
    """What is drawn of T queries and S keys.

    The numbers are q (T, d), k (S, d) and v (S, D); products, scaled, masked and weights (T, S); z (T, D). The products
    were divided by `divisor`; `contents` are the names of v's columns. A number that is not finite is sent by its name.
    The masked scores are sent exactly, since the picture computes their exponentials; the others as float32.
    """
    digits = {"masked": EXACT}
    rows = {
        name: [[_number(value, digits.get(name, SINGLE)) for value in row] for row in matrix.tolist()]
        for name, matrix in numbers.items()
    }
    names = {"queries": visible(queries), "keys": visible(keys), "contents": list(contents)}
    return {**names, "divisor": divisor, **rows}


def _number(value: float, digits: int) -> float | str:
    """A number with so many significant digits; JSON has none that is not finite, so JavaScript's name of it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return float(f"{value:.{digits}g}")
