"""The lens: what the model would say at each layer, and which of its parts pushed the answer."""

import math
import re

import streamlit as st
import torch

from model.interpretability import attribution
from model.interpretability import logit_lens as lens
from model.language import tokenization as tokens
from pages.shared import components, controls, lesson, models, prose
from pages.shared.compute import interpretability
from viz.charts import bars
from viz.charts import heatmaps as matrices
from viz.components.lens_grid import READOUTS
from viz.tokens import visible

PROSE = prose.of(__file__)
BEFORE, AMID, AFTER = "before it", "after its attention", "after its MLP"
PLACES = dict(zip((BEFORE, AMID, AFTER), lens.PLACES))
WINDOW = 32  # tokens in the grid: each is a whole vocabulary of logits in each layer
OFFERED, RANKED, WRITTEN = 12, 8, 4  # likeliest tokens in a list, parts in a table, tokens that a part writes towards


def label(*ids: int) -> str:
    return "  ".join(visible(texts[id] for id in ids))


def bold(id: int) -> str:
    return f"**{prose.literal(label(id))}**"


def pick(position: int) -> None:
    """Keep the position that was clicked, in the link, too."""
    st.session_state["lens position"] = reading.prompt, position
    st.query_params["position"] = str(position)


def picked(last: int) -> int:
    """The position that was clicked, or that of a link; after another prompt, or if there is none, the last one."""
    prompt, position = st.session_state.get("lens position", (reading.prompt, last))
    asked = st.query_params.get("position", "")
    if asked != str(position) and re.fullmatch("[0-9]{1,4}", asked):
        position = int(asked)
    elif prompt != reading.prompt:
        position = last
    pick(min(position, last))
    return min(position, last)


def chosen(name: str, key: str, logits: torch.Tensor, start: int) -> int:
    """The token that was chosen or typed; as long as it is none, `start`."""
    offered = {label(id): id for id in logits.topk(OFFERED).indices.tolist() if typable[id]}
    kept = st.session_state.get(key, st.query_params.get(key))  # stays on the list at other positions
    text = st.selectbox(
        name,
        [*offered, *({kept} - {None, *offered})],
        index=None,
        placeholder=label(start),
        accept_new_options=True,
        key=key,
        bind="query-params",
        width=165,
    )
    if not text:
        return start
    try:
        found = (
            [offered[text]]
            if text in offered
            else tokens.single_token_ids(reading.model.tokenizer, text.replace("·", " "))
        )
    except ValueError as error:
        said.warning(f"{name}: {prose.literal(error)}. You see {bold(start)}.")
        return start
    return max(found, key=lambda id: logits[id])


def ranked(kind: str, adds: torch.Tensor, written: torch.Tensor, parts: list[tuple[int, int]], **more: list) -> None:
    """A table of parts (layer, number), the strongest first: what each adds, and what it writes towards."""
    up, down = (found.tolist() for found in attribution.promoted_tokens(gpt, written, WRITTEN))
    columns = {
        kind: [f"L{layer} {kind[0].upper()}{number}" for layer, number in parts],
        "adds": [round(adds[part].item(), 3) for part in parts],
        **more,
        "writes towards": [label(*ids) for ids in up],
        "and away from": [label(*ids) for ids in down],
    }
    st.dataframe(columns, hide_index=True, height="content")


lesson.title(PROSE)
reading = controls.ask_prompt(PROSE.examples())
name, trace, gpt = reading.model.name, reading.trace, reading.model.decoder
texts, typable = models.vocabulary(reading.model)
theme, count = controls.theme(), len(reading.tokens)
position, first = picked(count - 1), max(0, count - WINDOW)
if first:
    first = controls.bounded_slider(f"The first of {WINDOW} tokens shown", first, first, key="from")
    position = min(max(position, first), first + WINDOW - 1)
here, logits = trace.idx[0, position].item(), trace.logits[0, position]

choices, said = st.container(horizontal=True), st.container()
with choices:
    readout = controls.choice("Show in each cell", list(READOUTS), "top token", key="readout")
    place = controls.choice("Read the stream of each layer", list(PLACES), AFTER, key="place")
    answer = chosen("Answer", "answer", logits, logits.argmax().item())
    other = next(id for id in logits.topk(2).indices.tolist() if id != answer)
    rival = chosen("Rival", "rival", logits, other)
if rival == answer:
    said.info(f"The rival is the answer itself; you see {bold(other)} in its place.")
    rival = other

shown = reading.tokens[first : first + WINDOW]
follow = answer if readout in ("probability", "rank") else None
found = interpretability.read_lens(reading, PLACES[place], first, len(shown), follow)
layers = [f"L{n}" for n in range(gpt.config.n_layer)]
rows = [*layers[:-1], f"{layers[-1]} = output"] if place == AFTER else [*layers, "output"]
components.lens_grid(
    shown,
    first,
    on_pick=pick,
    rows=rows,
    words={id: texts[id] for id in found.ids.unique().tolist()},
    ids=found.ids.numpy(),
    shares=found.log_p.exp().numpy(),
    entropy=found.entropy.numpy(),
    kl=found.kl.numpy(),
    vocabulary=len(texts),
    readout=readout,
    picked=position,
    followed=None if follow is None else (texts[answer], found.followed.exp().numpy(), found.rank.numpy()),
)

PROSE.section("attribution")
parts = attribution.attribute(gpt, trace, position, answer, rival)
apart = (logits[answer] - logits[rival]).item()
likelier, times = answer if apart >= 0 else rival, math.exp(min(abs(apart), 700))
st.markdown(
    f"After {bold(here)} (position {position}) the logit of {bold(answer)} less that of {bold(rival)} is "
    f"**{apart:+.4f}**: {bold(likelier)} is {f'{times:,.0f}' if times >= 100 else f'{times:.2g}'} times as likely. "
    f"All that the parts below add is **{parts.total:+.4f}**."
)
left, right = st.columns([2, 3], gap="large")
with left:
    st.markdown("**Each part, in the order of the walk**: logits for the answer, or against it")
    walk = {f"token {label(here)}": parts.token}
    if parts.position is not None:
        walk |= {f"position {position}": parts.position}
    for layer, heads, neurons in zip(layers, parts.heads, parts.neurons):
        walk |= {f"{layer} attention": heads.sum(), f"{layer} MLP": neurons.sum()}
    walk |= {"attention biases": parts.attention_biases.sum(), "MLP biases": parts.mlp_biases.sum()}
    walk |= {"final norm's bias": parts.norm_bias}
    st.altair_chart(bars.signed(list(walk), [part.item() for part in walk.values()], "logits", theme), key="walk")
with right:
    st.markdown("**Each head**: logits that it adds. Click one to see where it looks.")
    chart = matrices.heads(parts.heads.numpy(), (), "logits", theme)
    clicked = st.altair_chart(chart, key=f"heads {name}", on_select="rerun", selection_mode="head").selection.get(
        "head", []
    )
    strong = attribution.strongest(parts.heads, RANKED)
    layer, head = (clicked[0]["layer"], clicked[0]["head"]) if clicked else strong[0]
    patterns = trace.patterns
    st.markdown(f"**L{layer} H{head}** adds {parts.heads[layer, head]:+.2f}. Where it looks from here, in shares of 1:")
    components.token_bars(
        "looks", reading.tokens[: position + 1], patterns[layer, head, position, : position + 1].tolist(), 1
    )

left, right = st.columns(2, gap="large")
with left:
    st.markdown("**The heads that add or take most**")
    looks = [patterns[layer, head, position].argmax().item() for layer, head in strong]
    read = [f"{at} {one}" for at, one in zip(looks, visible(reading.tokens[at] for at in looks))]
    ranked(
        "head",
        parts.heads,
        attribution.written_by_heads(gpt, trace, position, strong),
        strong,
        **{"looks most at": read},
    )
with right:
    st.markdown("**The neurons that add or take most**")
    strong = attribution.strongest(parts.neurons, RANKED)
    active = [round(trace.blocks[layer].mlp_post[0, position, neuron].item(), 2) for layer, neuron in strong]
    ranked(
        "neuron", parts.neurons, attribution.written_by_neurons(gpt, trace, position, strong), strong, activation=active
    )

PROSE.section("rollout")
rolled, mean = attribution.rollout(patterns), patterns.mean((0, 1))
rows = {"mean": mean, "rollout": rolled}
components.token_bar_rows(
    "summaries",
    {of: (reading.tokens[: position + 1], row[position, : position + 1].tolist()) for of, row in rows.items()},
    1,
)
even = torch.ones(count, count).tril() / torch.arange(1, count + 1)[:, None]
drifted = attribution.rollout(even.expand(len(layers), 1, -1, -1))[position, 0]
st.markdown(
    f"Rollout gives the first token **{rolled[position, 0]:.2f}** here. If every head looked at all tokens alike, it "
    f"would give it **{drifted:.2f}**."
)
window = slice(first, first + WINDOW)
drawn = {
    f"{of} (all {patterns[:, :, 0, 0].numel()} heads)": (shown, row[window, window].numpy()) for of, row in rows.items()
}
for column, figure in zip(st.columns(2), matrices.patterns(drawn, theme)):
    column.plotly_chart(figure, config=components.NO_TOOLBAR, key=figure.layout.title.text)

lesson.close(
    PROSE, lens.logits, lens.read, lens.fill, attribution.attribute, attribution.promoted_tokens, attribution.rollout
)
