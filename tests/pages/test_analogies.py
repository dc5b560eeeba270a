"""The lesson on analogies, run whole by Streamlit's own test driver."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from torch.nn.functional import cosine_similarity

from model.language.analogies import ANALOGIES, accuracy
from pages.shared import models
from pages.shared.compute import language
from tests import llama
from tests.driver import page

ANALOGY_PAGE = "language/analogies"


def captions(app: AppTest) -> str:
    return " ".join(caption.value for caption in app.caption)


def test_shares_and_rows_are_those_of_the_chosen_vectors() -> None:
    for kind in ("word vectors", "wte"):
        app = page(ANALOGY_PAGE, vectors=kind)
        shares, questions = (element.value for element in app.dataframe)
        found = accuracy(language.embeddings(models.load(models.NAMES[0]) if kind == "wte" else None))
        assert len(questions) == shares["questions"].sum() == 160
        words = language.embeddings(models.load(models.NAMES[0]) if kind == "wte" else None).words
        asked = [question for kind in ANALOGIES.values() for question in kind]
        unknown = sum(not {*question} <= {*words} for question in asked)
        assert (unknown > 0) == (kind == "wte")
        assert f"no vector of its own: {unknown}." in captions(app)
        for column, name in (("inputs left out", ""), ("nearest", ", inputs not left out")):
            right = (questions[column] == questions["answer"]).mean()
            assert right == pytest.approx(found[f"analogies{name}"])
            assert (shares[column] * shares["questions"]).sum() / 160 == pytest.approx(right)
        misses = page(ANALOGY_PAGE, vectors=kind, questions="misses").dataframe[1].value
        assert (
            len(misses) == 160 - round(160 * found["analogies"])
            and (misses["inputs left out"] != misses["answer"]).all()
        )


def test_text_on_the_kinds_is_true() -> None:
    shares = page(ANALOGY_PAGE).dataframe[0].value.set_index("kind")
    assert shares.loc["capital", "questions"] == 30 and shares.loc["capital", "nearest"] == 1
    assert 0.4 < shares.loc["plural", "nearest"] < 0.6 and 0.4 < shares.loc["plural", "inputs left out"] < 0.6


def test_with_a_llama_answers_are_those_of_its_embedding_in_transformers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its tokenizer knows few words; questions are asked of these, with vectors of the same length."""
    name = llama.offer(monkeypatch, tmp_path)
    question = ("king", "queen", "man", "land")
    monkeypatch.setattr(language, "ANALOGIES", {"gender": [question], "capital": [("Paris", "France", "king", "sea")]})
    language.answer_analogies.cache_clear()
    app = page(ANALOGY_PAGE, model=name, vectors="wte")
    language.answer_analogies.cache_clear()
    assert not app.exception
    known, unknown = app.dataframe[1].value.to_dict("records")
    tokenizer, table = models.load(name).tokenizer, llama.reference().get_input_embeddings().weight.detach()
    words = {}
    for id in range(tokenizer.get_vocab_size()):
        text = tokenizer.decode([id])
        if text.startswith(" ") and text[1:].isalpha():
            words[text[1:]] = table[id] / table[id].norm()
    target = words["queen"] - words["king"] + words["man"]
    alike = sorted(words, key=lambda word: cosine_similarity(target, words[word], dim=0).item(), reverse=True)
    assert known["nearest"] == alike[0]
    assert known["inputs left out"] == next(word for word in alike if word not in question[:3])
    assert unknown["nearest"] == unknown["inputs left out"] == ""
    assert "no vector of its own: 1." in captions(app)
