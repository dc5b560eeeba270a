"""Beyond the length: how well five schemes of positions read on where training never went."""

import streamlit as st

from model.training import length_extrapolation
from model.transformer import position_schemes
from pages.shared import controls, lesson, prose
from pages.shared.compute import training
from viz.charts import curves

PROSE = prose.of(__file__)
SMOOTH = 9  # positions over which a curve is averaged


def describe(beyond: dict) -> None:
    """Say how the curves were computed, and with which command."""
    config, context = beyond["config"], beyond["context"]
    st.caption(
        f"The mean loss, in nats per token, over {beyond['rows']:,} rows written with another seed; each curve is "
        f"smoothed over {SMOOTH} positions, but not across the line. Five models of {config['n_layer']} layers of "
        f"{config['n_head']} heads, width {config['n_embd']}, had the same first weights and read the same "
        f"{beyond['steps']:,} batches of {beyond['batch']} rows. The vectors of *learned* behind position {context} "
        "were never trained: they are as they were drawn at the start. The command that trains and measures them"
    )
    options = " ".join(f"--{name} {beyond[name]}" for name in ("steps", "rows", "seed", "threads"))
    st.code(f"python -m model.training.length_extrapolation {options}", language="bash", wrap_lines=True)


lesson.title(PROSE)
beyond = training.BEYOND
losses, context = beyond["loss"], beyond["context"]
scheme = controls.choice("Scheme", list(losses), next(iter(losses)), key="scheme", label_visibility="collapsed")
left, right = st.columns([3, 2], gap="large")
left.altair_chart(curves.beyond(losses, context, SMOOTH, scheme, controls.theme()))
with right:
    PROSE.section("intro")
left, right = st.columns([3, 2], gap="large")
with left:
    parts = [(1, context), (context + 1, 2 * context), (3 * context + 1, 4 * context)]
    means = {f"{first} to {last}": training.mean_loss_beyond(first, last) for first, last in parts}
    st.markdown("**The mean loss** in three parts of the row, by position")
    rows = [{"scheme": name} | {part: round(mean[name], 3) for part, mean in means.items()} for name in losses]
    st.dataframe(rows, hide_index=True)
with right:
    describe(beyond)
lesson.close(PROSE, length_extrapolation.mean_losses, position_schemes.PositionedAttention, position_schemes.gpt2_with)
