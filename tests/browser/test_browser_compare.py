"""The lessons that compare two models or two prompts, in a real browser."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from pages.shared import models
from tests.browser.conftest import MARKUP, SCREENS, Visitor, fits
from tests.driver import examples

Visitors = Callable[..., Visitor]


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_compare_opens_and_fits(visitor: Visitors, server: str, width: int, scheme: str, tmp_path: Path) -> None:
    one = visitor(viewport={"width": width, "height": 900}, color_scheme=scheme).open(f"{server}/compare")
    fits(one, ".pieces", ".vitrine >> nth=0", ".vitrine >> nth=1")
    one.page.wait_for_selector("[data-testid=stVegaLiteChart] svg, [data-testid=stVegaLiteChart] canvas")
    assert width < 500 or one.page.locator("[data-testid=stVegaLiteChart]").bounding_box()["y"] < 700
    assert one.page.screenshot(path=tmp_path / "page.png")


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_two_prompts_opens_and_fits(visitor: Visitors, server: str, width: int, scheme: str, tmp_path: Path) -> None:
    one = visitor(viewport={"width": width, "height": 900}, color_scheme=scheme)
    one.page.goto(f"{server}/compare?compare=Two+prompts")  # an old link
    one.page.wait_for_selector(".strip.beside .differ", timeout=60_000)
    one.page.wait_for_selector(".js-plotly-plot .heatmaplayer image >> nth=2")
    assert "/two_prompts" in one.page.url
    fits(one, ".strip")
    heads = one.page.locator("[data-testid=stVegaLiteChart]").first.bounding_box()
    assert width < 1400 or heads["y"] + heads["height"] < 900  # above the fold
    assert one.page.screenshot(path=tmp_path / "page.png")


def test_each_of_two_pictures_has_its_own_head_in_the_link(visitor: Visitors, server: str) -> None:
    one = visitor().open(f"{server}/compare?layer=0&head=3&layer2=2&head2=1&sink2=1")
    heads = one.page.locator(".vitrine .picked")
    assert heads.all_inner_texts() == ["L0 H3", "L2 H1"]
    hidden = one.page.locator(".vitrine .sink")
    assert [hidden.nth(n).is_checked() for n in range(2)] == [False, True]
    frames = one.sent
    one.page.locator(".vitrine").nth(1).focus()
    one.page.keyboard.press("ArrowRight")
    one.page.wait_for_function("location.search.includes('head2=2')")
    assert heads.all_inner_texts() == ["L0 H3", "L2 H2"] and "head=3" in one.page.url
    one.page.locator(".vitrine").nth(0).focus()
    one.page.keyboard.press("ArrowDown")
    one.page.wait_for_function("location.search.includes('layer=1')")
    assert heads.all_inner_texts() == ["L1 H3", "L2 H2"] and one.sent == frames
    other = visitor().open(one.page.url)
    assert other.page.locator(".vitrine .picked").all_inner_texts() == ["L1 H3", "L2 H2"]


def test_a_head_is_clicked_and_the_link_shows_it_again(visitor: Visitors, server: str) -> None:
    pair = examples("interpretability/two_prompts")["Where is whom?"]
    one = visitor()
    one.page.goto(f"{server}/two_prompts?prompt={quote(pair.prompt)}&prompt2={quote(pair.also['prompt2'])}")
    chart = one.page.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg").first
    chart.wait_for(timeout=60_000)
    one.rest()
    config = models.load(models.NAMES[0]).decoder.config
    for layer, up in ((config.n_layer - 1, 32), (config.n_layer - 2, 64)):
        box = chart.bounding_box()
        chart.click(position={"x": box["width"] - 20, "y": box["height"] - up})  # the last head of a layer
        name = f"L{layer} H{config.n_head - 1}"
        one.page.locator(".gtitle", has_text=f"{name}: B − A").wait_for()
        one.page.wait_for_function(f"location.search.includes('changed={name.replace(' ', '+')}')")
    other = visitor()
    other.page.goto(one.page.url)
    other.page.locator(".gtitle", has_text=f"{name}: B − A").wait_for(timeout=60_000)


def test_markup_in_two_prompts_stays_text(visitor: Visitors, server: str) -> None:
    one = visitor()
    one.page.goto(f"{server}/two_prompts?prompt={quote(MARKUP)}&prompt2={quote('A ' + MARKUP)}")
    one.page.wait_for_selector(".js-plotly-plot .heatmaplayer image >> nth=2", timeout=60_000)
    one.page.goto(f"{server}/compare?prompt={quote(MARKUP)}")
    one.page.wait_for_selector(".vitrine[data-drawn] >> nth=1")
    assert one.page.locator("#evil, img[src=x]").count() == 0


def test_a_second_model_that_is_not_here_gets_a_sentence(visitor: Visitors, server: str) -> None:
    one = visitor().open(f"{server}/compare?model2={quote('<b>huge')}")
    one.page.get_by_text(re.compile("of this link is not available here")).wait_for()
