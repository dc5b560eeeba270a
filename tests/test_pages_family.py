"""Every page with a model that has learned from other texts than the toy world."""

from pathlib import Path

import pytest
import torch

from model import gpt2, tokens
from model.gpt import GPT, GPTConfig
from pages.shared import models
from pages.shared.offered import Offer
from tests.test_pages import HOSTILE, KNOWS, PAGES, drawn, page, unescaped

NAME = "owner/a-model"
SCRIPTS = sorted(str(path.relative_to(PAGES))[:-3] for path in PAGES.glob("*/*.py") if path.parent.name != "shared")
WITH_PROMPT = [script for script in SCRIPTS if script not in (KNOWS, "language/word2vec", "transformer/known")]
OURS = [
    "by a grammar",
    "outside the world",
    "Outside its world",
    "How far from the truth",
]  # said of the built-in model only


@pytest.fixture(autouse=True)
def another(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny GPT-2 whose tokenizer has a vocabulary of its own, under a name of the hub."""
    folder = tmp_path_factory.mktemp("another")
    torch.manual_seed(0)
    tokenizer = tokens.train_bpe(["The king and the queen of the land went to the sea, and the man said no"] * 9, 330)
    gpt = GPT(GPTConfig(tokenizer.get_vocab_size() + 3, block_size=96, n_layer=3, n_head=3, n_embd=48))
    for parameter in gpt.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    gpt2.save(gpt, folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    monkeypatch.setitem(models.OFFERS, NAME, Offer(NAME, folder))
    models.load.cache_clear()
    models.read.cache_clear()
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


@pytest.mark.parametrize("script", [script for script in WITH_PROMPT if script != "transformer/embeddings"])
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
        assert "there is no floor" in said and "5 questions of each kind" in said
        assert [metric.label for metric in app.metric] == [
            f"Best {kind}, on random tokens" for kind in models.load(NAME).heads
        ]
        assert len(app.dataframe) == 2 and len(app.dataframe[1].value) == 30
    else:
        assert not [word for word in OURS if word in said] and "How surprised was it?" in said
        last = models.read(NAME, "the king and the queen").surprises[-1]
        assert [row for row in drawn(app, "full")["tokens"]][-1]["value"] == pytest.approx(last)


def test_the_truth_of_the_toy_world_is_not_held_against_it() -> None:
    assert not any(models.truth(NAME, "The king"))


def test_its_surprises_are_those_of_the_definition() -> None:
    reading = models.read(NAME, "the king and the queen")
    logits, ids = reading.trace.logits[0], reading.trace.idx[0]
    expected = torch.nn.functional.cross_entropy(logits[:-1], ids[1:], reduction="none")
    first, *surprises = reading.surprises
    assert first != first and len(reading.surprises) == len(reading.tokens)
    torch.testing.assert_close(torch.tensor(surprises), expected)


def test_the_folder_is_nowhere_on_a_page(tmp_path: Path) -> None:
    folder = str(models.OFFERS[NAME].source)
    for script in SCRIPTS:
        app = page(script, model=NAME)
        assert folder not in str(app)
