"""Ablation, patching and the head zoo in a real browser."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from model.interpretability import head_scores, patching
from model.transformer.intervention import Interventions
from pages.shared import models
from pages.shared.compute import interpretability
from tests.browser.conftest import SCREENS, Visitor, fits
from tests.driver import examples, read_prompt
from viz.percent import percent

Visitors = Callable[..., Visitor]
NAME = models.NAMES[0]
CONFIG = models.load(NAME).decoder.config


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
@pytest.mark.parametrize("page", ["scalpel?alone=true&off=0.1", "patching", "zoo?kind=induction"])
def test_each_opens_and_fits(
    visitor: Visitors, server: str, page: str, width: int, scheme: str, tmp_path: Path
) -> None:
    one = visitor(viewport={"width": width, "height": 900}, color_scheme=scheme)
    one.page.goto(f"{server}/{page}")
    one.rest()
    assert one.page.screenshot(path=tmp_path / "page.png")
    first = ".board" if page.startswith("scalpel") else "[data-testid=stVegaLiteChart] >> nth=0"
    fits(one, first)
    box = one.page.locator(first).bounding_box()
    assert width < 500 or box["y"] + box["height"] < 900  # above the fold


def test_a_head_is_cut_and_put_back_by_a_click(visitor: Visitors, server: str) -> None:
    one = visitor()
    one.page.goto(f"{server}/scalpel")
    one.rest()
    reading = read_prompt(NAME, examples("interpretability/scalpel")["Who gets the key?"].prompt)
    head = one.page.get_by_role("button", name="L0 H1", exact=True)
    head.click()
    one.page.wait_for_url("**off=0.1*")
    edits = patching.ablation_edits([(0, 1)], (), patching.zero_replacements(CONFIG))
    shares = [
        reading.model.decoder.trace(reading.trace.idx, Interventions(edits=some)).logits[0, -1].softmax(-1)
        for some in ((), edits)
    ]
    top = shares[0].argmax()
    was, now = (of[top].item() for of in shares)
    one.page.get_by_text(f"goes from {percent(was)} to {percent(now)}").wait_for()
    assert head.get_attribute("aria-pressed") == "true"
    head.click()
    one.page.get_by_text("Nothing is switched off").wait_for()
    assert "off=" not in one.page.url
    one.page.locator(".board button", has_text="L1").click()  # all of a layer
    one.page.wait_for_url("**off=1.0*")
    pressed = one.page.locator(".board .head[aria-pressed=true]")
    pressed.nth(CONFIG.n_head - 1).wait_for()
    assert pressed.count() == CONFIG.n_head
    one.page.get_by_text("Put everything back").click()
    one.page.get_by_text("Nothing is switched off").wait_for()


def test_a_cell_of_the_map_is_patched_by_a_click(visitor: Visitors, server: str) -> None:
    one = visitor()
    one.page.goto(f"{server}/patching")
    one.rest()
    chart = one.page.locator("[data-testid=stVegaLiteChart]").nth(2)  # after the map of tokens and its bars
    chart.scroll_into_view_if_needed()
    canvas = chart.locator("canvas, svg").first
    box = canvas.bounding_box()
    canvas.click(position={"x": box["width"] - 20, "y": box["height"] - 20})  # the last head of the last layer
    one.page.get_by_text(f"L{CONFIG.n_layer - 1} H{CONFIG.n_head - 1}:").wait_for()


def test_the_picture_follows_the_head_that_is_clicked_in_the_zoo(visitor: Visitors, server: str) -> None:
    one = visitor().open(f"{server}/zoo?kind=induction")
    one.rest()
    layer, head = head_scores.top_heads(
        torch.as_tensor(interpretability.score_heads(models.load(NAME))["induction"]), 1
    )[0]
    one.page.locator(".picked", has_text=f"L{layer} H{head}").wait_for()
    canvas = one.page.locator("[data-testid=stVegaLiteChart]").first.locator("canvas, svg").first
    box = canvas.bounding_box()
    canvas.click(position={"x": box["width"] - 20, "y": box["height"] - 32})
    one.page.locator(".picked", has_text=f"L{CONFIG.n_layer - 1} H{CONFIG.n_head - 1}").wait_for()


def test_an_old_link_to_patching_opens_that_lesson(visitor: Visitors, server: str) -> None:
    one = visitor()
    one.page.goto(f"{server}/scalpel?metric=probability&corrupted=The+key+near+the+box&prompt=The+keys+near+the+box")
    one.page.wait_for_url("**/patching?**")
    one.page.get_by_text("in the corrupted run and").wait_for()
    one.rest()
    assert one.page.get_by_label("Second, corrupted prompt").input_value() == "The key near the box"
