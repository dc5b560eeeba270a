"""The words of a lesson: the .md beside its page, cut at its ## headings."""

import inspect
import re
from functools import cache
from pathlib import Path
from textwrap import dedent

import streamlit as st

PAGES = Path(__file__).parents[1]


@cache
def sections(page: str) -> dict[str, str]:
    """The sections of a page's prose, by heading; what stands before the first one is under ""."""
    text = (PAGES / f"{page}.md").read_text("utf-8")
    first, *others = re.split(r"^## (.+)\n", text, flags=re.M)
    return {"": first.strip()} | {heading: body.strip() for heading, body in zip(others[::2], others[1::2])}


def section(page: str, heading: str) -> None:
    """Show one section; raises KeyError where the prose has none of that heading."""
    st.subheader(heading)
    st.markdown(sections(page)[heading])


def source(*shown: object) -> None:
    """Show the source of functions, methods or classes, as it runs here."""
    st.code("\n\n".join(dedent(inspect.getsource(one)) for one in shown), language="python")


def literal(text: object) -> str:
    """What a visitor typed, for a sentence in Markdown: every sign stands for itself."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", str(text))
