"""The picture of attention in a real browser: picked, hovered, locked, and its numbers."""

from collections.abc import Callable
from urllib.parse import quote

import pytest

from pages.shared import models
from tests.browser.conftest import PROMPT, Visitors, read

CONFIG = models.load(models.NAMES[0]).decoder.config
SIZES = CONFIG.n_layer, CONFIG.n_head


def test_picking_hovering_and_the_switches_send_nothing(visitor: Visitors, server: str) -> None:
    one = visitor().open(f"{server}/attention")
    seen, sent = [one.drawn()], one.sent
    all_heads = one.page.locator(".all canvas").bounding_box()
    token = one.page.locator(".tokens button").nth(3)

    def changed(act: Callable[[], object]) -> None:
        act()
        seen.append(one.drawn())
        assert seen[-1] != seen[-2]

    changed(lambda: one.page.mouse.click(all_heads["x"] + 70, all_heads["y"] + 60))
    changed(lambda: one.page.mouse.move(all_heads["x"] + 220, all_heads["y"] + 200))
    changed(lambda: token.hover())
    changed(lambda: one.page.keyboard.press("ArrowRight"))
    changed(lambda: one.page.keyboard.press("ArrowDown"))
    changed(lambda: one.page.locator(".sink").check())
    changed(lambda: one.page.locator(".top-range").fill("30"))
    changed(lambda: one.page.locator(".shade").select_option("linear"))
    assert one.sent == sent


def test_hovering_a_token_shows_both_directions(visitor: Visitors, server: str) -> None:
    one = visitor().open(f"{server}/attention")
    buttons = one.page.locator(".tokens button")
    buttons.nth(4).hover()
    one.page.wait_for_selector(".tokens .chosen")
    classes = [name.split()[0] for name in buttons.evaluate_all("all => all.map((button) => button.className)")]
    assert classes == ["key"] * 5 + ["query"] * (len(classes) - 5)
    weights = [float(text) for text in buttons.locator("small").all_inner_texts()]
    assert sum(weights[:5]) == pytest.approx(100, abs=0.5)  # a row sums to 1
    assert "looks at" in one.page.locator(".reading").inner_text()


@pytest.mark.parametrize("sink", [False, True])
@pytest.mark.parametrize("head", ["2", "mean", "mean of all"])
def test_the_numbers_are_those_of_the_model(visitor: Visitors, server: str, head: str, sink: bool) -> None:
    layer, head = ("mean", "mean") if head == "mean of all" else ("1", head)
    link = f"prompt={quote(PROMPT)}&layer={layer}&head={head}&top=60" + "&sink=1" * sink
    one = visitor().open(f"{server}/attention?{link}")
    drawn = int(one.page.locator(".drawn").inner_text().split()[0])
    one.page.locator(".tokens button").last.click()
    one.page.mouse.move(5, 5)
    one.drawn()
    shown = [float(text) for text in one.page.locator(".tokens small").all_inner_texts()]

    patterns = read(PROMPT)[0].double()
    pattern = patterns.mean((0, 1)) if layer == "mean" else patterns[1].mean(0) if head == "mean" else patterns[1, 2]
    if sink:
        pattern[:, 0] = 0
        pattern[1:] /= pattern[1:].sum(-1, keepdim=True)
    assert shown == pytest.approx((100 * pattern[-1]).tolist(), abs=0.07)

    arcs = 0
    for row in pattern.tolist():
        left = 0.6 * sum(row)
        for weight in sorted(row, reverse=True):
            if left <= 1e-6:
                break
            left -= weight
            arcs += weight >= 0.005
    assert abs(drawn - arcs) <= 1  # 12 bits may turn a tie


def test_a_click_locks_a_token_and_escape_frees_it(visitor: Visitors, server: str) -> None:
    one = visitor().open(f"{server}/attention")
    one.page.locator(".tokens button").nth(2).click()
    one.page.locator(".tokens button").nth(5).hover()
    assert one.page.locator(".tokens .locked").inner_text().startswith("·and")
    one.page.keyboard.press("Escape")
    one.page.mouse.move(5, 5)
    one.page.wait_for_selector(".tokens .locked", state="detached")


def test_the_mean_of_all_heads_is_named(visitor: Visitors, server: str) -> None:
    one = visitor().open(f"{server}/attention")
    one.page.locator(".vitrine").focus()
    one.page.keyboard.press("m")
    one.page.wait_for_selector(".picked:has-text('mean of all')")
    layers, heads = SIZES
    assert f"mean of all {layers * heads} heads" in one.page.locator(".reading").inner_text()


def test_a_picked_head_stays_through_examples_and_pages(visitor: Visitors, server: str) -> None:
    one = visitor().open(f"{server}/attention")
    one.page.locator(".sink").check()
    one.page.locator(".vitrine").focus()
    one.page.keyboard.press("ArrowRight")
    one.drawn()
    picked = one.page.locator(".picked").inner_text()
    one.page.locator(".sink").uncheck()
    for example, word in (("A fact", "France"), ("Far agreement", "box"), ("A fact", "France")):
        one.page.get_by_role("button", name=example).click()
        one.page.wait_for_selector(f".tokens button:has-text('{word}')")
        one.drawn()
        assert one.page.locator(".picked").inner_text() == picked
        assert not one.page.locator(".sink").is_checked()
    one.page.get_by_role("link", name="Home").click()
    one.page.wait_for_selector(".words button")
    one.drawn()
    assert one.page.locator(".tokens button:has-text('France')").count() == 1
    for name in ("prompt", "layer", "head"):
        assert f"{name}=" in one.page.url
    assert "sink" not in one.page.url
    assert one.page.locator(".picked").inner_text() == picked


@pytest.mark.parametrize("layer", ["99", "-1", "x", "<b>"])
def test_a_link_to_a_head_that_is_not_there_gets_a_sentence(visitor: Visitors, server: str, layer: str) -> None:
    one = visitor().open(f"{server}/attention?layer={layer}")
    layers, heads = SIZES
    assert f"layers 0 to {layers - 1} and heads 0 to {heads - 1}" in one.page.locator(".notice").inner_text()


def test_the_steps_follow_the_picked_head(visitor: Visitors, server: str) -> None:
    one = visitor().open(f"{server}/attention?layer=0&head=0")
    one.page.locator(".vitrine").focus()
    one.page.keyboard.press("ArrowRight")
    one.page.get_by_text("Open this head").click()
    one.page.wait_for_selector("strong:has-text('L0 H1')")
    one.page.wait_for_selector(".js-plotly-plot .heatmaplayer")
    one.page.locator(".vitrine").focus()
    one.page.keyboard.press("ArrowDown")
    one.page.wait_for_selector("strong:has-text('L1 H1')")
    other = visitor().open(one.page.url)
    other.page.wait_for_selector("strong:has-text('L1 H1')")
