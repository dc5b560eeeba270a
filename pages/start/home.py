"""Home: type, and see what a GPT does with it; and the map of the course."""

import numpy as np
import streamlit as st

from model.toy_world.exact import divergence
from pages.shared import components, controls, course, lesson, models, prose
from pages.shared.compute import readings

PROSE = prose.of(__file__)
COLUMNS = 4  # lessons of a section in a row
SHOWN = 8  # of the next words, the likeliest by its guess and by the truth


def draw_section(title: str, section: course.Section) -> None:
    """Draw a section of the course: its question, and its lessons in rows, each with its own question."""
    closed = "" if section.lessons else " &ensp;:small[:material/lock: not open yet]"
    st.markdown(f"**{title}** &ensp;:gray[{section.question}]{closed}")
    lessons = [entry for entry in section.lessons if entry is not course.HOME]
    for first in range(0, len(lessons), COLUMNS):
        for column, entry in zip(st.columns(COLUMNS), lessons[first:]):
            with column.container(border=True, height="stretch", gap="xsmall"):
                lesson.link_to(entry)
                st.caption(entry.question)


st.subheader("Type something, and see what a GPT does with it.")
reading = controls.ask_prompt()

left, right = st.columns([2, 1], gap="large")
with left:
    st.markdown(
        "**Where it looks.** Each arc is :violet[attention]: hover a token to see "
        ":red[what it looks at] and :blue[what looks at it]."
    )
    patterns = reading.trace.patterns.numpy()
    components.attention(reading.tokens, patterns, start=reading.model.start, small=True)
with right:
    log_probabilities = reading.trace.logits[0].log_softmax(-1)
    truth = readings.true_distributions(reading)[1:]
    guess, now = log_probabilities[-1].exp(), truth[-1]
    likeliest = {*guess.topk(min(SHOWN, len(guess))).indices.tolist(), *sorted(now, key=now.get)[-3:]}
    ids = sorted(likeliest, key=lambda id: guess[id] + now.get(id, 0), reverse=True)[:SHOWN]
    texts, typable = models.vocabulary(reading.model)
    whose = "by its guess and by the truth" if now else "by its guess"
    st.markdown(f"**What it says next.** The likeliest of {len(guess):,} tokens {whose}; click one to add it.")
    true = np.array([now.get(id, 0) for id in ids]) if now else None
    tokens, can_be_typed = [texts[id] for id in ids], [typable[id] for id in ids]
    components.next_words(
        tokens, guess[ids].numpy(), len(guess) - len(ids), can_be_typed, controls.append_to_prompt, truth=true
    )

    if reading.model.card:
        distances = [divergence(known, row) for known, row in zip(truth, log_probabilities)]
        st.markdown(
            "**How far from the truth?** The model's texts come from a grammar, so the true probabilities are known. "
            "Above each token: how far the guess for the next token is from them (KL divergence, in nats)."
        )
        components.token_bars("distances", reading.tokens, distances, full=0.5)
        if reading.cut_tokens:
            st.caption(":material/public_off: The beginning of the prompt was not read, so there is no truth.")
        elif not now:
            st.caption(
                ":material/public_off: Hatched: outside the toy world. No text of the grammar goes on like this, so "
                "there is no truth (a space at the end or half a word is enough). The model may repeat what it read; "
                "the rest is noise."
            )
    else:
        st.markdown("**How surprised was the model?** Above each token: its surprise (−ln p, in nats).")
        components.token_bars("surprises", reading.tokens, reading.surprises, full=5)

PROSE.section("seen")
if reading.model.card:
    PROSE.section("built-in")
else:
    PROSE.section("other")
st.subheader("The course")
for number, section in enumerate(course.SECTIONS):
    draw_section(f"{number} · {section.title}" if number else section.title, section)
