"""Sampling in a real browser: what it draws, and what it asks of the server."""

from pathlib import Path
from urllib.parse import quote

import pytest
import torch

from model.decoding import sampling
from pages.shared import models
from pages.shared.compute import decoding
from tests.browser.conftest import MARKUP, SCREENS, Visitor, Visitors, fits, ids_of, percentages, read
from tests.driver import read_prompt


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
        "repetition:1.5",
        "repetition:1.5,min-p:0.1,top-k:50",
        "top-p:0",
        "min-p:1",
        "top-k:1",
    ],
)
def test_what_the_browser_samples_from_is_what_the_model_does(visitor: Visitors, server: str, chain: str) -> None:
    prompt = "The cat and the cat and the" if chain == "repetition:1.5" else "Anna and Tom sat in the"
    one = open_sampling(visitor(), server, prompt=prompt, chain=chain)
    guess, steps = read(prompt)[1], [step.split(":") for step in chain.split(",") if step]
    logits = read_prompt(models.NAMES[0], prompt).trace.logits[0, -1]
    logits = sampling.apply([(name, float(value)) for name, value in steps], logits, ids_of(prompt))
    assert not steps or not torch.allclose(logits.softmax(-1), guess, atol=1e-4)  # the chain does something
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
    (best, _), *_ = decoding.search_beams(read_prompt(models.NAMES[0], prompt), 2, 4).ranked
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
    logits = read_prompt(models.NAMES[0], prompt).trace.logits[0, -1]
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
