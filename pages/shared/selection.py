"""What is selected in a lesson: a cell of a map, a position of the prompt, a next token."""

import re

import streamlit as st
import torch
from streamlit.delta_generator import DeltaGenerator

from model.language import tokenization
from pages.shared import controls, models, prose
from pages.shared.compute.readings import Reading
from pages.shared.models import Model
from viz.tokens import visible

POSITION = "position"  # link key: the number of a token of the prompt
OFFERED = 12  # likeliest tokens in the list of a box
STATE, PICKER = "selected position", "position picker"  # keys of the session


def cell(chart: object, key: str, field: str, scores: torch.Tensor) -> tuple[int, int]:
    """Draw a map of scores (L, N); returns the layer and column of the clicked cell, or else of the largest score.

    The columns are the selection `field` of the chart.
    """
    event = st.altair_chart(chart, key=key, on_select="rerun", selection_mode=field)
    for point in event.selection.get(field, []):
        layer, column = int(point["layer"]), int(point[field])
        if layer < scores.shape[0] and column < scores.shape[1]:
            return layer, column
    return divmod(scores.argmax().item(), scores.shape[1])


def select_position(prompt: str, position: int) -> None:
    """Store the selected position in the session and in the link."""
    st.session_state[STATE] = prompt, position
    st.query_params[POSITION] = str(position)


def position(reading: Reading) -> int:
    """The selected position: the clicked one, or that of the link; the last one by default and after another prompt."""
    last = len(reading.tokens) - 1
    prompt, selected = st.session_state.get(STATE, (reading.prompt, last))
    linked = st.query_params.get(POSITION, "")
    if linked != str(selected) and re.fullmatch("[0-9]{1,4}", linked):
        selected = int(linked)
    elif prompt != reading.prompt:
        selected = last
    select_position(reading.prompt, min(selected, last))
    return min(selected, last)


def position_picker(label: str, reading: Reading) -> int:
    """The selected position, with a box that selects another one."""
    names = controls.numbered(reading.tokens)

    def select() -> None:
        select_position(reading.prompt, names.index(st.session_state[PICKER]))

    selected = position(reading)
    st.session_state[PICKER] = names[selected]
    st.selectbox(label, names, key=PICKER, on_change=select, width=165)
    return selected


def next_token(label: str, key: str, model: Model, logits: torch.Tensor, start: int, notes: DeltaGenerator) -> int:
    """The id of the token that is picked or typed in a box, held in the link; `start` while there is none.

    The list has the likeliest tokens of the logits (V). Text that is not one token gets a warning in `notes`.
    """
    typable = models.vocabulary(model).typable
    offered = {visible([model.token(id)])[0]: id for id in logits.topk(OFFERED).indices.tolist() if typable[id]}
    picked = st.session_state.get(key, st.query_params.get(key))  # stays on the list at other positions
    text = st.selectbox(
        label,
        [*offered, *({picked} - {None, *offered})],
        index=None,
        placeholder=visible([model.token(start)])[0],
        accept_new_options=True,
        key=key,
        bind="query-params",
        width=165,
    )
    if not text:
        return start
    if text in offered:
        return offered[text]
    try:
        ids = tokenization.single_token_ids(model.tokenizer, text.replace("·", " "))
    except ValueError as error:
        notes.warning(f"{label}: {prose.literal(error)}. You see {prose.bold(model.token(start))}.")
        return start
    return max(ids, key=lambda id: logits[id])
