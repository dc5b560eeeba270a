"""Heat maps: matrices whose numbers can be read, and maps of heads and positions that can be clicked."""

from collections.abc import Collection, Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd
import plotly.graph_objects as go

from viz.charts.bars import INK
from viz.numbers import decimal
from viz.tokens import plotted, visible

READABLE, SMALL = 8, 5  # tokens up to which numbers fit into the cells of a matrix, and of a small one
ROW = 20  # tokens up to which whole numbers fit
FRAME = "#d97706"  # around heads that a paper names
NOTHING = {"light": "#f3f1f6", "dark": "#262233"}  # the color of zero, by theme


def steps(
    tokens: Sequence[str], products: np.ndarray, scores: np.ndarray, pattern: np.ndarray, theme: str = "light"
) -> list[go.Figure]:
    """The three steps of one attention head, each (T, T): q·k, divided by √D and masked, softmax.

    Rows are queries, columns keys. Masked cells are empty in the second and third matrix; the first shows them, since
    they are computed before the mask.
    """
    future = np.triu(np.ones((len(tokens), len(tokens)), bool), 1)
    diverging, sequential = _diverging(theme), _sequential(theme)
    masked, weights = np.where(future, np.nan, scores), np.where(future, np.nan, pattern)
    return [
        _matrix("1 · query · key", "q·k", tokens, products, diverging, np.abs(products).max(), ".1f"),
        _matrix("2 · ÷ √D, future masked", "score", tokens, masked, diverging, np.nanmax(np.abs(masked)), ".1f"),
        _matrix("3 · softmax of each row", "weight", tokens, weights, sequential, 1, ".2f"),
    ]


def patterns(matrices: Mapping[str, tuple[Sequence[str], np.ndarray]], theme: str = "light") -> list[go.Figure]:
    """Attention weights (T, T) between tokens, a matrix for each name; 0 has the color of an empty cell."""
    return [
        _matrix(name, "weight", tokens, weights, _sequential(theme), 1, ".2f", readable=SMALL)
        for name, (tokens, weights) in matrices.items()
    ]


def scores(matrices: Mapping[str, tuple[Sequence[str], np.ndarray]], theme: str = "light") -> list[go.Figure]:
    """Attention scores (T, T) between tokens, a matrix for each name, all on one scale; masked cells are empty."""
    masked = {
        name: np.where(np.tri(len(tokens), dtype=bool), values, np.nan) for name, (tokens, values) in matrices.items()
    }
    bound = max(np.nanmax(np.abs(values)) for values in masked.values())
    return [
        _matrix(name, "score", tokens, masked[name], _diverging(theme), bound, ".1f", readable=SMALL)
        for name, (tokens, _) in matrices.items()
    ]


def heads(scores: np.ndarray, marked: Collection[tuple[int, int]], unit: str, theme: str = "light") -> alt.LayerChart:
    """A map of heads with a number (L, H) each, the marked ones framed; a click is the selection "head"."""
    return _layers(scores, "head", [f"H{head}" for head in range(scores.shape[1])], marked, unit, theme)


def positions(scores: np.ndarray, tokens: Sequence[str], unit: str, theme: str = "light") -> alt.LayerChart:
    """A map of layers and tokens with a number (L, T) each, written if not 0; a click is the selection "position"."""
    names = [f"{n} {token}" for n, token in enumerate(visible(tokens))]
    return _layers(scores, "position", names, (), unit, theme)


def _cells(scores: np.ndarray, field: str, names: Sequence[str], marked: Collection[tuple[int, int]]) -> pd.DataFrame:
    """A row for each cell of a map of layers and named columns (L, N)."""
    return pd.DataFrame(
        [
            {
                "layer": layer,
                field: column,
                "score": score,
                "marked": (layer, column) in marked,
                "name": f"L{layer} {names[column]}",
                "column": names[column],
                "text": decimal(score),
            }
            for layer, row in enumerate(scores.tolist())
            for column, score in enumerate(row)
        ]
    )


AXES = {"labelFontSize": 14, "ticks": False, "domain": False, "labelOverlap": False}  # of a map of layers


def _layers(
    scores: np.ndarray, field: str, names: Sequence[str], marked: Collection[tuple[int, int]], unit: str, theme: str
) -> alt.LayerChart:
    """A map of layers and named columns with a number (L, N) each; a click on a cell is the selection `field`."""
    frame = _cells(scores, field, names, marked)
    bound = max(1, np.abs(scores).max())
    signed = scores.min() < 0
    colors = [color for _, color in (_diverging if signed else _sequential)(theme)]
    domain = [-bound, 0, bound] if signed else [0, bound]
    picked = alt.selection_point(name=field, fields=["layer", field], on="click", toggle=False, empty=False)
    axes = AXES | {"labelColor": INK[theme]}
    slant = 0 if max(map(len, names)) < 4 else -50
    every = alt.Chart(frame).encode(
        alt.X("column:N", sort=list(names), axis=alt.Axis(orient="top", labelAngle=slant, **axes), title=None),
        alt.Y("layer:O", axis=alt.Axis(labelExpr="'L' + datum.label", **axes), title=None),
        tooltip=[alt.Tooltip("name:N", title=field), alt.Tooltip("score:Q", title=unit, format=".4f")],
    )
    scale = alt.Scale(domain=domain, range=colors, interpolate="rgb")
    cells = every.mark_rect(cursor="pointer", cornerRadius=3).encode(
        color=alt.Color("score:Q", scale=scale, legend=None),
        stroke=alt.condition(picked, alt.value(INK[theme]), alt.value("transparent")),
        strokeWidth=alt.value(2),
    )
    frames = every.transform_filter("datum.marked").mark_rect(
        fillOpacity=0, stroke=FRAME, strokeWidth=4, cornerRadius=3, tooltip=None
    )
    white = f"abs(datum.score) > {0.75 * bound}"  # ink can be read on all paler cells
    numbers = every.mark_text(fontSize=13).encode(
        text="text:N", color=alt.condition(white, alt.value("white"), alt.value(INK[theme]))
    )
    height = (32 if len(scores) < 8 else 22) * len(scores) + (110 if slant else 50)
    if field == "position":
        numbers = numbers.transform_filter("abs(datum.score) >= 0.005")
    return (cells.add_params(picked) + frames + numbers).properties(height=height)


def difference(
    tokens: Sequence[str], a: np.ndarray, b: np.ndarray, first: int, title: str, theme: str = "light"
) -> go.Figure:
    """The difference B − A of two attention patterns (N, N) in %, the rows from `first` on."""
    rows = slice(min(first, len(tokens) - 1), None)
    gained = 100 * np.where(np.tri(len(tokens), dtype=bool), b - a, np.nan)
    figure = _matrix(title, "B − A", tokens, gained, _diverging(theme), 100, "+.0f", readable=0)
    (heatmap,) = figure.data
    shares = 100 * np.stack([a, b], -1)
    heatmap.update(
        z=gained[rows],
        customdata=np.dstack([heatmap.customdata, shares.round(2)])[rows],
        hovertemplate="query %{customdata[0]} · key %{customdata[1]}<br>"
        "A %{customdata[2]} %, B %{customdata[3]} %, B − A %{z:+.2f}<extra></extra>",
    )
    if len(tokens) <= ROW:
        words = [["" if not abs(value) >= 0.5 else f"{value:+.0f}" for value in row] for row in gained[rows]]
        heatmap.update(text=words, texttemplate="%{text}", textfont_size=15 if len(tokens) <= READABLE else 11)
    labels, count = figure.layout.yaxis.ticktext[rows], len(gained[rows])
    return figure.update_layout(
        yaxis={"ticktext": labels, "tickvals": list(range(count))}, height=150 + max(60, 26 * count)
    )


def cosines(words: Sequence[str], values: np.ndarray, theme: str = "light") -> go.Figure:
    """The cosine similarity (N, N) of each two words, from -1 to 1."""
    figure = _matrix("", "cosine", words, values, _diverging(theme), 1, ".2f", readable=12)
    figure.update_traces(hovertemplate="%{customdata[0]} · %{customdata[1]}<br>cosine %{z:.4f}<extra></extra>")
    return figure.update_layout(title=None, margin_t=10)


def vectors(tokens: Sequence[str], values: np.ndarray, step: int = 1, theme: str = "light") -> go.Figure:
    """Vectors (N, C) of every `step`-th position, a row each, on a scale symmetric about 0; the first are of tokens.

    If there are more rows than tokens, the axis shows only some labels; hovering shows each.
    """
    labels = dict(enumerate(plotted(tokens)))
    positions = [f"{n} {labels.get(n, '')}".strip() for n in range(0, step * len(values), step)]
    bound = np.abs(values).max()
    heatmap = go.Heatmap(
        z=values.astype(np.float32),
        y=positions,
        colorscale=_diverging(theme),
        zmin=-bound,
        zmax=bound,
        colorbar={"thickness": 12, "outlinewidth": 0},
        hovertemplate="%{y} · dimension %{x}<br>%{z:.4f}<extra></extra>",
    )
    every = {"dtick": 1} if len(values) <= len(tokens) else {"title": {"text": "position"}}
    layout = {
        "xaxis": {"title": {"text": "dimension"}, "showgrid": False, "zeroline": False},
        "yaxis": {"type": "category", "showgrid": False, "autorange": "reversed", "tickfont": {"size": 14}} | every,
        "height": 80 + max(120, min(22 * len(values), 330)),
        "margin": {"l": 10, "r": 10, "t": 10, "b": 10},
    }
    return go.Figure(heatmap, layout)


def _diverging(theme: str) -> list[list[float | str]]:
    return [[0, "#b45309"], [0.5, NOTHING[theme]], [1, "#0f766e"]]


def _sequential(theme: str) -> list[list[float | str]]:
    return [[0, NOTHING[theme]], [1, "#7c3aed"]]


def _matrix(
    title: str,
    name: str,
    tokens: Sequence[str],
    values: np.ndarray,
    colors: list[list[float | str]],
    bound: float,
    digits: str,
    readable: int = READABLE,
) -> go.Figure:
    count, labels = len(tokens), plotted(tokens)
    heatmap = go.Heatmap(
        z=values,
        colorscale=colors,
        zmin=-bound if len(colors) == 3 else 0,
        zmax=bound,
        showscale=False,
        xgap=1,
        ygap=1,
        texttemplate=f"%{{z:{digits}}}" if count <= readable else None,
        textfont={"size": 12},
        customdata=[[[query, key] for key in labels] for query in labels],
        hovertemplate=f"query %{{customdata[0]}} · key %{{customdata[1]}}<br>{name} %{{z:.4f}}<extra></extra>",
        hoverongaps=False,
    )
    # Positions, not words, are the coordinates: the same word may stand in a prompt twice.
    ticks = {"tickvals": list(range(count)), "ticktext": labels, "tickfont": {"size": 14}}
    words = ticks | {"showgrid": False, "zeroline": False}
    layout = {
        "title": {"text": title},
        "xaxis": {"tickangle": -60, **words},
        "yaxis": {"autorange": "reversed", **words},
        "height": 170 + max(200, 22 * count),
        "margin": {"l": 10, "r": 10, "t": 45, "b": 10},
    }
    return go.Figure(heatmap, layout)  # at once: a layout that is updated later takes three times as long


def row(
    tokens: Sequence[str], products: np.ndarray, scores: np.ndarray, pattern: np.ndarray, query: int
) -> pd.DataFrame:
    """The row of one query in each of the three steps, as a table with a line for each key; masked numbers are NaN."""
    future = np.arange(len(tokens)) > query
    return pd.DataFrame(
        {
            "key": visible(tokens),
            "q·k": products[query].round(2),
            "÷ √D": np.where(future, np.nan, scores[query]).round(3),
            "weight": np.where(future, np.nan, pattern[query]).round(4),
        }
    )
