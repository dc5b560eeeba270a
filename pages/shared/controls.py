"""The controls that follow the user through all lessons. They are the state, and the link holds it."""

import re

import streamlit as st

from pages.shared import models
from pages.shared.examples import EXAMPLES
from viz.tokens import visible


def prompt() -> str:
    """The prompt box."""
    return st.text_input(
        "Prompt",
        EXAMPLES[0].prompt,
        key="prompt",
        bind="query-params",
        live=True,
        placeholder="Type a few words",
        icon=":material/edit:",
        label_visibility="collapsed",
    )


def examples(text: str) -> None:
    """Buttons that fill the prompt box, and a sentence on what to look for in the example that stands in it."""
    with st.container(horizontal=True, gap="small"):
        for example in EXAMPLES:
            st.button(
                example.name,
                key=f"example {example.name}",
                on_click=st.session_state.update,
                kwargs={"prompt": example.prompt},
                type="primary" if example.prompt == text else "secondary",
            )
    for example in EXAMPLES:
        if example.prompt == text:
            st.markdown(f":material/lightbulb: {example.look_for}")


def model() -> str:
    """The name of the model in hand."""
    asked = st.query_params.get("model", models.NAMES[0])
    if asked not in models.NAMES:
        st.warning(f"The link asks for a model that is not here; you see {models.NAMES[0]}.")
    return st.selectbox(
        "Model",
        models.NAMES,
        key="model",
        bind="query-params",
        label_visibility="collapsed",
    )


def reading() -> models.Reading:
    """Prompt and model side by side, and what the one reads of the other; the page ends here if that is nothing."""
    left, right = st.columns([5, 1])
    with right:
        name = model()
    with left:
        text = prompt()
    examples(text)
    if not text:
        st.info("The prompt is empty: type at least one word, or take an example.")
        st.stop()
    found = models.read(name, text)
    if found.cut_tokens or found.cut_characters:
        st.warning(
            f"This prompt is longer than the model can read at once ({len(found.tokens)} tokens). You see its end; "
            f"the {found.cut_tokens:,} tokens before it were left out"
            + (f", and {found.cut_characters:,} characters before those." if found.cut_characters else ".")
        )
    return found


def head(layers: int, heads: int, start: tuple[int, int]) -> tuple[int, int] | None:
    """The layer and head picked in the picture of attention; None where it shows a mean.

    The picture tells the page where it was asked to; until then its link knows. A head that does
    not exist counts as `start`, as it does in the picture.
    """

    def number(name: str, count: int, otherwise: int) -> int:
        text = st.query_params.get(name, str(otherwise))
        if text == "mean":
            return count
        return int(text) if re.fullmatch("[0-9]{1,3}", text) and int(text) < count else -1

    in_link = number("layer", layers, start[0]), number("head", heads, start[1])
    layer, head = st.session_state.get("attention", {}).get("picked") or in_link
    if not (0 <= layer <= layers and 0 <= head <= heads):
        return start
    return (layer, head) if layer < layers and head < heads else None


def token(label: str, tokens: list[str]) -> int:
    """The position of one of the prompt's tokens, the last one to begin with."""
    names = [f"{n}  {name}" for n, name in enumerate(visible(tokens))]
    return names.index(st.selectbox(label, names, index=len(names) - 1))
