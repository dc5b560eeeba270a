"""Words as points of a plane; one unit is equally long in both directions, so that distances are true."""

from collections.abc import Sequence
from html import escape

import numpy as np
import plotly.graph_objects as go

from viz.charts.bars import INK, OTHER, TYPED
from viz.tokens import plotted

# The look of a point by its role: color, symbol and size, and the size of its name. The first roles place names first.
LOOKS = {
    "typed": (TYPED, "square", 13, 19),
    "sum": ("#0d9488", "x", 13, 19),
    "nearest": (OTHER, "diamond", 11, 17),
    "listed": ("#64748b", "circle", 8, 14),
}
WIDE, HIGH = 640, 400  # of the plane, in pixels, where names are placed; it is drawn about as wide
LETTER, LINE = 0.55, 1.3  # the width and the height of a letter, in sizes of its font
MARK, GAP = 6, 8  # from a point to the edge of its mark, and to its name, in pixels
PLACES = {  # of a name about its point: whether left or right of it, below or above
    "top center": (0, 1),
    "bottom center": (0, -1),
    "middle right": (1, 0),
    "middle left": (-1, 0),
    "top right": (1, 1),
    "top left": (-1, 1),
    "bottom right": (1, -1),
    "bottom left": (-1, -1),
}


def places(names: Sequence[str], points: np.ndarray, sizes: Sequence[float]) -> list[str | None]:
    """The side of its point (N, 2) at which each name stands so that none covers another; None if there is no room."""
    span = np.maximum(np.ptp(points, axis=0), 1e-9)
    pixels = points * (np.array([WIDE, HIGH]) / span).min()
    taken: list[np.ndarray] = [np.array([*point - MARK, *point + MARK]) for point in pixels]  # left, low, right, high

    def place(name: str, point: np.ndarray, size: float) -> str | None:
        box = np.array([len(name) * LETTER, LINE]) * size
        for where, side in PLACES.items():
            middle = point + np.array(side) * (GAP + box / 2)
            corners = np.array([*middle - box / 2, *middle + box / 2])
            free = ((corners[:2] >= other[2:]) | (corners[2:] <= other[:2]) for other in taken)
            if all(apart.any() for apart in free):
                taken.append(corners)
                return where
        return None

    return [place(*name) for name in zip(names, pixels, sizes, strict=True)]


PLAIN = {"showticklabels": False, "zeroline": False, "showgrid": False}  # an axis without marks
ARROW = {"arrowhead": 3, "arrowwidth": 2.5, "arrowcolor": LOOKS["sum"][0], "standoff": 7, "startstandoff": 7}


def words(
    names: Sequence[str],
    points: np.ndarray,
    roles: Sequence[str],
    axes: tuple[str, str],
    arrows: Sequence[tuple[int, int]] = (),
    theme: str = "light",
) -> go.Figure:
    """The points (N, 2) with their names, each drawn as its role in LOOKS says; arrows from one to another.

    A name for which there is no room is shown on hover only.
    """
    figure, ranks = go.Figure(), list(LOOKS)
    labels = [name if role == "sum" else plotted([name])[0] for name, role in zip(names, roles, strict=True)]
    order = sorted(range(len(names)), key=lambda n: ranks.index(roles[n]))
    stand = places([names[n] for n in order], points[order], [LOOKS[roles[n]][3] for n in order])
    for n, where in zip(order[::-1], stand[::-1]):
        color, symbol, size, font = LOOKS[roles[n]]
        figure.add_scatter(
            x=points[n : n + 1, 0],
            y=points[n : n + 1, 1],
            text=labels[n],
            mode="markers+text" if where else "markers",
            textposition=where or "top center",
            textfont={"size": font, "color": INK[theme]},
            marker={"color": color, "symbol": symbol, "size": size},
            cliponaxis=False,
            hovertemplate="%{text}<br>%{x:.2f}, %{y:.2f}<extra></extra>",
        )
    for tail, head in arrows:
        (x0, y0), (x1, y1) = points[tail], points[head]
        ends = {"x": x1, "y": y1, "ax": x0, "ay": y0, "axref": "x", "ayref": "y"}
        figure.add_annotation(text="", showarrow=True, **ends, **ARROW)
    return figure.update_layout(
        xaxis={"title": escape(axes[0][:120], quote=False), **PLAIN},
        yaxis={"title": escape(axes[1][:120], quote=False), "scaleanchor": "x", **PLAIN},
        height=470,
        margin={"l": 5, "r": 5, "t": 25, "b": 5},
        showlegend=False,
    )
