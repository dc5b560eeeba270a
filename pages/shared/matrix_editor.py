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
    """Draw matrices to edit, each below its label, and return the edited ones; a cell must hold a number."""
    start = [matrix.numbers for matrix in matrices.values()]
    name = " ".join([write_matrices(start), *(row for matrix in matrices.values() for row in matrix.rows)])
    results, keys = [], [f"{label} {name}" for label in matrices]
    begins = _begin(name, start, keys[0] in st.session_state)
    latest = st.session_state.setdefault("edited to", {})
    for key, (label, matrix), numbers, before in zip(keys, matrices.items(), begins, latest.get(name, begins)):
        st.markdown(label)
        results.append(_editor(key, matrix._replace(numbers=numbers), before))
    latest[name] = results
    st.query_params.pop("numbers", None)
    if write_matrices(results) != write_matrices(start):
        st.query_params["numbers"] = write_matrices(results)
    return results


def _begin(name: str, start: list[Tensor], shown: bool) -> list[Tensor]:
    """The numbers that the editors of that name begin with: those of the link, if they fit, or `start`.

    Streamlit forgets the edits of an editor that is not shown; when it is shown again it begins with its last result.
    """
    initial = st.session_state.setdefault("edited from", {})
    if name not in initial:
        linked = None if initial else st.query_params.get("numbers")
        initial[name] = start
        if linked:
            try:
                initial[name] = read_matrices(linked, start)
            except ValueError:
                st.warning("The link holds numbers that do not fit these matrices; they were left out.")
    elif not shown:
        initial[name] = st.session_state["edited to"][name]
    return initial[name]


def _editor(key: str, matrix: Matrix, before: Tensor) -> Tensor:
    """Draw one matrix to edit, as text, since a number box reads 1/3 as 13; other input leaves a cell as it was."""
    cell = st.column_config.TextColumn(width=50, max_chars=12, alignment="right")
    shown = st.data_editor(
        [
            {"": row, **{column: f"{value:.12g}" for column, value in zip(matrix.columns, values)}}
            for row, values in zip(matrix.rows, matrix.numbers.tolist())
        ],
        key=key,
        hide_index=True,
        row_height=26,
        disabled=[""],
        column_config={column: cell for column in matrix.columns} | {"": st.column_config.TextColumn(width=62)},
    )
    result = before.clone()
    for n, record in enumerate(shown):
        for at, column in enumerate(matrix.columns):
            try:
                result[n, at] = _number(record[column])
            except ValueError:
                st.warning(
                    f"“{literal(record[column])}” is not a number between −{LARGEST} and {LARGEST} (for example 2, −1 "
                    f"or 0.5). {matrix.rows[n]}, {column} keeps its value, {f'{before[n, at]:.4g}'.replace('-', '−')}."
                )
    return result


def _number(text: str | None) -> float:
    """The number in a cell, 0 in an empty one; raises ValueError where it is none, or too large."""
    value = float((text or "0").replace("−", "-"))
    if not abs(value) <= LARGEST:  # not of NaN either
        raise ValueError(f"a number may be from -{LARGEST} to {LARGEST}")
    return value
