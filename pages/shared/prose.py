"""The words of a lesson: the .md beside its page, cut at its ## headings."""

import ast
import inspect
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from textwrap import dedent
from threading import Lock

import streamlit as st

PAGES = Path(__file__).parents[1]
PARSER = Lock()  # where two threads parse at once, Python 3.11 may raise a SystemError


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


@cache
def code(one: object) -> str:
    """The source of a function, method or class, as it runs here."""
    with PARSER:
        return dedent(inspect.getsource(one))


@cache
def statement(function: Callable, words: str) -> str:
    """The statement of a function in which some words stand, under the number of its line in its file.

    Raises ValueError where there is none.
    """
    written, first = inspect.getsourcelines(function)
    text = dedent("".join(written)).splitlines()
    with PARSER:
        statements = [node for node in ast.walk(ast.parse("\n".join(text))) if isinstance(node, ast.stmt)]
    spans = [(one.end_lineno - one.lineno, one.lineno - 1, one.end_lineno) for one in statements]
    spans = [span for span in spans if words in "\n".join(text[span[1] : span[2]])]
    _, start, end = min(spans)
    file = Path(inspect.getsourcefile(inspect.unwrap(function))).relative_to(PAGES.parent)
    return f"# {file}, line {first + start}\n" + dedent("\n".join(text[start:end]))


def source(*shown: object) -> None:
    """Show the source of functions, methods or classes."""
    st.code("\n\n".join(code(one) for one in shown), language="python")


def lines(*places: tuple[Callable, str]) -> None:
    """Show of each function the statement in which some words stand; raises ValueError where there is none."""
    st.code("\n\n".join(statement(*place) for place in places), language="python", wrap_lines=True)


def close(page: str, *shown: object) -> None:
    """The end of a lesson: what to notice, what is often told wrong, and the source of what computed it."""
    left, right = st.columns(2, gap="large")
    with left:
        section(page, "What to notice")
    with right:
        section(page, "What is often told wrong")
    section(page, "The code that computed this")
    source(*shown)


def literal(text: object) -> str:
    """What a visitor typed, for a sentence in Markdown: every sign stands for itself."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", str(text))
