"""What a click on a picture selects: a cell of a map, or a position of the prompt, which the link holds."""

import re

import streamlit as st
import torch

from pages.shared import controls
from pages.shared.compute.readings import Reading

POSITION = "position"  # link key: the number of a token of the prompt
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
