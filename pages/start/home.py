"""Home: type, and see what a GPT does with it; and the map of the course."""

import streamlit as st
import torch

from model.tokens import is_text, pieces
from pages.shared import controls, prose, views

PAGE = "start/home"
# Each part builds on the one before it: what it asks, and its lessons.
COURSE = [
    ("1 · Learning", "How does a machine learn from examples, and what is a neural network?", []),
    ("2 · Language", "How do words become numbers, and why was order so hard?", []),
    ("3 · Transformer", "What happens between the prompt and the next word?", ["transformer/attention.py"]),
    ("4 · Training", "How does it learn to write, and to answer?", []),
    ("5 · Using", "What can be built with it, and where does it fail?", []),
]
SHOWN = 8  # of the next words, the likeliest


def append(token: str) -> None:
    """Continue the prompt with the word that was clicked."""
    st.session_state["prompt"] += token


st.subheader("Type something, and see what a GPT does with it.")
reading = controls.reading()

left, right = st.columns([2, 1], gap="large")
with left:
    st.markdown(
        "**Where it looks.** Each arc is :violet[attention]: hover a token to see "
        ":red[what it looks at] and :blue[what looks at it]."
    )
    patterns = torch.stack([block.attn.pattern[0] for block in reading.trace.blocks]).numpy()
    views.attention(reading.tokens, patterns, start=reading.model.start, small=True)
with right:
    probabilities, ids = reading.trace.logits[0, -1].softmax(-1).topk(SHOWN)
    tokenizer = reading.model.tokenizer
    tokens = pieces(tokenizer, ids.tolist())
    vocabulary = reading.trace.logits.shape[-1]
    st.markdown(f"**What it says next.** The likeliest of its {vocabulary:,} tokens; click one to add it.")
    typable = [is_text(tokenizer, id) and token.isprintable() for id, token in zip(ids.tolist(), tokens)]
    views.next_words(tokens, probabilities.numpy(), vocabulary - SHOWN, typable, on_pick=append)

prose.section(PAGE, "What you see")
st.subheader("The course")
for column, (section, question, lessons) in zip(st.columns(len(COURSE)), COURSE):
    with column.container(border=True, height="stretch"):
        st.markdown(f"**{section}**")
        st.caption(question)
        for lesson in lessons:
            st.page_link(lesson)
        if not lessons:
            st.caption(":material/lock: not open yet")
