"""A number for each token, as a bar above it: how far from the truth, how surprising, how large."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from viz.tokens import visible

Row = tuple[Sequence[str], Sequence[float]]  # tokens, and of each a value, at least 0; NaN where there is none


def data(tokens: Sequence[str], values: Sequence[float], full: float) -> dict[str, Any]:
    """What the strip draws.

    A bar of the value `full`, or of the largest one if that is more, is as high as the strip.
    """
    known = [value for value in values if not math.isnan(value)]
    bars = [None if math.isnan(value) else float(value) for value in values]
    rows = [{"token": token, "value": value} for token, value in zip(visible(tokens), bars, strict=True)]
    return {"tokens": rows, "full": max([full, *known])}


def rows(rows: Mapping[str, Row], full: float, aligned: bool = False) -> dict[str, Any]:
    """What strips below each other draw; marked is the column from which on their tokens are not all the same.

    Where they are aligned each such column is marked, and "" stands where a row has no token. A single strip goes
    without its name. Raises ValueError where they differ in length.
    """
    strips = [data(*row, full) for row in rows.values()]
    columns = [list(column) for column in zip(*(strip["tokens"] for strip in strips), strict=True)]
    differ = [n for n, column in enumerate(columns) if len({cell["token"] for cell in column}) > 1]
    return {
        "names": list(rows) if len(rows) > 1 else [],
        "columns": columns,
        "parted": None if aligned else next(iter(differ), None),
        "differ": differ if aligned else [],
        "full": max(strip["full"] for strip in strips),
    }
