"""The block: what attention and the MLP of each layer add to the residual stream."""

import math
from collections.abc import Sequence

import numpy as np
import streamlit as st
import torch
from torch import Tensor

from model.interpretability import residual_stream as block
from model.transformer import untrained_stacks as depth
from model.transformer.block import Block
from model.transformer.gpt2 import gelu
from pages.shared import components, controls, lesson, prose
from pages.shared.compute import transformer
from viz.charts import bars, curves
from viz.percent import percent
from viz.tokens import visible

PROSE = prose.of(__file__)
ACTIVE, WORDS, FEW = 10, 5, 3  # neurons in the table, and words that a part, and a neuron, is written towards
DEPTH, DEEPEST = 12, 24  # of an untrained stack


def pick(token: int, layer: int) -> None:
    st.session_state.update(at=controls.numbered(reading.tokens)[token], block=f"L{layer}")


def words(found: Sequence[tuple[int, float]]) -> str:
    return "  ".join(f"{visible([reading.model.token(id)])[0]} {added:+.2f}" for id, added in found)


def added() -> None:
    """Say what the two parts of the picked block add to the picked token, and which words that is for and against."""
    places = [2 * layer + 2, 2 * layer + 3]
    written = road.written[position, places]
    rows = [
        {
            "part": road.places[place].name,
            "length": length,
            "cosine with the end": road.cosines[position, place].item(),
            "share of the end": road.shares[position, place].item(),
            "writes towards": words(towards.promoted),
            "and away from": words(towards.suppressed),
        }
        for place, length, towards in zip(
            places, written.norm(dim=-1).tolist(), block.writes_towards(gpt, road.stream[position, -1], written, WORDS)
        )
    ]
    shown = {name: st.column_config.NumberColumn(format="%.2f") for name in ("length", "cosine with the end")}
    shown["share of the end"] = st.column_config.NumberColumn(format="percent")
    st.dataframe(rows, hide_index=True, column_config=shown)


def norms() -> None:
    """Draw one token's vector before a layer norm and after it, and the lengths of all tokens."""
    offered = {
        f"L{layer} ln_1": (gpt.blocks[layer].ln_1, trace.blocks[layer].resid_pre[0]),
        f"L{layer} ln_2": (gpt.blocks[layer].ln_2, trace.blocks[layer].resid_mid[0]),
        "ln_f": (gpt.ln_f, trace.blocks[-1].resid_post[0]),
    }
    norm, x = offered[controls.choice("Layer norm", list(offered), next(iter(offered)), key="norm")]
    plain, weighted = (part.numpy() for part in (norm.standardize(x), norm(x)))
    rows = {"before": x[position].numpy(), "normalised": plain[position], "times γ, plus β": weighted[position]}
    with st.container(horizontal=True, gap="large"):
        for name, values in rows.items():
            st.altair_chart(bars.spread(name, values, controls.theme()), width="content")
    st.markdown("**How long each token’s vector is**, before and after:")
    lengths = {"before": x.norm(dim=-1).tolist(), "normalised": np.linalg.norm(plain, axis=-1).tolist()}
    components.token_bar_rows("lengths", {name: (reading.tokens, of) for name, of in lengths.items()}, full=0)
    st.caption(f"Normalised, all are √C = √{gpt.config.n_embd} = {math.sqrt(gpt.config.n_embd):.2f} long.")


def mlp() -> None:
    """Draw GELU, where this token's neurons are on it, and what the most active ones are written towards."""
    made = trace.blocks[layer]
    read, active = made.mlp_pre[0, position], made.mlp_post[0, position]
    left, right = st.columns([3, 7], gap="large")
    with left:
        x = torch.linspace(-4, 4, 80_001)
        shown = slice(None, None, 200)
        lowest = gelu(x).argmin()
        keep = sorted({*range(len(x))[shown], lowest.item()})  # the lowest point is drawn where it is
        y, relu = gelu(x).numpy(), x.relu().numpy()
        drawn = curves.activation(x[keep].numpy(), y[keep], relu[keep], read.numpy(), active.numpy(), controls.theme())
        st.altair_chart(drawn)
        st.caption(
            f"Each dot is one of the {len(read):,} neurons of L{layer} at this token; {(read > 0).sum():,} read more "
            f"than 0. What lies outside is drawn at the edge."
        )
    with right:
        found = block.neurons(gpt, trace, layer, position, ACTIVE, FEW)
        rows = [
            {
                "neuron": str(neuron.number),
                "passes on": neuron.post,
                "length": neuron.length,
                "towards": words(neuron.towards.promoted),
                "and away from": words(neuron.towards.suppressed),
            }
            for neuron in found
        ]
        st.markdown(f"**The {ACTIVE} most active neurons** of L{layer} at this token.")
        numbers = ("passes on", "length")
        config = {name: st.column_config.NumberColumn(format="%.2f", width=80) for name in numbers}
        st.dataframe(rows, hide_index=True, column_config=config | {"neuron": st.column_config.TextColumn(width=70)})
        PROSE.section("words")


@st.fragment
def stacks() -> None:
    """Ask for a way to stack untrained blocks, and draw what becomes of gradients and tokens."""
    PROSE.section("stacks")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        norm = controls.choice("Layer norm", depth.NORMS, depth.NORMS[0], key="stacked")
        residual = st.toggle("Residual connections", True, key="residual", bind="query-params")
        blocks = st.slider("Blocks", 1, DEEPEST, DEPTH, key="blocks", bind="query-params", width=260)
        size = st.slider("Size of the weights", 0.2, 1.4, 0.6, 0.1, key="size", bind="query-params", width=260)
        seed = st.number_input("Seed", 0, 999, key="seed", bind="query-params", width=120)
    found = transformer.measure_stacks(blocks, size, seed)
    picked = depth.Stack(norm, residual)
    left, right = st.columns(2, gap="large")
    with left:
        one = found[picked]
        st.markdown(
            f"**Gradients.** With {picked.name}, block 0 gets :violet[**{one.gradients[0]:.2g} times**] the gradient "
            "that there is at the end."
        )
        logs = {stack.name: np.log10(np.maximum(of.gradients, 1e-300)).tolist() for stack, of in found.items()}
        st.altair_chart(curves.several(logs, "block", "length of the gradient, power of ten", picked=picked.name))
    with right:
        st.markdown(
            f"**Tokens.** They come in with a mean cosine of {one.similarity[0]:.2f} and leave with "
            f":violet[**{one.similarity[-1]:.3f}**]; one more norm at the end changes no number by more than "
            f"{one.final_norm:.2g}."
        )
        alike = {stack.name: of.similarity for stack, of in found.items()}
        st.altair_chart(curves.several(alike, "block", "cosine of each two tokens", picked=picked.name))


def switched_off() -> None:
    """Take the residual connections out of the trained model, and say what is left."""
    PROSE.section("removed")
    alike, logits = transformer.without_residual(reading)

    def likeliest(logits: Tensor) -> str:
        probability, id = logits.softmax(-1).max(-1)
        return f"**{prose.literal(visible([reading.model.token(id)])[0])}** ({percent(probability.item())})"

    left, right = st.columns([3, 2], gap="large")
    with right:
        st.markdown(
            f"The likeliest next token, as it is: {likeliest(trace.logits[0, -1])}; without: {likeliest(logits)}."
        )
    with left:
        if len(reading.tokens) > 1:
            both = {"as it is": depth.similarities(trace), "without": alike}
            st.altair_chart(curves.several(both, "block", "cosine of each two tokens", picked="without"))
        else:
            st.info("One token has no other to be alike with: type more.")


lesson.title(PROSE)
reading = controls.ask_prompt(PROSE.examples())
gpt, trace = reading.model.decoder, reading.trace
road = block.residual_stream(trace)

picture = st.container()
left, right = st.columns(2)
with left:
    position = controls.token_picker("Token", reading.tokens, key="at")
with right:
    layers = [f"L{layer}" for layer in range(gpt.config.n_layer)]
    layer = layers.index(st.selectbox("Block", layers, len(layers) - 1, key="block", bind="query-params"))
with picture:
    lengths = [part.norm(dim=-1).numpy() for part in (road.stream, road.written)]
    numbers = [*lengths, road.cosines.numpy(), road.shares.numpy()]
    components.residual_stream(reading.tokens, road.places, *numbers, picked=(position, layer), on_pick=pick)
added()

PROSE.section("norm")
norms()
PROSE.section("mlp")
mlp()
stacks()
switched_off()

lesson.close(PROSE, Block, type(gpt.blocks[layer].mlp), block.residual_stream, block.to_logits, depth.through)
