"""The lesson on known heads, run whole by Streamlit's own test driver, with good input and bad."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from model.interpretability import attention_pairs, published_heads
from model.interpretability.published_heads import CLAIMS, Claim
from model.loading import verify_gpt2
from model.loading.verify_gpt2 import Finding
from pages.shared import models
from pages.shared.compute import interpretability
from tests.driver import HOSTILE, page, pictures, unescaped

KNOWN = "interpretability/known"
NAME = models.NAMES[0]
WORD = {True: "It holds here", False: "It does not hold here"}


def sentence(app: AppTest, start: str) -> str:
    (found,) = [element.value for element in app.markdown if start in element.value]
    return found


def shown(app: AppTest) -> np.ndarray:
    """The numbers of the map of heads, (L, H)."""
    (chart,) = app.get("vega_lite_chart")
    table = pa.ipc.open_stream(chart.proto.datasets[0].data.data).read_all().to_pandas()
    return table.pivot(index="layer", columns="head", values="score").to_numpy()


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_a_claim_is_measured_now(claim: Claim) -> None:
    app = page(KNOWN, claim=claim.name)
    assert not app.exception and not app.warning
    assert app.text_input(key="text").value == claim.text
    model = models.load(NAME)
    found = claim.measure(attention_pairs.trace_text(model.decoder, model.tokenizer, claim.text))
    number = claim.value(found, model.decoder.config)
    verdict = sentence(app, f"**{WORD[number >= claim.threshold]}")
    assert abs(float(verdict.split("here: ")[1].split("*")[0]) - number) <= 0.00501
    assert verdict.startswith(":material/check_circle:" if number >= claim.threshold else ":material/cancel:")
    assert all(paper.arxiv in sentence(app, claim.statement) for paper in claim.papers)
    np.testing.assert_allclose(shown(app), found.heads.numpy(), atol=1e-6)
    assert len(pictures(app)) == 1


def test_every_claim_says_whether_it_holds() -> None:
    app = page(KNOWN)
    (radio,) = app.radio
    model = models.load(NAME)
    assert list(radio.options) == [claim.name for claim in CLAIMS]
    for claim, caption in zip(CLAIMS, radio.proto.captions, strict=True):
        number = claim.value(
            interpretability.measure_claim(models.load(NAME), claim.name, claim.text), model.decoder.config
        )
        assert caption.startswith("holds here" if number >= claim.threshold else "does not hold here")


def test_another_claim_brings_its_text() -> None:
    app = page(KNOWN)
    app.radio(key="claim").set_value("Induction").run()
    assert not app.exception and app.text_input(key="text").value == published_heads.REPEATED_WORDS
    app.text_input(key="text").set_value(" river lamp river").run()
    found = interpretability.measure_claim(models.load(NAME), "Induction", " river lamp river").heads
    np.testing.assert_allclose(shown(app), found.numpy(), atol=1e-6)
    app.radio(key="claim").set_value("Greater than").run()
    assert app.text_input(key="text").value == published_heads.YEARS
    assert (
        "cuts these words of the text into pieces, so the text is unusual for it: lasted, 1732" in app.caption[0].value
    )


def test_the_link_holds_claim_and_text() -> None:
    app = page(KNOWN, claim="Indirect object", text="When Anna and Tom met, Tom gave a ring to")
    assert app.radio(key="claim").value == "Indirect object"
    assert app.text_input(key="text").value == "When Anna and Tom met, Tom gave a ring to"
    assert "·Anna".encode() in pictures(app)[0]


@pytest.mark.parametrize("claim", ["nothing", "", "<b>", "../x"])
def test_a_claim_that_is_not_there_counts_as_the_first(claim: str) -> None:
    app = page(KNOWN, claim=claim)
    assert not app.exception and app.radio(key="claim").value == CLAIMS[0].name


@pytest.mark.parametrize("claim", ["First token", "Induction", "Indirect object", "Greater than"])
@pytest.mark.parametrize("text", ["", "cat " * 500, *HOSTILE.values()], ids=["empty", "long", *HOSTILE])
def test_a_text_that_is_none_of_the_kind_gets_a_sentence(claim: str, text: str) -> None:
    app = page(KNOWN, claim=claim)
    app.text_input(key="text").set_value(text).run()
    assert not app.exception
    asked = [element.value for element in app.info if "cannot be measured on this text" in element.value]
    assert len(asked) + len(pictures(app)) == 1


def test_words_in_pieces_are_no_markup() -> None:
    app = page(KNOWN, claim="First token", text="one __two__ *three* :red[four]")
    assert not app.exception and "__two__" in unescaped(app.caption[0].value)


def test_another_model_is_not_checked() -> None:
    app = page(KNOWN)
    assert any("does not have the sizes of GPT-2 small" in element.value for element in app.info)
    assert not app.button


@pytest.mark.parametrize("passed", [True, False])
def test_a_model_of_the_right_sizes_is_checked(monkeypatch: pytest.MonkeyPatch, passed: bool) -> None:
    finding = Finding("probability of id 7", "0.5", "0.25", passed)
    monkeypatch.setattr(
        published_heads, "GPT2_SMALL", models.load(NAME).decoder.config
    )  # the built-in model takes its place
    claims = tuple(dataclasses.replace(claim, heads=claim.heads and ((2, 2), (3, 7))) for claim in CLAIMS)
    monkeypatch.setattr(published_heads, "CLAIMS", claims)
    monkeypatch.setattr(verify_gpt2, "check", lambda gpt, tokenizer: [finding, Finding("ids", "1", "1", True)])
    app = page(KNOWN)
    assert not app.exception
    assert "name L2 H2, L3 H7 of GPT-2 small, framed below; the number is their mean" in app.caption[0].value
    found = interpretability.measure_claim(models.load(NAME), CLAIMS[0].name, CLAIMS[0].text)
    assert f"here: {(found.heads[2, 2] + found.heads[3, 7]).item() / 2:.2f}" in sentence(app, "**It ")
    (button,) = app.button
    button.click().run()
    assert not app.exception
    if passed:
        assert "all 2 facts hold" in app.success[0].value
    else:
        assert "1 of 2 facts differ" in app.error[0].value
        assert list(app.dataframe[0].value["what"]) == ["probability of id 7"]
