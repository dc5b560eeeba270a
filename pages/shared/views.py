"""Mounts the pictures of viz/ in a page."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from viz import attention as picture
from viz import beams as trees
from viz import branches as tried
from viz import lens as grid
from viz import merges, pieces, words
from viz import sampling as chains
from viz import strip as bars
from viz.tokens import visible

BARE = {"displayModeBar": False}  # a Plotly figure without its tools

_attention = st.components.v2.component("vitrine.attention", html=picture.HTML, css=picture.CSS, js=picture.JS)
_beams = st.components.v2.component("vitrine.beams", css=trees.CSS, js=trees.JS)
_branches = st.components.v2.component("vitrine.branches", css=tried.CSS, js=tried.JS)
_lens = st.components.v2.component("vitrine.lens", css=grid.CSS, js=grid.JS)
_merges = st.components.v2.component("vitrine.merges", css=merges.CSS, js=merges.JS)
_pieces = st.components.v2.component("vitrine.pieces", css=pieces.CSS, js=pieces.JS)
_sampling = st.components.v2.component("vitrine.sampling", css=chains.CSS, js=chains.JS)
_strip = st.components.v2.component("vitrine.strip", css=bars.CSS, js=bars.JS)
_words = st.components.v2.component("vitrine.words", css=words.CSS, js=words.JS)


def attention(
    tokens: Sequence[str],
    patterns: np.ndarray,
    *,
    start: tuple[int, int],
    report: bool = False,
    small: bool = False,
    follow: bool = False,
) -> None:
    """Draw the patterns (L, H, T, T) of all layers and heads.

    The picture starts with the head `start` and keeps what is picked in the link; with `report`
    the page is told, too (`controls.head`), and runs again. `small` leaves out the large head;
    with `follow` the picture goes to another `start` when the page says one.
    """
    _attention(
        key="attention",
        data=picture.payload(visible(tokens), patterns, start=start, report=report, small=small, follow=follow),
        on_picked_change=lambda: None,
    )


def next_words(
    tokens: Sequence[str],
    probabilities: np.ndarray,
    others: int,
    typable: Sequence[bool],
    on_pick: Callable[[str], None],
    truth: np.ndarray | None = None,
) -> None:
    """Draw a bar for each of some tokens, and the true one beside it; a click picks a token."""

    def picked() -> None:
        number = st.session_state["words"].word
        if isinstance(number, int) and 0 <= number < len(tokens) and typable[number]:
            on_pick(tokens[number])

    _words(key="words", data=words.data(tokens, probabilities, others, typable, truth), on_word_change=picked)


def strip(key: str, tokens: Sequence[str], values: Sequence[float], full: float) -> None:
    """Draw a number above each token, as a bar; one of `full` is as high as the strip."""
    _strip(key=key, data=bars.data(tokens, values, full))


def strips(key: str, rows: Mapping[str, bars.Row], full: float) -> None:
    """Draw a strip, or several below each other with their names, and where their tokens part."""
    _strip(key=key, data=bars.beside(rows, full))


def cuts(text: str, cuts: Sequence[pieces.Cut]) -> None:
    """Draw a text as the tokens of the first tokenizer, and the cuts of all of them above one another."""
    _pieces(key="pieces", data=pieces.data(text, cuts))


def merge_steps(word: str, steps: Sequence[merges.Step]) -> None:
    """Draw how a word becomes tokens, one merge after the other."""
    _merges(key="merge steps", data=merges.data(word, steps))


def lens(tokens: Sequence[str], first: int, *, on_pick: Callable[[int], None], **drawn: Any) -> None:
    """Draw the grid of the lens (see `viz.lens.data`); a click picks the position of one of its tokens."""

    def picked() -> None:
        position = st.session_state["lens"].position
        if isinstance(position, int) and first <= position < first + len(tokens):
            on_pick(position)

    _lens(key="lens", data=grid.data(tokens, first, **drawn), on_position_change=picked)


def sampling(
    logits: np.ndarray,
    named: Sequence[int],
    tokens: Sequence[str],
    typable: Sequence[bool],
    seen: Sequence[int],
    truth: Mapping[int, float],
    *,
    on_take: Callable[[int], None],
    on_write: Callable[[object], None],
) -> None:
    """Draw the chain from logits (V) to a token, beside the truth if there is one; a click takes it, or writes on."""

    def taken() -> None:
        id = st.session_state["sampling"].token
        if id in named and typable[named.index(id)]:
            on_take(id)

    _sampling(
        key="sampling",
        data=chains.payload(logits, named, tokens, typable, seen, truth),
        on_token_change=taken,
        on_write_change=lambda: on_write(st.session_state["sampling"].write),
    )


def branches(
    root: str,
    places: Sequence[tried.Place],
    at: int,
    likeliest: Sequence[tried.Next],
    link: str,
    *,
    on_go: Callable[[int], None],
    on_take: Callable[[int], None],
) -> None:
    """Draw the tree of what was tried; a click goes to one of its places, or takes one of the likeliest tokens."""

    def go() -> None:
        place = st.session_state["branches picture"].go
        if isinstance(place, int) and 0 <= place <= len(places):
            on_go(place)

    def take() -> None:
        number = st.session_state["branches picture"].take
        if isinstance(number, int) and 0 <= number < len(likeliest) and likeliest[number][2]:
            on_take(number)

    _branches(
        key="branches picture",
        data=tried.data(root, places, at, likeliest, link),
        on_go_change=go,
        on_take_change=take,
    )


def beams(
    root: str, steps: Sequence[Sequence[trees.Tried]], width: int, *, on_take: Callable[[int, int], None]
) -> None:
    """Draw a beam search; a click takes the text up to one of its tokens, by step and row."""
    drawn = trees.data(root, steps, width)

    def take() -> None:
        match st.session_state["beams"].taken:
            case [int(step), int(row)] if 0 <= step < len(steps) and 0 <= row < len(steps[step]):
                if drawn["columns"][step][row]["typable"]:
                    on_take(step, row)

    _beams(key="beams", data=drawn, on_taken_change=take)
