"""Scale and mask: why scores are divided by √d, and how a mask goes wrong."""

import math

import streamlit as st
import torch

from model.transformer import attention_steps, mask_pitfalls, score_scaling
from pages.shared import components, controls, lesson, prose
from pages.shared.compute import transformer
from viz.charts import curves, heatmaps

PROSE = prose.of(__file__)
# The section on each trap.
EXPLAINED = dict(
    zip(mask_pitfalls.PITFALLS, ("blocked", "no-key", "half-precision", "sqrt", "conventions"), strict=True)
)
DIVIDED, BARE = "divided by √d", "as they are"
CURVES = {
    "spread": "standard deviation of the scores",
    "entropy": "entropy of the weights, in nats",
    "gradient": "length of the gradient",
}


def weights_of_one(width: int, seed: int) -> None:
    """Draw the weights of one query, with the division and without it."""
    scores, keys = score_scaling.random_scores(width, seed)[0], [f"k{n}" for n in range(score_scaling.KEYS)]
    rows = {DIVIDED: scores / math.sqrt(width), BARE: scores}
    st.markdown(f"**One query’s weights** over {score_scaling.KEYS} random keys of {width} numbers each:")
    components.token_bar_rows(
        "one query", {name: (keys, row.softmax(-1).tolist()) for name, row in rows.items()}, full=1
    )


def by_width(width: int, seed: int) -> None:
    """Draw what becomes of scores, weights and gradient as the width grows."""
    measured = {DIVIDED: transformer.softmax_by_width(seed, True), BARE: transformer.softmax_by_width(seed, False)}
    for column, (field, title) in zip(st.columns(3), CURVES.items()):
        values = {name: [getattr(point, field) for point in points] for name, points in measured.items()}
        here, without = (row[score_scaling.WIDTHS.index(width)] for row in values.values())
        sentence, axis = f"**{here:.3g}** divided by √d, **{without:.3g}** as they are", title
        if field == "gradient":
            values = {name: [math.log10(max(value, 1e-30)) for value in row] for name, row in values.items()}
            sentence += " (powers {:.2f} and {:.2f} of ten)".format(
                *(row[score_scaling.WIDTHS.index(width)] for row in values.values())
            )
            axis += ", power of ten"
        with column:
            st.markdown(f"d = {width}, {title}: {sentence}")
            st.altair_chart(curves.several(values, "d", axis, doubled=score_scaling.WIDTHS, picked=DIVIDED))


def untrained(seed: int) -> None:
    """Say how saturated a layer is whose weights were just drawn."""
    (spread, largest), (usual, less) = (score_scaling.untrained_layer(size, seed) for size in (0.1, 512**-0.5))
    st.markdown(
        "Take an untrained layer of width 512 with 8 heads, whose weights are drawn with a standard deviation of 0.1. "
        f"Its scores have a standard deviation of **{spread:.1f}**, even after the division, and the largest of the 10 "
        f"weights of a row is **{largest:.2f}** on average. With 1/√512 instead of 0.1 the two numbers are "
        f"**{usual:.2f}** and **{less:.2f}**."
    )


def trap(seed: int) -> None:
    """Ask for a trap; draw the weights that come of it, and those that should."""
    name = controls.choice("Trap", list(mask_pitfalls.PITFALLS), next(iter(mask_pitfalls.PITFALLS)), key="trap")
    random = torch.Generator().manual_seed(seed)
    outcome = mask_pitfalls.PITFALLS[name](torch.randn(4, 4, generator=random, dtype=torch.double).numpy())
    tokens = attention_steps.WORDS[:4]
    pictures = heatmaps.patterns({way: (tokens, weights) for way, weights in outcome.weights.items()}, controls.theme())
    for n, (column, figure) in enumerate(zip(st.columns(4), pictures)):
        column.plotly_chart(figure, key=f"trap {n}", config=components.NO_TOOLBAR)
    st.caption(
        "All pictures use the same random scores. Rows are queries, columns are keys. The last picture is right. "
        f"An empty cell is NaN. {outcome.note}"
    )
    PROSE.section(EXPLAINED[name])
    lesson.close(
        PROSE, mask_pitfalls.PITFALLS[name], mask_pitfalls.softmax_with_added_mask, mask_pitfalls.causal_softmax
    )


SCALE, MASK = "Why √d", "Mask traps"
with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    lesson.title(PROSE, width="content")
    view = controls.choice("View", [SCALE, MASK], SCALE, key="view", label_visibility="collapsed")
with st.container(horizontal=True, vertical_alignment="bottom"):
    if view == SCALE:
        width = st.select_slider("d", score_scaling.WIDTHS, 64, key="wide", bind="query-params", width=420)
    seed = st.number_input("Seed", 0, 999, 0, key="seed", bind="query-params", width=120)
if view == SCALE:
    weights_of_one(width, seed)
    by_width(width, seed)
    PROSE.section("scaling")
    untrained(seed)
    lesson.close(
        PROSE, score_scaling.random_scores, score_scaling.jacobian, score_scaling.measure, score_scaling.untrained_layer
    )
else:
    trap(seed)
