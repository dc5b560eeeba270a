"""Every page with a model that has learned from other texts than the toy world."""

import gc
import re
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from model.language import tokenization
from model.loading import gpt2_format
from model.transformer.gpt2 import GPT2, GPT2Config
from pages.shared import models, prose
from pages.shared.compute import readings
from pages.shared.runtime.catalog import Entry
from tests.driver import (
    BEYOND_LENGTH,
    EMBEDDINGS,
    HOSTILE,
    KNOWS,
    PAGES,
    PARAMETERS,
    POSITIONS,
    SCRIPTS,
    TOKENS,
    WORD_ORDER,
    drawn,
    heat_maps,
    page,
    read_prompt,
    unescaped,
)

NAME = "owner/a-model"
WITHOUT = (
    KNOWS,
    BEYOND_LENGTH,
    PARAMETERS,
    WORD_ORDER,
    "decoding/kv_size",
    "interpretability/known",
    "language/word2vec",
    "transformer/hand",
    "transformer/scale",
    "language/embeddings",
    "language/analogies",
    "interpretability/missed_heads",
)
WITH_PROMPT = [script for script in SCRIPTS if script not in WITHOUT]
# What holds for the built-in model only, in a paragraph that does not name it.
OURS = re.compile(
    r"\b((a|the) grammar|outside the world|(?<!tells )the truth|true probabilit\w+|its world|the floor)\b"
    r"|\bit has (never )?read\b"
)
NAMED = re.compile(r"built-in|toy world|Vitrine")


def offer(monkeypatch: pytest.MonkeyPatch, name: str, folder: Path, block_size: int = 96) -> None:
    """A tiny GPT-2 whose tokenizer has a vocabulary of its own, and three ids to spare, can be picked."""
    torch.manual_seed(0)
    tokenizer = tokenization.train_bpe(
        ["The king and the queen of the land went to the sea, and the man said no"] * 9, 330
    )
    gpt = GPT2(GPT2Config(tokenizer.get_vocab_size() + 3, block_size, n_layer=3, n_head=3, n_embd=48))
    for parameter in gpt.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    gpt2_format.save(gpt, folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    monkeypatch.setitem(models.CATALOG, name, Entry(name, folder))


@pytest.fixture(autouse=True)
def another(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> str:
    offer(monkeypatch, NAME, tmp_path_factory.mktemp("another"))
    models.load.cache_clear()
    readings.forward_pass.cache_clear()
    return NAME


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_page_takes_it(script: str) -> None:
    app = page(script, model=NAME)
    assert not app.exception and not app.warning and not app.error
    if "model" in [box.key for box in app.selectbox]:
        assert app.selectbox(key="model").value == NAME


@pytest.mark.parametrize("script", WITH_PROMPT)
@pytest.mark.parametrize("prompt", [*HOSTILE.values(), "king"], ids=[*HOSTILE, "one word"])
def test_every_page_takes_odd_text_with_it(script: str, prompt: str) -> None:
    app = page(script, model=NAME, prompt=prompt)
    assert not app.exception


@pytest.mark.parametrize("script", WITH_PROMPT)
def test_a_long_prompt_is_cut_visibly(script: str) -> None:
    app = page(script, model=NAME, prompt="the king and the queen " * 90)
    assert not app.exception
    said = " ".join(element.value for kind in (app.warning, app.caption, app.info) for element in kind)
    said += " ".join(bar.proto.text for bar in app.get("progress"))
    assert "96" in said


@pytest.mark.parametrize("script", [script for script in SCRIPTS if script.startswith("start/")])
def test_nothing_is_said_of_a_truth_that_is_not_known(script: str) -> None:
    app = page(script, model=NAME, prompt="the king and the queen")
    said = unescaped(" ".join(element.value for kind in (app.markdown, app.caption, app.info) for element in kind))
    if script == KNOWS:
        assert "So there is no floor" in said and "5 questions of each kind" in said
        assert [metric.label for metric in app.metric] == [
            f"Best {kind}, on random tokens" for kind in models.load(NAME).heads
        ]
        assert len(app.dataframe) == 2 and len(app.dataframe[1].value) == 30
    else:
        assert "How surprised was the model?" in said and "How far from the truth?" not in said
        last = read_prompt(NAME, "the king and the queen").surprises[-1]
        assert [row for row in drawn(app, "full")["tokens"]][-1]["value"] == pytest.approx(last)


def paragraphs(app: AppTest) -> list[str]:
    """Each paragraph of the words on a page, an item of a list being one."""
    written = [element.value for kind in (app.markdown, app.caption, app.info, app.warning) for element in kind]
    return [unescaped(part) for text in written for part in re.split(r"\n\n|\n- ", text)]


@pytest.mark.parametrize("script", [script for script in SCRIPTS if script != "language/word2vec"])
def test_what_holds_for_the_built_in_model_only_names_it(script: str) -> None:
    said = paragraphs(page(script, model=NAME))
    assert [part for part in said if OURS.search(part) and not NAMED.search(part)] == []
    if script in (KNOWS, "start/home"):  # the words are those that the page of the built-in model has
        assert [part for part in paragraphs(page(script)) if OURS.search(part) and not NAMED.search(part)]


def test_what_to_look_for_holds_for_every_model_or_names_one() -> None:
    lessons = [PAGES / script for script in SCRIPTS] + [PAGES / "shared/prompts"]
    groups = [
        group
        for lesson in lessons
        if lesson.with_suffix(".md").is_file()
        for group in prose.of(f"{lesson}.py").groups.values()
    ]
    told = [example.look_for for group in groups for example in group.values()]
    assert len(told) > 50
    assert [sentence for sentence in told if OURS.search(sentence) and not NAMED.search(sentence)] == []


def test_its_tokens_lie_beside_those_of_the_built_in_model() -> None:
    app = page(TOKENS, model=NAME, prompt="the king", tokenizer=models.NAMES[0])
    assert [row["name"] for row in drawn(app, "characters")["rows"]] == [NAME, models.NAMES[0], "yours"]
    assert not [button for button in app.button if button.key.startswith("fetch")]
    built_in = models.load(models.NAMES[0]).tokenizer
    word = app.selectbox(key="word").value
    assert len(drawn(app, "symbols")["rows"][-1]["symbols"]) == len(built_in.encode(word).ids)


def test_of_a_long_table_as_many_positions_are_drawn_as_can_be_seen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    offer(monkeypatch, "long", tmp_path, block_size=300)
    app = page(POSITIONS, model="long", every="true")
    assert not app.exception
    table = models.load("long").decoder.W_pos
    np.testing.assert_array_equal(heat_maps(app)["vectors"], table[::3])
    assert any("one of every 3 of the 300 positions" in caption.value for caption in app.caption)


def test_of_a_long_prompt_the_steps_are_drawn_in_part() -> None:
    prompt = "the king and the queen " * 9
    app = page("transformer/attention", model=NAME, prompt=prompt, steps="true", layer="1", head="2")
    assert not app.exception
    pattern = read_prompt(NAME, prompt).trace.blocks[1].attn.pattern[0, 2]
    assert len(pattern) > 32
    weights = heat_maps(app)["3 · softmax of each row"]
    np.testing.assert_allclose(np.nan_to_num(weights), pattern[:32, :32], atol=1e-6)
    assert any(f"the first 32 of {len(pattern)} tokens" in caption.value for caption in app.caption)
    assert len(app.dataframe[0].value) == len(pattern)


def test_no_cache_holds_a_model_that_was_let_go() -> None:
    for script in SCRIPTS:
        page(script, model=NAME, prompt="the king and the queen", vectors="wte", steps="true")
    gone = weakref.ref(models.load(NAME).decoder)
    weights = weakref.ref(models.load(NAME).decoder.W_E)
    models.load.cache_clear()
    gc.collect()
    assert gone() is None and weights() is None


def test_its_words_are_those_of_its_own_table() -> None:
    app = page(EMBEDDINGS, model=NAME, vectors="wte", expression="king - man + queen")
    assert not app.exception
    words = models.load(NAME).words
    assert {"king", "queen", "man"} <= {*filter(None, words.words)} and len(words.words) == len(words.vectors)
    near = words.nearest(words["king"], ["king"], 1000)
    assert {word for word, _ in near} == {*filter(None, words.words)} - {"king"}


def test_the_truth_of_the_toy_world_is_not_held_against_it() -> None:
    assert not any(readings.true_distributions(read_prompt(NAME, "The king")))


def test_its_surprises_are_those_of_the_definition() -> None:
    reading = read_prompt(NAME, "the king and the queen")
    logits, ids = reading.trace.logits[0], reading.trace.idx[0]
    expected = torch.nn.functional.cross_entropy(logits[:-1], ids[1:], reduction="none")
    first, *surprises = reading.surprises
    assert first != first and len(reading.surprises) == len(reading.tokens)
    torch.testing.assert_close(torch.tensor(surprises), expected)


def test_the_folder_is_nowhere_on_a_page(tmp_path: Path) -> None:
    folder = str(models.CATALOG[NAME].source)
    for script in SCRIPTS:
        app = page(script, model=NAME)
        assert folder not in str(app)
