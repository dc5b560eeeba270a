"""Matrices whose numbers are to be read."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from viz.tokens import visible

TEXT_SIZES = {8: 14, 12: 12, 16: 10}  # of the numbers in the cells, up to so many tokens; beyond, hover shows them
DIVERGING = [[0, "#c2410c"], [0.5, "#f4f1ea"], [1, "#1d4ed8"]]
SEQUENTIAL = [[0, "#f4f1ea"], [1, "#6d28d9"]]


def steps(tokens: Sequence[str], products: np.ndarray, scores: np.ndarray, pattern: np.ndarray) -> go.Figure:
    """Three steps of one head side by side, each (T, T): q.k, divided by sqrt(D) and masked, softmax.

    Rows are queries, columns keys. What the mask removes is left empty in the second and third
    matrix; the first shows it, since it was computed all the same.
    """
    count = len(tokens)
    future = np.triu(np.ones((count, count), bool), 1)
    matrices = {
        "1 · query · key": (products, "q·k", DIVERGING, ".1f"),
        "2 · divided by √D, future masked": (np.where(future, np.nan, scores), "score", DIVERGING, ".1f"),
        "3 · softmax of each row": (np.where(future, np.nan, pattern), "weight", SEQUENTIAL, ".2f"),
    }
    labels = visible(tokens)
    size = next((size for most, size in TEXT_SIZES.items() if count <= most), None)
    figure = make_subplots(1, 3, subplot_titles=list(matrices), shared_yaxes=True, horizontal_spacing=0.03)
    for column, (values, name, colours, digits) in enumerate(matrices.values(), 1):
        bound = np.nanmax(np.abs(values))
        figure.add_heatmap(
            z=values,
            colorscale=colours,
            zmin=0 if colours is SEQUENTIAL else -bound,
            zmax=1 if colours is SEQUENTIAL else bound,
            showscale=False,
            xgap=1,
            ygap=1,
            texttemplate=f"%{{z:{digits}}}" if size else None,
            textfont_size=size,
            customdata=np.array([[(query, key) for key in labels] for query in labels]),
            hovertemplate=f"query %{{customdata[0]}} · key %{{customdata[1]}}<br>{name} %{{z:.4f}}<extra></extra>",
            hoverongaps=False,
            row=1,
            col=column,
        )
    # Positions, not words, are the coordinates: the same word may stand in a prompt twice.
    words = {"tickvals": list(range(count)), "ticktext": labels, "tickfont_size": 14, "showgrid": False}
    figure.update_xaxes(tickangle=-60, **words)
    figure.update_yaxes(autorange="reversed", **words)
    figure.update_layout(height=170 + max(220, 28 * count), margin=dict(l=10, r=10, t=40, b=10))
    return figure
