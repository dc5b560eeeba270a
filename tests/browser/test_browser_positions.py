"""The lessons on positions, word order and the length beyond in a real browser."""

import re
from pathlib import Path
from urllib.parse import quote

import pytest

from model.transformer.position_schemes import SCHEMES
from tests.browser.conftest import MARKUP, SCREENS, Visitors, fits


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_positions_open_fit_and_change(visitor: Visitors, server: str, width: int, scheme: str, tmp_path: Path) -> None:
    one = visitor(viewport={"width": width, "height": 900}, color_scheme=scheme)
    one.page.goto(f"{server}/positions?prompt={quote(MARKUP)}")
    one.page.wait_for_selector("[data-testid=stCode]", timeout=60_000)
    one.page.wait_for_selector(".js-plotly-plot .heatmaplayer image")
    one.page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")  # each picture has its place
    first = one.page.locator(".js-plotly-plot").first.bounding_box()
    assert width < 500 or first["y"] + first["height"] < 900  # above the fold
    for told in SCHEMES[1:] if width == 1440 else ["RoPE"]:
        one.page.get_by_role("radio", name=told).click()
        one.page.get_by_role("heading", name=re.compile(f"^{told}$", re.IGNORECASE)).wait_for()
        assert f"scheme={told}" in one.page.url
        fits(one)
    assert one.page.locator("#evil, img[src=x]").count() == 0
    assert one.page.screenshot(path=tmp_path / "page.png")


def test_the_order_is_seen_until_positions_and_mask_are_off(visitor: Visitors, server: str) -> None:
    one = visitor()
    one.page.goto(f"{server}/word_order")
    one.page.wait_for_selector("strong:has-text('The order is seen')", timeout=60_000)
    for switch in ("Positions", "Mask"):
        one.page.locator(f"label:has(input[aria-label='{switch}'])").click()
    one.page.wait_for_selector("strong:has-text('The order is not seen')")
    other = visitor()
    other.page.goto(one.page.url)
    other.page.wait_for_selector("strong:has-text('The order is not seen')", timeout=60_000)


def test_an_old_link_to_word_order_opens_it_in_place(visitor: Visitors, server: str) -> None:
    one = visitor()
    one.page.goto(f"{server}/positions?one=cat+dog&other=dog+cat&mask=false")
    one.page.wait_for_selector("strong:has-text('The order is seen')", timeout=60_000)
    assert "/word_order?" in one.page.url and "one=cat" in one.page.url and "mask=false" in one.page.url


@pytest.mark.parametrize("address", ["word_order?one=MARKUP&other=MARKUP", "beyond_length"])
@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_the_lessons_on_order_and_length_fit_and_show_their_picture_above_the_fold(
    visitor: Visitors, server: str, width: int, scheme: str, address: str, tmp_path: Path
) -> None:
    one = visitor(viewport={"width": width, "height": 900}, color_scheme=scheme)
    one.page.goto(f"{server}/{address.replace('MARKUP', quote('man bites <b id=evil>dog'))}")
    picture = ".js-plotly-plot .heatmaplayer image" if "one=" in address else "[data-testid=stVegaLiteChart]"
    one.page.wait_for_selector(picture, timeout=60_000)
    one.page.wait_for_selector("[data-testid=stCode]", timeout=60_000)
    one.page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")
    box = one.page.locator(picture).first.bounding_box()
    assert width < 500 or box["y"] + box["height"] < (768 if width > 1400 else 900)
    fits(one)
    assert one.page.locator("#evil, img[src=x]").count() == 0
    assert one.page.screenshot(path=tmp_path / "page.png")
