"""Bars: words in their order, one guess beside another, and how often a number came."""

from collections.abc import Collection, Mapping, Sequence

import altair as alt
import pandas as pd

from viz.tokens import visible

TYPED, OTHER = "#d97706", "#7c3aed"  # words of the question, and all others; both can be told from white and black
INK = {"light": "#1f1b2e", "dark": "#f1eff7"}  # of letters, by theme
BESIDE = ["#d97706", "#0d9488", "#94a3b8"]  # one guess, another, and the truth
Guess = tuple[float, int | None] | None  # the probability of a word, and its rank; None where it is several tokens


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


def beside(words: Sequence[str], guesses: Mapping[str, Sequence[Guess]], theme: str = "light") -> alt.LayerChart:
    """For each word a bar of each guess, one under the other, as long as its probability; and its rank in words."""
    names = list(guesses)
    rows = [
        {
            # Two tokens may look alike: the number tells them apart, and is not shown.
            "word": f"{n:02} {word}",
            "whose": name,
            "probability": guess[0] if guess else 0,
            "told": f"{name} {_told(guess)}",
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
    numbers = every.mark_text(align="left", dx=4, fontSize=13, color=INK[theme]).encode(text="told:N")
    return (bars + numbers).properties(height=(18 * len(names) + 8) * len(words))


def _told(guess: Guess) -> str:
    if guess is None:
        return "several tokens"
    probability, rank = guess
    return f"{probability:.1%}" + (f", #{rank:,}" if rank else "")


def counted(ranks: Sequence[int], most: int, theme: str = "light") -> alt.LayerChart:
    """How often each rank from 1 to `most` came; the first one has a colour of its own."""
    frame = pd.DataFrame({"rank": range(1, most + 1), "times": [ranks.count(n) for n in range(1, most + 1)]})
    x = alt.X("rank:O", axis=alt.Axis(labelAngle=0), title="rank of queen")
    y = alt.Y("times:Q", scale=alt.Scale(domain=[0, len(ranks)]), title="trainings")
    colour = alt.condition("datum.rank == 1", alt.value("#0d9488"), alt.value("#94a3b8"))
    every = alt.Chart(frame).encode(x, y)
    numbers = every.transform_filter("datum.times > 0").mark_text(dy=-8, fontSize=14, color=INK[theme])
    return (every.mark_bar().encode(color=colour) + numbers.encode(text="times:Q")).properties(height=220)
