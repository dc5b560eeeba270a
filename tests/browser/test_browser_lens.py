"""The lesson on the lens in a real browser."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from model.interpretability import logit_lens
from pages.shared import models
from tests.browser.conftest import MARKUP, SCREENS, Visitor, fits
from tests.driver import read_prompt

Visitors = Callable[..., Visitor]
NAME, FRANCE = models.NAMES[0], "The capital of France is"


def opened(one: Visitor, address: str) -> Visitor:
    one.page.goto(address)
    one.page.wait_for_selector("[data-testid=stCode]", timeout=60_000)
    one.page.wait_for_selector(".lens td button")
    one.rest()
    return one


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_the_lens_opens_and_fits(visitor: Visitors, server: str, width: int, scheme: str, tmp_path: Path) -> None:
    one = visitor(viewport={"width": width, "height": 800}, color_scheme=scheme)
    opened(one, f"{server}/lens?prompt={quote(MARKUP)}&answer={quote(MARKUP)}")
    assert one.page.screenshot(path=tmp_path / "page.png")
    fits(one, ".lens")
    assert one.page.locator("#evil, img[src=x]").count() == 0
    tokens = one.page.locator(".lens thead th").all_inner_texts()
    assert "".join(tokens) == MARKUP.replace(" ", "·")
    grid = one.page.locator(".lens table").bounding_box()
    assert width < 500 or grid["y"] + grid["height"] < 800  # above the fold


def test_the_first_prompt_is_seen_whole_and_a_long_token_on_hover(visitor: Visitors, server: str) -> None:
    one = opened(visitor(), f"{server}/lens")
    fits(one, ".lens .scroll")
    whole = one.page.locator(".lens td button").evaluate_all(
        "(all) => all.filter((one) => one.title !== one.querySelector('b').textContent).length"
    )
    assert whole == 0 and "sideways" not in one.page.locator(".lens p").inner_text()
    one = opened(visitor(viewport={"width": 1024, "height": 800}), f"{server}/lens")
    assert "scroll it sideways" in one.page.locator(".lens p").inner_text()


def test_a_cell_is_read_out_with_no_server_and_a_click_explains_it(visitor: Visitors, server: str) -> None:
    one = opened(visitor(), f"{server}/lens?prompt={quote(FRANCE)}")
    reading, sent = read_prompt(NAME, FRANCE), one.sent
    texts = models.vocabulary(models.load(NAME)).texts
    found = logit_lens.read(reading.model.decoder, reading.trace, "resid_post", slice(None))
    aside = one.page.locator(".lens aside")

    def told(row: int, column: int) -> bool:
        words = [texts[id].replace(" ", "·") for id in found.ids[row, column].tolist()]
        return aside.locator("b").all_inner_texts() == words

    cells = one.page.locator(".lens tbody tr").nth(1).locator("button")
    cells.nth(2).hover()
    assert told(1, 2) and aside.locator("div").first.inner_text() == "L1, after ·of"
    cells.nth(2).focus()
    one.page.keyboard.press("ArrowDown")
    one.page.keyboard.press("ArrowRight")
    assert told(2, 3)
    one.page.mouse.move(5, 5)
    assert told(2, 3) or told(3, 4)
    assert one.sent == sent

    cells.nth(1).click()
    one.page.locator(".lens thead th.picked", has_text="·capital").wait_for()
    one.rest()
    assert one.page.get_by_text("(position 1) the output is").count() and "position=1" in one.page.url
    logits = reading.trace.logits[0, 1].sort(descending=True).values
    address = one.page.url
    one.page.get_by_text("Open this position in Attribution").click()
    one.page.get_by_text(f"{logits[0] - logits[1]:+.4f}").first.wait_for()
    one.page.goto(address)
    assert opened(visitor(), one.page.url).page.locator(".lens thead th.picked").inner_text() == "·capital"


def test_a_rival_is_typed_and_a_head_is_clicked(visitor: Visitors, server: str) -> None:
    one = visitor()
    one.page.goto(f"{server}/attribution?prompt={quote(FRANCE)}")
    one.rest()
    box = one.page.get_by_label("Rival")
    box.fill("Italy")
    box.press("Enter")
    one.page.get_by_text("·Italy").first.wait_for()
    one.rest()
    reading = read_prompt(NAME, FRANCE)
    italy = reading.model.tokenizer.encode(" Italy").ids[0]
    logits = reading.trace.logits[0, -1]
    assert one.page.get_by_text(f"{logits.max() - logits[italy]:+.4f}").count()
    chart = one.page.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg").nth(1)
    chart.scroll_into_view_if_needed()
    size = chart.bounding_box()
    chart.click(position={"x": size["width"] - 20, "y": size["height"] - 32})  # the last head of the last layer
    config = reading.model.decoder.config
    one.page.locator("strong", has_text=f"L{config.n_layer - 1} H{config.n_head - 1}").first.wait_for()
