"""Attention by hand, and scale and mask, in a real browser."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from model import byhand
from pages.shared import models
from pages.shared.examples import EXAMPLES
from tests.browser.conftest import MARKUP, SCREENS, Visitor, fits

Visitors = Callable[..., Visitor]
PICKED = ".byhand .maps figure:first-child tr.picked"


def opened(visitor: Visitors, address: str, **settings: object) -> Visitor:
    one = visitor(**settings)
    one.page.goto(address)
    one.page.wait_for_selector("[data-testid=stCode]", timeout=60_000)
    one.rest()
    return one


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
@pytest.mark.parametrize("view", ["By hand", "On your prompt"])
def test_it_opens_and_fits(visitor: Visitors, server: str, view: str, width: int, scheme: str, tmp_path: Path) -> None:
    address = f"{server}/hand?view={quote(view)}&prompt={quote(MARKUP)}"
    one = opened(visitor, address, viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert one.page.screenshot(path=tmp_path / "page.png")
    fits(one, ".byhand", ".byhand .maps")
    assert one.page.locator("#evil, img[src=x]").count() == 0
    maps = one.page.locator(".byhand .maps").bounding_box()
    assert width < 500 or maps["y"] + maps["height"] < 900  # above the fold


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
@pytest.mark.parametrize(
    "page", ["hand?view=Several%20heads", "hand?example=The%20contract", "scale", "scale?view=Mask%20traps"]
)
def test_the_other_views_fit(visitor: Visitors, server: str, page: str, width: int, scheme: str) -> None:
    one = opened(visitor, f"{server}/{page}", viewport={"width": width, "height": 900}, color_scheme=scheme)
    fits(one)


def test_the_arrow_keys_walk_along_queries_and_steps(visitor: Visitors, server: str) -> None:
    one = opened(visitor, f"{server}/hand")
    example = byhand.drawn(4, 3, 0)
    assert one.page.locator(".asks").inner_text().startswith(byhand.WORDS[3])
    sent = one.sent
    for row in (2, 1):
        one.page.keyboard.press("ArrowUp")
        one.page.locator(".asks b", has_text=byhand.WORDS[row]).wait_for()
    product = int(example.q[1] @ example.k[0])
    assert one.page.locator(".work tr:nth-child(2) b").first.inner_text() == str(product).replace("-", "−")
    assert one.page.locator(PICKED).inner_text().startswith(byhand.WORDS[1])
    one.page.keyboard.press("ArrowLeft")
    later = one.page.locator(".byhand figure.later")
    assert later.count() == 1 and "values mixed" in later.inner_text()
    one.page.keyboard.press("ArrowLeft")
    assert later.count() == 2
    one.page.keyboard.press("ArrowRight")
    one.page.keyboard.press("ArrowRight")
    assert later.count() == 0
    assert one.sent == sent  # all of it without the server
    one.page.locator(".byhand .maps figure:first-child tr").nth(3).click()  # behind the names, the third query
    one.page.locator(".asks b", has_text="cat").wait_for()
    assert "row=2" in one.page.url
    again = opened(visitor, one.page.url)
    assert again.page.locator(".asks").inner_text().startswith("cat")


@pytest.mark.parametrize("mask", byhand.MASKS)
def test_the_arithmetic_of_a_row_comes_out(visitor: Visitors, server: str, mask: str) -> None:
    one = opened(visitor, f"{server}/hand?row=0&mask={quote(mask)}")
    rows = [row.inner_text().split("\t") for row in one.page.locator(".work tr").all()][1:]
    powers, weights = ([float(row[n]) for row in rows] for n in (4, 5))
    assert sum(powers[:-1]) == pytest.approx(powers[-1], abs=3e-3) and max(powers[:-1]) == 1
    assert weights[:-1] == pytest.approx([power / powers[-1] for power in powers[:-1]], abs=2e-3)
    q, k, v = byhand.drawn(4, 3, 0)[4:7]
    expected = byhand.steps(q, k, v, byhand.mask(mask, 4, 4), 3**0.5).weights[0]
    assert weights[:-1] == pytest.approx(expected.tolist(), abs=6e-4)


def test_a_number_is_edited_and_the_link_holds_it(visitor: Visitors, server: str) -> None:
    one = opened(visitor, f"{server}/hand")
    before = one.page.locator(".byhand .maps").inner_text()
    grid = one.page.locator(".stDataFrameGlideDataEditor").first
    grid.wait_for()
    box = grid.bounding_box()
    grid.dblclick(position={"x": box["width"] * 0.45, "y": box["height"] - 14})  # the first number of the last query
    one.page.locator(".gdg-input").fill("7")
    one.page.keyboard.press("Enter")
    one.page.wait_for_function("() => location.search.includes('numbers=')")
    one.rest()
    asks = one.page.locator(".asks").inner_text()
    assert "(7," in asks and one.page.locator(".byhand .maps").inner_text() != before
    for view in ("On your prompt", "By hand"):
        one.page.get_by_role("radio", name=view).click()
        one.rest()
    assert one.page.locator(".asks").inner_text() == asks and "numbers=" in one.page.url
    one.page.locator(".byhand .maps th.q", has_text="cat").first.click()
    row = one.page.locator(".asks").inner_text()
    one.page.get_by_text("÷ √d", exact=True).first.click()  # the page runs again, and writes its link
    one.rest()
    assert one.page.locator(".asks").inner_text() == row != asks and "row=2" in one.page.url
    one.page.locator(".byhand .maps th.q", has_text="slept").first.click()
    again = opened(visitor, one.page.url)
    assert again.page.locator(".asks").inner_text() == asks


def test_another_head_of_the_prompt_is_worked_out(visitor: Visitors, server: str) -> None:
    reading = models.read(models.NAMES[0], EXAMPLES[0].prompt)
    one = opened(visitor, f"{server}/hand?view=On%20your%20prompt&picked=L0%20H1&row=3")
    assert one.page.locator(".asks b").inner_text() == "·Tom"
    weights = reading.trace.blocks[0].attn.pattern[0, 1, 3, :4].tolist()
    shown = one.page.locator(".work tr:not(.end) .weight b").all_inner_texts()
    assert [float(text) for text in shown] == pytest.approx(weights, abs=6e-4)
    assert "10 more keys are masked" in one.page.locator(".work").inner_text()
