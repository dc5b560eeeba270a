"""The lesson on generation in a real browser."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from pages.shared import models
from pages.shared.compute import decoding
from tests.browser.conftest import MARKUP, SCREENS, Visitor, fits
from tests.driver import read_prompt

Visitors = Callable[..., Visitor]
NAME, STORY = models.NAMES[0], "Once upon a time there was a"


def opened(one: Visitor, address: str) -> Visitor:
    one.page.goto(address)
    one.page.wait_for_selector("[data-testid=stCode]", timeout=60_000)
    one.page.wait_for_selector(".cache .counts")
    one.rest()
    return one


def at(one: Visitor) -> str:
    return one.page.locator(".cache .at").inner_text()


def cells(one: Visitor) -> list[int]:
    """How many cells are kept, and how many are computed at this pass."""
    return [one.page.locator(f".cache .grid tr .cell.{name}").count() for name in ("kept", "new")]


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_the_lesson_opens_and_fits(visitor: Visitors, server: str, width: int, scheme: str, tmp_path: Path) -> None:
    one = visitor(viewport={"width": width, "height": 800}, color_scheme=scheme)
    opened(one, f"{server}/generation?prompt={quote(MARKUP)}&step=4")
    assert one.page.screenshot(path=tmp_path / "page.png")
    fits(one, ".cache")
    assert one.page.locator("#evil, img[src=x]").count() == 0
    names = one.page.locator(".cache .token:not(.written) b").all_inner_texts()
    assert "".join(names) == MARKUP.replace(" ", "·")
    grid = one.page.locator(".cache .scroll").bounding_box()
    assert width < 500 or grid["y"] + grid["height"] < 800  # above the fold


def test_it_is_stepped_through_with_no_server(visitor: Visitors, server: str) -> None:
    one = opened(visitor(), f"{server}/generation?prompt={quote(STORY)}")
    passes, sent = decoding.generate(print, read_prompt(NAME, STORY), None, 0.0, 0, 32), one.sent
    gpt, texts = models.load(NAME).decoder, models.vocabulary(models.load(NAME)).texts
    prompt, layers = passes[0].new, gpt.config.n_layer
    assert at(one) == "pass 1 of 32" and cells(one) == [0, prompt * layers]
    for n in (1, 2):
        one.page.get_by_role("button", name="one pass on").click()
        assert at(one) == f"pass {n + 1} of 32" and cells(one) == [(prompt + n - 1) * layers, layers]
        taken = one.page.locator(".cache aside .taken b").inner_text()
        assert taken == texts[passes[n].id].replace(" ", "·").replace("\n", "⏎")
    counts = one.page.locator(".cache .counts tr").nth(2).locator("td").all_inner_texts()
    ways = gpt.config.multiply_adds(1, prompt + 1), gpt.config.multiply_adds(prompt + 2)
    assert [float(told.split()[0]) for told in counts[:2]] == pytest.approx([way / 1e6 for way in ways], rel=0.006)
    assert f"= {2 * layers * (prompt + 2) * gpt.config.n_embd * 4:,}" in one.page.locator(".cache aside").inner_text()

    one.page.keyboard.press("ArrowLeft")
    assert at(one) == "pass 2 of 32" and "step=2" in one.page.url
    one.page.keyboard.press("End")
    assert at(one) == "pass 32 of 32"
    one.page.get_by_label("KV cache").uncheck()
    assert cells(one) == [0, (prompt + 31) * layers] and "cache=off" in one.page.url
    assert one.sent == sent
    again = opened(visitor(), one.page.url)
    assert at(again) == "pass 32 of 32" and cells(again) == cells(one)


def test_the_pass_stays_while_the_page_changes(visitor: Visitors, server: str) -> None:
    one = opened(visitor(), f"{server}/generation?prompt={quote(STORY)}&step=20")
    one.page.get_by_text("16 tokens", exact=True).click()
    one.page.get_by_text("The context of 16 tokens is full").wait_for()
    one.rest()
    assert at(one) == "pass 20 of 32" and "step=20" in one.page.url and cells(one) == [0, 16 * 4]


@pytest.mark.parametrize("asked", ["0", "33", "-1", "x", "1e1", "<b>", ""])
def test_a_pass_that_there_is_not_is_the_first(visitor: Visitors, server: str, asked: str) -> None:
    one = opened(visitor(), f"{server}/generation?prompt={quote(STORY)}&step={quote(asked)}")
    assert at(one) == "pass 1 of 32"


def test_a_prompt_that_fills_the_context_leaves_nothing_kept(visitor: Visitors, server: str) -> None:
    one = opened(visitor(), f"{server}/generation?prompt={quote(STORY)}")
    assert "keys and values are kept" in one.page.locator(".cache .said").inner_text()
    one = opened(visitor(), f"{server}/generation?prompt={quote('cat ' * 200)}")
    assert "none of them can be kept" in one.page.locator(".cache .said").inner_text()
