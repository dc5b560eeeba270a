"""Attention rollout: the attention of all layers and heads in one pattern, and what it leaves out."""

import streamlit as st

from model.interpretability import attribution
from pages.shared import components, controls, lesson, prose, selection
from pages.shared.compute import interpretability
from viz.charts import heatmaps

PROSE = prose.of(__file__)
WINDOW = 32  # tokens in a picture

lesson.title(PROSE)
reading = controls.ask_prompt(PROSE.examples())
layers, heads, count = *reading.trace.patterns.shape[:2], len(reading.tokens)
position = selection.position_picker("Position", reading)
summaries = interpretability.attention_summaries(reading)
seen = reading.tokens[: position + 1]
rows = {name: (seen, pattern[position, : position + 1].tolist()) for name, pattern in summaries.items()}
components.token_bar_rows("summaries", rows, full=1)
even = attribution.even_rollout(layers, count)[position, 0]
st.markdown(
    f"Rollout gives the first token **{summaries['rollout'][position, 0]:.2f}** here. If every head looked at all "
    f"tokens alike, it would give it **{even:.2f}**."
)
first = max(0, count - WINDOW)
if first:
    first = controls.bounded_slider(f"The first of {WINDOW} tokens shown", first, first, key="from")
window = slice(first, first + WINDOW)
matrices = {
    f"{name} (all {layers * heads} heads)": (reading.tokens[window], pattern[window, window].numpy())
    for name, pattern in summaries.items()
}
for column, figure in zip(st.columns(2), heatmaps.patterns(matrices, controls.theme())):
    column.plotly_chart(figure, config=components.NO_TOOLBAR, key=figure.layout.title.text)
PROSE.section("rollout")
lesson.close(PROSE, attribution.rollout, attribution.even_rollout)
