"""A word in context: how far the vectors of one token in two texts come apart, block by block."""

import streamlit as st

from model.language import embeddings
from pages.shared import controls, lesson, prose
from pages.shared.compute import language
from pages.shared.compute.language import SharedToken
from pages.shared.compute.readings import Reading, read
from viz.charts import curves
from viz.tokens import visible

PROSE = prose.of(__file__)


def ask_texts() -> tuple[Reading, Reading]:
    """Ask for two texts and a model; returns the reading of each. An empty text ends the page."""
    left, right = st.columns([4, 1])
    with right:
        model = controls.ask_model()
    with left:
        text = controls.prompt_box()
        other = controls.text_line("Another text", PROSE.examples()["A key and a ring"].also["another"], key="another")
    controls.example_buttons({"prompt": text, "another": other}, PROSE.examples())
    if not (text and other):
        st.info("One of the two texts is empty: type a few words into both.")
        st.stop()
    a, b = read(model, text), read(model, other)
    controls.warn_if_cut("The first text", a)
    controls.warn_if_cut("The other text", b)
    return a, b


def ask_token(a: Reading, b: Reading) -> str | None:
    """Ask for a token that stands in both texts, at first the longest; None if there is none."""
    shared = [token for token in dict.fromkeys(a.tokens) if token in b.tokens]
    if not shared:
        st.info("The two texts have no token in common: write a word of the first into the second.")
        return None
    names = visible(shared)
    longest = names.index(max(names, key=len))
    return shared[names.index(st.selectbox("Token", names, longest, key="shared", bind="query-params"))]


def show_similarity(token: str, cosines: SharedToken) -> None:
    """Draw how alike the token's vectors are after each block, and say what becomes of them."""
    lines = {
        "in one text and the other": cosines.between_texts,
        "in the first, and at its start": cosines.with_start,
        "any two tokens": cosines.any_two,
    }
    chart = curves.several({name: line.tolist() for name, line in lines.items()}, "blocks passed", "cosine")
    st.altair_chart(chart, key="two texts")
    first, *_, last = cosines.between_texts.tolist()
    name = prose.literal(visible([token])[0])
    st.markdown(
        f"The two vectors of “{name}” have a cosine of **{first:.2f}** before the first block and of **{last:.2f}** "
        f"after the last. Any two tokens of the two texts have {cosines.any_two[-1].item():.2f} there."
    )


lesson.title(PROSE)
a, b = ask_texts()
if token := ask_token(a, b):
    show_similarity(token, language.compare_contexts(a, b, token))
    if a.model.decoder.W_pos is None:
        st.caption("This model adds no position vectors, so the two are equal before the first block.")
PROSE.section("contexts")
lesson.close(PROSE, embeddings.contextual_similarity)
