"""Positions in a real browser."""

import re
from pathlib import Path
from urllib.parse import quote

import pytest

from model.transformer.position_schemes import SCHEMES
from tests.browser.conftest import MARKUP, SCREENS, Visitors, fits


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_positions_open_fit_and_change(visitor: Visitors, server: str, width: int, scheme: str, tmp_path: Path) -> None:
    one = visitor(viewport={"width": width, "height": 900}, color_scheme=scheme)
    one.page.goto(f"{server}/positions?one={quote(MARKUP)}&other={quote(MARKUP)}")
    one.page.wait_for_selector("[data-testid=stCode] >> nth=1", timeout=60_000)
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
    one.page.goto(f"{server}/positions")
    one.page.wait_for_selector("strong:has-text('The order is seen')", timeout=60_000)
    for switch in ("Positions", "Mask"):
        one.page.locator(f"label:has(input[aria-label='{switch}'])").click()
    one.page.wait_for_selector("strong:has-text('The order is not seen')")
    other = visitor()
    other.page.goto(one.page.url)
    other.page.wait_for_selector("strong:has-text('The order is not seen')", timeout=60_000)
