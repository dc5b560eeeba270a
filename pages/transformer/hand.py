"""Attention by hand: the four steps on matrices that the visitor writes; a library and a contract as analogies."""

import math
from collections.abc import Callable, Sequence

import streamlit as st

from model.transformer import attention_steps
from model.transformer.attention_steps import Example, Steps
from pages.shared import components, controls, course, lesson, matrix_editor, prose
from pages.shared.matrix_editor import Matrix
from viz.charts import bars, curves

PROSE = prose.of(__file__)
# The lessons that show what were views of this one; old links hold their names.
MOVED = {"On your prompt": "transformer/attention_on_prompt", "Several heads": "transformer/heads_add_up"}
SMALL, LIBRARY, CONTRACT = attention_steps.PRESETS
FACTORS = tuple(range(1, 21))  # of the queries
CLAUSES, LENGTHS = 100, (10, 30, 100, 300, 1000, 3000, 10_000)


def set_mask_of_example() -> None:
    """Set the mask that goes with the picked example, and put factor and division back."""
    example = attention_steps.PRESETS[st.session_state["example"]]
    mask = example.mask if example else attention_steps.MASKS[0]
    st.session_state.update(mask=mask, times=1, scaled=True)


def ask_example() -> Example:
    """Ask for sizes and a seed; returns matrices of small whole numbers."""
    most = len(attention_steps.WORDS)
    fields = (("Tokens", 2, most, 4, "tokens"), ("d", 1, 4, 3, "width"), ("Seed", 0, 999, 0, "drawn"))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall"):
        numbers = [
            st.number_input(
                f"{label} {least}\u2060–\u2060{most}", least, most, start, key=key, bind="query-params", width=62
            )
            for label, least, most, start, key in fields
        ]
    return attention_steps.random_example(*numbers)


def edit(example: Example) -> list:
    """Let the visitor edit Q, K and V; returns the edited matrices."""
    return matrix_editor.edited(
        {
            ":blue[**Q**: what each asks]": Matrix(example.q, example.queries, example.features),
            ":red[**K**: what each offers]": Matrix(example.k, example.keys, example.features),
            ":green[**V**: what each gives]": Matrix(example.v, example.keys, example.contents),
        }
    )


def draw_library(readers: Sequence[str], multiplied: Callable[[int], Steps]) -> None:
    """Draw how hard the look-up becomes as the queries are multiplied."""
    left, right = st.columns(2, gap="large")
    with left:
        PROSE.section("library")
    with right:
        st.markdown("**The largest weight** of each reader, as the queries are multiplied:")
        rows = [multiplied(factor).weights.amax(-1).tolist() for factor in FACTORS]
        largest = dict(zip(readers, map(list, zip(*rows))))
        st.altair_chart(curves.several(largest, "queries ×", "largest weight", start=1))


def draw_contract() -> None:
    """Draw the weight of the clause that fits, by its distance and by the length of the contract."""
    left, middle, right = st.columns(3, gap="large")
    with left:
        PROSE.section("contract")
        fit = st.slider("Score of the clause that fits", 0.0, 10.0, 4.0, 0.5, key="fit", bind="query-params")
    plain = attention_steps.answer_weights(CLAUSES, fit)
    penalized = attention_steps.answer_weights(CLAUSES, fit, 1 / 8)
    lengths = [attention_steps.answer_weight(length, length - 1, fit) for length in LENGTHS]
    power = math.exp(fit)
    others = power / plain[0] - power
    left.markdown(
        f"The scores of the other {CLAUSES - 1} are random, as from queries and keys of 64 random numbers. Their "
        f"e^score come to {others:.2f}, so the one that fits gets e^{fit:g} / (e^{fit:g} + {others:.2f}) = "
        f"{power:.2f} / {power + others:.2f} = **{plain[0]:.3f}**."
    )
    middle.markdown(
        f"**By distance**: {plain[0]:.3f} one clause away, **{plain[43]:.3f}** 44 away; with a penalty "
        f"{penalized[0]:.3f} and {penalized[43]:.4f}."
    )
    by_distance = {f"as it is, {CLAUSES} clauses": plain, "with 1/8 off a step (ALiBi)": penalized}
    middle.altair_chart(curves.several(by_distance, "distance, in clauses", "weight", start=1))
    right.markdown(f"**By length**: {lengths[0]:.2f} of {LENGTHS[0]} clauses, **{lengths[-1]:.4f}** of 10,000.")
    right.altair_chart(bars.compared([f"{n:,}" for n in LENGTHS], {"weight": lengths}, controls.theme()))


lesson.move_to(MOVED.get(st.query_params.get("view")))
lesson.title(PROSE)
with st.container(horizontal=True, vertical_alignment="bottom"):
    name = controls.choice(
        "Example", list(attention_steps.PRESETS), SMALL, key="example", on_change=set_mask_of_example
    )
    example = attention_steps.PRESETS[name]
    start = attention_steps.MASKS.index(example.mask if example else "causal")
    kind = st.selectbox("Mask", attention_steps.MASKS, start, key="mask", bind="query-params", width=220)
    times = st.select_slider("Queries ×", FACTORS, 1, key="times", bind="query-params", width=140)
    scaled = st.toggle("÷ √d", True, key="scaled", bind="query-params")
left, right = st.columns([3, 8], gap="medium")
with left.container(gap="xsmall"):
    example = example or ask_example()
    q, k, v = edit(example)
divisor = math.sqrt(q.shape[1]) if scaled else 1
mask = attention_steps.mask(kind, len(q), len(k))
with right:
    numbers = {name: rows.numpy() for name, rows in vars(attention_steps.steps(times * q, k, v, mask, divisor)).items()}
    components.attention_steps(example.queries, example.keys, numbers, divisor, example.contents)
    if "wrong" in kind:
        label = ":material/warning: This mask is written wrongly: see what goes wrong"
        lesson.link_to(course.lesson_at("transformer/scale"), label)
if name == LIBRARY:
    draw_library(example.queries, lambda factor: attention_steps.steps(factor * q, k, v, mask, divisor))
elif name == CONTRACT:
    draw_contract()
lesson.close(PROSE, attention_steps.steps, attention_steps.mask)
