"""Bars above tokens: a number for each, such as its surprise, its length, or the distance from the truth."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from viz.tokens import visible

Row = tuple[Sequence[str], Sequence[float]]  # tokens, and of each a value, at least 0; NaN where there is none


def data(tokens: Sequence[str], values: Sequence[float], full: float) -> dict[str, Any]:
    """What is drawn in a single row.

    A bar of the value `full`, or of the largest value if that is more, has full height.
    """
    known = [value for value in values if not math.isnan(value)]
    bars = [None if math.isnan(value) else float(value) for value in values]
    rows = [{"token": token, "value": value} for token, value in zip(visible(tokens), bars, strict=True)]
    return {"tokens": rows, "full": max([full, *known])}


def rows(rows: Mapping[str, Row], full: float, aligned: bool = False) -> dict[str, Any]:
    """What is drawn in rows below each other; `parted` is the first column in which their tokens differ.

    If the rows are aligned, each such column is marked (`differ`), and "" stands where a row has no token. A single row
    has no name. Raises ValueError if the rows differ in length.
    """
    parts = [data(*row, full) for row in rows.values()]
    columns = [list(column) for column in zip(*(part["tokens"] for part in parts), strict=True)]
    differ = [n for n, column in enumerate(columns) if len({cell["token"] for cell in column}) > 1]
    return {
        "names": list(rows) if len(rows) > 1 else [],
        "columns": columns,
        "parted": None if aligned else next(iter(differ), None),
        "differ": differ if aligned else [],
        "full": max(part["full"] for part in parts),
    }
