"""Ablation: switch off any part of the model, and see what it predicts then."""

from functools import partial

import numpy as np
import streamlit as st

from model.interpretability import patching
from model.transformer.intervention import NO_INTERVENTIONS, Interventions
from model.transformer.record import Trace
from pages.shared import components, controls, lesson, prose
from pages.shared.compute import interpretability
from pages.shared.compute.interpretability import REPLACEMENTS
from pages.shared.compute.readings import Reading
from pages.shared.runtime import job_view, progress
from viz.charts import bars, heatmaps
from viz.percent import percent
from viz.tokens import visible

PROSE = prose.of(__file__)
SWITCHES = ("positions", "mask", "residual")
OWN_KEYS = ("off", *SWITCHES, "mlps", "instead", "alone", "looks")
MOVED = {
    "interpretability/patching": ("corrupted", "answer", "rival", "metric"),
    "transformer/mask_leak": ("last",),
}


def restore() -> None:
    """Put everything back."""
    controls.set_ablated_heads(())
    st.session_state.update(positions=True, mask=True, residual=True, mlps=[])


def ask_interventions(reading: Reading) -> Interventions:
    """Ask which parts are switched off."""
    decoder, config = reading.model.decoder, reading.model.decoder.config
    top_row, board = st.container(horizontal=True, vertical_alignment="bottom"), st.container()
    with st.container(horizontal=True, vertical_alignment="center"):
        switches = {name: st.toggle(name.capitalize(), True, key=name, bind="query-params") for name in SWITCHES}
        st.button("Put everything back", icon=":material/healing:", on_click=restore)
    if decoder.W_pos is None:
        st.caption("This model has no position vectors: without positions queries and keys are not rotated (RoPE).")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layers = [f"L{layer}" for layer in range(config.n_layer)]
        mlps = st.pills("MLPs off", layers, selection_mode="multi", key="mlps", bind="query-params")
        how = controls.choice("In place of an ablated part", REPLACEMENTS, REPLACEMENTS[0], key="instead")
    with top_row:
        st.markdown("**Click heads to switch them off**, a layer’s name for all of it.", width="stretch")
        alone = st.toggle("Show what each does alone", key="alone", bind="query-params")
    off = controls.ablated_heads(config.n_layer, config.n_head)
    with board:
        effects = effects_alone(reading, how) if alone else None
        components.head_switches(config.n_layer, config.n_head, off, effects, partial(controls.flip_heads, config))
        if effects is not None:
            top = prose.quoted(reading.model.token(reading.trace.logits[0, -1].argmax().item()))
            st.caption(f"The drop in the probability of {top} (from 1 to 0 is 1) if that head alone is ablated.")
    replacement, ablated_mlps = interpretability.replacement(reading.model, how, reading), map(layers.index, mlps)
    return Interventions(**switches, edits=patching.ablation_edits(off, [*ablated_mlps], replacement))


def effects_alone(reading: Reading, how: str) -> np.ndarray | None:
    """For each head (L, H) the drop in probability of the top token when it alone is ablated; None until computed."""
    config, tokens = reading.model.decoder.config, len(reading.tokens)
    work = patching.sweep_multiply_adds(config, config.n_head, tokens)
    if not progress.may_run("Each head alone", work, "alone anyway"):
        return None
    results = job_view.show("Ablating one head after the other", interpretability.ablate_each_head(reading, how))
    return results and results[0].numpy()


def show_prediction(reading: Reading, changed: Trace, interventions: Interventions) -> None:
    """Draw the next-token probabilities, untouched and changed, with a sentence on the difference."""
    runs = {"untouched": reading.trace, "changed": changed}
    st.markdown("**What comes next**")
    tokens, probabilities = interpretability.compare_next_tokens(reading.model, runs, 4)
    st.altair_chart(bars.compared(visible(tokens), probabilities, controls.theme()), key="outcome")
    if interventions == NO_INTERVENTIONS:
        most = (changed.logits - reading.trace.logits).abs().max().item()
        st.caption(f"Nothing is switched off: over all logits at all positions the largest difference is {most:g}.")
        return
    top, new_top = (run.logits[0, -1].argmax().item() for run in runs.values())
    before, after = (run.logits[0, -1].softmax(-1)[top].item() for run in runs.values())
    points = round(100 * after, 1) - round(100 * before, 1)  # of the rounded percentages in the sentence
    name, new_name = (prose.quoted(reading.model.token(id)) for id in (top, new_top))
    outcome = "It stays the likeliest." if new_top == top else f"The likeliest is now {new_name}."
    st.markdown(f"{name} goes from {percent(before)} to **{percent(after)}** ({points:+.1f} points). {outcome}")


def show_attention(reading: Reading, changed: Trace, mask: bool) -> None:
    """Draw the attention of the changed run; without the mask, one head beside its untouched pattern."""
    start = reading.model.start
    if mask:
        components.attention(reading.tokens, changed.patterns.numpy(), start=start, follow=True)
        return
    layers, heads = changed.patterns.shape[:2]
    names = controls.head_names(layers, heads)
    layer, head = divmod(names.index(st.selectbox("Head", names, index=start[0] * heads + start[1])), heads)
    runs = {"untouched": reading.trace, "without the mask": changed}
    matrices = {name: (reading.tokens, run.patterns[layer, head].numpy()) for name, run in runs.items()}
    for n, (column, figure) in enumerate(zip(st.columns(2), heatmaps.patterns(matrices, controls.theme()))):
        column.plotly_chart(figure, key=f"pattern {n}", config=components.NO_TOOLBAR)


lesson.redirect(OWN_KEYS, MOVED)
lesson.title(PROSE)
reading = controls.ask_prompt(PROSE.examples())
left, right = st.columns([3, 2], gap="large")
with left:
    interventions = ask_interventions(reading)
changed = interpretability.intervene(reading, interventions)
with right:
    show_prediction(reading, changed, interventions)
st.markdown("**How far each prediction moved** (KL divergence between untouched and changed, in nats):")
divergence = patching.kl_divergence(reading.trace.logits[0], changed.logits[0])
components.token_bars("moved", reading.tokens, divergence.tolist(), full=1)
with st.expander("Attention of the changed run", key="looks", bind="query-params") as panel:
    if panel.open:
        show_attention(reading, changed, interventions.mask)
lesson.close(PROSE, patching.ablation_edits, patching.patch_each_head)
