"""Shares of 1 as percentages: one way to write a probability, on all pages. In the pictures it is percent.js."""


def percent(share: float, decimals: int = 1) -> str:
    """A share as "12.3 %"; one that is too small for so many decimals is not written as none: "< 0.1 %"."""
    if share == 0:
        return "0 %"
    least = 10.0**-decimals
    return f"{100 * share:.{decimals}f} %" if 100 * abs(share) >= least else f"< {least:.{decimals}f} %"
