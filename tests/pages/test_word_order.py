"""Word order: what the page says of two orders of the same words, against transformers and the definition."""

import numpy as np
import pytest
import torch

from model.transformer.intervention import Interventions
from model.transformer.position_schemes import reordered
from pages.shared import models
from tests import tiny_llama
from tests.driver import HOSTILE, WORD_ORDER, drawn, examples, heat_maps, ids, page
from tests.tiny_llama import TinyLlama


@pytest.fixture
def llama(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> TinyLlama:
    return tiny_llama.offer_with_peer(monkeypatch, tmp_path_factory.mktemp("llama"))


@pytest.mark.parametrize("link", [{}, {"positions": "false"}, {"mask": "false"}], ids=str)
def test_with_positions_or_mask_the_order_is_seen(link: dict[str, str]) -> None:
    app = page(WORD_ORDER, **link)
    assert any("The order is seen" in element.value for element in app.markdown)
    model = models.load(models.NAMES[0])
    words = [ids(model.name, f" {word}") for word in ("dog", "bites", "man")]
    places = [*range(len(words[0] + words[1]), len(sum(words, []))), *range(len(words[0]), len(words[0] + words[1]))]
    places += range(len(words[0]))
    interventions = Interventions(positions="positions" not in link, mask="mask" not in link)
    moved = reordered(model.decoder, torch.tensor(sum(words, [])), places, interventions).moved
    assert [row["value"] for row in drawn(app, "full")["tokens"]] == pytest.approx(moved.tolist(), abs=1e-5)


def test_without_positions_and_mask_the_weights_are_permuted_and_not_identical() -> None:
    app = page(WORD_ORDER, positions="false", mask="false")
    assert any("The order is not seen" in element.value for element in app.markdown)
    one, other, back = list(heat_maps(app).values())[-3:]
    np.testing.assert_allclose(one, back, atol=1e-5)
    assert not np.allclose(one, other, atol=0.01)


def test_the_words_of_the_prompt_are_taken_and_shuffled() -> None:
    app = page(WORD_ORDER, prompt="The capital of France is")
    button = {button.label: button for button in app.button}
    button["Take the words of the prompt"].click().run()
    assert not app.exception
    assert app.text_input(key="one").value == "The capital of France is"
    assert app.text_input(key="other").value == "is France of capital The"
    button["Shuffle"].click().run()
    assert sorted(app.text_input(key="other").value.split()) == sorted("The capital of France is".split())
    assert len(heat_maps(app)) == 3


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("dog bites man", "dog bites", "not the same words"),
        ("dog dog man", "dog man man", "not the same words"),
        ("", "", "no words to compare"),
        ("word " * 300, "word " * 300, "the pictures here hold 32"),
        ("</script><b>", "<i>", "not the same words"),
    ],
)
def test_two_orders_that_cannot_be_compared_get_a_sentence(one: str, other: str, said: str) -> None:
    app = page(WORD_ORDER, one=one, other=other)
    if not one:  # an empty value in a link counts as none
        app.text_input(key="one").set_value("").run()
        app.text_input(key="other").set_value("").run()
    assert not app.exception
    assert said in app.info[0].value


@pytest.mark.parametrize("prompt", [*HOSTILE.values(), "cat " * 5000, "x"], ids=[*HOSTILE, "long", "short"])
def test_two_orders_of_odd_text_are_drawn_or_answered_with_a_sentence(prompt: str) -> None:
    app = page(WORD_ORDER, one=prompt, other=prompt, prompt=prompt)
    assert not app.exception
    assert (len(heat_maps(app)) == 3) != (len(app.info) == 1)
    assert all(len(shown) <= 32 for shown in heat_maps(app).values())


@pytest.mark.parametrize("link", [{"positions": "maybe", "mask": "2"}, {"first": "H99"}, {"first": "mean"}], ids=str)
def test_a_link_that_makes_no_sense_shows_two_orders(link: dict[str, str]) -> None:
    app = page(WORD_ORDER, **link)
    assert not app.exception
    assert len(heat_maps(app)) == 3


@pytest.mark.parametrize("example", examples(WORD_ORDER).values(), ids=lambda example: example.name)
def test_an_example_fills_both_boxes_with_the_same_words(example) -> None:
    app = page(WORD_ORDER)
    app.button(key=f"example {example.name}").click().run()
    assert (app.text_input(key="one").value, app.text_input(key="other").value) == (
        example.prompt,
        example.also["other"],
    )
    assert len(heat_maps(app)) == 3
    assert any(example.look_for in element.value for element in app.markdown)


def test_the_first_word_of_both_orders_moves_only_without_the_mask() -> None:
    texts = examples(WORD_ORDER)["The first word stays"]
    link = {"one": texts.prompt, "other": texts.also["other"]}
    moved = [
        drawn(page(WORD_ORDER, **link, **options), "full")["tokens"][0]["value"]
        for options in ({}, {"positions": "false"}, {"mask": "false"})
    ]
    assert moved[:2] == pytest.approx([0, 0], abs=1e-6) and moved[2] > 0.01


@pytest.mark.parametrize("positions", [True, False])
@pytest.mark.parametrize("mask", [True, False])
@torch.no_grad()
def test_two_orders_in_a_llama_are_those_of_transformers(llama: TinyLlama, positions: bool, mask: bool) -> None:
    """Without positions every token is given position 0; without the mask nothing is added to the scores."""
    link = {"positions": str(positions).lower(), "mask": str(mask).lower()}
    app = page(WORD_ORDER, model=llama.name, one="the king went", other="went the king", first="H5", **link)
    assert not app.exception and not app.warning
    words = [llama.ids(f" {word}")[0] for word in ("the", "king", "went")]
    flat = torch.cat(words)
    spans = torch.arange(len(flat)).split([len(word) for word in words])
    order = torch.cat([spans[2], spans[0], spans[1]])
    T = len(flat)
    options = {"position_ids": torch.arange(T)[None] if positions else torch.zeros(1, T, dtype=torch.long)}
    options |= {} if mask else {"attention_mask": torch.zeros(1, 1, T, T)}
    runs = [
        llama.peer(idx[None], output_attentions=True, output_hidden_states=True, **options)
        for idx in (flat, flat[order])
    ]
    before, after = (run.hidden_states[-1][0] for run in runs)  # after the final norm
    moved = torch.empty(T)
    moved[order] = (after - before[order]).norm(dim=-1) / before[order].norm(dim=-1)
    assert [row["value"] for row in drawn(app, "full")["tokens"]] == pytest.approx(moved.tolist(), abs=1e-5)
    first, second, back = heat_maps(app).values()
    patterns = [run.attentions[0][0, 5].numpy() for run in runs]
    np.testing.assert_allclose(np.nan_to_num(first), patterns[0], atol=1e-5)
    np.testing.assert_allclose(np.nan_to_num(second), patterns[1], atol=1e-5)
    inverse = order.argsort().numpy()
    np.testing.assert_allclose(np.nan_to_num(back), patterns[1][inverse][:, inverse], atol=1e-5)
    seen = "The order is seen" if positions or mask else "The order is not seen"
    assert any(seen in element.value for element in app.markdown)
    assert positions or mask or moved.max() < 1e-4
