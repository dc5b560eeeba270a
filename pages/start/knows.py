"""What this model knows: what it has read, its loss beside the floor, its answers beside the truth."""

import random

import streamlit as st

from model.toy_world import exact, grammar
from pages.shared import components, controls, lesson, models, prose
from pages.shared.compute import start
from pages.shared.prompts import INSIDE, OUTSIDE

PROSE = prose.of(__file__)

heading = st.container()
model = controls.ask_model()
heading.subheader("What does this model know" + (", and how far is it from the truth?" if model.card else "?"))
left, right = st.columns([3, 1], gap="large")
with right:
    draw = st.number_input("Draw of questions and texts", 1, start.DRAWS, key="draw", bind="query-params")
    if model.card:
        measured = start.held_out_losses(model, draw)
        loss, floor = round(measured.held_out.loss, 3), round(measured.held_out.floor, 3)
        st.metric(f"Loss on {start.TEXTS} held-out texts, nats per token", f"{loss:.3f}")
        st.metric("The floor: the surprise of the grammar itself", f"{floor:.3f}")
        st.metric("Above the floor", f"{loss - floor:.3f}")  # as the two are written
        st.metric(f"… on the {measured.unread.documents} it cannot have read", f"{measured.unread.above:.3f}")
    for kind, score in model.heads.items():
        st.metric(f"Best {kind}, on random tokens", f"{score:.2f}")
with left:
    examined = start.question_answers(model, draw)
    count = len(next(iter(examined.values())))
    st.markdown(
        f"**{count} questions of each kind**, drawn at random and answered by the model now. The first of each kind is "
        "shown; another number on the right draws others."
    )
    rows = [
        {
            "kind": kind,
            "right": sum(answer == reply for _, answer, reply in questions) / count,
            "question": questions[0][0],
            "it says": questions[0][2],
            "right answer": questions[0][1],
        }
        for kind, questions in examined.items()
    ]
    share = st.column_config.ProgressColumn("right", format="percent", min_value=0, max_value=1, width="small")
    st.dataframe(rows, hide_index=True, height="content", column_config={"right": share})


def show_continuations(model: models.Model, prompts: list[str]) -> None:
    """Show how the model goes on after each prompt."""
    place, rows = st.empty(), []
    for prompt in prompts:
        place.progress(len(rows) / len(prompts), f"{len(rows)} of {len(prompts)} prompts are continued")
        rows.append({"prompt": prompt, "it goes on": start.continuation(model, prompt)})
    place.dataframe(rows, hide_index=True, height="content")


if not model.card:
    PROSE.section("other")
    show_continuations(model, [*INSIDE, *OUTSIDE])
    lesson.next_link(PROSE)
    st.stop()

PROSE.section("numbers")

st.subheader("What it has read")
st.markdown(
    f"The model has read {model.card['tokens'] / 1e6:.1f} million tokens of texts like these. Each text was drawn at "
    f"random, so short ones came again. The grammar has {len(grammar.FAMILIES)} families of sentences with "
    f"{len(grammar.START.texts):,} templates. Now and then the text was a row of random tokens, repeated often. "
    "From these the model learned to repeat anything."
)
rng = random.Random(draw)
texts = [{"texts of its world": grammar.document(rng)} for _ in range(8)]
st.dataframe(texts, hide_index=True, height="content")

PROSE.section("truth")
columns = st.columns(2, gap="large")
beside = start.divergences_from_truth(model)
full = max(0.5, *(distance for _, distances in beside for distance in distances))
for number, (tokens, distances) in enumerate(beside):
    with columns[number % 2]:
        components.token_bars(f"distances {number}", tokens, distances, full)

PROSE.section("outside")
show_continuations(model, OUTSIDE)

lesson.close(PROSE, grammar.document, exact._walk)
