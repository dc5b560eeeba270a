"""Every page, run whole by Streamlit's own test driver, with good input and bad."""

import pytest

from pages.shared import models, prose
from pages.shared.compute import readings
from pages.shared.prompts import EXAMPLES
from tests.driver import (
    CONTEXT,
    HOSTILE,
    LESSONS,
    PAGES,
    POSITIONS,
    SAMPLING,
    SCRIPTS,
    TOKENS,
    page,
    pictures,
    visits,
)


def test_course_lists_each_script_of_a_lesson_once() -> None:
    scripts = {str(path.relative_to(PAGES))[:-3] for path in PAGES.glob("*/*.py") if path.parent.name != "shared"}
    assert sorted(SCRIPTS) == sorted(scripts)


@pytest.mark.parametrize("name", LESSONS)
def test_a_page_draws_its_picture(name: str) -> None:
    app = page(name)
    assert not app.exception
    assert not app.warning
    assert len(pictures(app)) == 1


@pytest.mark.parametrize("name", LESSONS)
def test_typing_changes_the_picture(name: str) -> None:
    app = page(name)
    before = pictures(app)
    app.text_input(key="prompt").set_value("The capital of France is").run()
    assert pictures(app) != before
    assert "·France".encode() in pictures(app)[0]


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=lambda example: example.name)
def test_an_example_fills_the_box_and_says_what_to_look_for(example) -> None:
    app = page("transformer/attention")
    app.button(key=f"example {example.name}").click().run()
    assert app.text_input(key="prompt").value == example.prompt
    assert any(example.look_for in element.value for element in app.markdown)


@pytest.mark.parametrize("name", LESSONS)
@pytest.mark.parametrize("prompt", HOSTILE.values(), ids=HOSTILE)
def test_odd_text_gets_its_picture(name: str, prompt: str) -> None:
    app = page(name)
    app.text_input(key="prompt").set_value(prompt).run()
    assert not app.exception
    assert len(pictures(app)) == 1


@pytest.mark.parametrize("name", [*LESSONS, TOKENS, SAMPLING, POSITIONS])
def test_an_empty_prompt_gets_a_sentence(name: str) -> None:
    app = page(name)
    app.text_input(key="prompt").set_value("").run()
    assert not app.exception
    assert not pictures(app)
    assert "The prompt is empty" in app.info[0].value


@pytest.mark.parametrize("name", LESSONS)
@pytest.mark.parametrize("words", [200, 10_000, 200_000])
def test_a_long_prompt_is_cut_visibly(name: str, words: int) -> None:
    app = page(name)
    app.text_input(key="prompt").set_value("cat " * words + "and the last word is Paris").run()
    assert not app.exception
    assert len(pictures(app)) == 1
    said = app.warning[0].value
    assert f"{CONTEXT} tokens" in said and "left out" in said
    assert ("characters" in said) == (4 * words > readings.MAX_CHARACTERS)
    assert "·Paris".encode() in pictures(app)[0]


@pytest.mark.parametrize("name", [*LESSONS, TOKENS, SAMPLING])
@pytest.mark.parametrize("asked", ["../../etc/passwd", "gpt2-xxl", "<b>", "x" * 5000])
def test_a_model_that_is_not_here_gets_a_sentence(name: str, asked: str) -> None:
    app = page(name, model=asked)
    assert not app.exception
    assert "not available here" in app.warning[0].value
    assert asked not in app.warning[0].value
    assert app.selectbox(key="model").value == models.NAMES[0]
    assert len(pictures(app)) == (name != TOKENS)


def test_only_names_on_the_list_are_loaded() -> None:
    with pytest.raises(ValueError, match="no model"):
        models.load("../../etc")


def test_the_link_holds_the_prompt() -> None:
    app = page("transformer/attention", prompt="The keys near the box")
    assert app.text_input(key="prompt").value == "The keys near the box"


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ({}, None),
        ({"layer": "0", "head": "5"}, "L0 H5"),
        ({"layer": "99", "head": "0"}, None),
        ({"layer": "-1", "head": "٣"}, None),
        ({"layer": "1e9", "head": "<b>"}, None),
        ({"layer": "0", "head": "mean"}, "mean"),
    ],
)
def test_the_steps_are_those_of_the_head_in_the_link(link: dict[str, str], shown: str | None) -> None:
    app = page("transformer/attention", steps="true", **link)
    assert not app.exception
    layer, head = models.load(models.NAMES[0]).start
    if shown == "mean":
        assert "pick one head" in app.info[0].value
        assert not app.get("plotly_chart")
    else:
        assert any(f"**{shown or f'L{layer} H{head}'}**" in element.value for element in app.markdown)
        assert len(app.get("plotly_chart")) == 3


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_section_of_the_prose_is_drawn_in_some_view_and_never_twice_in_one(name: str) -> None:
    views = visits(name).sections
    assert all(len(drawn) == len({*drawn}) for drawn in views)
    assert {id for drawn in views for id in drawn} == {*prose.of(str(PAGES / f"{name}.py")).sections}
