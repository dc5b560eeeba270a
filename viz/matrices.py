"""Matrices whose numbers are to be read."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from viz.tokens import visible

READABLE = 8  # tokens up to which the numbers fit into the cells; beyond, hover shows them
# Zero is nearly transparent, so that it looks like nothing on a light page and on a dark one.
DIVERGING = [[0, "#b45309"], [0.5, "rgba(128, 128, 128, 0.12)"], [1, "#0f766e"]]
SEQUENTIAL = [[0, "rgba(124, 58, 237, 0.06)"], [1, "#7c3aed"]]


def steps(tokens: Sequence[str], products: np.ndarray, scores: np.ndarray, pattern: np.ndarray) -> list[go.Figure]:
    """The three steps of one head, each (T, T): q.k, divided by sqrt(D) and masked, softmax.

    Rows are queries, columns keys. What the mask removes is left empty in the second and third
    matrix; the first shows it, since it was computed all the same.
    """
    future = np.triu(np.ones((len(tokens), len(tokens)), bool), 1)
    return [
        _matrix("1 · query · key", "q·k", tokens, products, DIVERGING, ".1f"),
        _matrix("2 · ÷ √D, future masked", "score", tokens, np.where(future, np.nan, scores), DIVERGING, ".1f"),
        _matrix("3 · softmax of each row", "weight", tokens, np.where(future, np.nan, pattern), SEQUENTIAL, ".2f"),
    ]


def _matrix(
    title: str, name: str, tokens: Sequence[str], values: np.ndarray, colours: list[list[float | str]], digits: str
) -> go.Figure:
    count, labels, bound = len(tokens), visible(tokens), np.nanmax(np.abs(values))
    heatmap = go.Heatmap(
        z=values,
        colorscale=colours,
        zmin=0 if colours is SEQUENTIAL else -bound,
        zmax=1 if colours is SEQUENTIAL else bound,
        showscale=False,
        xgap=1,
        ygap=1,
        texttemplate=f"%{{z:{digits}}}" if count <= READABLE else None,
        textfont_size=12,
        customdata=np.array([[(query, key) for key in labels] for query in labels]),
        hovertemplate=f"query %{{customdata[0]}} · key %{{customdata[1]}}<br>{name} %{{z:.4f}}<extra></extra>",
        hoverongaps=False,
    )
    # Positions, not words, are the coordinates: the same word may stand in a prompt twice.
    words = {
        "tickvals": list(range(count)),
        "ticktext": labels,
        "tickfont_size": 14,
        "showgrid": False,
        "zeroline": False,
    }
    return go.Figure(heatmap).update_layout(
        title=title,
        xaxis={"tickangle": -60, **words},
        yaxis={"autorange": "reversed", **words},
        height=170 + max(200, 22 * count),
        margin={"l": 10, "r": 10, "t": 45, "b": 10},
    )


def row(
    tokens: Sequence[str], products: np.ndarray, scores: np.ndarray, pattern: np.ndarray, query: int
) -> pd.DataFrame:
    """One query's row (T,) of each of the three steps in numbers, a line for each key; None is masked."""
    future = np.arange(len(tokens)) > query
    return pd.DataFrame(
        {
            "key": visible(tokens),
            "q·k": products[query],
            "÷ √D": np.where(future, np.nan, scores[query]),
            "weight": np.where(future, np.nan, pattern[query]),
        }
    )
