"""Bar charts: cosines, histograms, shares of a whole, probabilities side by side, counts, and signed contributions."""

from collections.abc import Collection, Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd

from viz.numbers import decimal
from viz.percent import percent
from viz.tokens import visible

TYPED, OTHER = "#d97706", "#7c3aed"  # words of the question, and all others; both contrast with white and black
# Embeddings teal, attention violet, MLP orange; the head is like the embeddings, which it may be.
PARTS = ["#0d9488", "#7dd3c8", "#7c3aed", "#d97706", "#64748b", "#115e59"]
RUNS = ["#94a3b8", "#7c3aed", "#0d9488"]  # of several runs: the one that the others start from is gray
ADDS, TAKES = "#0f766e", "#b45309"  # the two ends of the diverging scale
INK = {"light": "#1f1b2e", "dark": "#f1eff7"}  # of letters, by theme
BESIDE = ["#d97706", "#0d9488", "#94a3b8"]  # one guess, another, and the truth
Guess = tuple[float, int | None] | None  # the probability of a word, and its rank; None where it is several tokens


def ranked(
    words: Sequence[str], cosines: Sequence[float], typed: Collection[str], theme: str = "light"
) -> alt.LayerChart:
    """A bar for each word in the given order, as long as its cosine; typed words have a color of their own."""
    frame = pd.DataFrame({"word": visible(words), "cosine": cosines, "typed": [word in typed for word in words]})
    axis = alt.Axis(labelFontSize=16, labelColor=INK[theme], labelLimit=140, ticks=False, domain=False)
    y = alt.Y("word:N", sort=visible(words), title=None, axis=axis)
    # The whole width but a third, which is room for the numbers, is a cosine of 1.
    x = alt.X("cosine:Q", scale=alt.Scale(domain=[min(0, *cosines), 1.33]), axis=None)
    color = alt.condition("datum.typed", alt.value(TYPED), alt.value(OTHER))
    every = alt.Chart(frame).encode(y, x)
    bars = every.mark_bar(height={"band": 0.7}).encode(color=color)
    numbers = every.mark_text(align="left", dx=4, fontSize=14, color=INK[theme])
    return (bars + numbers.encode(text=alt.Text("cosine:Q", format=".2f"))).properties(height=32 * len(words))


def spread(name: str, values: np.ndarray, theme: str = "light") -> alt.Chart:
    """A histogram of the numbers of a vector, with their mean and standard deviation."""
    counts, edges = np.histogram(values, bins=40)
    frame = pd.DataFrame({"from": edges[:-1], "to": edges[1:], "numbers": counts})
    summary = f"mean {decimal(values.mean())}, standard deviation {decimal(values.std())}"
    return (
        alt.Chart(frame, title=alt.Title([name, summary], fontSize=15, color=INK[theme], anchor="start"))
        .mark_bar(color=OTHER, binSpacing=0)
        .encode(
            alt.X("from:Q", bin="binned", title=None),
            alt.X2("to"),
            alt.Y("numbers:Q", title=None),
            tooltip=[*(alt.Tooltip(f"{edge}:Q", format=".3f") for edge in ("from", "to")), "numbers:Q"],
        )
        .properties(height=150, width=230)
    )


def shares(rows: Mapping[str, Mapping[str, int]], picked: str, theme: str = "light") -> alt.LayerChart:
    """A stacked bar for each name: the share of each part in its whole, from counts. The picked bar has a frame."""
    parts = [
        {"name": name, "part": part, "count": count, "total": sum(counts.values())}
        for name, counts in rows.items()
        for part, count in counts.items()
    ]
    frame = pd.DataFrame(parts)
    frame["index"] = range(len(frame))
    frame["share"] = frame["count"] / frame["total"]
    frame["percent"] = frame["share"].map(percent)
    names = list(dict.fromkeys(frame["part"]))
    axis = alt.Axis(labelFontSize=15, labelColor=INK[theme], labelLimit=220, ticks=False, domain=False)
    y = alt.Y("name:N", sort=list(rows), title=None, axis=axis)
    bars = (
        alt.Chart(frame)
        .mark_bar(stroke=None)
        .encode(
            y,
            alt.X(
                "share:Q",
                stack="zero",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(labelExpr="format(100 * datum.value, 'd') + ' %'", title=None),
            ),
            alt.Color(
                "part:N",
                sort=names,
                scale=alt.Scale(domain=names, range=PARTS),
                legend=alt.Legend(title=None, orient="top", labelFontSize=14, columns=3),
            ),
            alt.Order("index:Q"),
            tooltip=["name:N", "part:N", alt.Tooltip("count:Q", format=","), alt.Tooltip("percent:N", title="share")],
        )
    )
    frames = alt.Chart(pd.DataFrame({"name": [picked], "from": [0], "to": [1]})).mark_bar(
        fillOpacity=0, stroke=INK[theme], strokeWidth=3
    )
    return (bars + frames.encode(y, alt.X("from:Q"), alt.X2("to"))).properties(height=38 * len(rows) + 60)


def beside(words: Sequence[str], guesses: Mapping[str, Sequence[Guess]], theme: str = "light") -> alt.LayerChart:
    """For each word a bar for each guess, one under the other, as long as its probability, with its rank."""
    names = list(guesses)
    rows = [
        {
            # Two tokens may look alike: the number tells them apart, and is not shown.
            "word": f"{n:02} {word}",
            "whose": name,
            "probability": guess[0] if guess else 0,
            "caption": f"{name} {_label(guess)}",
        }
        for name in names
        for n, (word, guess) in enumerate(zip(visible(words), guesses[name], strict=True))
    ]
    axis = alt.Axis(
        labelExpr="slice(datum.label, 3)", labelFontSize=16, labelColor=INK[theme], labelLimit=140, ticks=False
    )
    scale = alt.Scale(domain=names, range=BESIDE[: len(names)])
    every = alt.Chart(pd.DataFrame(rows)).encode(
        # The whole width but two fifths, which are room for the numbers, is a probability of 1.
        alt.X("probability:Q", scale=alt.Scale(domain=[0, 1.7]), axis=None),
        alt.Y("word:N", title=None, axis=axis),
        yOffset=alt.YOffset("whose:N", sort=names),
    )
    bars = every.mark_bar(height={"band": 0.85}).encode(color=alt.Color("whose:N", scale=scale, legend=None))
    numbers = every.mark_text(align="left", dx=4, fontSize=13, color=INK[theme]).encode(text="caption:N")
    return (bars + numbers).properties(height=(18 * len(names) + 8) * len(words))


def _label(guess: Guess) -> str:
    """The probability of a guess and its rank."""
    if guess is None:
        return "several tokens"
    probability, rank = guess
    return percent(probability) + (f", #{rank:,}" if rank else "")


def counted(ranks: Sequence[int], most: int, theme: str = "light") -> alt.LayerChart:
    """The count of each rank from 1 to `most`; rank 1 has a color of its own."""
    frame = pd.DataFrame({"rank": range(1, most + 1), "times": [ranks.count(n) for n in range(1, most + 1)]})
    x = alt.X("rank:O", axis=alt.Axis(labelAngle=0), title="rank of queen")
    y = alt.Y("times:Q", scale=alt.Scale(domain=[0, len(ranks)]), title="trainings")
    color = alt.condition("datum.rank == 1", alt.value("#0d9488"), alt.value("#94a3b8"))
    every = alt.Chart(frame).encode(x, y)
    numbers = every.transform_filter("datum.times > 0").mark_text(dy=-8, fontSize=14, color=INK[theme])
    return (every.mark_bar().encode(color=color) + numbers.encode(text="times:Q")).properties(height=220)


def compared(words: Sequence[str], runs: Mapping[str, Sequence[float]], theme: str = "light") -> alt.LayerChart:
    """For each word a bar of its probability in each run, on a scale from 0 to 1, with the numbers."""
    names = list(runs)
    frame = pd.DataFrame(
        [
            {"word": word, "run": name, "probability": share, "text": percent(share)}
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
    color = alt.Color("run:N", scale=scale, sort=names, legend=None if alone else legend)
    bars = every.mark_bar(height={"band": 0.85}).encode(
        color, tooltip=["run:N", "word:N", alt.Tooltip("probability:Q", format=".5f")]
    )
    numbers = every.mark_text(align="left", dx=4, fontSize=13, color=INK[theme]).encode(text="text:N")
    return (bars + numbers).properties(height=max(30, 20 * len(names)) * len(words) + (0 if alone else 50))


def signed(names: Sequence[str], values: Sequence[float], unit: str, theme: str = "light") -> alt.LayerChart:
    """A bar for each part in the given order: to the right if its value is positive, to the left if negative."""
    frame = pd.DataFrame({"part": names, "value": values})
    room = 0.2 * max(1e-6, *map(abs, values))  # for the numbers
    ends = [min(0, *values) - room * (min(values) < 0), max(0, *values) + room]
    step = 26 if len(names) < 20 else 19
    axis = alt.Axis(
        labelFontSize=14 if step > 20 else 12,
        labelColor=INK[theme],
        labelLimit=170,
        labelOverlap=False,
        ticks=False,
        domain=False,
    )
    every = alt.Chart(frame).encode(
        alt.Y("part:N", sort=list(names), title=None, axis=axis),
        alt.X("value:Q", scale=alt.Scale(domain=ends), axis=None),
        tooltip=[alt.Tooltip("part:N"), alt.Tooltip("value:Q", title=unit, format="+.4f")],
    )
    color = alt.condition("datum.value < 0", alt.value(TAKES), alt.value(ADDS))
    number = alt.Text("value:Q", format="+.2f")
    look = {"fontSize": 13, "color": INK[theme]}
    adds = every.transform_filter("datum.value >= 0").mark_text(align="left", dx=4, **look).encode(text=number)
    takes = every.transform_filter("datum.value < 0").mark_text(align="right", dx=-4, **look).encode(text=number)
    drawn_bars = every.mark_bar(height={"band": 0.75}).encode(color=color)
    return (drawn_bars + adds + takes).properties(height=step * len(names))
