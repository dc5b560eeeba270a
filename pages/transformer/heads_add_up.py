"""Heads add up: what each head of a layer adds to the residual stream of a token, beside torch's own attention."""

from typing import NamedTuple

import streamlit as st
import torch
from torch import Tensor

from model.interpretability.attribution import written_by_heads
from model.interpretability.residual_stream import writes_towards
from model.transformer.attention_steps import fused_difference, module_difference
from model.transformer.gpt2 import CausalSelfAttention
from pages.shared import components, controls, lesson, prose
from pages.shared.compute.readings import Reading
from pages.shared.effects import effects_text
from viz.charts import bars, heatmaps

PROSE = prose.of(__file__)
WORDS = 3  # that a head writes towards


class Additions(NamedTuple):
    """The vectors that a layer's heads, and in GPT-2 its bias, add to the stream of a token, and their sum."""

    names: list[str]
    vectors: Tensor  # (N, C), a row for each name
    total: Tensor  # (C), what attention added in the forward pass


def additions(reading: Reading, layer: int, position: int) -> Additions:
    """What a layer's attention adds to a token, part by part."""
    decoder, trace = reading.model.decoder, reading.trace
    numbers = range(decoder.config.n_head)
    vectors = written_by_heads(decoder, trace, position, [(layer, head) for head in numbers])
    names = [f"H{head}" for head in numbers]
    if decoder.blocks[layer].has_biases:
        vectors, names = torch.cat([vectors, decoder.blocks[layer].b_O[None]]), [*names, "bias"]
    return Additions(names, vectors, trace.blocks[layer].attn.out[0, position])


def draw_vectors(parts: Additions) -> None:
    """Draw the share of each part in the sum, and the numbers of each vector."""
    st.markdown("**Share of the sum**, along its own direction; all together 1")
    shares = (parts.vectors @ parts.total / parts.total.square().sum()).tolist()
    st.altair_chart(bars.signed(parts.names, shares, "share", controls.theme()))
    st.markdown("**What each adds**, number by number, and the sum")
    labels = ["bias" if name == "bias" else "head" for name in parts.names] + ["sum"]
    vectors = torch.cat([parts.vectors, parts.total[None]]).numpy()
    figure = heatmaps.vectors(labels, vectors, theme=controls.theme())
    st.plotly_chart(figure, key="vectors", config=components.NO_TOOLBAR)


def draw_words(reading: Reading, parts: Additions, position: int) -> None:
    """A table of the words that each part, and the sum, writes towards."""
    end = reading.trace.blocks[-1].resid_post[0, position]
    vectors = torch.cat([parts.vectors, parts.total[None]])
    effects = writes_towards(reading.model.decoder, end, vectors, WORDS)
    rows = [
        {
            "adds": name,
            "length": vector.norm().item(),
            "writes towards": effects_text(reading.model, effect.promoted),
            "and away from": effects_text(reading.model, effect.suppressed),
        }
        for name, vector, effect in zip([*parts.names, "sum"], vectors, effects)
    ]
    length = st.column_config.NumberColumn(format="%.2f", width=70)
    st.dataframe(rows, hide_index=True, column_config={"length": length}, height="content")


def compare_with_torch(reading: Reading, layer: int, parts: Additions) -> None:
    """Say how far the parts are from their sum, and this attention from torch's own."""
    block, record = reading.model.decoder.blocks[layer], reading.trace.blocks[layer]
    difference = (parts.vectors.sum(0) - parts.total).abs().max().item()
    adders = "The heads and the bias add" if "bias" in parts.names else "This family has no biases: the heads alone add"
    st.markdown(f"{adders} up to what L{layer}'s attention adds: the largest difference is **{difference:.1g}**.")
    if isinstance(block.attn, CausalSelfAttention):
        st.markdown(
            "torch's `nn.MultiheadAttention` with the same weights has the same outputs and the same attention "
            f"weights: the largest difference at any token is "
            f"**{module_difference(block.attn, block.ln_1(record.resid_pre)):.1g}**."
        )
    else:
        st.markdown(
            "torch's `nn.MultiheadAttention` cannot hold this layer's weights, since heads share keys and values, and "
            "queries and keys are rotated. torch's fused function `scaled_dot_product_attention`, given this layer's "
            "queries, keys and values, mixes the same values for each head: the largest difference at any token is "
            f"**{fused_difference(record.attn):.1g}**."
        )


lesson.title(PROSE)
reading = controls.ask_prompt()
with st.container(horizontal=True):
    layers = [f"L{layer}" for layer in range(reading.model.decoder.config.n_layer)]
    picked = st.selectbox("Layer", layers, len(layers) - 1, key="of layer", bind="query-params", width=140)
    position = controls.token_picker("Token", reading.tokens, key="at")
layer = layers.index(picked)
parts = additions(reading, layer, position)
left, right = st.columns([2, 3], gap="large")
with left:
    draw_vectors(parts)
with right:
    draw_words(reading, parts, position)
compare_with_torch(reading, layer, parts)
PROSE.section("heads")
lesson.close(PROSE, written_by_heads, module_difference, fused_difference)
