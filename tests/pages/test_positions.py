"""Positions: each scheme is drawn from its own numbers."""

import numpy as np
import pytest
import torch

from model.transformer.intervention import Interventions
from model.transformer.position_schemes import SCHEMES, first_attention, reordered
from model.transformer.positions import sinusoidal
from pages.shared import models
from pages.shared.compute import training
from tests.driver import HOSTILE, POSITIONS, drawn, heat_maps, ids, page


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_scheme_is_drawn_and_told(scheme: str) -> None:
    prompt = "The capital of France is"
    app = page(POSITIONS, prompt=prompt, scheme=scheme)
    assert not app.exception and not app.warning
    headings = [element.value for element in app.subheader]
    told = [name for name in ("Learned", "Sinusoidal", "RoPE", "ALiBi", "None") if name in headings]
    assert [name.lower() for name in told] == [scheme.lower()]
    model, idx = models.load(models.NAMES[0]), torch.tensor([ids(models.NAMES[0], prompt)])
    drawn = heat_maps(app)
    for name in SCHEMES:
        expected = first_attention(model.decoder, idx, name).pattern[0, model.looks_back]
        np.testing.assert_allclose(drawn[name], expected, atol=1e-6)
    tables = {"learned": model.decoder.W_pos, "sinusoidal": sinusoidal(128, model.decoder.config.n_embd)}
    assert ("vectors" in drawn) == (scheme in tables)
    if scheme in tables:
        np.testing.assert_allclose(drawn["vectors"], tables[scheme][: idx.size(1)], atol=1e-6)


def test_rope_shows_the_same_score_at_the_same_distance() -> None:
    table = page(POSITIONS, scheme="RoPE").dataframe[0].value
    assert list(table["distance"]) == [3, 3, 3, 2]
    near, *far, other = table["score"]
    assert far == pytest.approx([near, near], abs=1e-9) and abs(other - near) > 1e-3


@pytest.mark.parametrize("link", [{}, {"positions": "false"}, {"mask": "false"}], ids=str)
def test_with_positions_or_mask_the_order_is_seen(link: dict[str, str]) -> None:
    app = page(POSITIONS, **link)
    assert any("The order is seen" in element.value for element in app.markdown)
    model = models.load(models.NAMES[0])
    words = [ids(model.name, f" {word}") for word in ("dog", "bites", "man")]
    places = [*range(len(words[0] + words[1]), len(sum(words, []))), *range(len(words[0]), len(words[0] + words[1]))]
    places += range(len(words[0]))
    changes = Interventions(positions="positions" not in link, mask="mask" not in link)
    moved = reordered(model.decoder, torch.tensor(sum(words, [])), places, changes).moved
    assert [row["value"] for row in drawn(app, "full")["tokens"]] == pytest.approx(moved.tolist(), abs=1e-5)


def test_without_positions_and_mask_the_weights_are_permuted_and_not_identical() -> None:
    app = page(POSITIONS, positions="false", mask="false")
    assert any("The order is not seen" in element.value for element in app.markdown)
    one, other, back = list(heat_maps(app).values())[-3:]
    np.testing.assert_allclose(one, back, atol=1e-5)
    assert not np.allclose(one, other, atol=0.01)


def test_the_words_of_the_prompt_are_taken_and_shuffled() -> None:
    app = page(POSITIONS, prompt="The capital of France is")
    button = {button.label: button for button in app.button}
    button["Take the words of the prompt"].click().run()
    assert not app.exception
    assert app.text_input(key="one").value == "The capital of France is"
    assert app.text_input(key="other").value == "is France of capital The"
    button["Shuffle"].click().run()
    assert sorted(app.text_input(key="other").value.split()) == sorted("The capital of France is".split())
    assert len(heat_maps(app)) == 1 + 5 + 3


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
    app = page(POSITIONS, one=one, other=other)
    if not one:  # an empty value in a link counts as none
        app.text_input(key="one").set_value("").run()
        app.text_input(key="other").set_value("").run()
    assert not app.exception
    assert said in app.info[0].value


@pytest.mark.parametrize(
    ("prompt", "scheme"), [*zip([*HOSTILE.values(), "cat " * 5000, "x"], 2 * SCHEMES)], ids=[*HOSTILE, "long", "short"]
)
def test_positions_of_odd_text_are_drawn(scheme: str, prompt: str) -> None:
    app = page(POSITIONS, prompt=prompt, scheme=scheme, one=prompt, other=prompt)
    assert not app.exception
    assert max(map(len, heat_maps(app).values())) <= 32
    assert (len(app.warning) == 1) == (len(prompt) > 1000)


@pytest.mark.parametrize(
    "link",
    [
        {"scheme": "rotary"},
        {"scheme": "<b>"},
        {"first": "H99"},
        {"first": "mean"},
        {"dimension": "1e9"},
        {"dimension": "-1"},
        {"dimension": "x"},
        {"shown": "<b>"},
        {"positions": "maybe", "mask": "2"},
    ],
    ids=str,
)
def test_a_link_that_makes_no_sense_shows_what_the_model_has(link: dict[str, str]) -> None:
    app = page(POSITIONS, **link)
    assert not app.exception
    assert "Learned" in [element.value for element in app.subheader]
    assert len(heat_maps(app)) == 1 + 5 + 3


def test_a_dimension_that_a_smaller_model_lacks_is_its_last() -> None:
    app = page(POSITIONS, scheme="learned", dimension="255")
    assert app.slider(key="dimension").value == 255
    app.selectbox(key="model").set_value(models.NAMES[1]).run()
    assert not app.exception
    assert app.slider(key="dimension").value == app.slider(key="dimension").max == 63


def test_another_model_has_other_heads() -> None:
    app = page(POSITIONS, first="H7")
    app.selectbox(key="model").set_value(models.NAMES[1]).run()
    assert not app.exception
    assert len(heat_maps(app)) == 1 + 5 + 3


def test_the_curves_beyond_the_context_say_how_they_came_about() -> None:
    app = page(POSITIONS)
    told, command = app.caption[-1].value, app.code[0].value
    assert f"{training.BEYOND['steps']:,} batches" in told and f"--steps {training.BEYOND['steps']}" in command
    table = app.dataframe[-1].value
    assert list(table["scheme"]) == list(SCHEMES) == list(training.BEYOND["loss"])
    for scheme, shown in zip(SCHEMES, table["193 to 256"]):
        assert shown == pytest.approx(sum(training.BEYOND["loss"][scheme][192:]) / 64, abs=6e-4)
