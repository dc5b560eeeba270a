"""Norms and MLP: what a norm does to a token's vector, and what each neuron of the MLP reads and writes."""

import math

import numpy as np
import streamlit as st

from model.interpretability.residual_stream import neurons
from model.transformer.activations import activation_curve
from model.transformer.norm_steps import norm_steps
from model.transformer.norms import LayerNorm
from pages.shared import components, controls, lesson, prose
from pages.shared.compute.readings import Reading
from pages.shared.effects import effects_text
from viz.charts import bars, curves

PROSE = prose.of(__file__)
NEURONS, WORDS = 10, 3  # in the table, and words that a neuron writes towards
LOWEST_SHOWN = {False: -0.5, True: -4.0}  # of the activations in the picture, without and with a gate


def draw_norm(reading: Reading, position: int, layer: int) -> None:
    """Draw a token's vector before a norm and after it, and the lengths of all tokens."""
    decoder = reading.model.decoder
    steps = norm_steps(decoder, reading.trace, layer)
    before, normalized, after = (
        vectors.numpy() for vectors in steps[controls.choice("Norm", list(steps), next(iter(steps)), key="norm")]
    )
    layer_norm = isinstance(decoder.ln_f, LayerNorm)
    last = "times γ, plus β" if layer_norm else "times γ"
    with st.container(horizontal=True, gap="large"):
        for name, vectors in {"before": before, "normalized": normalized, last: after}.items():
            st.altair_chart(bars.spread(name, vectors[position], controls.theme()), width="content")
    if layer_norm:
        st.caption("This model has layer norm: a mean is taken off, and β is added.")
    else:
        st.caption("This model has RMS norm: no mean is taken off, and this family has no β.")
    st.markdown("**How long each token’s vector is**, before and after:")
    lengths = {
        name: (reading.tokens, np.linalg.norm(vectors, axis=-1).tolist())
        for name, vectors in {"before": before, "normalized": normalized}.items()
    }
    components.token_bar_rows("lengths", lengths, full=0)
    width = decoder.config.n_embd
    st.caption(f"Normalized, all are √C = √{width} = {math.sqrt(width):.2f} long.")


def draw_activation(reading: Reading, position: int, layer: int) -> None:
    """Draw the activation function, and where a token's neurons are on it; with a gate, beside it."""
    record, name = reading.trace.blocks[layer], reading.model.decoder.blocks[layer].mlp.activation_name
    pre, post, gated = record.mlp_pre[0, position], record.mlp_post[0, position], record.mlp_up is not None
    curve = [values.numpy() for values in activation_curve(record.activation)]
    chart = curves.activation(*curve, pre.numpy(), post.numpy(), controls.theme(), name, LOWEST_SHOWN[gated])
    st.altair_chart(chart)
    count = f"{(pre > 0).sum():,}"
    meaning = f"{count} have a gate above 0. A dot is off the curve by its second factor." if gated else ""
    st.caption(
        f"Each dot is one of the {len(pre):,} neurons of L{layer} at this token; "
        f"{meaning or f'{count} read more than 0.'} What lies outside is drawn at the edge."
    )


def draw_neurons(reading: Reading, position: int, layer: int) -> None:
    """A table of the most active neurons, and what each writes towards."""
    gated = reading.trace.blocks[layer].mlp_up is not None
    rows = [
        {
            "neuron": str(neuron.number),
            **({"gate": neuron.pre} if gated else {}),
            "passes on": neuron.post,
            "length": neuron.length,
            "towards": effects_text(reading.model, neuron.towards.promoted),
            "and away from": effects_text(reading.model, neuron.towards.suppressed),
        }
        for neuron in neurons(reading.model.decoder, reading.trace, layer, position, NEURONS, WORDS)
    ]
    st.markdown(f"**The {NEURONS} most active neurons** of L{layer} at this token.")
    columns = {name: st.column_config.NumberColumn(format="%.2f", width=80) for name in ("gate", "passes on", "length")}
    st.dataframe(rows, hide_index=True, column_config=columns | {"neuron": st.column_config.TextColumn(width=70)})


lesson.title(PROSE)
reading = controls.ask_prompt(PROSE.examples())
left, right = st.columns(2)
with left:
    position = controls.token_picker("Token", reading.tokens, key="at")
with right:
    layers = [f"L{layer}" for layer in range(reading.model.decoder.config.n_layer)]
    layer = layers.index(st.selectbox("Block", layers, len(layers) - 1, key="block", bind="query-params"))

PROSE.section("norm")
draw_norm(reading, position, layer)
PROSE.section("mlp")
left, right = st.columns([3, 7], gap="large")
with left:
    draw_activation(reading, position, layer)
with right:
    draw_neurons(reading, position, layer)
    PROSE.section("words")
block = reading.model.decoder.blocks[layer]
lesson.close(PROSE, type(block.ln_1), type(block.mlp), neurons)
