"""Tokens in a real browser."""

from pathlib import Path
from urllib.parse import quote

import pytest

from pages.shared import models
from tests.browser.conftest import MARKUP, PROMPT, SCREENS, Visitors, fits


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_tokens_open_and_fit(visitor: Visitors, server: str, width: int, scheme: str, tmp_path: Path) -> None:
    one = visitor(viewport={"width": width, "height": 800}, color_scheme=scheme)
    one.page.goto(f"{server}/tokens?prompt={quote(MARKUP + ' 👋🏽 ' + PROMPT)}")
    one.page.wait_for_selector("[data-testid=stCode]", timeout=60_000)
    one.page.wait_for_selector(".pieces .line")
    assert one.page.screenshot(path=tmp_path / "page.png")
    fits(one, ".pieces", ".merges")
    assert one.page.locator("#evil").count() == 0
    assert one.page.locator(".chips").bounding_box()["y"] < 600


def test_tokens_are_read_and_merged_without_the_server(visitor: Visitors, server: str) -> None:
    one = visitor()
    one.page.goto(f"{server}/tokens?prompt={quote('Straße transformers')}")
    one.page.wait_for_selector("[data-testid=stCode]", timeout=60_000)
    chips = one.page.locator(".chips button")
    tokenizer = models.load(models.NAMES[0]).tokenizer
    shown = [int(text) for text in one.page.locator(".chips small").all_inner_texts()]
    assert shown == tokenizer.encode("Straße transformers").ids
    letter = one.page.locator(".line button", has_text="ß")
    frames = one.sent
    letter.hover()
    said = one.page.locator(".pieces output")
    assert "C3 9F · U+00DF latin small letter sharp s" in said.inner_text()
    letter.click()
    chips.first.hover()
    assert "U+00DF" in said.inner_text()  # kept until it is clicked again
    letter.click()
    chips.first.hover()
    assert "U+00DF" not in said.inner_text()

    rows = one.page.locator(".merges li:visible")
    assert rows.locator("b").all_inner_texts() == [byte.replace(" ", "·") for byte in " transformers"]
    one.page.get_by_label("next merge").click()
    assert rows.count() == 2
    one.page.keyboard.press("ArrowRight")
    assert rows.count() == 3
    one.page.get_by_label("all merges").click()
    assert rows.last.locator("b").count() == len(tokenizer.encode(" transformers").ids)
    one.page.get_by_label("to the bytes").click()
    assert rows.count() == 1
    assert one.sent == frames

    other = visitor()
    other.page.goto(f"{server}/tokens?prompt={quote('Straße transformers')}&word=Stra%C3%9Fe")
    other.page.wait_for_selector("[data-testid=stCode]", timeout=60_000)
    assert other.page.locator(".merges li:visible b").all_inner_texts() == ["S", "t", "r", "a", "<C3>", "<9F>", "e"]
