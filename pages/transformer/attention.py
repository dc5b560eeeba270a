"""Attention: which tokens each token looks at, in every head of every layer."""

import streamlit as st

from model.transformer.gpt2 import CausalSelfAttention
from pages.shared import components, controls, lesson, prose
from viz.charts import heatmaps

PROSE = prose.of(__file__)
DRAWN = 32  # tokens in the matrices of the steps

lesson.title(PROSE)
reading = controls.ask_prompt()
blocks = reading.trace.blocks

picture = st.container()
steps = st.expander("Open this head: scores → scaled and masked → softmax", key="steps", bind="query-params")
with picture:
    patterns = reading.trace.patterns.numpy()
    components.attention(reading.tokens, patterns, start=reading.model.start, report=steps.open)

with steps:
    picked = controls.picked_head(len(blocks), patterns.shape[1], start=reading.model.start)
    if picked and steps.open:
        layer, head = picked
        attn = blocks[layer].attn
        scores, pattern = attn.scores[0, head].numpy(), attn.pattern[0, head].numpy()
        width = attn.q.shape[-1]
        products = scores * width**0.5
        st.markdown(
            f"**L{layer} H{head}** · rows are :blue[queries], columns :red[keys] · √D = √{width} = {width**0.5:.2f}"
        )
        *columns, last = st.columns(4)
        drawn = [reading.tokens[:DRAWN], *(step[:DRAWN, :DRAWN] for step in (products, scores, pattern))]
        for n, figure in enumerate(heatmaps.steps(*drawn, controls.theme())):
            columns[n].plotly_chart(figure, key=f"matrix {n}", config=components.NO_TOOLBAR)
        with last:
            query = controls.token_picker("Numbers of one row: the query of", reading.tokens)
            st.dataframe(heatmaps.row(reading.tokens, products, scores, pattern, query), hide_index=True)
        if len(reading.tokens) > DRAWN:
            st.caption(
                f"The matrices show the first {DRAWN} of {len(reading.tokens)} tokens; the row of numbers has them all."
            )
        PROSE.section("matrices")
    elif steps.open:
        st.info("A mean of heads has no scores of its own: pick one head in the picture.")

lesson.close(PROSE, CausalSelfAttention, below_notice=["scaling"])
