"""Mounts the pictures of viz/ in a page."""

from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st

from viz import attention as picture
from viz import words
from viz.tokens import visible

_attention = st.components.v2.component("vitrine.attention", html=picture.HTML, css=picture.CSS, js=picture.JS)
_words = st.components.v2.component("vitrine.words", css=words.CSS, js=words.JS)


def attention(
    tokens: Sequence[str],
    patterns: np.ndarray,
    *,
    start: tuple[int, int],
    report: bool = False,
    small: bool = False,
) -> None:
    """Draw the patterns (L, H, T, T) of all layers and heads.

    The picture starts with the head `start` and keeps what is picked in the link; with `report`
    the page is told, too (`controls.head`), and runs again. `small` leaves out the large head.
    """
    _attention(
        key="attention",
        data=picture.payload(visible(tokens), patterns, start=start, report=report, small=small),
        on_picked_change=lambda: None,
    )


def next_words(
    tokens: Sequence[str],
    probabilities: np.ndarray,
    others: int,
    typable: Sequence[bool],
    on_pick: Callable[[str], None],
) -> None:
    """Draw a bar for each of the likeliest tokens and say what is left for the others; a click picks a token."""

    def picked() -> None:
        number = st.session_state["words"].word
        if isinstance(number, int) and 0 <= number < len(tokens) and typable[number]:
            on_pick(tokens[number])

    _words(key="words", data=words.data(tokens, probabilities, others, typable), on_word_change=picked)
