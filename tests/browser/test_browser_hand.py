"""Attention by hand, and scale and mask, in a real browser."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from model.transformer import attention_steps
from pages.shared import models
from pages.shared.prompts import EXAMPLES
from tests.browser.conftest import MARKUP, SCREENS, Visitor, fits
from tests.driver import read_prompt

Visitors = Callable[..., Visitor]
PICKED = ".byhand .maps figure:first-child tr.picked"


def opened(visitor: Visitors, address: str, **settings: object) -> Visitor:
    one = visitor(**settings)
    one.page.goto(address)
    one.page.wait_for_selector("[data-testid=stCode]", timeout=60_000)
    one.rest()
    return one


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
@pytest.mark.parametrize("lesson", ["hand", "attention_on_prompt"])
def test_it_opens_and_fits(
    visitor: Visitors, server: str, lesson: str, width: int, scheme: str, tmp_path: Path
) -> None:
    address = f"{server}/{lesson}?prompt={quote(MARKUP)}"
    one = opened(visitor, address, viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert one.page.screenshot(path=tmp_path / "page.png")
    fits(one, ".byhand", ".byhand .maps")
    assert one.page.locator("#evil, img[src=x]").count() == 0
    maps = one.page.locator(".byhand .maps").bounding_box()
    assert width < 500 or maps["y"] + maps["height"] < 900  # above the fold


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
@pytest.mark.parametrize("page", ["heads_add_up", "hand?example=The%20contract", "scale", "scale?view=Mask%20traps"])
def test_the_other_views_fit(visitor: Visitors, server: str, page: str, width: int, scheme: str) -> None:
    one = opened(visitor, f"{server}/{page}", viewport={"width": width, "height": 900}, color_scheme=scheme)
    fits(one)


def test_the_arrow_keys_walk_along_queries_and_steps(visitor: Visitors, server: str) -> None:
    one = opened(visitor, f"{server}/hand")
    example = attention_steps.random_example(4, 3, 0)
    assert one.page.locator(".asks").inner_text().startswith(attention_steps.WORDS[3])
    sent = one.sent
    for row in (2, 1):
        one.page.keyboard.press("ArrowUp")
        one.page.locator(".asks b", has_text=attention_steps.WORDS[row]).wait_for()
    product = int(example.q[1] @ example.k[0])
    assert one.page.locator(".work tr:nth-child(2) b").first.inner_text() == str(product).replace("-", "−")
    assert one.page.locator(PICKED).inner_text().startswith(attention_steps.WORDS[1])
    one.page.keyboard.press("ArrowLeft")
    later = one.page.locator(".byhand figure.later")
    assert later.count() == 1 and "values mixed" in later.inner_text()
    one.page.keyboard.press("ArrowLeft")
    assert later.count() == 2
    one.page.keyboard.press("ArrowRight")
    one.page.keyboard.press("ArrowRight")
    assert later.count() == 0
    one.page.keyboard.press("ArrowRight")
    assert later.count() == 4  # from the first step on
    one.page.get_by_role("link", name="Home").focus()  # where one is who came by a click on a link
    for _ in range(4):
        one.page.keyboard.press("ArrowRight")
    assert later.count() == 0
    assert one.sent == sent  # all of it without the server
    one.page.locator(".byhand .maps figure:first-child tr").nth(3).click()  # behind the names, the third query
    one.page.locator(".asks b", has_text="cat").wait_for()
    assert "row=2" in one.page.url
    again = opened(visitor, one.page.url)
    assert again.page.locator(".asks").inner_text().startswith("cat")


@pytest.mark.parametrize("mask", attention_steps.MASKS)
def test_the_arithmetic_of_a_row_comes_out(visitor: Visitors, server: str, mask: str) -> None:
    one = opened(visitor, f"{server}/hand?row=0&mask={quote(mask)}")
    rows = [row.inner_text().split("\t") for row in one.page.locator(".work tr").all()][1:]
    powers, weights = ([float(row[n]) for row in rows] for n in (4, 5))
    assert sum(powers[:-1]) == pytest.approx(powers[-1], abs=3e-3) and max(powers[:-1]) == 1
    assert weights[:-1] == pytest.approx([power / powers[-1] for power in powers[:-1]], abs=2e-3)
    q, k, v = attention_steps.random_example(4, 3, 0)[4:7]
    expected = attention_steps.steps(q, k, v, attention_steps.mask(mask, 4, 4), 3**0.5).weights[0]
    assert weights[:-1] == pytest.approx(expected.tolist(), abs=6e-5)


def written(one: Visitor) -> list[list[str]]:
    return [
        [cell.strip().replace("−", "-") for cell in row.inner_text().split("\t")]
        for row in one.page.locator(".work tr").all()
    ]


@pytest.mark.parametrize("query", ["example=The%20contract", "drawn=3", "example=The%20contract&times=20"])
def test_a_calculator_makes_of_what_is_written_what_is_written(visitor: Visitors, server: str, query: str) -> None:
    (*names, shift, _, _), *rows, end = written(opened(visitor, f"{server}/hand?{query}"))
    off = float(re.search(r"score ([+-] [\d.]+)", shift)[1].replace(" ", ""))
    total, mixed = float(end[4]), np.zeros(3)
    for row in rows:
        sent, score = row[1].rsplit("=", 1)
        assert sum(np.prod([*map(float, re.findall(r"-?[\d.]+", part))]) for part in sent.split(" + ")) == float(score)
        assert float(row[2]) == pytest.approx(float(score) / math.sqrt(float(names[2][3:])), abs=6e-5)
        power, weight = (float(cell) if cell[0] != "<" else 0 for cell in row[4:6])
        assert power == pytest.approx(math.exp(float(row[3]) + off), abs=2e-4)
        assert weight == pytest.approx(power / total, abs=2e-4)
        given, values = row[6].split(" · ")
        assert given == row[5]
        mixed += weight * np.array([float(n) for n in re.findall(r"-?[\d.]+", values)])
    for found, said in zip(mixed, re.findall(r"-?[\d.]+", end[6])):
        assert float(said) == pytest.approx(found, abs=0.7 * 10.0 ** -len(said.partition(".")[2]))


def test_a_row_that_is_all_blocked_says_what_is_computed(visitor: Visitors, server: str) -> None:
    one = opened(visitor, f"{server}/hand?row=3&mask={quote(attention_steps.MASKS[2])}")
    scaled = attention_steps.steps(
        *attention_steps.random_example(4, 3, 0)[4:7], attention_steps.mask("none", 4, 4), 3**0.5
    ).scaled[3]
    _, *rows, _ = written(one)
    assert [row[3] for row in rows] == [f"-1e9 {'-' if s < 0 else '+'} {abs(s):.4f}" for s in scaled.tolist()]
    rough = (scaled.float() - 1e9).softmax(-1).tolist()
    assert "would be " + ", ".join(f"{weight:.4f}" for weight in rough) in one.page.locator(".work").inner_text()


def test_what_is_masked_is_hatched_and_what_is_small_is_not_zero(visitor: Visitors, server: str) -> None:
    one = opened(visitor, f"{server}/hand?times=20")
    weights = one.page.locator(".byhand figure").nth(3)
    assert weights.locator("td.none").all_inner_texts() == ["0"] * 6
    assert "<0.01" in weights.inner_text() and "Hatched" in one.page.locator(".byhand small").inner_text()
    beyond = one.page.locator(".byhand figure td").evaluate_all("""(cells) => cells.map((cell) => {
        const said = document.createRange();
        said.selectNodeContents(cell);
        return said.getBoundingClientRect().width - cell.clientWidth;
    })""")
    assert len(beyond) == 4 * 16 + 12 and max(beyond) <= 1  # no number lies over its neighbour


@pytest.mark.parametrize("size", [(1440, 900), (1024, 768), (390, 844)])
def test_the_row_that_is_worked_out_is_seen(visitor: Visitors, server: str, size: tuple[int, int]) -> None:
    screen = {"width": size[0], "height": size[1]}
    fits(opened(visitor, f"{server}/attention_on_prompt", viewport=screen), ".byhand .scroll")
    one = opened(visitor, f"{server}/hand", viewport=screen)
    fits(one, ".byhand .scroll")
    end = one.page.locator(".work .end").bounding_box()
    assert size[0] < 500 or end["y"] + end["height"] <= size[1]


def test_what_is_no_number_is_refused_with_a_sentence(visitor: Visitors, server: str) -> None:
    one = opened(visitor, f"{server}/hand")
    asks = one.page.locator(".asks").inner_text()
    grid = one.page.locator(".stDataFrameGlideDataEditor").first
    box = grid.bounding_box()
    for typed in ("1/3", "99999"):
        grid.dblclick(position={"x": box["width"] * 0.45, "y": box["height"] - 14})
        one.page.locator(".gdg-input").fill(typed)
        one.page.keyboard.press("Enter")
        one.page.get_by_text(f"“{typed}” is not a number between −999 and 999").wait_for()
        one.rest()
        assert one.page.locator(".asks").inner_text() == asks and "numbers=" not in one.page.url


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
    for name in ("Attention on your prompt", "Attention by hand"):
        one.page.get_by_test_id("stTopNavSection").filter(has_text="Transformer").click()
        one.page.get_by_test_id("stTopNavDropdownLink").filter(has_text=name).click()
        one.page.get_by_role("heading", name=f"{name}:").wait_for()
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
    reading = read_prompt(models.NAMES[0], EXAMPLES["Who gets the key?"].prompt)
    one = opened(visitor, f"{server}/hand?view=On%20your%20prompt&picked=L0%20H1&row=3")
    assert one.page.locator(".asks b").inner_text() == "·Tom"
    weights = reading.trace.blocks[0].attn.pattern[0, 1, 3, :4].tolist()
    shown = one.page.locator(".work tr:not(.end) .weight b").all_inner_texts()
    assert [float(text) for text in shown] == pytest.approx(weights, abs=6e-4)
    assert "10 more keys are masked" in one.page.locator(".work").inner_text()
