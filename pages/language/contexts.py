"""A word in context: how far the vectors of one token in two texts come apart, block by block."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from model.language import embeddings
from pages.shared import controls, lesson, prose
from pages.shared.compute import language
from pages.shared.compute.language import SharedToken
from pages.shared.compute.readings import Reading, read
from viz.charts import curves
from viz.numbers import decimal
from viz.tokens import visible

PROSE = prose.of(__file__)


def ask_texts(left: DeltaGenerator, right: DeltaGenerator) -> tuple[Reading, Reading]:
    """Ask for two texts, on the left, and a model, on the right; returns each reading. An empty text ends the page."""
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


def ask_token(a: Reading, b: Reading, column: DeltaGenerator) -> str | None:
    """Ask, in a column, for a token that stands in both texts, at first the longest; None if there is none."""
    shared = [token for token in dict.fromkeys(a.tokens) if token in b.tokens]
    if not shared:
        st.info("The two texts have no token in common: write a word of the first into the second.")
        return None
    names = visible(shared)
    longest = names.index(max(names, key=len))
    return shared[names.index(column.selectbox("Token", names, longest, key="shared", bind="query-params"))]


def show_similarity(token: str, cosines: SharedToken) -> None:
    """Draw how alike the token's vectors are after each block, and say what becomes of them."""
    lines = {
        "in one text and the other": cosines.between_texts,
        "in the first, and at its start": cosines.with_start,
        "any two tokens": cosines.any_two,
    }
    chart = curves.several({name: line.tolist() for name, line in lines.items()}, "blocks passed", "cosine")
    st.altair_chart(chart, key="two texts")
    first, *_, last = map(decimal, cosines.between_texts.tolist())
    name = prose.literal(visible([token])[0])
    st.markdown(
        f"The two vectors of “{name}” have a cosine of **{first}** before the first block and of **{last}** "
        f"after the last. Any two tokens of the two texts have {decimal(cosines.any_two[-1].item())} there."
    )


lesson.title(PROSE)
left, right = st.columns([4, 1])
a, b = ask_texts(left, right)
if token := ask_token(a, b, right):
    show_similarity(token, language.compare_contexts(a, b, token))
    if a.model.decoder.W_pos is None:
        st.caption("This model adds no position vectors, so the two are equal before the first block.")
PROSE.section("contexts")
lesson.close(PROSE, embeddings.contextual_similarity)
