"""The forward pass on one screen: every step from the prompt to the next word, its numbers and its lines of code."""

from functools import partial

import streamlit as st

from model.decoding.sampling import draw
from model.transformer.block import Block
from model.transformer.decoder import Decoder
from pages.shared import components, controls, lesson, prose
from pages.shared.compute import transformer
from pages.shared.compute.readings import Reading
from pages.shared.compute.transformer import OpenStep
from pages.shared.forward_steps import LOGITS
from viz.components.forward_pass import Box
from viz.tokens import visible

PROSE = prose.of(__file__)
OWN_KEYS = ("at", "block", "box")
MOVED = {"transformer/parameters": ("preset",)}  # its other keys count only with this one
SHOWN, LIKELIEST, FIRST = 5, 12, 8  # next words in the picture and in the table; numbers of a vector in the table
MASKS = ("with the mask", "without")
NEXT = "next"  # the box of the next word


def next_rows(reading: Reading, token: int, count: int) -> list[dict[str, str | int | float]]:
    """The likeliest next tokens after the one at a position, as rows of a table."""
    rows = transformer.next_tokens(reading, token, count)
    return [{"token": visible([reading.model.token(row.id)])[0], **row._asdict()} for row in rows]


def show_numbers(opened: OpenStep, reading: Reading, token: int) -> None:
    """Show what a step computed at the picked token."""
    step, values = opened.step, opened.at_token(token)
    shape = " × ".join(f"{size:,}" for size in opened.values.shape)
    st.markdown(f"**{step.name}** · {shape} ({' × '.join(step.shape.split())})")
    if step.name == "pattern":
        names = controls.numbered(reading.tokens)
        rows = [dict(zip(["head", *names], [f"H{head}", *row])) for head, row in enumerate(values.tolist())]
        st.dataframe(rows, hide_index=True, height=220)
    else:
        name = prose.literal(visible([reading.tokens[token]])[0])
        st.markdown(
            f"At **{name}**: length {values.norm():.3f}, mean {values.mean():.3f}, standard deviation "
            f"{values.std(correction=0):.3f}. The first {min(FIRST, len(values))} of {len(values):,} numbers:"
        )
        st.dataframe([{str(n): number for n, number in enumerate(values[:FIRST].tolist())}], hide_index=True)


def show_box(opened: OpenStep | None, reading: Reading, token: int) -> None:
    """Show the numbers of a box, and the statements that computed them; None is the next word."""
    left, right = st.columns(2, gap="large")
    with left:
        if opened:
            show_numbers(opened, reading, token)
        if opened is None or opened.step == LOGITS:
            probability = st.column_config.NumberColumn(format="%.5f")
            rows = next_rows(reading, token, LIKELIEST)
            st.dataframe(rows, hide_index=True, column_config={"probability": probability}, height=220)
    with right:
        if opened:
            st.markdown(opened.step.says)
            lesson.code_lines(*opened.step.code)
        else:
            st.markdown("The softmax of the logits: how likely each token is. One is drawn, or the likeliest is taken.")
            lesson.code_lines((draw, "torch.multinomial"))
        if opened and opened.learned:
            total = reading.model.decoder.config.parameters
            st.caption(f"Learned for this: {opened.learned:,} of the model’s {total:,} numbers.")


def pick_token(names: list[str], number: int) -> None:
    st.session_state["at"] = names[number]


def pick_box(layers: list[str], name: str) -> None:
    """Open a box; a box of a block opens that block, too."""
    st.session_state["box"] = name
    if name in layers:
        st.session_state["block"] = name


def show_future(reading: Reading) -> None:
    """Show how far replacing the last token moves the logits before it, with the mask and without."""
    PROSE.section("future")
    if len(reading.tokens) == 1:
        st.info("One token has none before it: type more.")
        return
    before = reading.tokens[:-1]
    moved = {name: transformer.effect_of_last_token(reading, name == MASKS[0]) for name in MASKS}
    components.token_bar_rows("future", {name: (before, changes) for name, changes in moved.items()}, full=0)


lesson.redirect(OWN_KEYS, MOVED)
lesson.title(PROSE)
reading = controls.ask_prompt(PROSE.examples())
layers = [f"L{layer}" for layer in range(reading.model.decoder.config.n_layer)]
picture = st.container()
with st.container(horizontal=True, vertical_alignment="bottom"):
    token = controls.token_picker("Token", reading.tokens, key="at")
    block = st.selectbox("Block", layers, len(layers) - 1, key="block", bind="query-params")
    road, inside = transformer.open_steps(reading, layers.index(block))
    names = [*road, *inside, NEXT]
    box = st.selectbox("Open", names, names.index(NEXT), key="box", bind="query-params")
with picture:
    boxes = [
        [Box(name, name, each.step.role, each.at_token(token).numpy(), each.step.before) for name, each in row.items()]
        for row in (road, inside)
    ]
    words = [(row["token"], row["probability"]) for row in next_rows(reading, token, SHOWN)]
    picks = {
        "on_token": partial(pick_token, controls.numbered(reading.tokens)),
        "on_box": partial(pick_box, layers),
    }
    components.forward_pass(reading.tokens, *boxes, words, token=token, block=block, picked=box, **picks)
show_box((road | inside).get(box), reading, token)
show_future(reading)
lesson.close(PROSE, Decoder.trace, Block.forward)
