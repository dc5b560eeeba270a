"""The lesson on known heads in a real browser."""

from collections.abc import Callable
from pathlib import Path

import pytest

from model.interpretability import published_heads
from pages.shared import models
from pages.shared.compute import interpretability
from tests.browser.conftest import SCREENS, Visitor, fits

Visitors = Callable[..., Visitor]


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_known_heads_open_and_fit(visitor: Visitors, server: str, width: int, scheme: str, tmp_path: Path) -> None:
    one = visitor(viewport={"width": width, "height": 800}, color_scheme=scheme).open(f"{server}/known")
    assert one.page.screenshot(path=tmp_path / "page.png")
    fits(one, ".vitrine")
    heads = one.page.locator("[data-testid=stVegaLiteChart]").bounding_box()
    assert width < 500 or heads["y"] + heads["height"] < 800  # above the fold


def test_the_picture_follows_the_map_of_heads_and_the_claim(visitor: Visitors, server: str) -> None:
    one = visitor().open(f"{server}/known?claim=Induction")
    model = models.load(models.NAMES[0])
    config = model.decoder.config

    def starts(name: str) -> str:
        claim = next(claim for claim in published_heads.CLAIMS if claim.name == name)
        return "L{} H{}".format(*interpretability.measure_claim(model, name, claim.text).best)

    assert one.page.locator(".picked").inner_text() == starts("Induction")
    chart = one.page.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg").first
    box = chart.bounding_box()
    before = one.drawn()
    chart.click(position={"x": box["width"] - 20, "y": box["height"] - 32})  # the last head of the last layer
    one.page.locator(".picked", has_text=f"L{config.n_layer - 1} H{config.n_head - 1}").wait_for()
    assert one.drawn() != before
    one.page.get_by_text("Previous token", exact=True).click()
    one.page.locator(".picked", has_text=starts("Previous token")).wait_for()
    assert published_heads.STORY.split()[-2] in one.page.locator(".tokens, .vitrine").first.inner_text()


def test_the_link_goes_before_the_head_that_does_most(visitor: Visitors, server: str) -> None:
    one = visitor().open(f"{server}/known?claim=Induction&layer=1&head=3")
    assert one.page.locator(".picked").inner_text() == "L1 H3"
