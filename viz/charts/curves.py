"""Line charts: values by position, by distance, by angle, and several curves in one chart."""

import math
from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd

from viz.tokens import visible

LINE, MARK = "#0d9488", "#d97706"  # both contrast with white and black
TEXT = {"light": "#92400e", "dark": "#fbbf24"}  # of what is written beside a mark, by theme
# Each of several curves has a color and a dash of its own.
COLORS = ["#0d9488", "#d97706", "#db2777", "#7c3aed", "#64748b"]
DASHES = [[1, 0], [8, 3], [2, 2], [10, 3, 2, 3], [4, 4]]
HEIGHT, HIGH = 260, 400  # with the axes


def wave(values: np.ndarray, tokens: Sequence[str], name: str) -> alt.LayerChart:
    """A line through one value at each position (N), with a dot at each of the T <= N tokens."""
    every = pd.DataFrame({"position": range(len(values)), "value": values})
    read = every.head(len(tokens)).assign(token=visible(tokens))
    x, y = alt.X("position:Q", title="position"), alt.Y("value:Q", title=name)
    shown = [alt.Tooltip("token:N"), alt.Tooltip("position:Q"), alt.Tooltip("value:Q", title=name, format=".4f")]
    line = alt.Chart(every).mark_line(color=LINE).encode(x, y)
    dots = alt.Chart(read).mark_circle(color=MARK, size=60, opacity=1).encode(x, y, tooltip=shown)
    return (line + dots).properties(height=HEIGHT)


def by_distance(spread: np.ndarray, rise: int | None, name: str, theme: str = "light") -> alt.LayerChart:
    """The mean, least and largest value (N, 3) at each distance, and a mark where the mean first rises."""
    frame = pd.DataFrame(spread, columns=["mean", "least", "largest"]).rename_axis("distance").reset_index()
    marked = frame.iloc[[] if rise is None else [rise]].assign(label=f"first rise: {rise}")
    x, y = alt.X("distance:Q", title="distance, in tokens"), alt.Y("mean:Q", title=name)
    shown = [
        alt.Tooltip("distance:Q"),
        *(alt.Tooltip(f"{name}:Q", format=".3f") for name in ("mean", "least", "largest")),
    ]
    band = alt.Chart(frame).mark_area(color=LINE, opacity=0.2)
    line = alt.Chart(frame).mark_line(color=LINE, point=alt.OverlayMarkDef(opacity=0, size=80))
    dot = alt.Chart(marked).mark_circle(color=MARK, size=90, opacity=1)
    text = alt.Chart(marked).mark_text(color=TEXT[theme], align="left", dx=8, dy=-12, fontSize=14)
    return (
        band.encode(x, alt.Y("least:Q", title=name), alt.Y2("largest"))
        + line.encode(x, y, tooltip=shown)
        + dot.encode(x, y)
        + text.encode(x, y, alt.Text("label:N"))
    ).properties(height=HEIGHT)


def clock(points: np.ndarray, name: str, theme: str = "light") -> alt.LayerChart:
    """The end (T, 2) of a hand of a clock at each position; the first hand is drawn as a line from the center."""
    radius = float(np.hypot(*points.T).max()) or 1.0
    scale = alt.Scale(domain=[-1.4 * radius, 1.4 * radius])
    x, y, order = alt.X("x:Q", scale=scale, axis=None), alt.Y("y:Q", scale=scale, axis=None), alt.Order("order:Q")
    turn = np.linspace(0, 2 * math.pi, 73)
    rim = pd.DataFrame({"x": radius * np.cos(turn), "y": radius * np.sin(turn), "order": turn})
    first = pd.DataFrame([[0, 0, 0], [*points[0], 1]], columns=["x", "y", "order"])
    every = pd.DataFrame(points, columns=["x", "y"]).rename_axis("position").reset_index()
    color = alt.Color("position:Q", scale=alt.Scale(range=[LINE, MARK]), legend=None)
    shown = [alt.Tooltip("position:Q"), alt.Tooltip("x:Q", format=".3f"), alt.Tooltip("y:Q", format=".3f")]
    text = alt.Chart(pd.DataFrame({"name": [name]})).mark_text(fontSize=14, color=TEXT[theme])
    return (
        alt.Chart(rim).mark_line(color="#94a3b8", strokeWidth=1).encode(x, y, order)
        + alt.Chart(first).mark_line(color=LINE).encode(x, y, order)
        + alt.Chart(every).mark_circle(size=70, opacity=1).encode(x, y, color, tooltip=shown)
        + text.encode(alt.XValue(80), alt.YValue(8), alt.Text("name:N"))
    ).properties(width=160, height=160, padding={side: 5 for side in ("left", "top", "right", "bottom")})


def several(
    curves: Mapping[str, Sequence[float]],
    x: str,
    y: str,
    *,
    start: int = 0,
    doubled: Sequence[int] = (),
    picked: str = "",
) -> alt.Chart:
    """A line for each name, each in its own color and dash; the picked one is bolder.

    The values of x count from `start`; or they are `doubled`, each twice the one before, on a logarithmic axis.
    """
    names = list(curves)
    parts = [
        pd.DataFrame({"x": doubled or range(start, start + len(values)), "y": values, "name": name})
        for name, values in curves.items()
    ]
    axis = alt.Axis(values=list(doubled)) if doubled else alt.Axis(tickMinStep=1)
    scale = alt.Scale(type="log", base=2) if doubled else alt.Scale()
    count = len(COLORS)  # each name has its own of the 25 pairs
    colors, dashes = zip(*((COLORS[n % count], DASHES[(n + n // count) % count]) for n in range(len(names))))
    columns = 3 if max(map(len, names)) < 12 else 1
    legend = alt.Legend(title=None, orient="top", symbolSize=300, columns=columns)
    wide = [4 if name == picked else 2 for name in names]
    return (
        alt.Chart(pd.concat(parts))
        .mark_line()
        .encode(
            alt.X("x:Q", title=x, axis=axis, scale=scale),
            alt.Y("y:Q", title=y, scale=alt.Scale(zero=False)),
            alt.Color("name:N", scale=alt.Scale(domain=names, range=list(colors)), legend=legend),
            alt.StrokeDash("name:N", scale=alt.Scale(domain=names, range=list(dashes)), legend=legend),
            alt.StrokeWidth("name:N", scale=alt.Scale(domain=names, range=wide), legend=None),
            tooltip=[alt.Tooltip("name:N"), alt.Tooltip("x:Q", title=x), alt.Tooltip("y:Q", title=y, format=".3f")],
        )
        .properties(height=HIGH)
    )


def activation(
    x: np.ndarray,
    y: np.ndarray,
    relu: np.ndarray,
    read: np.ndarray,
    active: np.ndarray,
    theme: str = "light",
    name: str = "GELU",
    lowest_shown: float = -0.5,
) -> alt.LayerChart:
    """An activation function beside ReLU at x, its lowest point, and each neuron as a dot: its input and its output.

    What lies below `lowest_shown`, or above the largest x, is drawn at the edge.
    """
    curves = {name: y, "ReLU": relu}
    frame = pd.concat([pd.DataFrame({"x": x, "y": y, "name": name}) for name, y in curves.items()])
    legend = alt.Legend(title=None, orient="top", symbolSize=300)
    lines = alt.Chart(frame).mark_line(strokeWidth=2.5, clip=True)
    lowest = y.argmin()
    mark = alt.Chart(
        pd.DataFrame({"x": [x[lowest]], "y": [y[lowest]], "label": [f"lowest: {y[lowest]:.4f} at {x[lowest]:.4f}"]})
    )
    ends = [float(x[0]), float(x[-1])]
    horizontal = alt.X("x:Q", title="what a neuron reads", scale=alt.Scale(domain=ends, clamp=True))
    vertical = alt.Y("y:Q", title="what it passes on", scale=alt.Scale(domain=[lowest_shown, ends[1]], clamp=True))
    neurons = pd.DataFrame({"x": read, "y": active, "neuron": range(len(read))})
    shown = [alt.Tooltip("neuron:O"), alt.Tooltip("x:Q", title="reads", format=".4f")]
    shown += [alt.Tooltip("y:Q", title="passes on", format=".4f")]
    return (
        lines.encode(
            horizontal,
            vertical,
            alt.Color("name:N", scale=alt.Scale(domain=list(curves), range=[LINE, COLORS[-1]]), legend=legend),
            alt.StrokeDash("name:N", scale=alt.Scale(domain=list(curves), range=DASHES[:2]), legend=legend),
        )
        + alt.Chart(neurons).mark_circle(color=MARK, size=30, opacity=0.3).encode(horizontal, vertical, tooltip=shown)
        + mark.mark_text(color=TEXT[theme], dy=16, fontSize=14).encode(horizontal, vertical, alt.Text("label:N"))
    ).properties(height=HIGH)


def smooth(values: Sequence[float], width: int, border: int) -> np.ndarray:
    """A moving average over `width` values (fewer at the ends), computed on each side of the border alone."""
    series = pd.Series(values, dtype=float)
    side = np.arange(len(series)) < border
    return (
        series.groupby(side).transform(lambda part: part.rolling(width, center=True, min_periods=1).mean()).to_numpy()
    )


def beyond(
    curves: Mapping[str, Sequence[float]], border: int, width: int, picked: str, theme: str = "light"
) -> alt.LayerChart:
    """The loss at each position, counted from 1, smoothed over `width`, and a rule after the last trained position."""
    smoothed = {name: smooth(values, width, border) for name, values in curves.items()}
    lines = several(smoothed, "position", "loss, in nats", start=1, picked=picked)
    rule = alt.Chart(pd.DataFrame({"x": [border + 0.5], "label": [f"trained up to {border}"]}))
    text = rule.mark_text(color=TEXT[theme], align="right", dx=-6, fontSize=14)
    x = alt.X("x:Q")
    return (
        lines
        + rule.mark_rule(color=MARK, strokeWidth=2).encode(x)
        + text.encode(x, alt.YValue(12), alt.Text("label:N"))
    )
