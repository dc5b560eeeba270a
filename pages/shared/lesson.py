"""The frame of a lesson: links from one lesson to another."""

import streamlit as st

from pages.shared import course
from pages.shared.course import Lesson

CARRIED = ("prompt", "model")  # link keys that go with the visitor from lesson to lesson


def link_to(lesson: Lesson, label: str | None = None) -> None:
    """A link to a lesson, which takes prompt and model along; its question is shown on hover."""
    carried = {key: st.session_state[key] for key in CARRIED if st.session_state.get(key)}
    label = label or f"{course.NUMBERS[lesson.path]} · {lesson.title}"
    st.page_link(f"{lesson.path}.py", label=label, query_params=carried, help=lesson.question)
