"""Whatever stands in a link, and whatever is typed or picked, no page breaks: tried with texts and numbers at random.

`VITRINE_TRIES=200 pytest tests/pages/test_hostile.py` tries as many on each page.
"""

import os

import pytest
from hypothesis import HealthCheck, given, settings, strategies
from streamlit.testing.v1 import AppTest

from tests.driver import HOSTILE, PAGES, SCRIPTS, keys, page

TRIES = int(os.environ.get("VITRINE_TRIES", "3"))
MANY = settings(
    max_examples=TRIES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
ODD = '-1 0 1e309 nan true L0 mean ../../etc/passwd %00 [] {} "'.split() + ["", "9" * 400, "x" * 5000]
TEXTS = strategies.text(strategies.characters(exclude_categories=["Cs"]), max_size=80) | strategies.sampled_from(
    [*HOSTILE.values(), *ODD]
)


def stands(app: AppTest) -> None:
    """The page has no exception, and says nothing of the server."""
    assert not app.exception, app.exception[0].message
    said = " ".join(element.value for kind in (app.markdown, app.warning, app.error, app.info) for element in kind)
    assert str(PAGES.parent) not in said and "Traceback" not in said


@pytest.mark.parametrize("name", SCRIPTS)
@MANY
@given(held=strategies.lists(strategies.tuples(strategies.integers(0, 10**6), TEXTS), min_size=1, max_size=6))
def test_any_link_opens_a_page(name: str, held: list[tuple[int, str]]) -> None:
    known = keys(name)
    stands(page(name, **{known[number % len(known)]: text for number, text in held}))


@pytest.mark.parametrize("name", SCRIPTS)
@MANY
@given(done=strategies.lists(strategies.tuples(strategies.integers(0, 10**6), TEXTS), min_size=3, max_size=3))
def test_anything_typed_or_picked_is_answered(name: str, done: list[tuple[int, str]]) -> None:
    app = page(name)
    for number, text in done:
        boxes = [*app.text_input, *app.text_area]
        pickers = [widget for widget in (*app.selectbox, *app.segmented_control) if widget.options]
        flips = [*app.toggle, *app.checkbox]
        buttons = [button for button in app.button if not (button.key or "").startswith("fetch")]
        widgets = [*boxes, *boxes, *pickers, *flips, *buttons, *app.slider, *app.number_input]
        widget = widgets[number % len(widgets)]
        if widget in boxes:
            widget.set_value(text)
        elif widget in pickers:
            widget.set_value(widget.options[number % len(widget.options)])
        elif widget in flips:
            widget.set_value(not widget.value)
        elif widget in buttons:
            widget.click()
        else:
            widget.set_value([widget.min, widget.max][number % 2])
        app.run()
        stands(app)
