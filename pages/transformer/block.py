"""The block: what attention and the MLP of each layer add to the residual stream."""

import streamlit as st

from model.interpretability.residual_stream import Place, ResidualStream, residual_stream, to_logits, writes_towards
from model.transformer.block import Block
from pages.shared import components, controls, lesson, prose
from pages.shared.compute.readings import Reading
from pages.shared.effects import effects_text

PROSE = prose.of(__file__)
WORDS = 5  # that a part writes towards
# The lessons that show what was part of this one, and their keys in old links.
MOVED = {
    "transformer/mlp": ("norm",),
    "transformer/untrained_stacks": ("stacked", "residual", "blocks", "size", "seed"),
}


def draw_stream(reading: Reading, stream: ResidualStream, position: int, layer: int) -> None:
    """Draw the stream of all tokens; a click picks a token and a layer."""

    def pick(token: int, layer: int) -> None:
        st.session_state.update(at=controls.numbered(reading.tokens)[token], block=f"L{layer}")

    lengths = [vectors.norm(dim=-1).numpy() for vectors in (stream.stream, stream.written)]
    numbers = [*lengths, stream.cosines.numpy(), stream.shares.numpy()]
    components.residual_stream(reading.tokens, stream.places, *numbers, picked=(position, layer), on_pick=pick)


def draw_additions(reading: Reading, stream: ResidualStream, position: int, layer: int) -> None:
    """A table of what the two parts of a block add to a token, and which words that is for and against."""
    places = [stream.places.index(Place(layer, part)) for part in ("attention", "MLP")]
    written, end = stream.written[position, places], stream.stream[position, -1]
    effects = writes_towards(reading.model.decoder, end, written, WORDS)
    rows = [
        {
            "part": stream.places[place].name,
            "length": vector.norm().item(),
            "cosine with the end": stream.cosines[position, place].item(),
            "share of the end": stream.shares[position, place].item(),
            "writes towards": effects_text(reading.model, effect.promoted),
            "and away from": effects_text(reading.model, effect.suppressed),
        }
        for place, vector, effect in zip(places, written, effects)
    ]
    columns = {name: st.column_config.NumberColumn(format="%.2f") for name in ("length", "cosine with the end")}
    columns["share of the end"] = st.column_config.NumberColumn(format="percent")
    st.dataframe(rows, hide_index=True, column_config=columns)


lesson.redirect((), MOVED)
lesson.title(PROSE)
reading = controls.ask_prompt(PROSE.examples())
decoder = reading.model.decoder
stream = residual_stream(reading.trace)

picture = st.container()
left, right = st.columns(2)
with left:
    position = controls.token_picker("Token", reading.tokens, key="at")
with right:
    layers = [f"L{layer}" for layer in range(decoder.config.n_layer)]
    layer = layers.index(st.selectbox("Block", layers, len(layers) - 1, key="block", bind="query-params"))
with picture:
    draw_stream(reading, stream, position, layer)
draw_additions(reading, stream, position, layer)
if decoder.W_pos is None:
    st.caption(
        "This model adds no position vectors, so its stream begins with the token alone. Its attention rotates queries "
        "and keys by their positions instead (RoPE)."
    )
PROSE.section("words")
lesson.close(PROSE, Block, residual_stream, to_logits)
