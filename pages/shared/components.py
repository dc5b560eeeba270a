"""Mounts the pictures of viz/ in a page."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from viz.components import attention as picture
from viz.components import attention_steps as worked
from viz.components import beam_search as trees
from viz.components import bpe_merges as merges
from viz.components import forward_pass as flows
from viz.components import head_switches as switches
from viz.components import kv_cache as passes
from viz.components import lens_grid as grid
from viz.components import next_words as words
from viz.components import residual_stream as roads
from viz.components import sampling_chain as chains
from viz.components import text_tree as tried
from viz.components import token_bars as bars
from viz.components import token_cuts as pieces
from viz.tokens import visible

BARE = {"displayModeBar": False}  # a Plotly figure without its tools

_attention = st.components.v2.component("vitrine.attention", html=picture.HTML, css=picture.CSS, js=picture.JS)
_beams = st.components.v2.component("vitrine.beams", css=trees.CSS, js=trees.JS)
_board = st.components.v2.component("vitrine.board", css=switches.CSS, js=switches.JS)
_branches = st.components.v2.component("vitrine.branches", css=tried.CSS, js=tried.JS)
_byhand = st.components.v2.component("vitrine.byhand", css=worked.CSS, js=worked.JS)
_cache = st.components.v2.component("vitrine.cache", css=passes.CSS, js=passes.JS)
_flow = st.components.v2.component("vitrine.flow", css=flows.CSS, js=flows.JS)
_lens = st.components.v2.component("vitrine.lens", css=grid.CSS, js=grid.JS)
_merges = st.components.v2.component("vitrine.merges", css=merges.CSS, js=merges.JS)
_pieces = st.components.v2.component("vitrine.pieces", css=pieces.CSS, js=pieces.JS)
_road = st.components.v2.component("vitrine.road", css=roads.CSS, js=roads.JS)
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
    link: str = "",
) -> None:
    """Draw the patterns (L, H, T, T) of all layers and heads.

    The picture starts with the head `start` and keeps what is picked in the link; with `report`
    the page is told, too (`controls.head`), and runs again. `small` leaves out the large head;
    with `follow` the picture goes to another `start` when the page says one. A second picture on a
    page has other names in the link: `link` is put behind them.
    """
    header = {"start": start, "report": report, "small": small, "follow": follow, "link": link}
    _attention(
        key=f"attention{link}",
        data=picture.payload(visible(tokens), patterns, **header),
        on_picked_change=lambda: None,
    )


def board(
    layers: int,
    heads: int,
    off: Collection[tuple[int, int]],
    effects: np.ndarray | None,
    on_flip: Callable[[int, int | None], None],
) -> None:
    """Draw all heads as switches; a click flips one, or all of a layer."""

    def flipped() -> None:
        match st.session_state["board"].flipped:
            case [int(layer), None] if 0 <= layer < layers:
                on_flip(layer, None)
            case [int(layer), int(head)] if 0 <= layer < layers and 0 <= head < heads:
                on_flip(layer, head)

    _board(key="board", data=switches.data(layers, heads, off, effects), on_flipped_change=flipped)


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


def byhand(
    queries: Sequence[str],
    keys: Sequence[str],
    numbers: Mapping[str, np.ndarray],
    divisor: float,
    contents: Sequence[str] = (),
) -> None:
    """Draw the four steps of attention (`viz.components.attention_steps`), and the arithmetic of one query's row."""
    _byhand(key="byhand", data=worked.data(queries, keys, numbers, divisor, contents))


def strip(key: str, tokens: Sequence[str], values: Sequence[float], full: float) -> None:
    """Draw a number above each token, as a bar; one of `full` is as high as the strip."""
    _strip(key=key, data=bars.data(tokens, values, full))


def strips(key: str, rows: Mapping[str, bars.Row], full: float, aligned: bool = False) -> None:
    """Draw a strip, or several below each other with their names, and where their tokens part; or each that differs."""
    _strip(key=key, data=bars.beside(rows, full, aligned))


def cuts(text: str, cuts: Sequence[pieces.Cut], chips: bool = True) -> None:
    """Draw a text as the tokens of the first tokenizer (`chips`), and the cuts of all of them above one another."""
    _pieces(key="pieces", data=pieces.data(text, cuts, chips))


def merge_steps(word: str, steps: Sequence[merges.Step]) -> None:
    """Draw how a word becomes tokens, one merge after the other."""
    _merges(key="merge steps", data=merges.data(word, steps))


def flow(
    tokens: Sequence[str],
    road: Sequence[flows.Box],
    inside: Sequence[flows.Box],
    words: Sequence[tuple[str, float]],
    *,
    token: int,
    block: str,
    picked: str,
    on_token: Callable[[int], None],
    on_box: Callable[[str], None],
) -> None:
    """Draw a whole GPT as boxes, with one token's vectors; a click picks another token, or opens a box."""
    names = {"next", *(box.name for box in (*road, *inside))}

    def pick() -> None:
        match st.session_state["flow"]["picked"]:
            case ["token", int(number)] if 0 <= number < len(tokens):
                on_token(number)
            case ["box", str(name)] if name in names:
                on_box(name)

    drawn = flows.data(tokens, road, inside, words, token=token, block=block, picked=picked)
    _flow(key="flow", data=drawn, on_picked_change=pick)


def road(
    tokens: Sequence[str],
    places: Sequence[tuple[int, str]],
    *numbers: np.ndarray,
    picked: tuple[int, int],
    on_pick: Callable[[int, int], None],
) -> None:
    """Draw the residual stream of T tokens past N places, and what is added there; a click picks a token and a layer.

    The numbers, each (T, N), are those of `viz.components.residual_stream.data`.
    """

    def pick() -> None:
        match st.session_state["road"]["picked"]:
            case [int(token), int(layer)] if 0 <= token < len(tokens) and 0 <= layer <= places[-1][0]:
                on_pick(token, layer)

    _road(key="road", data=roads.data(tokens, places, *numbers, picked), on_picked_change=pick)


def lens(tokens: Sequence[str], first: int, *, on_pick: Callable[[int], None], **drawn: Any) -> None:
    """Draw the grid of the lens (`viz.components.lens_grid`); a click picks the position of one of its tokens."""

    def picked() -> None:
        position = st.session_state["lens"].position
        if isinstance(position, int) and first <= position < first + len(tokens):
            on_pick(position)

    _lens(key="lens", data=grid.data(tokens, first, **drawn), on_position_change=picked)


def cache(
    tokens: Sequence[str], prompt: int, layers: int, context: int, each: int, made: Sequence[passes.Pass]
) -> None:
    """Draw how a text is written, pass by pass (`viz.components.kv_cache`); the pass is kept in the link."""
    _cache(key="cache", data=passes.data(tokens, prompt, layers, context, each, made))


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
