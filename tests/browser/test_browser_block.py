"""The lessons on the block and on the whole GPT in a real browser."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from model.transformer.parameter_count import PRESETS
from tests.browser.conftest import SCREENS, Visitor, fits
from tests.driver import HOSTILE

Visitors = Callable[..., Visitor]
MARKUP = HOSTILE["markup"]


def opened(visitor: Visitors, address: str, picture: str, **settings: object) -> Visitor:
    one = visitor(**settings)
    one.page.goto(address)
    one.page.wait_for_selector(picture, timeout=60_000)
    one.rest()
    return one


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_the_block_opens_and_fits(visitor: Visitors, server: str, width: int, scheme: str, tmp_path: Path) -> None:
    size = {"width": width, "height": 900}
    address = f"{server}/block?prompt={quote(MARKUP)}"
    one = opened(visitor, address, ".road svg .picked", viewport=size, color_scheme=scheme)
    one.page.wait_for_selector("[data-testid=stCode]", timeout=60_000)
    assert one.page.screenshot(path=tmp_path / "page.png")
    fits(one, ".road", ".field")
    assert one.page.locator("#evil, img[src=x]").count() == 0
    road = one.page.locator(".road .field").bounding_box()
    assert width < 500 or road["y"] + road["height"] < 900  # above the fold


def test_a_click_on_the_road_opens_the_block_of_that_token(visitor: Visitors, server: str) -> None:
    one = opened(visitor, f"{server}/block", ".road svg .picked")
    before = one.page.locator(".road .picked").bounding_box()
    assert one.page.locator(".road output").inner_text().startswith("·to L3 attention adds")
    road = one.page.locator(".road svg").bounding_box()
    point = {"x": road["width"] * 0.4, "y": 24 + 31 * 3.5}  # ·Tom, in L1
    one.page.locator(".road svg").hover(position=point)
    assert one.page.locator(".road output").inner_text().startswith("·Tom L1 ")
    one.page.locator(".road svg").click(position=point)
    one.page.wait_for_function("() => location.search.includes('block=L1')")
    one.rest()
    after = one.page.locator(".road .picked").bounding_box()
    assert after["x"] < before["x"] and after["y"] < before["y"]
    assert "at=3" in one.page.url
    again = opened(visitor, one.page.url, ".road svg .picked")
    assert again.page.locator(".road .picked").bounding_box() == after


def test_the_depth_of_an_untrained_stack_is_moved(visitor: Visitors, server: str) -> None:
    one = opened(visitor, f"{server}/untrained_stacks", "text=block 0 gets")
    said = one.page.get_by_text("block 0 gets")
    first = said.inner_text()
    one.page.get_by_text("Residual connections", exact=True).click()
    one.page.get_by_text("norm before, no residual, block 0 gets").wait_for()
    one.page.get_by_role("slider", name="Blocks").press("ArrowRight")
    one.page.wait_for_function("() => location.search.includes('blocks=13')")
    one.rest()
    assert said.inner_text() != first


def test_block_opens_from_a_lesson_whose_keys_would_redirect_it(visitor: Visitors, server: str) -> None:
    one = opened(visitor, f"{server}/untrained_stacks?seed=5", "text=block 0 gets")
    one.page.get_by_test_id("stTopNavSection").filter(has_text="Transformer").click()
    one.page.get_by_test_id("stTopNavDropdownLink").filter(has_text="The block").click()
    one.page.wait_for_selector(".road svg .picked", timeout=60_000)
    assert one.page.url == f"{server}/block"


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_the_whole_gpt_opens_and_fits(visitor: Visitors, server: str, width: int, scheme: str, tmp_path: Path) -> None:
    size = {"width": width, "height": 900}
    address = f"{server}/gpt?prompt={quote(MARKUP)}"
    one = opened(visitor, address, ".flow .inside canvas", viewport=size, color_scheme=scheme)
    one.page.wait_for_selector("[data-testid=stCode] >> nth=1", timeout=60_000)
    assert one.page.screenshot(path=tmp_path / "page.png")
    fits(one, ".flow", ".flow .road", ".flow .inside")
    assert one.page.locator("#evil, img[src=x]").count() == 0
    inside = one.page.locator(".flow .inside").bounding_box()
    assert width < 1400 or inside["y"] + inside["height"] < 900  # above the fold


def test_a_click_opens_a_box_and_another_token(visitor: Visitors, server: str) -> None:
    one = opened(visitor, f"{server}/gpt", ".flow .inside canvas")
    painted = "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.join()"
    first = one.page.locator(".flow .road canvas").first
    before = first.evaluate(painted)
    one.page.locator(".flow .chip", has_text="·shop").click()
    one.page.locator(".flow .chip[aria-pressed=true]", has_text="·shop").wait_for()
    assert one.page.locator(".flow .road canvas").first.evaluate(painted) != before
    one.page.locator(".flow .road button", has_text="L1").click()
    one.page.locator(".flow .inside", has_text="Inside L1").wait_for()
    one.page.get_by_role("button", name="pattern").click()
    one.page.locator(".flow .box[aria-pressed=true]", has_text="pattern").wait_for()
    one.page.get_by_text("softmax(-1)").first.wait_for()
    one.rest()
    assert "box=pattern" in one.page.url and "block=L1" in one.page.url


def counted(one: Visitor, number: int) -> None:
    one.page.get_by_test_id("stMetricValue").get_by_text(f"{number:,}", exact=True).wait_for()


def test_a_preset_and_a_slider_count(visitor: Visitors, server: str) -> None:
    one = opened(visitor, f"{server}/parameters", "[data-testid=stMetricValue]")
    one.page.get_by_role("radio", name="Llama 3.1 8B").click()
    counted(one, 8_030_261_248)
    one.page.get_by_role("radio", name="GPT-2", exact=True).click()
    counted(one, PRESETS["GPT-2"].parameters)
    one.page.get_by_role("slider", name="L · blocks").press("ArrowRight")
    more = PRESETS["GPT-2"].parameters + 12 * 768**2 + 13 * 768
    counted(one, more)
    one.rest()
    counted(opened(visitor, one.page.url, "[data-testid=stMetricValue]"), more)
