"""Tokens as labels: spaces, line breaks and control characters are made visible."""

from collections.abc import Iterable
from html import escape

# Control characters have pictures of their own in Unicode, from U+2400 on.
VISIBLE = {code: chr(0x2400 + code) for code in range(0x20)}
VISIBLE |= {ord("\n"): "⏎", ord("\t"): "⇥", ord(" "): "·", 0x7F: "␡", 0xA0: "⍽", 0x200D: "⁀"}
# Marks that change the direction of writing would change that of the labels around them, too.
VISIBLE |= {code: "⇄" for code in (0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}


def visible(tokens: Iterable[str]) -> list[str]:
    """The tokens as labels: a space is a dot, a line break an arrow, a control character its picture."""
    return [token.translate(VISIBLE) for token in tokens]


def plotted(tokens: Iterable[str]) -> list[str]:
    """The tokens as labels for Plotly, which would take a <b> in a label as markup."""
    return [escape(token, quote=False) for token in visible(tokens)]
