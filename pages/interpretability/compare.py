"""Compare: two models on one prompt, or two prompts on one model."""

import math
from collections.abc import Sequence

import streamlit as st
import torch
from torch import Tensor

from model.interpretability import comparison
from model.language.surprise import surprises
from model.language.tokenization import token_bytes
from model.toy_world.exact import divergence
from pages.shared import components, controls, fetching, lesson, models, prose
from pages.shared.compute import readings
from pages.shared.compute.readings import Reading
from viz.charts import bars
from viz.charts import heatmaps as matrices
from viz.percent import percent

PROSE = prose.of(__file__)
PAIRS = PROSE.examples("examples-prompts")
MODELS, PROMPTS = "Two models", "Two prompts"
CUT, MATRIX, SHOWN = 600, 32, 6  # characters that are drawn, aligned tokens in a matrix, and next words
LEAST = 0.0005  # of a probability that moves
ALL, LAST = "All rows", "The last row"
MOST = "The head that moved most"


def named(letter: str) -> st.delta_generator.DeltaGenerator:
    """Room for a box with its letter before it."""
    room = st.container(horizontal=True, vertical_alignment="center")
    room.markdown(f"**{letter}**", width="content")
    return room


def patterns(reading: Reading) -> Tensor:
    """What all its heads look at: (L, H, T, T)."""
    return torch.stack([block.attn.pattern[0] for block in reading.trace.blocks])


def cut(reading: Reading, ids: Sequence[int]) -> tuple[list[bytes], Sequence[int]]:
    """The bytes of each token, and its id."""
    return [token_bytes(reading.model.tokenizer, id) for id in ids], ids


def next_word(reading: Reading) -> Tensor:
    """The probability of each token that it knows: (V)."""
    return reading.trace.logits[0, -1].softmax(-1)


def ranked(probabilities: Tensor, ids: Sequence[int | None]) -> list[bars.Guess]:
    """Of each token its probability and its rank; None where there is no such token."""
    found = [None if id is None else probabilities[id] for id in ids]
    return [None if p is None else (p.item(), 1 + int((probabilities > p).sum())) for p in found]


def measures(reading: Reading, first: int, size: int) -> dict[str, str]:
    """Numbers of one reading; those of the text are over its tokens from the first on, which are so many bytes."""
    config, guess = reading.model.decoder.config, reading.trace.logits[0, -1].log_softmax(-1)
    bits = sum(reading.surprises[first:]) / math.log(2)
    count = len(reading.tokens) - first
    now = readings.true_next(reading)
    return {
        "surprise per byte": f"**{bits / size:.2f} bits**" if size else "–",
        "surprise per token": f"{bits / count:.2f} bits (perplexity {2 ** (bits / count):,.1f})" if size else "–",
        "tokens": f"{len(reading.tokens):,} of {config.vocab_size:,} that it knows",
        "next word: undecided by": f"{comparison.entropy(guess) / math.log(2):.2f} bits",
        "next word: from the truth": f"{divergence(now, guess) / math.log(2):.2f} bits" if now else "not known",
        "size": f"{config.n_layer} layers × {config.n_head} heads, {reading.model.bytes / 4e6:,.1f} M weights",
    }


def guesses(a: Reading, b: Reading, pairs: Sequence[comparison.Column]) -> None:
    """Draw how likely two readings find some next words, and the truth of one prompt where it is known."""
    texts = [models.vocabulary(it.model).texts for it in (a, b)]
    words = [texts[1][other] if one is None else texts[0][one] for one, other in pairs]
    sides = list(zip((a, b), zip(*pairs)))
    drawn = {letter: ranked(next_word(it), ids) for letter, (it, ids) in zip("AB", sides)}
    for it, ids in sides if a.prompt == b.prompt else []:
        if now := readings.true_next(it):
            drawn["truth"] = [None if id is None else (now.get(id, 0.0), None) for id in ids]
    st.altair_chart(bars.beside(words, drawn, theme), key="next words")


def two_models() -> None:
    """One prompt, read by two models."""
    left, *rights = st.columns([5, 2, 2])
    with left:
        text = controls.prompt_box()
    with rights[0], named("A"):
        picked = [controls.model_picker()]
    with rights[1], named("B"):
        picked.append(controls.model_picker("Other model", "model2", models.NAMES[-1]))
    # A model that stands in would be compared with itself.
    ready = {name: fetching.ready(name, others=()) for name in dict.fromkeys(picked)}
    controls.example_buttons({"prompt": text}, PROSE.examples("examples-models"))
    controls.stop_if_empty(text)
    a, b = (readings.read(ready[name], text) for name in picked)
    controls.warn_if_cut("This prompt", a, b)

    shown = text[:CUT]
    cuts = [
        (f"{letter} · {it.model.name}", *cut(it, it.model.tokenizer.encode(shown).ids))
        for letter, it in zip("AB", (a, b))
    ]
    components.token_cuts(shown, cuts, chips=False)
    if len(text) > CUT:
        st.caption(f"Drawn are the first {CUT} of {len(text):,} characters.")

    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**What comes next**: the likeliest words of both, and the rank (#) of each")
        p, q = next_word(a), next_word(b)
        likeliest = [some.topk(min(SHOWN, len(some))).indices.tolist() for some in (p, q)]
        pairs = comparison.match_tokens(a.model.tokenizer, b.model.tokenizer, *likeliest)
        best = {(i, j): max(p[i] if i is not None else 0, q[j] if j is not None else 0) for i, j in pairs}
        guesses(a, b, sorted(pairs, key=best.__getitem__, reverse=True)[:SHOWN])
    with right:
        size, *firsts = comparison.common_suffix(*(cut(it, it.trace.idx[0].tolist())[0] for it in (a, b)))
        columns = [measures(it, first, size) for it, first in zip((a, b), firsts)]
        names = [f"{letter} · {prose.literal(it.model.name)}" for letter, it in zip("AB", (a, b))]
        st.table([{"": what} | dict(zip(names, (of[what] for of in columns))) for what in columns[0]], hide_index=True)
        st.caption(
            f"The surprise is that of the last {size:,} of {len(text.encode()):,} bytes, which both have guessed."
            if size
            else "The surprise needs a second token: nothing is guessed before the first."
        )
        PROSE.section("numbers")

    for column, letter, it, link in zip(st.columns(2, gap="large"), "AB", (a, b), ("", "2")):
        with column:
            st.markdown(f"**Where {letter} · {prose.literal(it.model.name)} looks**")
            components.attention(it.tokens, patterns(it).numpy(), start=it.model.start, link=link)


def begin() -> None:
    """The second prompt is that of an example that has the first one; else a copy of it, to be changed."""
    prompt = st.session_state["prompt"]
    st.session_state["prompt2"] = next(
        (pair.also["prompt2"] for pair in PAIRS.values() if pair.prompt == prompt), prompt
    )


def pick_head() -> None:
    for point in st.session_state["moved"].selection["head"]:
        st.session_state["changed"] = f"L{point['layer']} H{point['head']}"


def two_prompts() -> None:
    """Two prompts, read by one model."""
    left, right = st.columns([4, 1])
    with left:
        with named("A"):
            one = controls.prompt_box()
        with named("B"):
            other = controls.prompt_box("Another text", "prompt2", PAIRS["Who gives?"].also["prompt2"])
    with right:
        picked = controls.model_picker()
    model = fetching.ready(picked)
    controls.example_buttons({"prompt": one, "prompt2": other}, PAIRS)
    controls.stop_if_empty(one, other)
    a, b = (controls.read(model, text, f"Prompt {letter}") for letter, text in (("A", one), ("B", other)))
    ids = [it.trace.idx[0].tolist() for it in (a, b)]

    columns = comparison.align(*ids)
    pairs = [pair for pair in columns if None not in pair]
    same = sum(ids[0][i] == ids[1][j] for i, j in pairs)
    rows = {}
    for letter, it, places in zip("AB", (a, b), zip(*columns)):
        bits = [nats / math.log(2) for nats in it.surprises]
        rows[letter] = (
            ["" if n is None else it.tokens[n] for n in places],
            [math.nan if n is None else bits[n] for n in places],
        )
    st.markdown(
        f"**{same:,} tokens stand in both** · replaced: {len(pairs) - same:,} · in one only: "
        f"{len(columns) - len(pairs):,} · above each token its surprise, in bits"
    )
    components.token_bar_rows("aligned", rows, full=8, aligned=True)

    first = min(comparison.common_prefix_length(columns, *ids), len(pairs))
    if first == len(columns):
        st.info("Token by token the two are the same, so nothing differs: change a word in one of them.")
    looks = [patterns(it) for it in (a, b)]
    layers, heads = looks[0].shape[:2]
    with st.container(horizontal=True):
        names = {f"L{layer} H{head}": (layer, head) for layer in range(layers) for head in range(heads)}
        counted = controls.choice("Rows", [ALL, LAST], ALL, key="rows", label_visibility="collapsed")
        asked = st.selectbox(
            "Head", [MOST, *names], key="changed", bind="query-params", label_visibility="collapsed", width=260
        )
    moved = comparison.moved_attention(*looks, pairs)[..., first if counted == ALL else -1 :]
    moved = moved.mean(-1) if moved.shape[-1] else moved.new_zeros(layers, heads)
    layer, head = names.get(asked, divmod(int(moved.argmax()), heads))
    left, middle, right = st.columns([4, 5, 4], gap="medium")
    with left:
        st.markdown("**What moved** in each head, from 0 to 1; click one")
        chart = matrices.heads(moved.numpy(), [(layer, head)], "moved", theme)
        st.altair_chart(chart, key="moved", on_select=pick_head, selection_mode="head")
    drawn = pairs[-MATRIX:]
    here, there = (torch.tensor(places) for places in zip(*drawn))
    labels = [a.tokens[i] if ids[0][i] == ids[1][j] else f"{a.tokens[i]}→{b.tokens[j]}" for i, j in drawn]
    one, other = (look[layer, head][places][:, places].numpy() for look, places in zip(looks, (here, there)))
    with middle:
        start = max(0, first - (len(pairs) - len(drawn)))
        figure = matrices.difference(labels, one, other, start, f"L{layer} H{head}: B − A, in %", theme)
        st.plotly_chart(figure, key="difference", config=components.NO_TOOLBAR)
    with right:
        p, q = next_word(a), next_word(b)
        st.markdown(
            f"**What comes next**: {percent(comparison.total_variation(p, q), 0)} of the probability is on other words"
        )
        movers = (p - q).abs().topk(min(SHOWN, len(p)))
        moving = [id for n, id in enumerate(movers.indices.tolist()) if n < 2 or movers.values[n] > LEAST]
        guesses(a, b, [(id, id) for id in moving])
    if len(drawn) < len(pairs):
        st.caption(f"Drawn are the last {len(drawn)} of {len(pairs):,} aligned tokens; the map of heads counts all.")
    found = {
        f"{letter}: L{layer} H{head}": (it.tokens[-MATRIX:], look[layer, head, -MATRIX:, -MATRIX:].numpy())
        for letter, it, look in zip("AB", (a, b), looks)
    }
    *columns, last = st.columns(3)
    for column, figure in zip(columns, matrices.patterns(found, theme)):
        column.plotly_chart(figure, config=components.NO_TOOLBAR)
    with last:
        PROSE.section("pictures")


with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    lesson.title(PROSE, width="content")
    mode = controls.choice(
        "Compare", [MODELS, PROMPTS], MODELS, key="compare", label_visibility="collapsed", on_change=begin
    )
theme = controls.theme()
if mode == MODELS:
    two_models()
else:
    two_prompts()
lesson.close(
    PROSE,
    comparison.common_suffix,
    surprises,
    comparison.align,
    comparison.attention_difference,
    comparison.moved_attention,
)
