"""Bars: words in their order, and how often a number came."""

from collections.abc import Collection, Mapping, Sequence

import altair as alt
import pandas as pd

from viz.tokens import visible

TYPED, OTHER = "#d97706", "#7c3aed"  # words of the question, and all others; both can be told from white and black
RUNS = ["#94a3b8", "#7c3aed", "#0d9488"]  # of several runs: the one that the others start from is grey
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


def compared(words: Sequence[str], runs: Mapping[str, Sequence[float]], theme: str = "light") -> alt.LayerChart:
    """For each word a bar of its probability in each of some runs, on a scale from 0 to 1, with the numbers."""
    names = list(runs)
    frame = pd.DataFrame(
        [
            {"word": word, "run": name, "probability": share, "text": f"{share:.1%}" if share >= 0.001 else "< 0.1%"}
            for name, shares in runs.items()
            for word, share in zip(words, shares, strict=True)
        ]
    )
    axis = alt.Axis(labelFontSize=16, labelColor=INK[theme], labelLimit=240, ticks=False, domain=False)
    y = alt.Y("word:N", sort=list(words), title=None, axis=axis)
    x = alt.X("probability:Q", scale=alt.Scale(domain=[0, 1.3]), axis=None)  # behind 1 is room for the numbers
    every = alt.Chart(frame).encode(y, x, alt.YOffset("run:N", sort=names))
    alone = len(names) == 1
    legend = alt.Legend(orient="top", title=None, labelFontSize=15, labelColor=INK[theme], symbolType="square")
    scale = alt.Scale(domain=names, range=[OTHER] if alone else RUNS[: len(names)])
    colour = alt.Color("run:N", scale=scale, sort=names, legend=None if alone else legend)
    bars = every.mark_bar(height={"band": 0.85}).encode(
        colour, tooltip=["run:N", "word:N", alt.Tooltip("probability:Q", format=".5f")]
    )
    numbers = every.mark_text(align="left", dx=4, fontSize=13, color=INK[theme]).encode(text="text:N")
    return (bars + numbers).properties(height=max(30, 20 * len(names)) * len(words) + (0 if alone else 50))
