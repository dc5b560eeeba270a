"""The one list of lessons: its order, its numbers, and the links made from it."""

from urllib.parse import parse_qs

import pytest

from pages.shared import course, models, prose
from tests.driver import page

PROMPT = "The keys near the box"


def test_next_lesson_goes_through_the_whole_course_once() -> None:
    path = [course.HOME.path]
    while following := course.next_lesson(path[-1]):
        path.append(following.path)
    assert path == [lesson.path for lesson in course.LESSONS]


def test_numbers_count_sections_and_lessons() -> None:
    assert course.NUMBERS["start/knows"] == "0.1"
    assert course.NUMBERS["language/tokens"] == "2.1"
    assert len({*course.NUMBERS.values()}) == len(course.LESSONS)


def test_unknown_lesson_is_an_error_that_names_it() -> None:
    with pytest.raises(KeyError, match="'language/poems' is no lesson"):
        course.next_lesson("language/poems")


def test_home_links_every_lesson_by_its_number_with_its_question() -> None:
    app = page("start/home")
    linked = [link.proto for link in app.get("page_link")]
    others = [lesson for lesson in course.LESSONS if lesson is not course.HOME]
    assert [link.label for link in linked] == [f"{course.NUMBERS[each.path]} · {each.title}" for each in others]
    assert [link.page for link in linked] == [each.url for each in others]
    captions = {caption.value for caption in app.caption}
    assert {each.question for each in others} <= captions
    lines = [element.value for element in app.markdown]
    for section in course.SECTIONS:
        (line,) = [line for line in lines if section.question in line]
        assert section.title in line and (":material/lock:" in line) == (not section.lessons)


def test_readme_lists_the_course() -> None:
    readme = (prose.PAGES.parent / "README.md").read_text("utf-8")
    assert f"\n\n{course.outline()}\n\n" in readme


def test_every_lesson_says_what_one_can_do_in_it() -> None:
    linked = {link.proto.page: link.proto.help for link in page("start/home").get("page_link")}
    assert all(len(linked[each.url]) > 80 for each in course.LESSONS if each is not course.HOME)


def test_links_carry_prompt_and_model() -> None:
    app = page("start/home", prompt=PROMPT, model=models.NAMES[1])
    for link in app.get("page_link"):
        assert parse_qs(link.proto.query_string) == {"prompt": [PROMPT], "model": [models.NAMES[1]]}
