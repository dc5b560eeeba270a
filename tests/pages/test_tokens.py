"""Tokens: what is drawn is what the tokenizers do."""

import time

import pandas as pd
import pytest

from model.language.tokenization import train_bpe
from model.loading import hub
from pages.shared import models
from pages.shared.compute import language
from tests.driver import CONTEXT, HOSTILE, TOKENS, drawn, examples, ids, page, unescaped
from tests.hub import Hub

LANGUAGES = dict(
    line.split(": ")
    for line in examples(TOKENS, "examples-texts")["One sentence in nine languages"].prompt.splitlines()
)


@pytest.mark.parametrize("prompt", [*HOSTILE.values(), "When Anna and Tom", "é" * 300], ids=[*HOSTILE, "plain", "é"])
def test_the_tokens_drawn_are_those_of_the_tokenizers(prompt: str) -> None:
    app = page(TOKENS, prompt=prompt)
    assert not app.exception
    model, yours = drawn(app, "characters")["rows"]
    assert (model["name"], yours["name"]) == (models.NAMES[0], "yours")
    assert [piece["id"] for piece in model["tokens"]] == ids(models.NAMES[0], prompt)
    assert sum(piece["size"] for piece in yours["tokens"]) == len(prompt.encode())
    word = app.selectbox(key="word").value
    last = drawn(app, "symbols")["rows"][-1]["symbols"]
    assert len(last) == len(ids(models.NAMES[0], word))
    assert f"**{len(model['tokens']):,} tokens**" in app.get("progress")[0].proto.text


def test_the_word_and_the_tokenizer_of_the_steps_are_chosen() -> None:
    app = page(TOKENS, prompt="dog doghouse", tokenizer="yours", merges="0")
    assert len(drawn(app, "symbols")["rows"]) == 1  # no merges are learned, so none can be made
    app.selectbox(key="word").set_value("dog").run()
    assert len(drawn(app, "symbols")["rows"][0]["symbols"]) == 3
    app.text_input(key="prompt").set_value("other words").run()
    assert not app.exception
    assert len(drawn(app, "symbols")["rows"][0]["symbols"]) == len(" words")
    for wrong in ({"word": "nothing"}, {"tokenizer": "../x"}, {"merges": "-3"}, {"merges": "x"}, {"per": "<b>"}):
        assert not page(TOKENS, **wrong).exception


def test_what_does_not_fit_into_the_context_is_said() -> None:
    app = page(TOKENS, prompt="cat " * 5000)
    assert not app.exception
    total = len(ids(models.NAMES[0], "cat " * 5000))
    assert f"the first {total - CONTEXT:,} are not read" in app.get("progress")[0].proto.text
    assert "You see the first 600 of 20,000" in app.caption[0].value


def test_merges_are_learned_from_the_text_typed() -> None:
    app = page(TOKENS, prompt="banana bandana")
    app.text_area(key="corpus").set_value("banana bandana " * 3).run()
    app.slider(key="merges").set_value(5).run()
    learned = app.dataframe[0].value
    assert list(learned["merge"]) == [5, 4, 3, 2, 1]
    assert (learned["together"].iloc[-1], learned["times"].iloc[-1]) == ("an", 12)
    before = drawn(app, "characters")["rows"][1]["tokens"]
    app.slider(key="merges").set_value(0).run()
    after = drawn(app, "characters")["rows"][1]["tokens"]
    assert len(after) == len("banana bandana") > len(before)


@pytest.mark.parametrize(("corpus", "said"), [("", "After 0 merges"), ("x" * 1_000_000, "first 50,000 of 1,000,000")])
def test_a_text_too_short_or_too_long_to_learn_from_gets_a_sentence(corpus: str, said: str) -> None:
    app = page(TOKENS)
    app.text_area(key="corpus").set_value(corpus).run()
    assert not app.exception
    assert any(said in element.value for element in [*app.info, *app.warning])


def test_a_hub_that_cannot_be_reached_leaves_the_page_as_it_is(hub_server: Hub) -> None:
    hub_server.close()
    app = page(TOKENS)
    app.button(key="fetch openai-community/gpt2 1").click().run()
    while hub.latest(*language.GPT2_TOKENIZER).running:
        time.sleep(0.05)
    app.run()
    assert "could not be reached" in unescaped(app.warning[0].value)
    assert app.button(key="fetch openai-community/gpt2 1").label == "Try again"
    assert len(drawn(app, "characters")["rows"]) == 2


def test_gpt2s_tokenizer_is_laid_beside_the_others_once_it_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = train_bpe(LANGUAGES.values(), 400)
    monkeypatch.setattr("pages.shared.compute.language.gpt2_tokenizer", lambda: trained)
    app = page(TOKENS, prompt="The cat is sleeping", tokenizer="GPT-2")
    assert not app.exception and not [button for button in app.button if button.key.startswith("fetch")]
    rows = {row["name"]: [piece["id"] for piece in row["tokens"]] for row in drawn(app, "characters")["rows"]}
    assert rows["GPT-2"] == trained.encode("The cat is sleeping").ids
    word = app.selectbox(key="word").value
    assert len(drawn(app, "symbols")["rows"][-1]["symbols"]) == len(trained.encode(word).ids)
    assert list(app.dataframe[-1].value["GPT-2"])[0] == len(trained.encode(LANGUAGES["English"]).ids)


def test_a_long_word_is_stepped_through_in_part() -> None:
    app = page(TOKENS, prompt="x" * 500)
    assert not app.exception
    assert len(drawn(app, "symbols")["rows"][0]["symbols"]) == 40
    assert any("the first 40 characters" in caption.value for caption in app.caption)


def test_what_a_language_costs_is_counted_now() -> None:
    app = page(TOKENS, per="per word between spaces")
    costs = app.dataframe[-1].value
    assert list(costs["language"]) == list(LANGUAGES)
    for (spoken, text), cost in zip(LANGUAGES.items(), costs[models.NAMES[0]], strict=True):
        if " " in text:
            words = text.count(" ") + 1
            assert cost == pytest.approx(len(ids(models.NAMES[0], text)) / words, abs=0.006)
        else:
            assert spoken == "Japanese" and pd.isna(cost)


def test_texts_of_ones_own_are_in_the_link_while_they_are_short() -> None:
    app = page(TOKENS)
    assert not {"corpus", "languages"} & {*app.query_params}
    app.text_area(key="languages").set_value("Latin: cattus dormit\nno colon\n: nothing\n\n12: 30: 45").run()
    app.text_area(key="corpus").set_value("banana").run()
    assert list(app.dataframe[-1].value["language"]) == ["Latin", "no colon", "12"]
    link = {name: app.query_params[name] for name in ("corpus", "languages")}
    other = page(TOKENS, **link)
    assert other.text_area(key="corpus").value == "banana"
    assert list(other.dataframe[-1].value["language"]) == ["Latin", "no colon", "12"]
    app.text_area(key="corpus").set_value("banana " * 1000).run()
    assert "corpus" not in app.query_params and "languages" in app.query_params
    app.text_area(key="languages").set_value("a: b\n" * 10_000).run()
    assert not app.exception and any("are counted" in warning.value for warning in app.warning)
