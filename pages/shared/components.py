"""Draws the pictures of viz/components in a page, and checks what a click on one sends back."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

import viz.components.attention
import viz.components.attention_steps
import viz.components.beam_search
import viz.components.bpe_merges
import viz.components.forward_pass
import viz.components.head_switches
import viz.components.kv_cache
import viz.components.lens_grid
import viz.components.next_words
import viz.components.residual_stream
import viz.components.sampling_chain
import viz.components.text_tree
import viz.components.token_bars
import viz.components.token_cuts
from viz.components.component import NAMES, assets
from viz.tokens import visible

NO_TOOLBAR = {"displayModeBar": False}  # the configuration of a Plotly figure

_REGISTERED = {name: st.components.v2.component(f"vitrine.{name}", **assets(name)) for name in NAMES}


def mount(name: str, data: dict[str, Any] | bytes, key: str = "", **handlers: Callable[[Any], None]) -> None:
    """Draw a component of viz/components with its data, as the widget `key` (its own name, if none is given).

    Each handler is called with the value that the component has sent under the handler's name. The value comes from
    a browser, so the handler must check it.
    """
    key = key or name
    callbacks = {f"on_{event}_change": partial(_receive, key, event, handler) for event, handler in handlers.items()}
    _REGISTERED[name](key=key, data=data, **callbacks)


def _receive(key: str, event: str, handler: Callable[[Any], None]) -> None:
    handler(st.session_state[key][event])


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
    """Draw the attention patterns (L, H, T, T) of all layers and heads.

    The picture starts at the head `start` and keeps the picked head in the link. With `report` the page also receives
    the picked head (`controls.picked_head`) and runs again. `small` leaves out the large head. With `follow` the
    picture moves when the page passes another `start`. A second picture on a page needs its own keys in the link: the
    suffix `link`.
    """
    header = {"start": start, "report": report, "small": small, "follow": follow, "link": link}
    data = viz.components.attention.payload(visible(tokens), patterns, **header)
    mount("attention", data, f"attention{link}", picked=lambda head: None)


def attention_steps(
    queries: Sequence[str],
    keys: Sequence[str],
    numbers: Mapping[str, np.ndarray],
    divisor: float,
    contents: Sequence[str] = (),
) -> None:
    """Draw the four steps of attention, and the arithmetic of one query's row."""
    mount("attention_steps", viz.components.attention_steps.data(queries, keys, numbers, divisor, contents))


def beam_search(
    root: str,
    steps: Sequence[Sequence[viz.components.beam_search.Candidate]],
    width: int,
    *,
    on_take: Callable[[int, int], None],
) -> None:
    """Draw a beam search. A click on a token calls `on_take` with its step and row, to take the text up to there."""
    data = viz.components.beam_search.data(root, steps, width)

    def taken(value: object) -> None:
        match value:
            case [int(step), int(row)] if 0 <= step < len(steps) and 0 <= row < len(steps[step]):
                if data["columns"][step][row]["typable"]:
                    on_take(step, row)

    mount("beam_search", data, taken=taken)


def bpe_merges(word: str, steps: Sequence[viz.components.bpe_merges.Step]) -> None:
    """Draw how byte pair encoding turns the bytes of a word into tokens, one merge after the other."""
    mount("bpe_merges", viz.components.bpe_merges.data(word, steps))


def forward_pass(
    tokens: Sequence[str],
    road: Sequence[viz.components.forward_pass.Box],
    inside: Sequence[viz.components.forward_pass.Box],
    words: Sequence[tuple[str, float]],
    *,
    token: int,
    block: str,
    picked: str,
    on_token: Callable[[int], None],
    on_box: Callable[[str], None],
) -> None:
    """Draw a whole model as boxes with one token's vectors. A click picks another token, or opens a box."""
    names = {"next", *(box.name for box in (*road, *inside))}

    def pick(value: object) -> None:
        match value:
            case ["token", int(number)] if 0 <= number < len(tokens):
                on_token(number)
            case ["box", str(name)] if name in names:
                on_box(name)

    data = viz.components.forward_pass.data(tokens, road, inside, words, token=token, block=block, picked=picked)
    mount("forward_pass", data, picked=pick)


def head_switches(
    layers: int,
    heads: int,
    off: Collection[tuple[int, int]],
    effects: np.ndarray | None,
    on_flip: Callable[[int, int | None], None],
) -> None:
    """Draw all heads as switches. A click calls `on_flip` with layer and head, or with None for a whole layer."""

    def flipped(value: object) -> None:
        match value:
            case [int(layer), None] if 0 <= layer < layers:
                on_flip(layer, None)
            case [int(layer), int(head)] if 0 <= layer < layers and 0 <= head < heads:
                on_flip(layer, head)

    mount("head_switches", viz.components.head_switches.data(layers, heads, off, effects), flipped=flipped)


def kv_cache(
    tokens: Sequence[str],
    prompt: int,
    layers: int,
    context: int,
    token_bytes: int,
    passes: Sequence[viz.components.kv_cache.Pass],
) -> None:
    """Draw generation pass by pass, with and without a KV cache. The pass is kept in the link."""
    mount("kv_cache", viz.components.kv_cache.data(tokens, prompt, layers, context, token_bytes, passes))


def lens_grid(tokens: Sequence[str], first: int, *, on_pick: Callable[[int], None], **readings: Any) -> None:
    """Draw the grid of the logit lens. A click calls `on_pick` with the position of a token."""

    def pick(position: object) -> None:
        if isinstance(position, int) and first <= position < first + len(tokens):
            on_pick(position)

    mount("lens_grid", viz.components.lens_grid.data(tokens, first, **readings), position=pick)


def next_words(
    tokens: Sequence[str],
    probabilities: np.ndarray,
    others: int,
    typable: Sequence[bool],
    on_pick: Callable[[str], None],
    truth: np.ndarray | None = None,
) -> None:
    """Draw a bar for the probability of each token, beside the true one. A click calls `on_pick` with a token."""

    def pick(number: object) -> None:
        if isinstance(number, int) and 0 <= number < len(tokens) and typable[number]:
            on_pick(tokens[number])

    mount("next_words", viz.components.next_words.data(tokens, probabilities, others, typable, truth), word=pick)


def residual_stream(
    tokens: Sequence[str],
    places: Sequence[tuple[int, str]],
    *numbers: np.ndarray,
    picked: tuple[int, int],
    on_pick: Callable[[int, int], None],
) -> None:
    """Draw the residual stream of T tokens past N places. A click calls `on_pick` with a token and a layer.

    The numbers, each (T, N), are those of `viz.components.residual_stream.data`.
    """

    def pick(value: object) -> None:
        match value:
            case [int(token), int(layer)] if 0 <= token < len(tokens) and 0 <= layer <= places[-1][0]:
                on_pick(token, layer)

    mount("residual_stream", viz.components.residual_stream.data(tokens, places, *numbers, picked), picked=pick)


def sampling_chain(
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
    """Draw the sampling steps from logits (V) to a token, beside the truth if it is known.

    A click calls `on_take` with the id of a token, or `on_write` with the chains that are to continue the text.
    """

    def take(id: object) -> None:
        if id in named and typable[named.index(id)]:
            on_take(id)

    data = viz.components.sampling_chain.payload(logits, named, tokens, typable, seen, truth)
    mount("sampling_chain", data, token=take, write=on_write)


def text_tree(
    root: str,
    places: Sequence[viz.components.text_tree.Place],
    at: int,
    likeliest: Sequence[viz.components.text_tree.Next],
    link: str,
    *,
    on_go: Callable[[int], None],
    on_take: Callable[[int], None],
) -> None:
    """Draw the tree of texts tried from one prompt. A click goes to a place in it, or takes one of the next tokens."""

    def go(place: object) -> None:
        if isinstance(place, int) and 0 <= place <= len(places):
            on_go(place)

    def take(number: object) -> None:
        if isinstance(number, int) and 0 <= number < len(likeliest) and likeliest[number][2]:
            on_take(number)

    mount("text_tree", viz.components.text_tree.data(root, places, at, likeliest, link), go=go, take=take)


def token_bars(key: str, tokens: Sequence[str], values: Sequence[float], full: float) -> None:
    """Draw a bar above each token, whose value is at least 0; the value `full` is as high as the picture."""
    mount("token_bars", viz.components.token_bars.data(tokens, values, full), key)


def token_bar_rows(
    key: str, rows: Mapping[str, viz.components.token_bars.Row], full: float, aligned: bool = False
) -> None:
    """Draw rows of token bars below each other, and mark where their tokens differ (`viz.components.token_bars`)."""
    mount("token_bars", viz.components.token_bars.rows(rows, full, aligned), key)


def token_cuts(text: str, cuts: Sequence[viz.components.token_cuts.Cut], chips: bool = True) -> None:
    """Draw a text as the tokens of the first tokenizer (`chips`), and the cuts of all tokenizers as rulers."""
    mount("token_cuts", viz.components.token_cuts.data(text, cuts, chips))
