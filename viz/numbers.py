"""Numbers as text: one way to write a decimal, on all pages."""


def decimal(value: float, decimals: int = 2) -> str:
    """A number with its decimals and a true minus sign; what rounds to 0 has no sign.

    >>> decimal(-1.234), decimal(-0.001)
    ('−1.23', '0.00')
    """
    text = f"{value:.{decimals}f}"
    return text.replace("-", "−") if float(text) else text.removeprefix("-")
