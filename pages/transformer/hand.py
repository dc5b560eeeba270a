"""Attention by hand: the four steps on matrices one can write, on the model's own heads."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st
import torch

from model.interpretability import attribution
from model.interpretability import residual_stream as block
from model.transformer import attention_steps as byhand
from pages.shared import components, controls, course, lesson, models, prose
from pages.shared import matrix_editor as matrices
from pages.shared.matrix_editor import Matrix
from viz.charts import bars, curves
from viz.charts import heatmaps as drawn
from viz.tokens import visible

PROSE = prose.of(__file__)
VIEWS = HAND, PROMPT, HEADS = "By hand", "On your prompt", "Several heads"
DRAWN, WORDS = 32, 3  # queries of a prompt that are worked out, and words that a head writes towards
FIRST, LAST = f"the first {DRAWN} tokens", f"the last {DRAWN}"
SMALL, LIBRARY, CONTRACT = byhand.PRESETS
SHARPER = tuple(range(1, 21))
CLAUSES, LENGTHS = 100, (10, 30, 100, 300, 1000, 3000, 10_000)


def begin() -> None:
    """An example brings its mask."""
    example = byhand.PRESETS[st.session_state["example"]]
    st.session_state.update(mask=example.mask if example else byhand.MASKS[0], times=1, scaled=True)


def written() -> None:
    """Ask for the matrices, and work the steps out on them."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = controls.choice("Example", list(byhand.PRESETS), SMALL, key="example", on_change=begin)
        example = byhand.PRESETS[name]
        start = byhand.MASKS.index(example.mask if example else "causal")
        kind = st.selectbox("Mask", byhand.MASKS, start, key="mask", bind="query-params", width=220)
        times = st.select_slider("Queries ×", SHARPER, 1, key="times", bind="query-params", width=140)
        scaled = st.toggle("÷ √d", True, key="scaled", bind="query-params")
    left, right = st.columns([3, 8], gap="medium")
    with left.container(gap="xsmall"):
        example = example or sized()
        q, k, v = matrices.edited(
            {
                ":blue[**Q**: what each asks]": Matrix(example.q, example.queries, example.features),
                ":red[**K**: what each offers]": Matrix(example.k, example.keys, example.features),
                ":green[**V**: what each gives]": Matrix(example.v, example.keys, example.contents),
            }
        )
    divisor = math.sqrt(q.shape[1]) if scaled else 1
    mask = byhand.mask(kind, len(q), len(k))
    with right:
        found = byhand.steps(times * q, k, v, mask, divisor)
        components.attention_steps(example.queries, example.keys, as_numpy(found), divisor, example.contents)
        if "wrong" in kind:
            wrong = "This mask is written wrongly: see what goes wrong"
            lesson.link_to(course.lesson_at("transformer/scale"), f":material/warning: {wrong}")
    if name == LIBRARY:
        library(example.queries, lambda n: byhand.steps(n * q, k, v, mask, divisor))
    elif name == CONTRACT:
        contract()


def sized() -> byhand.Example:
    """Small numbers, of sizes and from a seed that are asked for."""
    asked = (("Tokens", 2, len(byhand.WORDS), 4, "tokens"), ("d", 1, 4, 3, "width"), ("Seed", 0, 999, 0, "drawn"))
    looks = {"bind": "query-params", "width": 62}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall"):
        numbers = [
            st.number_input(f"{label} {least}\u2060–\u2060{most}", least, most, start, key=key, **looks)
            for label, least, most, start, key in asked
        ]
    return byhand.random_example(*numbers)


def as_numpy(found: byhand.Steps) -> dict[str, np.ndarray]:
    return {name: of.numpy() for name, of in vars(found).items()}


def library(readers: Sequence[str], multiplied: Callable[[int], byhand.Steps]) -> None:
    """How hard the look-up is when the queries are multiplied."""
    left, right = st.columns(2, gap="large")
    with left:
        PROSE.section("library")
    with right:
        st.markdown("**The largest weight** of each reader, as the queries are multiplied:")
        rows = [multiplied(n).weights.amax(-1).tolist() for n in SHARPER]
        largest = dict(zip(readers, map(list, zip(*rows))))
        st.altair_chart(curves.several(largest, "queries ×", "largest weight", start=1))


def contract() -> None:
    """The weight of the clause that fits, by its distance and by the length of the contract."""
    left, middle, right = st.columns(3, gap="large")
    with left:
        PROSE.section("contract")
        fit = st.slider("Score of the clause that fits", 0.0, 10.0, 4.0, 0.5, key="fit", bind="query-params")
    with middle:
        by = {
            f"as it is, {CLAUSES} clauses": [byhand.answer_weight(CLAUSES, n, fit) for n in range(1, CLAUSES)],
            "with 1/8 off a step (ALiBi)": [byhand.answer_weight(CLAUSES, n, fit, 1 / 8) for n in range(1, CLAUSES)],
        }
        as_it_is, penalised = by.values()
        power = math.exp(fit)
        others = power / as_it_is[0] - power
        left.markdown(
            f"The scores of the other {CLAUSES - 1} are random, as from queries and keys of 64 random numbers. Their "
            f"e^score come to {others:.2f}, so the one that fits gets e^{fit:g} / (e^{fit:g} + {others:.2f}) = "
            f"{power:.2f} / {power + others:.2f} = **{as_it_is[0]:.3f}**."
        )
        st.markdown(
            f"**By distance**: {as_it_is[0]:.3f} one clause away, **{as_it_is[43]:.3f}** 44 away; with a penalty "
            f"{penalised[0]:.3f} and {penalised[43]:.4f}."
        )
        st.altair_chart(curves.several(by, "distance, in clauses", "weight", start=1))
    with right:
        lengths = [byhand.answer_weight(n, n - 1, fit) for n in LENGTHS]
        st.markdown(f"**By length**: {lengths[0]:.2f} of {LENGTHS[0]} clauses, **{lengths[-1]:.4f}** of 10,000.")
        st.altair_chart(bars.compared([f"{n:,}" for n in LENGTHS], {"weight": lengths}, controls.theme()))


def on_prompt() -> None:
    """The same steps on one head of the model."""
    reading = controls.ask_prompt()
    config = reading.model.decoder.config
    names = controls.head_names(config.n_layer, config.n_head)
    start = reading.model.start[0] * config.n_head + reading.model.start[1]
    line = st.container(horizontal=True, vertical_alignment="center")
    looks = {"label_visibility": "collapsed", "width": 140}
    picked = line.selectbox("Head", names, start, key="picked", bind="query-params", **looks)
    layer, head = divmod(names.index(picked), config.n_head)
    attn, tokens, end = reading.trace.blocks[layer].attn, reading.tokens, DRAWN
    if len(tokens) > DRAWN:
        with line:
            shown = controls.choice("Queries", (FIRST, LAST), FIRST, key="end", label_visibility="collapsed")
        end = len(tokens) if shown == LAST else DRAWN
    keys, queries = slice(end), slice(max(0, end - DRAWN), end)
    q, k, v = (of[0, head, some].double() for of, some in ((attn.q, queries), (attn.k, keys), (attn.v, keys)))
    divisor = math.sqrt(q.shape[1])
    found = byhand.steps(q, k, v, byhand.mask("causal", len(k), len(k))[queries], divisor)
    apart = (found.weights - attn.pattern[0, head, queries, keys]).abs().max().item()
    line.caption(
        f"d = {q.shape[1]}, √d = {divisor:.2f}. Worked out anew, its weights differ from those of the model's "
        f"own pass by {apart:.1g} at most."
    )
    components.attention_steps(tokens[queries], tokens[keys], as_numpy(found), divisor)


def several() -> None:
    """What each head of a layer adds to the stream of one token; and torch's own module beside it."""
    reading = controls.ask_prompt()
    gpt, trace = reading.model.decoder, reading.trace
    with st.container(horizontal=True):
        layers = [f"L{layer}" for layer in range(gpt.config.n_layer)]
        name = st.selectbox("Layer", layers, len(layers) - 1, key="of layer", bind="query-params", width=140)
        position = controls.token_picker("Token", reading.tokens, key="at")
    layer = layers.index(name)
    attention, out = gpt.blocks[layer].attn, trace.blocks[layer].attn.out[0, position]
    heads = attribution.written_by_heads(gpt, trace, position, [(layer, head) for head in range(gpt.config.n_head)])
    parts = torch.cat([heads, gpt.blocks[layer].b_O[None]])
    names = [f"H{head}" for head in range(len(heads))] + ["bias"]
    left, right = st.columns([2, 3], gap="large")
    with left:
        st.markdown("**Share of the sum**, along its own direction; all together 1")
        shares = (parts @ out / out.square().sum()).tolist()
        st.altair_chart(bars.signed(names, shares, "share", controls.theme()))
        st.markdown("**What each adds**, number by number, and the sum")
        vectors = torch.cat([parts, out[None]]).numpy()
        labels = ["head"] * len(heads) + ["bias", "sum"]
        st.plotly_chart(
            drawn.vectors(labels, vectors, theme=controls.theme()), key="vectors", config=components.NO_TOOLBAR
        )
    with right:
        vocabulary = models.vocabulary(reading.model).texts
        end = trace.blocks[-1].resid_post[0, position]
        rows = [*parts, out]
        told = [
            {
                "adds": name,
                "length": row.norm().item(),
                "writes towards": words(vocabulary, both.promoted),
                "and away from": words(vocabulary, both.suppressed),
            }
            for name, row, both in zip([*names, "sum"], rows, block.writes_towards(gpt, end, torch.stack(rows), WORDS))
        ]
        number = st.column_config.NumberColumn(format="%.2f", width=70)
        st.dataframe(told, hide_index=True, column_config={"length": number}, height="content")
    apart = (parts.sum(0) - out).abs().max().item()
    read = gpt.blocks[layer].ln_1(trace.blocks[layer].resid_pre)
    st.markdown(
        f"The heads and the bias add up to what {name}'s attention adds: the largest difference is **{apart:.1g}**. "
        f"torch's `nn.MultiheadAttention` with the same weights poured in puts out the same, and looks at the "
        f"same: the largest difference at any token is **{byhand.module_difference(attention, read):.1g}**."
    )


def words(vocabulary: list[str], found: list[tuple[int, float]]) -> str:
    return "  ".join(f"{visible([vocabulary[id]])[0]} {added:+.2f}" for id, added in found)


with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    lesson.title(PROSE, width="content")
    view = controls.choice("View", VIEWS, HAND, key="view", label_visibility="collapsed")
{HAND: written, PROMPT: on_prompt, HEADS: several}[view]()
if view == HEADS:
    PROSE.section("heads")
lesson.close(
    PROSE, *((attribution.written_by_heads, byhand.module_difference) if view == HEADS else (byhand.steps, byhand.mask))
)
