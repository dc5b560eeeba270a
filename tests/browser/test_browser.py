"""The app in a real browser, as a student uses it."""

from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from pages.shared import models
from pages.shared.compute import readings
from pages.shared.prompts import INSIDE
from tests.browser.conftest import MARKUP, SCREENS, Visitor, Visitors, fits, ids_of, percentages, read, start_server
from tests.browser.test_browser_sampling import open_sampling
from tests.driver import SCRIPTS, examples, keys, read_prompt
from tests.pages.test_urls import URLS
from viz.components.component import HERE
from viz.percent import percent

PAGES = ["", "attention"]


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_and_fits(
    visitor: Visitors, server: str, page: str, width: int, scheme: str, tmp_path: Path
) -> None:
    one = visitor(viewport={"width": width, "height": 800}, color_scheme=scheme).open(f"{server}/{page}")
    assert one.page.screenshot(path=tmp_path / "page.png")
    assert one.page.get_by_text("not found", exact=False).count() == 0
    fits(one, ".vitrine", ".maps")
    arcs = one.page.locator(".arcs").bounding_box()
    assert width < 500 or arcs["y"] + arcs["height"] < 800  # above the fold


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_what_it_knows_opens_and_fits(visitor: Visitors, server: str, width: int, scheme: str, tmp_path: Path) -> None:
    one = visitor(viewport={"width": width, "height": 800}, color_scheme=scheme)
    one.page.goto(f"{server}/knows")
    one.page.wait_for_selector("[data-testid=stCode]", timeout=60_000)
    assert one.page.screenshot(path=tmp_path / "page.png")
    fits(one, ".strip >> nth=0")
    assert one.page.locator(".strip").count() == len(INSIDE)


CONTRAST = """(element) => {
    const read = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const lay = ([r, g, b, a = 1], below) => [r, g, b].map((value, n) => a * value + (1 - a) * below[n]);
    const light = (colour) => {
        const linear = colour.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05;
    };
    const grounds = [];
    for (let one = element; one; one = one.parentElement ?? one.getRootNode().host) grounds.push(one);
    const paint = (below, one) => lay(read(getComputedStyle(one).backgroundColor), below);
    const ground = grounds.reduceRight(paint, [0, 0, 0]);
    const both = [light(ground), light(lay(read(getComputedStyle(element).color), ground))];
    return Math.max(...both) / Math.min(...both);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_chosen_can_be_read(visitor: Visitors, server: str, scheme: str) -> None:
    """Its text stands out by 4.5 : 1 (WCAG 2.2, 1.4.3)."""

    def stand_out(one: Visitor, *selectors: str) -> None:
        for selector in selectors:
            texts = one.page.locator(selector)
            texts.first.wait_for(state="attached", timeout=60_000)
            assert min(texts.nth(n).evaluate(CONTRAST) for n in range(texts.count())) >= 4.5, selector

    one = visitor(color_scheme=scheme)
    one.page.goto(f"{server}/tokens")
    stand_out(one, "[role=radio][aria-checked=true] p", ".merges b.new")
    open_sampling(one, server, prompt=examples("decoding/sampling")["A story"].prompt, draws="1")
    stand_out(one, ".stButton strong", ".sampling [aria-pressed=true]", ".branches .path b", ".beams .best *")


@pytest.mark.parametrize("page", PAGES)
def test_typing_changes_the_picture(visitor: Visitors, server: str, page: str) -> None:
    one = visitor().open(f"{server}/{page}")
    before = one.drawn()
    one.type("The capital of France is")
    one.page.wait_for_selector(".tokens button:has-text('France')")
    assert one.drawn() != before
    assert one.page.locator(".tokens button").all_inner_texts()[0].strip() == "The"


def test_a_pause_is_enough(visitor: Visitors, server: str) -> None:
    one = visitor().open(server)
    one.page.get_by_label("Prompt").fill("One cat, two")
    one.page.wait_for_selector(".tokens button:has-text('two')", timeout=5000)


def test_a_next_word_that_is_clicked_is_added(visitor: Visitors, server: str) -> None:
    one = visitor().open(server)
    one.type("The capital of France is")
    one.page.locator(".words button", has_text="Paris").click()
    one.page.wait_for_selector(".tokens button:has-text('Paris')")
    assert one.page.get_by_label("Prompt").input_value() == "The capital of France is Paris"


def test_the_bars_are_those_of_the_model_and_of_the_truth(visitor: Visitors, server: str) -> None:
    prompt = "Anna is in the"
    one = visitor().open(f"{server}/?prompt={quote(prompt)}")
    assert one.page.locator(".words header span").all_inner_texts() == ["model", "truth"]
    rooms = [text.replace("·", " ") for text in one.page.locator(".words button b").all_inner_texts()]
    shown = percentages(one.page.locator(".words button span").all_inner_texts())
    guess, true = read(prompt)[1], readings.true_distributions(read_prompt(models.NAMES[0], prompt))[-1]
    ids = [models.load(models.NAMES[0]).tokenizer.encode(room).ids[0] for room in rooms]
    assert shown[::2] == pytest.approx([100 * guess[id].item() for id in ids], abs=0.051)
    assert shown[1::2] == pytest.approx([100 * true.get(id, 0) for id in ids], abs=0.051)
    assert len(one.page.locator(".strip i:not(.none)").all()) == len(ids_of(prompt))


def test_pictures_write_a_probability_as_pages_do(visitor: Visitors) -> None:
    shares = [0, 1e-9, 0.0004, 0.0009999, 0.001, 0.1234, 0.125, 0.0025, 0.99999, 1, -0.25, -0.125]
    shared = (HERE / "shared.js").read_text("utf-8")
    told = visitor().page.evaluate(f"{shared}\n[0, 1, 2].map((n) => {shares}.map((share) => percent(share, n)))")
    assert told == [[percent(share, n) for share in shares] for n in range(3)]


def test_outside_the_world_the_bars_are_the_models_alone(visitor: Visitors, server: str) -> None:
    prompt = "The capital of Narnia is"
    one = visitor().open(f"{server}/?prompt={quote(prompt)}")
    shown = percentages(one.page.locator(".words button span").all_inner_texts())
    assert shown == pytest.approx((100 * read(prompt)[1].topk(8).values).tolist(), abs=0.051)
    known = one.page.locator(".strip i").evaluate_all("all => all.map((bar) => bar.className)")
    assert known[:3] == ["", "", ""] and set(known[3:]) == {"none"}
    assert one.page.get_by_text("outside the toy world").count()


def test_a_part_of_a_character_cannot_be_added(visitor: Visitors, server: str) -> None:
    one = visitor().open(f"{server}/?prompt={quote('The cat sat on the mat.')}")
    disabled = one.page.locator(".words button:disabled b").all_inner_texts()
    assert "⏎" in disabled
    assert all(text == "⏎" or text.startswith("<") for text in disabled)


def test_a_copied_link_shows_the_same_on_a_fresh_server(visitor: Visitors, server: str, tmp_path: Path) -> None:
    one = visitor().open(f"{server}/attention")
    one.type("The keys near the box")
    one.page.wait_for_selector(".tokens button:has-text('box')")
    one.page.locator(".vitrine").focus()
    one.page.keyboard.press("ArrowRight")
    one.page.keyboard.press("ArrowDown")
    one.page.locator(".sink").check()
    one.page.locator(".top-range").fill("55")
    one.page.mouse.move(5, 5)
    picture, link = one.drawn(), one.page.url
    for name in ("prompt", "layer", "head", "sink", "top"):
        assert f"{name}=" in link
    process, address = start_server(tmp_path)
    try:
        other = visitor().open(link.replace(server, address))
        assert other.drawn() == picture
        assert other.page.get_by_text("not found", exact=False).count() == 0
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize("page", PAGES)
def test_markup_in_a_prompt_stays_text(visitor: Visitors, server: str, page: str) -> None:
    one = visitor().open(f"{server}/{page}")
    one.type(MARKUP)
    one.page.wait_for_selector(".tokens button:has-text('<')")
    one.drawn()
    assert one.page.locator("#evil, img[src=x]").count() == 0
    assert "".join(
        text.split("\n")[0] for text in one.page.locator(".tokens button").all_inner_texts()
    ) == MARKUP.replace(" ", "·")


def test_markup_in_a_link_stays_text_on_every_page(visitor: Visitors, server: str) -> None:
    one = visitor()
    for name in SCRIPTS:
        link = dict.fromkeys(keys(name), MARKUP) | {"model": models.NAMES[0]}
        one.page.goto(f"{server}/{URLS[name]}?{urlencode(link)}")
        one.page.get_by_role("heading").first.wait_for(timeout=60_000)
        one.rest()
        assert one.page.get_by_text("This page broke").count() == 0, name
        assert one.page.locator("#evil, img[src=x]").count() == 0, name
