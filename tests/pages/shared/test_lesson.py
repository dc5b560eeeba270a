"""The frame of a lesson: the code that a page shows, read by many visitors at once, and its end."""

import gc
import inspect
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl

import pytest

from model.transformer.decoder import Decoder
from model.transformer.gpt2 import CausalSelfAttention
from pages.shared import course, lesson, models
from tests.driver import page

PROMPT = "The keys near the box"


@pytest.fixture
def crowded() -> Iterator[None]:
    """Threads change places whenever they can, in the middle of what Python does in C, too."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def pause(*_: object) -> None:
        sum(range(50))

    gc.callbacks.append(pause)
    yield
    gc.callbacks.remove(pause)
    sys.setswitchinterval(interval)


def test_many_may_read_the_code_at_once(crowded: None) -> None:
    ways = [
        (lesson.code, CausalSelfAttention),
        (lesson.code, Decoder),
        (lesson.statement, Decoder.generate, "self.passes("),
    ] * 20
    with ThreadPoolExecutor(6) as readers:
        read = list(readers.map(lambda way: way[0].__wrapped__(*way[1:]), ways))  # as if none had read it before
    assert len(set(read)) == 3
    assert read[0] == inspect.getsource(CausalSelfAttention)


@pytest.mark.parametrize("each", course.LESSONS[1:], ids=lambda each: each.path)
def test_every_lesson_has_its_title_and_ends_with_a_link_to_the_next(each: course.Lesson) -> None:
    app = page(each.path)
    heading = app.subheader[0].value
    assert each.question[1:-1] in heading  # “What it knows” asks more where the truth is known
    following = course.next_lesson(each.path) or course.HOME
    assert app.get("page_link")[-1].proto.page == following.url


def test_prompt_and_model_go_with_the_visitor_from_lesson_to_lesson() -> None:
    """Known heads and the head zoo have no prompt, and yet hand it on."""
    carried = {"prompt": PROMPT, "model": models.NAMES[1]}
    for script in ("transformer/gpt", "interpretability/known", "interpretability/zoo", "interpretability/lens"):
        app = page(script, **carried)
        assert app.selectbox(key="model").value == models.NAMES[1]
        assert dict(parse_qsl(app.get("page_link")[-1].proto.query_string)) == carried
    assert app.text_input(key="prompt").value == PROMPT
