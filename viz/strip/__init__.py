"""A number for each token, as a bar above it: how far from the truth, how surprising, how large."""

import math
from collections.abc import Sequence
from typing import Any

from viz.component import assets
from viz.tokens import visible

JS, CSS = assets("strip")


def data(tokens: Sequence[str], values: Sequence[float], full: float) -> dict[str, Any]:
    """What the strip draws: the tokens, and of each a value, at least 0; NaN where there is none.

    A bar of the value `full`, or of the largest one if that is more, is as high as the strip.
    """
    known = [value for value in values if not math.isnan(value)]
    bars = [None if math.isnan(value) else float(value) for value in values]
    rows = [{"token": token, "value": value} for token, value in zip(visible(tokens), bars, strict=True)]
    return {"tokens": rows, "full": max([full, *known])}
