"""Words that a visitor types: their vectors, the ends of axes, and what is said of words that have none."""

from collections.abc import Mapping

import streamlit as st
from torch import Tensor

from model.language import embeddings
from model.language.embeddings import Embeddings, WordVector
from pages.shared import controls, prose
from viz.tokens import visible

MAX_WORDS = 40  # on the map
ENDS = "man woman horse king"


def note_other_readings(words: Mapping[str, WordVector]) -> None:
    """Say which words were read as another word, or as several tokens."""
    for word, (_, sources) in words.items():
        if list(sources) != [word]:
            mean = f"the mean of its tokens {prose.literal(' '.join(visible(sources)))}"
            how = sources[0] if len(sources) == 1 else mean
            st.caption(f":material/info: {prose.literal(word[:20])} was read as {how}.")


def ask_axes(vectors: Embeddings) -> list[tuple[str, Tensor]]:
    """Ask for the ends of both axes, each a word and its vector; empty if they make no axes."""
    pairs = controls.text_line("Four words: to the right from … to …, up from … to …", ENDS, key="pairs")
    try:
        return embeddings.parse_axes(vectors, pairs)
    except ValueError as error:
        st.warning(f"These make no axes: {prose.literal(error)}. You see the plane of all words.")
        return []


def find_words(vectors: Embeddings, text: str) -> dict[str, WordVector]:
    """The vectors of the words of a text that are on the map, with a warning about the others."""
    words, listed, unknown = dict.fromkeys(text.replace(",", " ").split()), {}, []
    for word in [*words][:MAX_WORDS]:
        try:
            listed[word] = vectors.find(word)
        except ValueError as error:
            unknown.append(error)
    if unknown:
        more = f" Nor are {len(unknown) - 1} others." if unknown[1:] else ""
        st.warning(f"Not on the map: {prose.literal(unknown[0])}.{more}")
    if len(words) > MAX_WORDS:
        st.warning(f"The map holds {MAX_WORDS} words of yours; {len(words) - MAX_WORDS} were left out.")
    note_other_readings(listed)
    return listed
