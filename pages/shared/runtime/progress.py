"""Long work: whether it may run, and how far it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st

QUICK, MOST = 20_000_000_000, 1_500_000_000_000  # multiplications that start unasked, and that may run at all
SPEED = 20_000_000_000  # multiplications in a second on one free core

OnProgress = Callable[[float], None]  # a progress callback: it gets the share that is done, from 0 to 1


def may_run(what: str, multiplications: int, key: str) -> bool:
    """True if the work may run: at once if cheap, after the visitor opts in if expensive, never above MOST."""
    if multiplications > MOST:
        st.info(
            f"**{what}** would take about {multiplications / SPEED:,.0f} s of CPU time with this model and prompt; the "
            f"limit here is {MOST / SPEED:,.0f} s. Take a shorter prompt, or a smaller model."
        )
        return False
    if multiplications <= QUICK:
        return True
    return st.toggle(f"{what}: about {multiplications / SPEED:,.0f} s on a free core", key=key)


@contextmanager
def progress_bar(what: str) -> Iterator[OnProgress]:
    """A progress bar while the block runs; yields its callback.

    A visitor who leaves, or changes something, ends the block at its next call of the callback.
    """
    bar = st.progress(0.0, what)
    try:
        yield lambda share: bar.progress(min(share, 1.0), what)
    finally:
        bar.empty()
