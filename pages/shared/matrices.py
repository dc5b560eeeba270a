"""Matrices that the visitor edits; the link holds their numbers."""

import math
from collections.abc import Sequence

import streamlit as st
import torch
from torch import Tensor

MOST = 999  # the largest number in a cell


def spelled(matrices: Sequence[Tensor]) -> str:
    """Matrices for a link: their numbers row by row, with a semicolon between two matrices."""
    return ";".join(" ".join(f"{value:g}" for value in of.flatten().tolist()) for of in matrices)


def read(text: str, like: Sequence[Tensor]) -> list[Tensor]:
    """The matrices that a link spells, of the same shapes as those; raises ValueError where it spells others."""
    parts = [[float(number) for number in part.split()] for part in text[:2000].split(";")]
    if [len(part) for part in parts] != [of.numel() for of in like]:
        raise ValueError("these are other sizes")
    if not all(abs(number) <= MOST for part in parts for number in part):  # false for NaN
        raise ValueError(f"a number may be from −{MOST} to {MOST}")
    return [torch.tensor(part, dtype=torch.double).view_as(of) for part, of in zip(parts, like)]


def linked(start: Sequence[Tensor], name: str) -> Sequence[Tensor]:
    """What the editors of that name begin with: the numbers of the link, where they fit, or `start`."""
    kept = st.session_state.setdefault("edited from", {})
    if name not in kept:
        kept[name] = start
        text = st.query_params.get("numbers")
        if text and not kept.keys() - {name}:  # what came with the link, and was not edited here
            try:
                kept[name] = read(text, start)
            except ValueError:
                st.warning("The link holds numbers that do not fit these matrices; they were left out.")
    return kept[name]


def editor(name: str, matrix: Tensor, rows: Sequence[str], columns: Sequence[str]) -> Tensor:
    """One matrix with the names of its rows and columns, to be edited; an empty cell counts as 0."""
    records = [{"": row, **dict(zip(columns, values))} for row, values in zip(rows, matrix.tolist())]
    number = st.column_config.NumberColumn(min_value=-MOST, max_value=MOST, format="%.3g", width=56)
    shown = st.data_editor(
        records,
        key=name,
        hide_index=True,
        row_height=28,
        disabled=[""],
        column_config={column: number for column in columns} | {"": st.column_config.TextColumn(width=72)},
    )
    values = [[_number(record[column]) for column in columns] for record in shown]
    return torch.tensor(values, dtype=torch.double)


def _number(value: object) -> float:
    valid = isinstance(value, int | float) and math.isfinite(value)
    return max(-MOST, min(MOST, float(value))) if valid else 0.0
