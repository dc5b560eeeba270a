"""Bars: words in their order, how often a number came, and what parts add or take."""

from collections.abc import Collection, Sequence

import altair as alt
import pandas as pd

from viz.tokens import visible

TYPED, OTHER = "#d97706", "#7c3aed"  # words of the question, and all others; both can be told from white and black
ADDS, TAKES = "#0f766e", "#b45309"  # the two ends of the diverging scale
INK = {"light": "#1f1b2e", "dark": "#f1eff7"}  # of letters, by theme


def ranked(
    words: Sequence[str], cosines: Sequence[float], typed: Collection[str], theme: str = "light"
) -> alt.LayerChart:
    """A bar for each word, as long as its cosine, in their order; those that were typed in another colour."""
    frame = pd.DataFrame({"word": visible(words), "cosine": cosines, "typed": [word in typed for word in words]})
    axis = alt.Axis(labelFontSize=16, labelColor=INK[theme], labelLimit=140, ticks=False, domain=False)
    y = alt.Y("word:N", sort=visible(words), title=None, axis=axis)
    # The whole width but a third, which is room for the numbers, is a cosine of 1.
    x = alt.X("cosine:Q", scale=alt.Scale(domain=[min(0, *cosines), 1.33]), axis=None)
    colour = alt.condition("datum.typed", alt.value(TYPED), alt.value(OTHER))
    every = alt.Chart(frame).encode(y, x)
    bars = every.mark_bar(height={"band": 0.7}).encode(color=colour)
    numbers = every.mark_text(align="left", dx=4, fontSize=14, color=INK[theme])
    return (bars + numbers.encode(text=alt.Text("cosine:Q", format=".2f"))).properties(height=32 * len(words))


def counted(ranks: Sequence[int], most: int, theme: str = "light") -> alt.LayerChart:
    """How often each rank from 1 to `most` came; the first one has a colour of its own."""
    frame = pd.DataFrame({"rank": range(1, most + 1), "times": [ranks.count(n) for n in range(1, most + 1)]})
    x = alt.X("rank:O", axis=alt.Axis(labelAngle=0), title="rank of queen")
    y = alt.Y("times:Q", scale=alt.Scale(domain=[0, len(ranks)]), title="trainings")
    colour = alt.condition("datum.rank == 1", alt.value("#0d9488"), alt.value("#94a3b8"))
    every = alt.Chart(frame).encode(x, y)
    numbers = every.transform_filter("datum.times > 0").mark_text(dy=-8, fontSize=14, color=INK[theme])
    return (every.mark_bar().encode(color=colour) + numbers.encode(text="times:Q")).properties(height=220)


def signed(names: Sequence[str], values: Sequence[float], unit: str, theme: str = "light") -> alt.LayerChart:
    """A bar for each part, in their order, to the right where it adds and to the left where it takes."""
    frame = pd.DataFrame({"part": names, "value": values})
    room = 0.2 * max(1e-6, *map(abs, values))  # for the numbers
    ends = [min(0, *values) - room * (min(values) < 0), max(0, *values) + room]
    axis = alt.Axis(labelFontSize=14, labelColor=INK[theme], labelLimit=170, ticks=False, domain=False)
    every = alt.Chart(frame).encode(
        alt.Y("part:N", sort=list(names), title=None, axis=axis),
        alt.X("value:Q", scale=alt.Scale(domain=ends), axis=None),
        tooltip=[alt.Tooltip("part:N"), alt.Tooltip("value:Q", title=unit, format="+.4f")],
    )
    colour = alt.condition("datum.value < 0", alt.value(TAKES), alt.value(ADDS))
    number = alt.Text("value:Q", format="+.2f")
    look = {"fontSize": 13, "color": INK[theme]}
    adds = every.transform_filter("datum.value >= 0").mark_text(align="left", dx=4, **look).encode(text=number)
    takes = every.transform_filter("datum.value < 0").mark_text(align="right", dx=-4, **look).encode(text=number)
    height = (26 if len(names) < 20 else 19) * len(names)
    return (every.mark_bar(height={"band": 0.75}).encode(color=colour) + adds + takes).properties(height=height)
