"""Shares of 1 as percentages: one way to write a probability, on all pages. In the pictures it is in shared.js."""

import math


def percent(share: float, decimals: int = 1) -> str:
    """A share as a percentage: "12.3 %", and "< 0.1 %" if it is too small for its decimals, but not 0."""
    if not share:
        return "0 %"
    if math.isnan(share):
        return "–"
    least = 10.0**-decimals
    if 100 * abs(share) < least:
        return f"< {least:.{decimals}f} %"
    return f"{math.copysign(math.floor(abs(100 * share) / least + 0.5) * least, share):.{decimals}f} %"
