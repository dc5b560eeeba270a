"""Embeddings and Word2Vec: what is told of words is what their vectors say."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest
from torch.nn.functional import cosine_similarity

from model.language.embeddings import parse
from pages.shared import models
from pages.shared.compute import language
from tests import llama
from tests.driver import EMBEDDINGS, WORD2VEC, numbers, page, unescaped


def rankings(app: AppTest) -> list[list[tuple[str, float]]]:
    """The two lists of neighbours, raw and with the inputs left out: words and cosines, as the charts hold them."""
    frames = [pa.ipc.open_stream(e.proto.datasets[0].data.data).read_all() for e in app.get("vega_lite_chart")[:2]]
    return [list(zip(*(frame[column].to_pylist() for column in ("word", "cosine")))) for frame in frames]


@pytest.mark.parametrize("kind", ["word vectors", "wte"])
@pytest.mark.parametrize("expression", ["king - man + woman", "Paris - France + Italy", "0.5 * cat + 0.5 * dog"])
def test_neighbors_of_a_sum_have_the_largest_cosines(kind: str, expression: str) -> None:
    app = page(EMBEDDINGS, expression=expression, vectors=kind)
    assert not app.exception and not app.warning
    vectors = language.embeddings(models.load(models.NAMES[0]) if kind == "wte" else None)
    words = [term.word for term in parse(expression)]
    query = sum(weight * vectors[word] for weight, word in parse(expression))
    alike = {word: cosine_similarity(query, vectors[word], dim=0).item() for word in filter(None, vectors.words)}
    for shown, inputs in zip(rankings(app), ([], words), strict=True):
        best = sorted((word for word in alike if word not in inputs), key=alike.get, reverse=True)[:9]
        assert [word for word, _ in shown] == best
        assert [cosine for _, cosine in shown] == pytest.approx([alike[word] for word in best], abs=1e-5)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "no word in it"),
        ("king man", "between 'king' and 'man'"),
        ("king - king", "cancel out"),
        ("king - qeen", "queen"),
        ("<img src=x onerror=alert(1)>", "between"),
        ("x" * 100_000, "none of the"),
        (" + ".join(["king"] * 20), "12 terms"),
    ],
)
def test_invalid_expression_gets_a_sentence(expression: str, said: str) -> None:
    app = page(EMBEDDINGS)
    app.text_input(key="expression").set_value(expression).run()
    assert not app.exception
    (warning,) = app.warning
    assert said in unescaped(warning.value) and len(warning.value) < 400
    assert len(app.get("plotly_chart")) == 2  # the map and the cosines: the rest of the page goes on


@pytest.mark.parametrize("name", models.NAMES)
@pytest.mark.parametrize("word", ["doghouse", "👋", "王", "</script>", "\x00"])
def test_word_of_several_tokens_is_their_mean_and_marked(name: str, word: str) -> None:
    app = page(EMBEDDINGS, model=name, vectors="wte", expression=f"{word} + cat")
    assert not app.exception and not app.warning
    assert any("the mean of its tokens" in caption.value for caption in app.caption)


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ({"words": "king blorf queen"}, "'blorf' is none of the"),
        ({"words": "king [l](javascript:alert(1)) `x` $y$"}, "'[l](javascript:alert(1))' is none of the"),
        (
            {"words": "cat " + " ".join(f"w{n}" for n in range(5000))},
            "The map holds 40 words of yours; 4961 were left out",
        ),
        ({"axes": "pairs of words", "pairs": "man woman"}, "has 2 words"),
        ({"axes": "pairs of words", "pairs": "man man cat dog"}, "the same word"),
        ({"axes": "<b>", "vectors": "../x", "questions": "9"}, None),
        ({"words": "", "expression": ""}, "no word in it"),
        ({"words": "", "expression": "king"}, None),
        ({"words": "cat " + "x" * 41, "vectors": "wte"}, "a word may have 40 letters, and"),
        ({"vectors": "wte", "expression": "cat + " + "x" * 41}, "a word may have 40 letters, and"),
        ({"expression": "2 * king - man + woman"}, None),
        ({"expression": "King + king - KING"}, None),
    ],
)
def test_words_that_make_no_map_get_a_sentence(link: dict[str, str], said: str | None) -> None:
    app = page(EMBEDDINGS, **link)
    assert not app.exception
    assert any(said in unescaped(warning.value) for warning in app.warning) if said else not app.warning


def test_words_with_one_vector_are_one_on_the_map() -> None:
    app = page(EMBEDDINGS, expression="0.5 * King + 0.5 * king", words="KING")
    said = [element.value for element in app.markdown if "not near it on this map" in element.value]
    assert "Of each word's 3 nearest" in said[0]  # king and its three neighbours; the sum is king as well


def test_word2vec_is_trained_on_the_lines_typed() -> None:
    app = page(WORD2VEC, epochs="20")
    assert not app.exception and not app.warning
    assert [" of 20** · median rank" in element.value for element in app.markdown].count(True) == 2
    before = [element.value for element in app.markdown if "median rank" in element.value]
    app.text_area(key="lines2").set_value("king queen man woman castle\n" * 5).run()
    after = [element.value for element in app.markdown if "median rank" in element.value]
    assert after[0] == before[0] and after[1].endswith("of 2")
    for text, said in (
        ("", "no word"),
        ("a b c", "'man' does not occur in them"),
        ("man " * 1000, "may have 150"),
        ("a" * 10**6, "'man'"),
    ):
        app.text_area(key="lines1").set_value(text).run()
        assert not app.exception and said in unescaped(app.warning[0].value)
        assert len(app.warning[0].value) < 200


@pytest.mark.parametrize(
    ("link", "lesson"),
    [
        ({"questions": "misses", "vectors": "wte"}, "analogies"),
        ({"shared": "·Anna"}, "contexts"),
        ({"another": "A cat", "prompt": "The cat"}, "contexts"),
    ],
)
def test_old_link_to_a_part_that_moved_opens_its_lesson(link: dict[str, str], lesson: str) -> None:
    app = page(EMBEDDINGS, **link)
    assert not app.exception and not app.warning
    keys = {element.key for element in [*app.text_input, *app.button_group]}
    assert "expression" not in keys and ("questions" if lesson == "analogies" else "another") in keys
    if lesson == "analogies":
        assert app.button_group(key="vectors").value == "wte" and app.button_group(key="questions").value == "misses"


def test_with_a_llama_the_sum_and_the_map_are_those_of_its_embedding(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = llama.offer(monkeypatch, tmp_path)
    link = {"expression": "king - man + queen", "words": "king queen man land sea"}
    app = page(EMBEDDINGS, model=name, vectors="wte", **link)
    assert not app.exception and not app.warning
    tokenizer, table = models.load(name).tokenizer, llama.reference().get_input_embeddings().weight.detach()
    vectors = {word: table[tokenizer.encode(f" {word}").ids].mean(0) for word in link["words"].split()}
    query = vectors["king"] - vectors["man"] + vectors["queen"]
    for shown in rankings(app):
        for word, cosine in shown:
            (id,) = tokenizer.encode(f" {word}").ids
            assert cosine == pytest.approx(cosine_similarity(query, table[id], dim=0).item(), abs=1e-5)
    figures = [json.loads(element.proto.spec)["data"][0] for element in app.get("plotly_chart")]
    (cosines,) = [numbers(data["z"]) for data in figures if "z" in data]
    for row, one in zip(cosines, vectors.values()):
        alike = [cosine_similarity(one, other, dim=0).item() for other in vectors.values()]
        np.testing.assert_allclose(row, alike, atol=1e-5)
