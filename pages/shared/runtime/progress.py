"""Long work: begun unasked where it is short; it says how far it is, and ends when the visitor leaves."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st

QUICK, MOST = 20_000_000_000, 1_500_000_000_000  # multiplications that are begun unasked, and that are made at all
SPEED = 20_000_000_000  # multiplications in a second on one free core

Told = Callable[[float], None]  # is told what share is done


def wanted(what: str, multiplications: int, key: str) -> bool:
    """Whether to do it; where it is long the visitor is asked, where it is too long it is refused with a sentence."""
    if multiplications > MOST:
        st.info(
            f"**{what}** would take {multiplications / SPEED:,.0f} s of a core with this model and prompt; here it may "
            f"take {MOST / SPEED:,.0f}. Take a shorter prompt, or a smaller model."
        )
        return False
    if multiplications <= QUICK:
        return True
    return st.toggle(f"{what}: about {multiplications / SPEED:,.0f} s on a free core", key=key)


@contextmanager
def told(what: str) -> Iterator[Told]:
    """A bar that is told how far the work is, and goes when it ends.

    Where the visitor leaves, or changes something, the bar is where the work ends.
    """
    bar = st.progress(0.0, what)
    try:
        yield lambda share: bar.progress(min(share, 1.0), what)
    finally:
        bar.empty()
