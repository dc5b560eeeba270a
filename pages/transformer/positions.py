"""Positions: five schemes that tell a transformer where each token stands, and what they do to one head."""

import streamlit as st

from model.transformer import position_schemes, positions
from model.transformer.record import AttentionTrace
from pages.shared import components, controls, lesson, position_views, prose
from pages.shared.compute import transformer
from pages.shared.position_views import DRAWN
from viz.charts import heatmaps

PROSE = prose.of(__file__)
OWN_KEYS = ("dimension", "every", "first", "scheme", "shown")
MOVED = {"transformer/word_order": ("one", "other", "positions", "mask")}
WIDTH = 240  # of a matrix on this page, in pixels


def draw_attention(records: dict[str, AttentionTrace], head: int, tokens: list[str], theme: str) -> None:
    """Ask for weights or scores, and draw those of one head under each scheme."""
    shown = controls.choice("Show", ["weights", "scores"], "weights", key="shown")
    draw, field = {"weights": (heatmaps.patterns, "pattern"), "scores": (heatmaps.scores, "scores")}[shown]
    matrices = {scheme: (tokens, getattr(record, field)[0, head].numpy()) for scheme, record in records.items()}
    with st.container(horizontal=True):
        for n, figure in enumerate(draw(matrices, theme)):
            st.plotly_chart(figure, key=f"scheme {n}", config=components.NO_TOOLBAR, width=WIDTH)


lesson.redirect(OWN_KEYS, MOVED)
lesson.title(PROSE)
reading = controls.ask_prompt(PROSE.examples())
decoder, theme = reading.model.decoder, controls.theme()
schemes = position_schemes.schemes(decoder)  # the model's own scheme comes first
names = [f"H{n}" for n in range(decoder.config.n_head)]
left, right = st.columns([3, 2])
with left:
    labels = {schemes[0]: f"{schemes[0]} (this model)"}
    label = "Positions are told by"
    scheme = controls.choice(
        label, schemes, schemes[0], key="scheme", format_func=lambda scheme: labels.get(scheme, scheme)
    )
with right:
    start = names[reading.model.looks_back]
    head = names.index(controls.choice("Head of the first layer", names, start, key="first", wrap=True))
left, right = st.columns([5, 2], gap="large")
with left:
    position_views.draw_scheme(scheme, reading, head, theme)
with right:
    PROSE.section(scheme.lower())
PROSE.section("schemes")
records = {scheme: transformer.first_attention(reading, scheme, DRAWN) for scheme in schemes}
draw_attention(records, head, reading.tokens[:DRAWN], theme)
if "learned" not in schemes:
    st.caption(
        f"This model has no learned position vectors: in every layer it rotates queries and keys ({schemes[0]}), so "
        "*learned* cannot be tried with it."
    )
if len(reading.tokens) > DRAWN:
    st.caption(f"Drawn are the first {DRAWN} of {len(reading.tokens)} tokens.")
formulas = [positions.angles, positions.sinusoidal, positions.rotate, positions.alibi_slopes, positions.alibi]
lesson.close(PROSE, *formulas, position_schemes.PositionedAttention)
