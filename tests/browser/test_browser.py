"""The app in a real browser, as a student uses it."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
import torch
from tokenizers import Tokenizer

from model import gpt2, sampling
from model.positions import SCHEMES
from pages.shared import models
from pages.shared.examples import INSIDE, OPEN
from tests.browser.conftest import Visitor, start_server

Visitors = Callable[..., Visitor]
PAGES = ["", "attention"]
CONFIG = models.load(models.NAMES[0]).gpt.config
SIZES = CONFIG.n_layer, CONFIG.n_head
MARKUP = "</script><img src=x onerror=alert(1)><b id=evil>"


SCREENS = [(1440, "light"), (1024, "dark"), (390, "light")]  # how wide, and in which theme


def fits(one: Visitor, *selectors: str) -> None:
    """Neither the page nor what is in it has to be scrolled sideways."""
    for selector in ('[data-testid="stMain"]', *selectors):
        assert one.page.locator(selector).evaluate("(it) => it.scrollWidth <= it.clientWidth"), selector


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


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_positions_open_fit_and_change(visitor: Visitors, server: str, width: int, scheme: str, tmp_path: Path) -> None:
    one = visitor(viewport={"width": width, "height": 900}, color_scheme=scheme)
    one.page.goto(f"{server}/positions?one={quote(MARKUP)}&other={quote(MARKUP)}")
    one.page.wait_for_selector("[data-testid=stCode] >> nth=1", timeout=60_000)
    one.page.wait_for_selector(".js-plotly-plot .heatmaplayer image")
    one.page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")  # each picture has its place
    first = one.page.locator(".js-plotly-plot").first.bounding_box()
    assert width < 500 or first["y"] + first["height"] < 900  # above the fold
    for told in SCHEMES[1:] if width == 1440 else ["RoPE"]:
        one.page.get_by_role("radio", name=told).click()
        one.page.get_by_role("heading", name=re.compile(f"^{told}$", re.IGNORECASE)).wait_for()
        assert f"scheme={told}" in one.page.url
        fits(one)
    assert one.page.locator("#evil, img[src=x]").count() == 0
    assert one.page.screenshot(path=tmp_path / "page.png")


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_embeddings_open_fit_and_calculate(visitor: Visitors, server: str, width: int, scheme: str) -> None:
    one = visitor(viewport={"width": width, "height": 900}, color_scheme=scheme)
    one.page.goto(f"{server}/embeddings?prompt={quote(MARKUP)}&vectors=wte&words={quote('cat dog ' + MARKUP)}")
    one.page.wait_for_selector(".js-plotly-plot .scatterlayer text >> nth=5", timeout=60_000)
    one.page.wait_for_selector("[data-testid=stVegaLiteChart] svg >> nth=1")
    fits(one)
    where = one.page.locator(".js-plotly-plot").first.bounding_box()
    assert width < 500 or where["y"] + where["height"] < 900  # above the fold
    assert one.page.locator("#evil").count() == 0
    one.page.get_by_label("Expression").fill(f"{MARKUP} - man")
    one.page.get_by_label("Expression").press("Enter")
    one.page.get_by_text("cannot be calculated").wait_for()
    one.page.get_by_label("Expression").fill(":red[r]$x$`c`_d_[l](#) 7")
    one.page.get_by_label("Expression").press("Enter")
    one.page.get_by_text("':red[r]$x$`c`_d_[l](#)'").wait_for()  # to the letter
    one.page.get_by_label("Expression").fill("Paris - France + Italy")
    one.page.get_by_label("Expression").press("Enter")
    one.page.locator(".js-plotly-plot .scatterlayer text", has_text="Italy").first.wait_for()
    assert "expression=Paris" in one.page.url


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_word2vec_opens_and_fits(visitor: Visitors, server: str, width: int, scheme: str) -> None:
    one = visitor(viewport={"width": width, "height": 900}, color_scheme=scheme)
    one.page.goto(f"{server}/word2vec?epochs=20&lines1={quote(MARKUP)}")
    one.page.get_by_text("is not in it").wait_for(timeout=60_000)
    one.page.wait_for_selector("[data-testid=stVegaLiteChart] svg")
    fits(one)
    assert one.page.locator("#evil").count() == 0


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
    open_sampling(one, server, prompt=OPEN[0].prompt, draws="1")
    stand_out(one, ".stButton strong", ".sampling [aria-pressed=true]", ".branches .path b", ".beams .best *")


def test_the_order_is_seen_until_positions_and_mask_are_off(visitor: Visitors, server: str) -> None:
    one = visitor()
    one.page.goto(f"{server}/positions")
    one.page.wait_for_selector("strong:has-text('The order is seen')", timeout=60_000)
    for switch in ("Positions", "Mask"):
        one.page.locator(f"label:has(input[aria-label='{switch}'])").click()
    one.page.wait_for_selector("strong:has-text('The order is not seen')")
    other = visitor()
    other.page.goto(one.page.url)
    other.page.wait_for_selector("strong:has-text('The order is not seen')", timeout=60_000)


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


def open_sampling(one: Visitor, server: str, **link: str) -> Visitor:
    one.page.goto(f"{server}/sampling?" + "&".join(f"{name}={quote(value)}" for name, value in link.items()))
    one.page.wait_for_selector("[data-testid=stCode]", timeout=60_000)
    one.page.wait_for_selector(".sampling tbody tr")
    return one


def column(one: Visitor, head: str) -> list[str]:
    heads = one.page.locator(".sampling th").all_inner_texts()
    return one.page.locator(f".sampling tbody td:nth-child({heads.index(head) + 1})").all_inner_texts()


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_sampling_opens_and_fits(visitor: Visitors, server: str, width: int, scheme: str, tmp_path: Path) -> None:
    one = visitor(viewport={"width": width, "height": 900}, color_scheme=scheme)
    open_sampling(one, server, prompt=MARKUP, chain="temperature:0.7", draws="200", beside="top-k:5")
    one.rest()
    assert one.page.screenshot(path=tmp_path / "page.png")
    fits(one, ".sampling", ".chain", ".branches", ".strip >> nth=0")
    assert one.page.locator("#evil").count() == 0
    assert width < 500 or one.page.locator(".sampling tbody").bounding_box()["y"] < 500


@pytest.mark.parametrize(
    "chain",
    [
        "",
        "temperature:0",
        "temperature:0.05",
        "temperature:1.6,top-k:5",
        "top-p:0.9,temperature:2",
        "temperature:2,top-p:0.9",
        "repetition:1.5,min-p:0.1,top-k:50",
        "top-p:0",
        "min-p:1",
        "top-k:1",
    ],
)
def test_what_the_browser_samples_from_is_what_the_model_does(visitor: Visitors, server: str, chain: str) -> None:
    prompt = "Anna and Tom sat in the"
    one = open_sampling(visitor(), server, prompt=prompt, chain=chain)
    guess, steps = read(prompt)[1], [step.split(":") for step in chain.split(",") if step]
    logits = models.read(models.NAMES[0], prompt).trace.logits[0, -1]
    logits = sampling.apply([(name, float(value)) for name, value in steps], logits, ids_of(prompt))
    after, kept = logits.softmax(-1), logits.isfinite()
    ids = guess.topk(12).indices.tolist()
    assert percentages(column(one, "P of the model")) == pytest.approx(
        [100 * guess[id].item() for id in ids], abs=0.011
    )
    assert percentages(column(one, "P after steps")) == pytest.approx([100 * after[id].item() for id in ids], abs=0.011)
    said = one.page.locator(".sampling nav span").inner_text()
    assert said.startswith(f"kept: {int(kept.sum()):,} of {len(guess):,} tokens")
    assert percentages([said.rpartition("cut: ")[2]]) == pytest.approx([100 * guess[~kept].sum().item()], abs=0.011)


def test_sliders_and_draws_ask_nothing_of_the_server(visitor: Visitors, server: str) -> None:
    one = open_sampling(visitor(), server, prompt="Anna is in the")
    before, frames = column(one, "P after steps"), one.sent
    slider = one.page.get_by_label("temperature", exact=True)
    for _ in range(8):
        slider.press("ArrowLeft")
    one.page.get_by_label("top-p: earlier").click()
    one.page.get_by_role("button", name="Draw 200").click()
    one.page.wait_for_function("document.location.search.includes('draws=200')")
    one.page.wait_for_timeout(300)
    assert column(one, "P after steps") != before
    assert one.sent == frames
    assert "chain=temperature%3A0.6" in one.page.url
    texts = column(one, "drawn / expected")
    for count, expected in (map(float, text.split(" / ")) for text in texts):
        assert abs(count - expected) < 5 * max(1, expected) ** 0.5

    other = visitor()
    other.page.goto(one.page.url)
    other.page.wait_for_selector(".sampling tbody tr")
    assert column(other, "drawn / expected") == texts  # the same seed draws the same
    one.page.get_by_role("button", name="Draw 200").click()  # once more
    one.page.wait_for_timeout(300)
    assert one.page.get_by_label("seed").input_value() == "2"
    assert column(one, "drawn / expected") != texts
    one.page.get_by_label("seed").fill("1")
    one.page.wait_for_timeout(300)
    assert column(one, "drawn / expected") == texts
    cards = other.page.locator(".sampling .chain header").all_inner_texts()
    assert [card.split()[0] for card in cards] == [*sampling.STEPS]  # what is off has its own place
    other.page.get_by_role("button", name="×").click()
    other.page.wait_for_timeout(300)
    assert "draws" not in other.page.url and one.sent == frames


def test_a_drawn_token_is_taken_and_the_chain_writes_on(visitor: Visitors, server: str) -> None:
    one = open_sampling(visitor(), server, prompt="The capital of France is", chain="temperature:0", draws="1")
    drawn = one.page.locator(".sampling output button")
    word = drawn.inner_text().removeprefix("take ").replace("·", " ")
    drawn.click()
    one.page.wait_for_function(f"document.querySelector('input').value.endsWith({word!r})")
    one.rest()
    assert "chain=temperature%3A0" in one.page.url  # still there after the server has written into the link
    one.page.get_by_role("button", name="Write on").click()
    one.page.get_by_text("Written on").wait_for()
    one.page.locator(".strip").nth(2).wait_for()  # what was written, the beams', and the prompt's own
    written = one.page.locator(".strip").first.inner_text()
    other = visitor()
    other.page.goto(one.page.url)
    other.page.locator(".strip").nth(2).wait_for(timeout=60_000)
    assert other.page.locator(".strip").first.inner_text() == written
    assert "written=1%3Btemperature%3A0&" in f"{other.page.url}&"


def tree_of(one: Visitor) -> list[tuple[str, bool]]:
    """The tokens of the tree with their probabilities, and whether each is on the way to the text in hand."""
    one.rest()
    tree = one.page.locator(".branches .tree")
    texts = tree.locator("button").all_inner_texts()
    on_path = tree.locator("button").evaluate_all("all => all.map((one) => one.classList.contains('path'))")
    assert tree.locator("[aria-current]").count() == 1
    return [(text.replace("\n", " "), on) for text, on in zip(texts, on_path, strict=True)]


def test_a_text_is_written_token_by_token_rewound_and_branched(visitor: Visitors, server: str) -> None:
    one = open_sampling(visitor(), server, prompt="Anna is in the", chain="top-k:20", draws="1")
    drawn = one.page.locator(".sampling output button").inner_text().removeprefix("take ").replace("·", " ")
    one.page.get_by_role("button", name="Draw and take one").click()
    one.page.wait_for_function(f"document.querySelector('input').value === {('Anna is in the' + drawn)!r}")
    one.rest()
    one.page.locator(".branches nav button:has(b:text-is('.'))").click()
    one.page.wait_for_function("document.querySelector('input').value.endsWith('.')")
    one.rest()
    one.page.locator(".branches .tree button").first.click()
    one.page.wait_for_function("document.querySelector('input').value === 'Anna is in the'")
    one.rest()
    guess = read("Anna is in the")[1]
    tokenizer = models.load(models.NAMES[0]).tokenizer
    taken = next(text for id in guess.topk(2).indices if (text := tokenizer.decode([id])) != drawn)
    one.page.locator(".branches nav button", has_text=taken.replace(" ", "·")).click()
    one.page.wait_for_function(f"document.querySelector('input').value === {('Anna is in the' + taken)!r}")
    tree = tree_of(one)
    label = {text: text.replace(" ", "·") for text in (drawn, taken)}
    assert [text.split()[0] for text, _ in tree] == ["Anna·is·in·the", label[drawn], ".", label[taken]]
    assert [on for _, on in tree] == [True, False, False, True]
    shares = [100 * guess[tokenizer.encode(text).ids[0]].item() for text in (drawn, taken)]
    assert percentages([tree[n][0].split(" ", 1)[1] for n in (1, 3)]) == pytest.approx(shares, abs=0.051)
    assert "tree=14_0-" in one.page.url and "chain=top-k%3A20" in one.page.url and "draws=1" in one.page.url

    other = visitor()
    other.page.goto(one.page.url)
    other.page.wait_for_selector(".branches .tree li", timeout=60_000)
    assert tree_of(other) == tree
    other.page.locator(".branches .tree button").nth(2).click()  # back to the other branch
    other.page.wait_for_function(f"document.querySelector('input').value === {('Anna is in the' + drawn + '.')!r}")
    assert [on for _, on in tree_of(other)] == [True, True, True, False]
    other.page.get_by_role("button", name="‹ back").click()
    other.page.wait_for_function(f"document.querySelector('input').value === {('Anna is in the' + drawn)!r}")
    other.rest()
    other.page.get_by_role("slider", name="Length in tokens").press(
        "ArrowRight"
    )  # a widget that writes into the link, too
    other.page.wait_for_function("document.location.search.includes('length=6')")
    other.rest()
    assert f"tree={one.page.url.split('tree=')[1].split('&')[0]}" in other.page.url
    box = other.page.get_by_label("Prompt")
    box.fill("Tom")
    box.press("Enter")
    other.page.wait_for_selector(".branches .tree button:has-text('Tom')")
    assert [text for text, _ in tree_of(other)] == ["Tom"]
    assert "tree=" not in other.page.url


def test_what_cannot_be_typed_is_not_taken(visitor: Visitors, server: str) -> None:
    one = open_sampling(visitor(), server, prompt="The cat sat on the mat.", chain="temperature:0")
    first = one.page.locator(".branches nav button").nth(2)
    assert first.inner_text().startswith("⏎") and first.is_disabled()
    one.page.get_by_role("button", name="Draw and take one").click()
    assert "cannot stand in the prompt" in one.page.locator(".branches output").inner_text()
    one.rest()
    assert one.page.get_by_label("Prompt").input_value() == "The cat sat on the mat."


def test_a_beam_is_taken_with_all_its_tokens(visitor: Visitors, server: str) -> None:
    prompt = "Hello, my name is"
    one = open_sampling(visitor(), server, prompt=prompt, width="2", length="4")
    model = models.load(models.NAMES[0])
    (best, _), *_ = models.searched(models.NAMES[0], prompt, 2, 4).ranked
    one.page.locator(".beams button.best").last.click()
    text = prompt + model.tokenizer.decode(best)
    one.page.wait_for_function(f"document.querySelector('input').value === {text!r}")
    assert len(tree_of(one)) == 5
    open_sampling(one, server, prompt=MARKUP, width="5", length="12")
    assert one.page.locator("#evil").count() == 0
    field = one.page.locator(".beams")
    assert field.evaluate("(it) => it.scrollWidth > it.clientWidth")  # in its frame


def test_two_settings_stand_side_by_side(visitor: Visitors, server: str) -> None:
    prompt = "Anna and Tom sat in the"
    one = open_sampling(visitor(), server, prompt=prompt, chain="temperature:1.5", draws="200")
    frames = one.sent
    one.page.get_by_role("button", name="Keep as A").click()
    one.page.get_by_label("top-k", exact=True).fill("3")  # the fourth of its values: 4
    one.page.wait_for_function("document.location.search.includes('top-k')")
    one.page.wait_for_timeout(200)
    assert one.sent == frames
    assert "beside=temperature%3A1.5" in one.page.url
    logits = models.read(models.NAMES[0], prompt).trace.logits[0, -1]
    shown = logits.topk(12).indices
    for head, chain in (("P after A", [("temperature", 1.5)]), ("P after B", [("temperature", 1.5), ("top-k", 4)])):
        expected = (100 * sampling.apply(chain, logits).softmax(-1)[shown]).tolist()
        assert percentages(column(one, head))[:12] == pytest.approx(expected, abs=0.011)
    columns = {head: column(one, f"{head} drawn / expected") for head in "AB"}
    assert columns["A"] != columns["B"]
    other = visitor()
    other.page.goto(one.page.url)
    other.page.wait_for_selector(".sampling tbody tr", timeout=60_000)
    assert {head: column(other, f"{head} drawn / expected") for head in "AB"} == columns
    one.page.get_by_role("button", name="Write on").click()
    one.page.locator(".strip.beside").nth(1).wait_for()  # what was written, above greedy and the best beam
    written = one.page.locator(".strip.beside").first
    assert written.locator("div").first.inner_text().split() == ["A", "B"] and written.locator(".parted").count() == 1
    one.page.get_by_role("button", name="Drop A").click()
    one.page.locator(".sampling th", has_text="P after steps").wait_for()
    assert "beside" not in one.page.url


@pytest.mark.parametrize(
    "chain", ["top-k:0", "temperature:-1", "temperature:1e-40", "dice:1", "constructor:1", "top-p:2", "<b>:1", "top-p"]
)
def test_a_link_to_a_chain_that_makes_no_sense_gets_a_sentence(visitor: Visitors, server: str, chain: str) -> None:
    one = open_sampling(visitor(), server, prompt="Anna", chain=chain)
    assert "The link asks for a step or a number that is not there" in one.page.locator(".notice").inner_text()
    assert column(one, "P of the model") == column(one, "P after steps")
    open_sampling(one, server, prompt="Anna", beside=chain)
    assert "The link asks for a step or a number that is not there" in one.page.locator(".notice").inner_text()
    assert column(one, "P of the model") == column(one, "P after A") == column(one, "P after B")


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


def read(prompt: str) -> tuple[torch.Tensor, torch.Tensor]:
    """What the built-in model computes: all patterns (L, H, T, T) and the probabilities of the next word (V,)."""
    folder = models.OFFERS[models.NAMES[0]].folder()
    ids = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(prompt).ids
    trace = gpt2.load(folder).trace(torch.tensor([ids]))
    return torch.stack([block.attn.pattern[0] for block in trace.blocks]), trace.logits[0, -1].softmax(-1)


PROMPT = "Anna is in the kitchen. Tom is in the garden."


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


def percentages(texts: list[str]) -> list[float]:
    """The numbers of a picture; what is drawn as less than 0.1 % counts as half of that."""
    numbers = [float(text.removeprefix("<").removesuffix("%")) for text in texts]
    return [number / 2 if "<" in text else number for number, text in zip(numbers, texts)]


def test_the_bars_are_those_of_the_model_and_of_the_truth(visitor: Visitors, server: str) -> None:
    prompt = "Anna is in the"
    one = visitor().open(f"{server}/?prompt={quote(prompt)}")
    assert one.page.locator(".words header span").all_inner_texts() == ["model", "truth"]
    rooms = [text.replace("·", " ") for text in one.page.locator(".words button b").all_inner_texts()]
    shown = percentages(one.page.locator(".words button span").all_inner_texts())
    guess, true = read(prompt)[1], models.truth(models.NAMES[0], prompt)[-1]
    ids = [models.load(models.NAMES[0]).tokenizer.encode(room).ids[0] for room in rooms]
    assert shown[::2] == pytest.approx([100 * guess[id].item() for id in ids], abs=0.051)
    assert shown[1::2] == pytest.approx([100 * true.get(id, 0) for id in ids], abs=0.051)
    assert len(one.page.locator(".strip i:not(.none)").all()) == len(ids_of(prompt))


def test_outside_the_world_the_bars_are_the_models_alone(visitor: Visitors, server: str) -> None:
    prompt = "The capital of Narnia is"
    one = visitor().open(f"{server}/?prompt={quote(prompt)}")
    shown = percentages(one.page.locator(".words button span").all_inner_texts())
    assert shown == pytest.approx((100 * read(prompt)[1].topk(8).values).tolist(), abs=0.051)
    known = one.page.locator(".strip i").evaluate_all("all => all.map((bar) => bar.className)")
    assert known[:3] == ["", "", ""] and set(known[3:]) == {"none"}
    assert one.page.get_by_text("outside the world").count()


def ids_of(prompt: str) -> list[int]:
    return models.load(models.NAMES[0]).tokenizer.encode(prompt).ids


def test_a_part_of_a_character_cannot_be_added(visitor: Visitors, server: str) -> None:
    one = visitor().open(f"{server}/?prompt={quote('The cat sat on the mat.')}")
    disabled = one.page.locator(".words button:disabled b").all_inner_texts()
    assert "⏎" in disabled
    assert all(text == "⏎" or text.startswith("<") for text in disabled)


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
