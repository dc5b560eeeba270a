"""Matrices that the visitor edits; the link holds their numbers."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import streamlit as st
from torch import Tensor

from pages.shared.link import LARGEST, read_matrices, write_matrices
from pages.shared.prose import literal


class Matrix(NamedTuple):
    """The numbers of a matrix, and the names of its rows and columns."""

    numbers: Tensor
    rows: Sequence[str]
    columns: Sequence[str]


def edited(matrices: Mapping[str, Matrix]) -> list[Tensor]:
    """Matrices to edit, each below its label, and what was made of them; a sentence refuses what is no number."""
    start = [of.numbers for of in matrices.values()]
    begun = " ".join([write_matrices(start), *(row for of in matrices.values() for row in of.rows)])
    found, keys = [], [f"{label} {begun}" for label in matrices]
    begins = _begin(begun, start, keys[0] in st.session_state)
    latest = st.session_state.setdefault("edited to", {})
    for key, (label, of), numbers, before in zip(keys, matrices.items(), begins, latest.get(begun, begins)):
        st.markdown(label)
        found.append(_editor(key, of._replace(numbers=numbers), before))
    latest[begun] = found
    st.query_params.pop("numbers", None)
    if write_matrices(found) != write_matrices(start):
        st.query_params["numbers"] = write_matrices(found)
    return found


def _begin(name: str, start: list[Tensor], shown: bool) -> list[Tensor]:
    """What the editors of that name begin with: the numbers that came with the link, where they fit, or `start`.

    Editors that were not shown have forgotten what was done in them: they begin with what it came to.
    """
    kept = st.session_state.setdefault("edited from", {})
    if name not in kept:
        linked = None if kept else st.query_params.get("numbers")
        kept[name] = start
        if linked:
            try:
                kept[name] = read_matrices(linked, start)
            except ValueError:
                st.warning("The link holds numbers that do not fit these matrices; they were left out.")
    elif not shown:
        kept[name] = st.session_state["edited to"][name]
    return kept[name]


def _editor(key: str, matrix: Matrix, before: Tensor) -> Tensor:
    """One matrix to edit, as text, since a box for numbers makes 13 of 1/3; what is none counts as it did before."""
    cell = st.column_config.TextColumn(width=50, max_chars=12, alignment="right")
    shown = st.data_editor(
        [
            {"": row, **{column: f"{value:.12g}" for column, value in zip(matrix.columns, of)}}
            for row, of in zip(matrix.rows, matrix.numbers.tolist())
        ],
        key=key,
        hide_index=True,
        row_height=26,
        disabled=[""],
        column_config={column: cell for column in matrix.columns} | {"": st.column_config.TextColumn(width=62)},
    )
    found = before.clone()
    for n, record in enumerate(shown):
        for at, column in enumerate(matrix.columns):
            try:
                found[n, at] = _number(record[column])
            except ValueError:
                st.warning(
                    f"“{literal(record[column])}” is not a number between −{LARGEST} and {LARGEST} (for example 2, −1 "
                    f"or 0.5). {matrix.rows[n]}, {column} keeps its value, {f'{before[n, at]:.4g}'.replace('-', '−')}."
                )
    return found


def _number(text: str | None) -> float:
    """The number in a cell, 0 in an empty one; raises ValueError where it is none, or too large."""
    value = float((text or "0").replace("−", "-"))
    if not abs(value) <= LARGEST:  # not of NaN either
        raise ValueError(f"a number may be from -{LARGEST} to {LARGEST}")
    return value
