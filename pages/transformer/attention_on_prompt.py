"""Attention on your prompt: the four steps of attention on any head of the model."""

import streamlit as st

from model.transformer.attention_steps import head_steps
from pages.shared import components, controls, lesson, prose
from pages.shared.compute.readings import Reading

PROSE = prose.of(__file__)
DRAWN = 32  # queries that are worked out
FIRST, LAST = f"the first {DRAWN} tokens", f"the last {DRAWN}"


def ask_head(reading: Reading) -> tuple[int, int]:
    """Ask for a head; at first the head that the model's pictures start on."""
    config = reading.model.decoder.config
    names = controls.head_names(config.n_layer, config.n_head)
    layer, head = reading.model.start
    start = layer * config.n_head + head
    picked = st.selectbox(
        "Head", names, start, key="picked", bind="query-params", label_visibility="collapsed", width=140
    )
    return divmod(names.index(picked), config.n_head)


def draw_steps(reading: Reading) -> None:
    """Ask for a head and work its steps out anew; say by how much they differ from the model's own pass."""
    tokens, config = reading.tokens, reading.model.decoder.config
    with st.container(horizontal=True, vertical_alignment="center"):
        layer, head = ask_head(reading)
        end = min(DRAWN, len(tokens))
        if len(tokens) > DRAWN:
            shown = controls.choice("Queries", (FIRST, LAST), FIRST, key="end", label_visibility="collapsed")
            end = len(tokens) if shown == LAST else DRAWN
        keys, queries = slice(end), slice(max(0, end - DRAWN), end)
        attention = reading.trace.blocks[layer].attn
        steps = head_steps(attention, head, queries, keys)
        divisor = config.head_size**0.5
        difference = (steps.weights - attention.pattern[0, head, queries, keys]).abs().max().item()
        st.caption(
            f"d = {config.head_size}, √d = {divisor:.2f}. Worked out anew, its weights differ from those of the "
            f"model's own pass by {difference:.1g} at most."
        )
    numbers = {name: rows.numpy() for name, rows in vars(steps).items()}
    components.attention_steps(tokens[queries], tokens[keys], numbers, divisor)
    if reading.model.decoder.W_pos is None:
        st.caption("Queries and keys are shown as the model compares them: rotated by their positions (RoPE).")
    if config.n_kv_head < config.n_head:
        shared = config.n_head // config.n_kv_head
        first = head // shared * shared
        st.caption(
            f"Query heads H{first} to H{first + shared - 1} share the same keys and values (grouped-query attention)."
        )


lesson.title(PROSE)
draw_steps(controls.ask_prompt())
lesson.close(PROSE, head_steps)
