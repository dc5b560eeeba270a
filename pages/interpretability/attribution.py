"""Direct logit attribution: which parts of the model pushed an answer, and which pushed against it."""

import math

import streamlit as st
import torch

from model.interpretability import attribution
from model.interpretability.attribution import Attribution
from pages.shared import components, controls, lesson, prose, selection
from pages.shared.compute import interpretability
from pages.shared.compute.readings import Reading
from viz.charts import bars, heatmaps
from viz.tokens import visible

PROSE = prose.of(__file__)
RANKED = 8  # parts in a table


def ask_tokens(reading: Reading) -> tuple[int, int, int]:
    """Ask for the position, and for the answer and its rival among the next tokens."""
    model = reading.model
    choices, notes = st.container(horizontal=True), st.container()
    with choices:
        position = selection.position_picker("Prediction after", reading)
        logits = reading.trace.logits[0, position]
        answer = selection.next_token("Answer", "answer", model, logits, logits.argmax().item(), notes)
        other = next(id for id in logits.topk(2).indices.tolist() if id != answer)
        rival = selection.next_token("Rival", "rival", model, logits, other, notes)
    if rival == answer:
        notes.info(f"The rival is the answer itself; you see {prose.bold(model.token(other))} in its place.")
        rival = other
    return position, answer, rival


def show_total(reading: Reading, parts: Attribution, position: int, answer: int, rival: int) -> None:
    """Write the difference of the two logits beside the sum of all parts."""
    names = {id: prose.bold(reading.model.token(id)) for id in (answer, rival)}
    logits = reading.trace.logits[0, position]
    difference = (logits[answer] - logits[rival]).item()
    likelier, times = answer if difference >= 0 else rival, math.exp(min(abs(difference), 700))
    st.markdown(
        f"After {prose.bold(reading.tokens[position])} (position {position}) the logit of {names[answer]} less that of "
        f"{names[rival]} is **{difference:+.4f}**: {names[likelier]} is "
        f"{f'{times:,.0f}' if times >= 100 else f'{times:.2g}'} times as likely. All that the parts below add is "
        f"**{parts.total:+.4f}**."
    )
    if parts.position is None:
        st.caption(
            "This model has no position vectors and no biases, so none of them has a bar. Positions rotate queries and "
            "keys (RoPE) and act through what the heads look at; a neuron is silu(gate) · up."
        )


def show_walk(reading: Reading, parts: Attribution, position: int) -> None:
    """Draw what each part adds, in the order of the forward pass."""
    st.markdown("**Each part, in the order of the forward pass**: logits for the answer, or against it")
    walk = {f"token {visible(reading.tokens)[position]}": parts.token.item()}
    if parts.position is not None:
        walk[f"position {position}"] = parts.position.item()
    walk |= interpretability.attribution_by_block(parts)
    st.altair_chart(bars.signed(list(walk), list(walk.values()), "logits", controls.theme()), key="walk")


def show_heads(reading: Reading, parts: Attribution, position: int) -> None:
    """Draw what each head adds, and where the clicked head looks; before a click the strongest one."""
    st.markdown("**Each head**: logits that it adds. Click one to see where it looks.")
    chart = heatmaps.heads(parts.heads.numpy(), (), "logits", controls.theme())
    layer, head = selection.cell(chart, f"heads {reading.model.name}", "head", parts.heads.abs())
    st.markdown(f"**L{layer} H{head}** adds {parts.heads[layer, head]:+.2f}. Where it looks from here, in shares of 1:")
    pattern = reading.trace.patterns[layer, head, position, : position + 1]
    components.token_bars("looks", reading.tokens[: position + 1], pattern.tolist(), 1)


def show_table(reading: Reading, kind: str, parts: list[tuple[int, int]], adds: torch.Tensor, **columns: list) -> None:
    """Draw a table of parts (layer, number), the strongest first: what each adds, and which tokens it promotes."""
    texts = ["  ".join(visible(reading.model.token(id) for id in row)) for row in columns.pop("promoted")]
    table = {
        kind: [f"L{layer} {kind[0].upper()}{number}" for layer, number in parts],
        "adds": [round(adds[part].item(), 3) for part in parts],
        **columns,
        "writes towards": texts[: len(parts)],
        "and away from": texts[len(parts) :],
    }
    st.dataframe(table, hide_index=True, height="content")


lesson.title(PROSE)
reading = controls.ask_prompt(PROSE.examples())
decoder, trace = reading.model.decoder, reading.trace
position, answer, rival = ask_tokens(reading)
parts = interpretability.attribute(reading, position, answer, rival)
show_total(reading, parts, position, answer, rival)
left, right = st.columns([2, 3], gap="large")
with left:
    show_walk(reading, parts, position)
with right:
    show_heads(reading, parts, position)
left, right = st.columns(2, gap="large")
with left:
    st.markdown("**The heads that add or take most**")
    heads = attribution.strongest(parts.heads, RANKED)
    written = attribution.written_by_heads(decoder, trace, position, heads)
    columns = interpretability.head_columns(reading, position, heads)
    show_table(reading, "head", heads, parts.heads, **columns, promoted=interpretability.promoted(reading, written))
with right:
    st.markdown("**The neurons that add or take most**")
    neurons = attribution.strongest(parts.neurons, RANKED)
    written = attribution.written_by_neurons(decoder, trace, position, neurons)
    columns = interpretability.neuron_columns(reading, position, neurons)
    show_table(
        reading, "neuron", neurons, parts.neurons, **columns, promoted=interpretability.promoted(reading, written)
    )
PROSE.section("attribution")
lesson.close(PROSE, attribution.attribute, attribution.promoted_tokens)
