"""Embeddings and Word2Vec: what is told of words is what their vectors say."""

import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest
from torch.nn.functional import cosine_similarity

from model.language.analogies import ANALOGIES, accuracy
from model.language.embeddings import parse
from pages.shared import models
from pages.shared.compute import language
from tests.driver import CONTEXT, EMBEDDINGS, WORD2VEC, ids, page, unescaped


def rankings(app: AppTest) -> list[list[tuple[str, float]]]:
    """The two lists of neighbours, raw and with the inputs left out: words and cosines, as the charts hold them."""
    frames = [pa.ipc.open_stream(e.proto.datasets[0].data.data).read_all() for e in app.get("vega_lite_chart")[:2]]
    return [list(zip(*(frame[column].to_pylist() for column in ("word", "cosine")))) for frame in frames]


@pytest.mark.parametrize("kind", ["word vectors", "wte"])
@pytest.mark.parametrize("expression", ["king - man + woman", "Paris - France + Italy", "0.5 * cat + 0.5 * dog"])
def test_the_neighbours_of_a_sum_are_those_of_its_vectors(kind: str, expression: str) -> None:
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
def test_what_cannot_be_calculated_gets_a_sentence(expression: str, said: str) -> None:
    app = page(EMBEDDINGS)
    app.text_input(key="expression").set_value(expression).run()
    assert not app.exception
    (warning,) = app.warning
    assert said in unescaped(warning.value) and len(warning.value) < 400
    assert len(app.get("plotly_chart")) == 2  # the map and the cosines: the rest of the page goes on


@pytest.mark.parametrize("name", models.NAMES)
@pytest.mark.parametrize("word", ["doghouse", "👋", "王", "</script>", "\x00"])
def test_a_word_of_several_tokens_is_their_mean_and_marked(name: str, word: str) -> None:
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


def test_two_texts_without_a_common_token_get_a_sentence() -> None:
    app = page(EMBEDDINGS, prompt="cat", another="dog")
    assert any("no token in common" in info.value for info in app.info)
    assert len(app.get("vega_lite_chart")) == 2
    app.text_input(key="another").set_value("").run()
    assert not app.exception and any("empty" in info.value for info in app.info)
    app.text_input(key="another").set_value("cat" + " dog" * 5000).run()
    assert any("no token in common" in info.value for info in app.info)  # only the end of a long text is read
    app.text_input(key="prompt").set_value("a dog").run()
    assert not app.exception and not app.info
    assert len(app.get("vega_lite_chart")) == 3


def test_what_is_not_read_of_two_texts_is_said() -> None:
    app = page(EMBEDDINGS, prompt="a dog", another="the dog")
    assert not app.warning
    app.text_input(key="another").set_value("the dog " * 100).run()
    (said,) = app.warning
    left_out = len(ids(models.NAMES[0], "the dog " * 100)) - CONTEXT
    assert said.value.startswith("The other text is longer") and f"the {left_out:,} tokens" in said.value
    app.text_input(key="prompt").set_value("the dog " * 5000).run()
    first, _ = app.warning
    assert first.value.startswith("The first text is longer") and "characters" in first.value


def test_the_analogies_are_those_of_the_vectors_in_hand() -> None:
    for kind in ("word vectors", "wte"):
        app = page(EMBEDDINGS, vectors=kind)
        shares, questions = (element.value for element in app.dataframe)
        found = accuracy(language.embeddings(models.load(models.NAMES[0]) if kind == "wte" else None))
        assert len(questions) == shares["questions"].sum() == 160
        words = language.embeddings(models.load(models.NAMES[0]) if kind == "wte" else None).words
        asked = [question for kind in ANALOGIES.values() for question in kind]
        unknown = sum(not {*question} <= {*words} for question in asked)
        assert (unknown > 0) == (kind == "wte")
        assert f"no vector of its own: {unknown}." in app.caption[-1].value
        for column, name in (("inputs left out", ""), ("nearest", ", inputs not left out")):
            right = (questions[column] == questions["answer"]).mean()
            assert right == pytest.approx(found[f"analogies{name}"])
            assert (shares[column] * shares["questions"]).sum() / 160 == pytest.approx(right)
        misses = page(EMBEDDINGS, vectors=kind, questions="misses").dataframe[1].value
        assert (
            len(misses) == 160 - round(160 * found["analogies"])
            and (misses["inputs left out"] != misses["answer"]).all()
        )


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
