"""The frame of a lesson: its title, the source of what computed it, and its end with the link to the next lesson."""

import ast
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from textwrap import dedent
from threading import Lock
from typing import Any

import streamlit as st

from pages.shared import course, prose
from pages.shared.course import Lesson
from pages.shared.prose import PAGES, Prose

CARRIED = ("prompt", "model")  # link keys that go with the visitor from lesson to lesson
PARSER = Lock()  # where two threads parse at once, Python 3.11 may raise a SystemError


def title(words: Prose, **layout: Any) -> None:
    """Draw the heading of a lesson: its title and its question."""
    lesson = course.lesson_at(words.page)
    st.subheader(f"{lesson.title}: {lesson.question[0].lower()}{lesson.question[1:]}", **layout)


@cache
def code(shown: object) -> str:
    """The source of a function, method or class, as it runs here."""
    with PARSER:
        return dedent(inspect.getsource(shown))


@cache
def statement(function: Callable, words: str) -> str:
    """The shortest statement of a function that holds some words, below its file and line number.

    Raises ValueError if no statement holds them.
    """
    source_lines, first = inspect.getsourcelines(function)
    text = dedent("".join(source_lines)).splitlines()
    with PARSER:
        statements = [node for node in ast.walk(ast.parse("\n".join(text))) if isinstance(node, ast.stmt)]
    spans = [(node.end_lineno - node.lineno, node.lineno - 1, node.end_lineno) for node in statements]
    spans = [span for span in spans if words in "\n".join(text[span[1] : span[2]])]
    _, start, end = min(spans)
    file = Path(inspect.getsourcefile(inspect.unwrap(function))).relative_to(PAGES.parent)
    return f"# {file}, line {first + start}\n" + dedent("\n".join(text[start:end]))


def source(*shown: object) -> None:
    """Draw the source of functions, methods or classes."""
    st.code("\n\n".join(map(code, shown)), language="python")


def code_lines(*places: tuple[Callable, str]) -> None:
    """Draw the statement of each function that holds some words; raises ValueError if there is none."""
    st.code("\n\n".join(statement(*place) for place in places), language="python", wrap_lines=True)


def close(words: Prose, *shown: object, below_notice: Sequence[str] = ()) -> None:
    """The end of every lesson: what to notice and what it is not, the source of what computed it, the next lesson.

    Sections that a lesson does not have are left out. `below_notice` are ids of further sections.
    """
    columns = [[id for id in ids if id in words.sections] for ids in (("notice", *below_notice), ("myth",))]
    columns = [ids for ids in columns if ids]
    for column, ids in zip(st.columns(len(columns), gap="large") if columns else [], columns):
        with column:
            for id in ids:
                words.section(id)
    words.section("code")
    source(*shown)
    next_link(words)


def next_link(words: Prose) -> None:
    """A link to the next lesson, with its question; after the last lesson, one to the map of the course."""
    st.divider()
    if following := course.next_lesson(words.page):
        link_to(following, f"**Next: {course.NUMBERS[following.path]} · {following.title}**")
        st.caption(following.question)
    else:
        link_to(course.HOME, "**This was the last lesson. Back to the map of the course**")


def move_to(path: str | None) -> None:
    """Open the lesson that a part of this one has moved to, with the keys of the old link except `view`; None: stay."""
    if path:
        carried = {key: value for key, value in st.query_params.items() if key != "view"}
        st.switch_page(f"{path}.py", query_params=carried)


def redirect(own_keys: Collection[str], moved: Mapping[str, Collection[str]]) -> None:
    """Open the lesson that an old link asks for, if that part of this page has become a lesson of its own.

    `moved` has the link keys of each such lesson by its script. A link that also holds one of this page's own keys
    stays here; then a link to the other lesson is drawn, with all that this link holds.
    """
    stays = any([key in st.query_params for key in own_keys])
    for path, keys in moved.items():
        if any([key in st.query_params for key in keys]):
            carried = st.query_params.to_dict()
            if not stays:
                st.switch_page(f"{path}.py", query_params=carried)
            label = f"This link also holds choices of {course.lesson_at(path).title}, which is now a lesson of its own"
            st.page_link(f"{path}.py", label=label, icon=":material/arrow_forward:", query_params=carried)


def about(lesson: Lesson) -> str:
    """What one can do in a lesson, from its prose."""
    return prose.of(str(PAGES / f"{lesson.path}.py")).about


def link_to(lesson: Lesson, label: str | None = None) -> None:
    """A link to a lesson, which takes prompt and model along; what one can do there is shown on hover."""
    carried = {key: st.query_params.get(key) or st.session_state.get(key) for key in CARRIED}
    carried = {key: value for key, value in carried.items() if value}
    label = label or f"{course.NUMBERS[lesson.path]} · {lesson.title}"
    st.page_link(f"{lesson.path}.py", label=label, query_params=carried, help=about(lesson))
