"""Word order: what tells a model that the same words stand in another order."""

import random

import streamlit as st

from model.transformer import position_schemes
from pages.shared import components, controls, lesson, prose
from pages.shared.compute import transformer
from pages.shared.compute.transformer import WordOrder
from viz.charts import heatmaps
from viz.percent import percent

PROSE = prose.of(__file__)
DRAWN, PROMPT_WORDS = 32, 12  # tokens in a picture; words that are taken from the prompt
ROUNDING = 1e-4  # a vector that moves by less of its length has not moved


def take_words(text: str) -> None:
    words = text.split()[:PROMPT_WORDS]
    st.session_state.update(one=" ".join(words), other=" ".join(words[::-1]))


def shuffle() -> None:
    words = st.session_state["one"].split()
    st.session_state["other"] = " ".join(random.sample(words, len(words)))


def compare(original: list[str], other: list[str]) -> list[int] | None:
    """For each word of the other order its index in the original; None, after a sentence, if they are other words."""
    words = max(len(original), len(other))
    if words > DRAWN:
        st.info(f"These are {words:,} words; the pictures here hold {DRAWN} tokens. Take fewer words.")
        return None
    try:
        indices = position_schemes.order(original, other)
    except ValueError:
        st.info("These are not the same words: each word must stand in both boxes, and equally often.")
        return None
    if not indices:
        st.info("There are no words to compare: type some into both boxes.")
    return indices or None


def show_moves(order: WordOrder, reasons: list[str]) -> None:
    """Draw how far each token moved, and say whether the order is seen."""
    components.token_bars("moved", order.tokens, order.moved, full=1)
    largest = max(order.moved)
    if largest < ROUNDING:
        st.markdown(f"**The order is not seen.** Nothing moves by more than {largest:.0e}, and that is rounding.")
        return
    by = " and ".join(f"by its {reason}" for reason in reasons) or "by rounding"
    st.markdown(
        f"**The order is seen**, {by}: one token moves by {percent(largest, 0)} of its length. "
        "(How far says little where something is switched off: it never learned to read so.)"
    )


def draw_patterns(order: WordOrder, head: int, theme: str) -> None:
    """Draw the weights of a head of the first layer in both orders, and those of the second order put back."""
    drawn = {
        f"L0 H{head}, one order": (order.tokens, order.patterns[head].numpy()),
        "the other order": (order.other_tokens, order.other_patterns[head].numpy()),
        "the other, put back": (order.tokens, order.put_back[head].numpy()),
    }
    for n, (column, figure) in enumerate(zip(st.columns(3), heatmaps.patterns(drawn, theme))):
        column.plotly_chart(figure, key=f"order {n}", config=components.NO_TOOLBAR)


lesson.title(PROSE)
left, middle, right = st.columns([2, 2, 1], vertical_alignment="bottom")
examples = PROSE.examples()
start = next(iter(examples.values()))
with right:
    model = controls.ask_model()
original = left.text_input("One order", start.prompt, key="one", bind="query-params")
other = middle.text_input("Another order of the same words", start.also["other"], key="other", bind="query-params")
controls.example_buttons({"one": original, "other": other}, examples)
with st.container(horizontal=True, vertical_alignment="center"):
    st.button("Shuffle", icon=":material/shuffle:", on_click=shuffle)
    if prompt := st.query_params.get(controls.PROMPT, ""):
        st.button("Take the words of the prompt", on_click=take_words, args=[prompt])
    positions = st.toggle("Positions", True, key="positions", bind="query-params")
    mask = st.toggle("Mask", True, key="mask", bind="query-params")
    names = [f"H{n}" for n in range(model.decoder.config.n_head)]
    label = "Head of the first layer"
    picked = controls.choice(label, names, names[model.looks_back], key="first", label_visibility="collapsed")
words = original.split()
indices = compare(words, other.split())
if indices:
    count = sum(map(len, transformer.word_ids(model, words)))
    if count > DRAWN:
        st.info(f"These are {count:,} tokens; the pictures here hold {DRAWN}. Take fewer words, or shorter ones.")
    else:
        order = transformer.reorder_words(model, tuple(words), tuple(indices), positions, mask)
        left, right = st.columns([1, 3], gap="large")
        with left:
            show_moves(order, [name for name, on in (("positions", positions), ("mask", mask)) if on])
        with right:
            draw_patterns(order, names.index(picked), controls.theme())
PROSE.section("order")
lesson.close(PROSE, position_schemes.order, position_schemes.reordered)
