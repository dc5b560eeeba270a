"""Untrained stacks: what becomes of gradients and tokens with and without norms and residual connections."""

import numpy as np
import streamlit as st
from torch import Tensor

from model.transformer import untrained_stacks
from model.transformer.norms import LayerNorm
from model.transformer.untrained_stacks import Stack, StackMeasurement
from pages.shared import controls, lesson, prose
from pages.shared.compute import transformer
from pages.shared.compute.readings import Reading
from viz.charts import curves
from viz.percent import percent
from viz.tokens import visible

PROSE = prose.of(__file__)
DEPTH, DEEPEST = 12, 24  # of an untrained stack
SMALLEST = 1e-300  # length of a gradient of which a logarithm is drawn


@st.fragment
def draw_stacks() -> None:
    """Ask for a way to stack untrained blocks, and draw what becomes of gradients and tokens."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        norm = controls.choice("Norm", untrained_stacks.NORMS, untrained_stacks.NORMS[0], key="stacked")
        residual = st.toggle("Residual connections", True, key="residual", bind="query-params")
        blocks = st.slider("Blocks", 1, DEEPEST, DEPTH, key="blocks", bind="query-params", width=260)
        size = st.slider("Size of the weights", 0.2, 1.4, 0.6, 0.1, key="size", bind="query-params", width=260)
        seed = st.number_input("Seed", 0, 999, key=controls.SEED, bind="query-params", width=120)
    measured = transformer.measure_stacks(blocks, size, seed)
    picked = Stack(norm, residual)
    left, right = st.columns(2, gap="large")
    with left:
        draw_gradients(measured, picked)
    with right:
        draw_tokens(measured, picked)


def draw_gradients(measured: dict[Stack, StackMeasurement], picked: Stack) -> None:
    """Draw the length of the gradient at each block, for each stack, as a power of ten."""
    st.markdown(
        f"**Gradients.** With {picked.name}, block 0 gets :violet[**{measured[picked].gradients[0]:.2g} times**] the "
        "gradient that there is at the end."
    )
    powers = {
        stack.name: np.log10(np.maximum(result.gradients, SMALLEST)).tolist() for stack, result in measured.items()
    }
    st.altair_chart(curves.several(powers, "block", "length of the gradient, power of ten", picked=picked.name))


def draw_tokens(measured: dict[Stack, StackMeasurement], picked: Stack) -> None:
    """Draw the mean cosine of each two tokens at each block, for each stack."""
    similarity, final_norm = measured[picked].similarity, measured[picked].final_norm
    st.markdown(
        f"**Tokens.** They come in with a mean cosine of {similarity[0]:.2f} and leave with "
        f":violet[**{similarity[-1]:.3f}**]; one more norm at the end changes no number by more than {final_norm:.2g}."
    )
    similarities = {stack.name: result.similarity for stack, result in measured.items()}
    st.altair_chart(curves.several(similarities, "block", "cosine of each two tokens", picked=picked.name))


def top_token(reading: Reading, logits: Tensor) -> str:
    """The most probable token of the logits (V), with its probability."""
    probability, id = logits.softmax(-1).max(-1)
    return f"**{prose.literal(visible([reading.model.token(id)])[0])}** ({percent(probability.item())})"


def draw_removed(reading: Reading) -> None:
    """Take the residual connections out of the trained model, and draw what is left."""
    without, logits = transformer.without_residual(reading)
    left, right = st.columns([3, 2], gap="large")
    with right:
        st.markdown(
            f"The likeliest next token, as it is: {top_token(reading, reading.trace.logits[0, -1])}; without: "
            f"{top_token(reading, logits)}."
        )
        if not isinstance(reading.model.decoder.ln_f, LayerNorm):
            st.caption(
                "The stacks above are of GPT-2’s kind, with layer norm and GELU. This model has RMS norm and SiLU."
            )
    with left:
        if len(reading.tokens) > 1:
            similarities = {"as it is": untrained_stacks.mean_cosines(reading.trace), "without": without}
            st.altair_chart(curves.several(similarities, "block", "cosine of each two tokens", picked="without"))
        else:
            st.info("One token has no other to be alike with: type more.")


lesson.title(PROSE)
PROSE.section("intro")
draw_stacks()
PROSE.section("removed")
draw_removed(controls.ask_prompt(PROSE.examples()))
lesson.close(PROSE, untrained_stacks.apply_part, untrained_stacks.mean_cosine)
