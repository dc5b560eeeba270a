"""The table of contents: the navigation through all lessons of the course."""

from copy import copy

import streamlit as st

from pages.shared import course

st.set_page_config(page_title="Vitrine", page_icon="pages/shared/icon.svg", layout="wide")


@st.cache_resource(show_spinner=False)
def navigation() -> dict[str, list[st.Page]]:
    """The pages of each section that is open; read from the disk once, not at every key that is pressed."""
    return {
        "" if course.HOME in section.lessons else section.title: [
            st.Page(
                f"{lesson.path}.py",
                title=lesson.title,
                icon=f":material/{lesson.icon}:",
                url_path=lesson.url or None,
                default=lesson is course.HOME,
            )
            for lesson in section.lessons
        ]
        for section in course.SECTIONS
        if section.lessons
    }


# Copies, since a run marks the page that it opens.
st.navigation({title: [*map(copy, pages)] for title, pages in navigation().items()}, position="top").run()
