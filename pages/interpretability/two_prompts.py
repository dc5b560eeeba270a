"""Two prompts on one model: their tokens aligned, the attention that each head moves, and the words that changed."""

import math

import streamlit as st

from model.interpretability import comparison
from pages.shared import components, controls, fetching, lesson, prose
from pages.shared.compute import two_readings
from pages.shared.compute.readings import Reading
from pages.shared.compute.two_readings import Alignment
from viz.charts import bars, heatmaps
from viz.percent import percent

PROSE = prose.of(__file__)
MATRIX, SHOWN_WORDS = 32, 6  # aligned tokens in a matrix, and next words
ALL, LAST, MOST_MOVED = "All rows", "The last row", "The head that moved most"
OTHER = "prompt2"


def ask_readings() -> tuple[Reading, Reading]:
    """Ask for two prompts and a model; returns the reading of each prompt.

    The second prompt begins as that of an example with the same first one, or else as a copy of it, to be changed.
    """
    left, right = st.columns([4, 1])
    with left:
        with controls.lettered("A"):
            text_a = controls.prompt_box()
        if OTHER not in st.session_state and OTHER not in st.query_params:
            pairs = {pair.prompt: pair.also[OTHER] for pair in PROSE.examples().values()}
            st.session_state[OTHER] = pairs.get(text_a, text_a)
        with controls.lettered("B"):
            text_b = controls.prompt_box("Another text", OTHER, "")  # so that the link holds every text
    with right:
        name = controls.model_picker()
    model = fetching.ready(name)
    controls.example_buttons({"prompt": text_a, OTHER: text_b}, PROSE.examples())
    controls.stop_if_empty(text_a, text_b)
    a, b = (controls.read(model, text, f"Prompt {letter}") for letter, text in (("A", text_a), ("B", text_b)))
    return a, b


def show_tokens(a: Reading, b: Reading, alignment: Alignment) -> None:
    """Draw both prompts, each token above its counterpart, with its surprise."""
    rows = {}
    for letter, reading, positions in zip("AB", (a, b), zip(*alignment.columns)):
        surprises = two_readings.bits(reading)
        tokens = ["" if position is None else reading.tokens[position] for position in positions]
        rows[letter] = tokens, [math.nan if position is None else surprises[position] for position in positions]
    same, pairs = sum(alignment.equal), len(alignment.pairs)
    st.markdown(
        f"**{same:,} tokens stand in both** · replaced: {pairs - same:,} · in one only: "
        f"{len(alignment.columns) - pairs:,} · above each token its surprise, in bits"
    )
    components.token_bar_rows("aligned", rows, full=8, aligned=True)
    if alignment.identical:
        st.info("Token by token the two are the same, so nothing differs: change a word in one of them.")


def pick_head() -> None:
    """Keep the head that was clicked in the map."""
    for point in st.session_state["moved"].selection["head"]:
        st.session_state["changed"] = f"L{point['layer']} H{point['head']}"


def show_difference(a: Reading, b: Reading, alignment: Alignment, head: tuple[int, int], name: str) -> None:
    """Draw how the attention of one head differs between the aligned tokens of the two prompts."""
    shown = alignment.pairs[-MATRIX:]
    skipped = len(alignment.pairs) - len(shown)
    labels = [
        a.tokens[i] if same else f"{a.tokens[i]}→{b.tokens[j]}"
        for (i, j), same in zip(shown, alignment.equal[skipped:])
    ]
    patterns = (pattern.numpy() for pattern in two_readings.aligned_patterns(a, b, shown, head))
    start = max(0, alignment.first - skipped)
    figure = heatmaps.difference(labels, *patterns, start, f"{name}: B − A, in %", controls.theme())
    st.plotly_chart(figure, key="difference", config=components.NO_TOOLBAR)
    if skipped:
        st.caption(
            f"Drawn are the last {MATRIX} of {len(alignment.pairs):,} aligned tokens; the map of heads counts all."
        )


lesson.title(PROSE)
a, b = ask_readings()
alignment, theme = two_readings.align(a, b), controls.theme()
show_tokens(a, b, alignment)
names = controls.head_names(*a.trace.patterns.shape[:2])
with st.container(horizontal=True):
    rows = controls.choice("Rows", [ALL, LAST], ALL, key="rows", label_visibility="collapsed")
    picked = st.selectbox(
        "Head", [MOST_MOVED, *names], key="changed", bind="query-params", label_visibility="collapsed", width=260
    )
moved = two_readings.moved_attention(a, b, alignment, rows == LAST)
number = names.index(picked) if picked in names else int(moved.argmax())
head, name = divmod(number, moved.shape[1]), names[number]
left, middle, right = st.columns([4, 5, 4], gap="medium")
with left:
    st.markdown("**What moved** in each head, from 0 to 1; click one")
    chart = heatmaps.heads(moved.numpy(), [head], "moved", theme)
    st.altair_chart(chart, key="moved", on_select=pick_head, selection_mode="head")
with middle:
    show_difference(a, b, alignment, head, name)
with right:
    distance = comparison.total_variation(two_readings.next_token(a), two_readings.next_token(b))
    st.markdown(f"**What comes next**: {percent(distance, 0)} of the probability is on other words")
    words, guesses = two_readings.next_tokens(a, b, two_readings.changed_tokens(a, b, SHOWN_WORDS))
    st.altair_chart(bars.beside(words, guesses, theme), key="next words")
patterns = {
    f"{letter}: {name}": (reading.tokens[-MATRIX:], reading.trace.patterns[head][-MATRIX:, -MATRIX:].numpy())
    for letter, reading in zip("AB", (a, b))
}
*columns, last = st.columns(3)
for column, figure in zip(columns, heatmaps.patterns(patterns, theme)):
    column.plotly_chart(figure, config=components.NO_TOOLBAR)
with last:
    PROSE.section("pictures")
lesson.close(PROSE, comparison.align, comparison.attention_difference, comparison.moved_attention)
