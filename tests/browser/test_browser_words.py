"""Embeddings and Word2Vec in a real browser."""

from urllib.parse import quote

import pytest

from tests.browser.conftest import MARKUP, SCREENS, Visitors, fits


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_embeddings_open_fit_and_calculate(visitor: Visitors, server: str, width: int, scheme: str) -> None:
    one = visitor(viewport={"width": width, "height": 900}, color_scheme=scheme)
    one.page.goto(f"{server}/embeddings?prompt={quote(MARKUP)}&vectors=wte&words={quote('cat dog ' + MARKUP)}")
    one.page.wait_for_selector(".js-plotly-plot .scatterlayer text >> nth=5", timeout=60_000)
    one.page.wait_for_selector("[data-testid=stVegaLiteChart] svg >> nth=1")
    fits(one)
    where = one.page.locator(".js-plotly-plot").first.bounding_box()
    assert width < 500 or where["y"] + where["height"] < 900  # above the fold
    assert one.page.locator("#evil").count() == 0
    one.page.get_by_label("Expression").fill(f"{MARKUP} - man")
    one.page.get_by_label("Expression").press("Enter")
    one.page.get_by_text("cannot be calculated").wait_for()
    one.page.get_by_label("Expression").fill(":red[r]$x$`c`_d_[l](#) 7")
    one.page.get_by_label("Expression").press("Enter")
    one.page.get_by_text("':red[r]$x$`c`_d_[l](#)'").wait_for()  # to the letter
    one.page.get_by_label("Expression").fill("Paris - France + Italy")
    one.page.get_by_label("Expression").press("Enter")
    one.page.locator(".js-plotly-plot .scatterlayer text", has_text="Italy").first.wait_for()
    assert "expression=Paris" in one.page.url


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_word2vec_opens_and_fits(visitor: Visitors, server: str, width: int, scheme: str) -> None:
    one = visitor(viewport={"width": width, "height": 900}, color_scheme=scheme)
    one.page.goto(f"{server}/word2vec?epochs=20&lines1={quote(MARKUP)}")
    one.page.get_by_text("does not occur in them").wait_for(timeout=60_000)
    one.page.wait_for_selector("[data-testid=stVegaLiteChart] svg")
    fits(one)
    assert one.page.locator("#evil").count() == 0
