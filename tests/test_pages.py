"""Every page, run whole by Streamlit's own test driver, with good input and bad."""

import base64
import json
import re
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from streamlit.testing.v1 import AppTest
from torch.nn.functional import cosine_similarity

from model import beams, download, probes
from model.analogies import ANALOGIES, score
from model.embeddings import parse
from model.gpt import Changes
from model.positions import SCHEMES, first_attention, reordered, sinusoidal
from model.tokens import pieces, train_bpe
from pages.shared import models, prose
from pages.shared.examples import EXAMPLES, INSIDE, OUTSIDE
from pages.shared.examples import LANGUAGES as LINES
from tests.hub import Hub
from viz.tokens import visible

PAGES = Path(prose.__file__).parents[1]
LESSONS = ["start/home", "transformer/attention"]  # each draws the picture of a prompt
KNOWS, TOKENS, SAMPLING = "start/knows", "transformer/tokens", "transformer/sampling"
EMBEDDINGS, WORD2VEC, POSITIONS = "transformer/embeddings", "language/word2vec", "transformer/positions"
KNOWN, COMPARE = "transformer/known", "transformer/compare"  # their tests are in test_pages_known.py and so on
BLOCK, WHOLE_GPT = "transformer/block", "transformer/gpt"
SCALPEL, ZOO = "transformer/scalpel", "transformer/zoo"
LENS, GENERATION = "transformer/lens", "transformer/generation"
OTHERS = KNOWN, COMPARE, BLOCK, WHOLE_GPT, SCALPEL, ZOO, LENS, GENERATION
CONTEXT = 128
LANGUAGES = dict(line.split(": ") for line in LINES.splitlines())

HOSTILE = {
    "spaces": "   ",
    "one letter": "x",
    "emoji with joiners": "👩‍👩‍👧‍👦👋🏽 🏳️‍🌈",
    "right to left": "שלום \u202eevil\u202c مرحبا",
    "control characters": "\x00\x01\x07\x1b[31m\x7f\u2028",
    "markup": "</script><img src=x onerror=alert(1)>",
    "markdown": "# h\n**b** $x$ :red[r] [l](javascript:alert(1)) `c`",
}


def page(name: str, **link: str) -> AppTest:
    """The page as a fresh visitor with that link sees it."""
    app = AppTest.from_file(str(PAGES / "contents.py"), default_timeout=120)
    app.switch_page(f"{name}.py")
    app.query_params |= link
    return app.run()


def unescaped(markdown: str) -> str:
    """What a sentence says, without the signs that keep what was typed from being markup."""
    return re.sub(r"\\(.)", r"\1", markdown)


def pictures(app: AppTest) -> list[bytes]:
    return [element.proto.bytes for element in app.get("bidi_component") if element.proto.bytes]


def test_the_lessons_are_the_scripts_that_there_are() -> None:
    scripts = {str(path.relative_to(PAGES))[:-3] for path in PAGES.glob("*/*.py") if path.parent.name != "shared"}
    assert scripts == {*LESSONS, KNOWS, TOKENS, SAMPLING, EMBEDDINGS, WORD2VEC, POSITIONS, *OTHERS}
    contents = (PAGES / "contents.py").read_text("utf-8")
    assert all(f'"{name}.py"' in contents for name in scripts)


@pytest.mark.parametrize("name", LESSONS)
def test_a_page_draws_its_picture(name: str) -> None:
    app = page(name)
    assert not app.exception
    assert not app.warning
    assert len(pictures(app)) == 1


@pytest.mark.parametrize("name", LESSONS)
def test_typing_changes_the_picture(name: str) -> None:
    app = page(name)
    before = pictures(app)
    app.text_input(key="prompt").set_value("The capital of France is").run()
    assert pictures(app) != before
    assert "·France".encode() in pictures(app)[0]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_fills_the_box_and_says_what_to_look_for(example) -> None:
    app = page("transformer/attention")
    app.button(key=f"example {example.name}").click().run()
    assert app.text_input(key="prompt").value == example.prompt
    assert any(example.look_for in element.value for element in app.markdown)


@pytest.mark.parametrize("name", LESSONS)
@pytest.mark.parametrize("prompt", HOSTILE.values(), ids=HOSTILE)
def test_odd_text_gets_its_picture(name: str, prompt: str) -> None:
    app = page(name)
    app.text_input(key="prompt").set_value(prompt).run()
    assert not app.exception
    assert len(pictures(app)) == 1


@pytest.mark.parametrize("name", [*LESSONS, TOKENS, SAMPLING, POSITIONS])
def test_an_empty_prompt_gets_a_sentence(name: str) -> None:
    app = page(name)
    app.text_input(key="prompt").set_value("").run()
    assert not app.exception
    assert not pictures(app)
    assert "The prompt is empty" in app.info[0].value


@pytest.mark.parametrize("name", LESSONS)
@pytest.mark.parametrize("words", [200, 10_000, 200_000])
def test_a_long_prompt_is_cut_visibly(name: str, words: int) -> None:
    app = page(name)
    app.text_input(key="prompt").set_value("cat " * words + "and the last word is Paris").run()
    assert not app.exception
    assert len(pictures(app)) == 1
    said = app.warning[0].value
    assert f"{CONTEXT} tokens" in said and "left out" in said
    assert ("characters" in said) == (4 * words > models.MAX_CHARACTERS)
    assert "·Paris".encode() in pictures(app)[0]


@pytest.mark.parametrize("name", models.NAMES)
def test_what_it_knows_is_measured_now(name: str) -> None:
    app = page(KNOWS, model=name)
    assert not app.exception and not app.warning
    table, texts, told = (element.value for element in app.dataframe)
    assert list(table["kind"]) == list(probes.QUESTIONS)
    model, examined = models.load(name), models.examined(name, 1)
    for kind, questions in examined.items():
        for prompt, answer, said in questions[:3]:
            first = probes.reply(model.gpt, model.tokenizer, prompt, len(ids(name, f" {answer}"))).strip()
            assert said.startswith(first.rstrip(".,"))  # and to the end of the word
    assert list(table["right"]) == [
        sum(answer == said for _, answer, said in questions) / models.ASKED for questions in examined.values()
    ]
    shown = [float(metric.value) for metric in app.metric]
    every, rare = probes.losses(model.gpt, model.tokenizer, probes.held_out(models.TOLD, "draw 1")).values()
    assert shown[:4] == pytest.approx([every.loss, every.floor, every.above, rare.above], abs=6e-4)
    assert f"the {rare.documents} it" in app.metric[3].label
    assert shown[4:] == [round(score, 2) for score in model.heads.values()]
    assert all(all(models.truth(name, prompt)) for prompt in INSIDE)
    assert not any(all(models.truth(name, prompt)) for prompt in OUTSIDE)
    assert list(told["prompt"]) == OUTSIDE and len(texts) == 8


@pytest.mark.parametrize(("asked", "shown"), [("7", 7), ("99", 1), ("x", 1), ("", 1)])
def test_a_draw_of_questions_is_in_the_link(asked: str, shown: int) -> None:
    app = page(KNOWS, draw=asked)
    assert not app.exception
    first = next(iter(models.examined(models.NAMES[0], shown).values()))[0]
    assert list(app.dataframe[0].value["question"])[0] == first[0]


def ids(name: str, text: str) -> list[int]:
    return models.load(name).tokenizer.encode(text).ids


def test_the_distance_from_the_truth_is_that_of_the_definition() -> None:
    name, prompt = models.NAMES[0], "Anna is in the"
    app = page("start/home", prompt=prompt)
    reading = models.read(name, prompt)
    log_q = reading.trace.logits[0].log_softmax(-1).double()
    for row, known, at in zip(drawn(app, "full")["tokens"], models.truth(name, prompt)[1:], log_q, strict=True):
        p = torch.zeros_like(at)
        p[list(known)] = torch.tensor(list(known.values()), dtype=torch.double)
        assert row["value"] == pytest.approx(torch.nn.functional.kl_div(at, p, reduction="sum").item(), abs=1e-5)


def test_outside_its_world_the_page_says_so() -> None:
    app = page("start/home", prompt="The capital of Narnia is")
    assert any("outside the world" in caption.value for caption in app.caption)
    app.text_input(key="prompt").set_value("The capital of France is").run()
    assert not any("outside the world" in caption.value for caption in app.caption)


@pytest.mark.parametrize("name", [*LESSONS, TOKENS, SAMPLING])
@pytest.mark.parametrize("asked", ["../../etc/passwd", "gpt2-xxl", "<b>", "x" * 5000])
def test_a_model_that_is_not_here_gets_a_sentence(name: str, asked: str) -> None:
    app = page(name, model=asked)
    assert not app.exception
    assert "not here" in app.warning[0].value
    assert asked not in app.warning[0].value
    assert app.selectbox(key="model").value == models.NAMES[0]
    assert len(pictures(app)) == (name != TOKENS)


def test_only_names_on_the_list_are_loaded() -> None:
    with pytest.raises(ValueError, match="no model"):
        models.load("../../etc")


def test_the_link_holds_the_prompt() -> None:
    app = page("transformer/attention", prompt="The keys near the box")
    assert app.text_input(key="prompt").value == "The keys near the box"


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ({}, None),
        ({"layer": "0", "head": "5"}, "L0 H5"),
        ({"layer": "99", "head": "0"}, None),
        ({"layer": "-1", "head": "٣"}, None),
        ({"layer": "1e9", "head": "<b>"}, None),
        ({"layer": "0", "head": "mean"}, "mean"),
    ],
)
def test_the_steps_are_those_of_the_head_in_the_link(link: dict[str, str], shown: str | None) -> None:
    app = page("transformer/attention", steps="true", **link)
    assert not app.exception
    layer, head = models.load(models.NAMES[0]).start
    if shown == "mean":
        assert "pick one head" in app.info[0].value
        assert not app.get("plotly_chart")
    else:
        assert any(f"**{shown or f'L{layer} H{head}'}**" in element.value for element in app.markdown)
        assert len(app.get("plotly_chart")) == 3


def all_drawn(app: AppTest, field: str) -> list[dict]:
    """What the pictures that have such a field were given."""
    return [json.loads(e.proto.json) for e in app.get("bidi_component") if f'"{field}":' in (e.proto.json or "")]


def drawn(app: AppTest, field: str) -> dict:
    """What the one picture that has such a field was given."""
    (found,) = all_drawn(app, field)
    return found


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
    assert "Drawn are the first 600 of 20,000" in app.caption[0].value


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


@pytest.mark.parametrize(
    ("corpus", "said"), [("", "After 0 merges"), ("x" * 1_000_000, "first 50,000 of these 1,000,000")]
)
def test_a_text_too_short_or_too_long_to_learn_from_gets_a_sentence(corpus: str, said: str) -> None:
    app = page(TOKENS)
    app.text_area(key="corpus").set_value(corpus).run()
    assert not app.exception
    assert any(said in element.value for element in [*app.info, *app.warning])


def test_a_hub_that_cannot_be_reached_leaves_the_page_as_it_is(hub: Hub) -> None:
    hub.close()
    app = page(TOKENS)
    app.button(key="fetch openai-community/gpt2 1").click().run()
    while download.latest(*models.GPT2_TOKENIZER).running:
        time.sleep(0.05)
    app.run()
    assert "could not be reached" in unescaped(app.warning[0].value)
    assert app.button(key="fetch openai-community/gpt2 1").label == "Try again"
    assert len(drawn(app, "characters")["rows"]) == 2


@pytest.mark.parametrize("prompt", [*HOSTILE.values(), "cat " * 5000], ids=[*HOSTILE, "long"])
def test_the_logits_sent_are_those_of_the_model(prompt: str) -> None:
    app = page(SAMPLING, prompt=prompt)
    assert not app.exception
    logits = models.read(models.NAMES[0], prompt).trace.logits[0, -1]
    (sent,) = pictures(app)
    assert sent.endswith(logits.numpy().astype("<f4").tobytes())


def test_the_surprise_of_a_text_is_that_of_the_model() -> None:
    prompt = "The capital of France is"
    app = page(SAMPLING, prompt=prompt)
    told = ids(models.NAMES[0], prompt)
    loss = torch.nn.functional.cross_entropy(
        models.read(models.NAMES[0], prompt).trace.logits[0, :-1], torch.tensor(told[1:])
    )
    shown = all_drawn(app, "full")[-1]["tokens"]
    assert shown[0]["value"] is None
    assert sum(row["value"] for row in shown[1:]) / (len(told) - 1) == pytest.approx(loss.item(), abs=1e-4)
    assert any(f"perplexity of **{loss.exp():.1f}**" in element.value for element in app.markdown)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("1;top-k:0", "top-k is 0.0; it must be at least 1"),
        ("1;dice:1", "no step 'dice'"),
        ("1;temperature:-1", "temperature is -1.0"),
        ("1;x", "cannot be written"),
        (f"1{'0' * 40};", "cannot be written"),
        ("1", "cannot be written"),
        ("x;", "cannot be written"),
        (7, "cannot be written"),
        ("1;top-k:0;", "top-k is 0.0; it must be at least 1"),
        ("1;;;", "cannot be written"),
        ("1;temperature:nan", "temperature is nan"),
    ],
)
def test_a_chain_that_makes_no_sense_gets_a_sentence(asked: object, said: str) -> None:
    app = page(SAMPLING, prompt="Anna")
    app.session_state["written"] = "Anna", asked
    app.run()
    assert not app.exception
    assert said in unescaped(app.warning[0].value)
    app.run()
    assert not app.warning  # said once


@pytest.mark.parametrize("asked", ["1;dice:1", "<b>", "9" * 5000])
def test_a_link_that_cannot_be_written_on_gets_a_sentence(asked: str) -> None:
    app = page(SAMPLING, prompt="Anna", written=asked)
    assert not app.exception and "cannot be written" in app.warning[0].value and len(app.warning[0].value) < 200
    app.run()
    assert not app.warning and "written" not in app.query_params


def test_what_is_written_on_is_in_the_link() -> None:
    app = page(SAMPLING, prompt="The capital of France is", written="1;temperature:0")
    assert not app.exception and not app.warning
    model = models.load(models.NAMES[0])
    greedy = model.gpt.generate(torch.tensor([ids(model.name, "The capital of France is")]), 30, temperature=0)
    expected = pieces(model.tokenizer, greedy[0, -30:].tolist())
    assert row_of(all_drawn(app, "columns")[0], 0) == visible(expected)
    app.text_input(key="prompt").set_value("The capital of Spain is").run()
    assert "written" not in app.query_params and len(all_drawn(app, "columns")) == 2  # the tree of beams and its strips
    app.session_state["written"] = "The capital of Spain is", "2;top-k:5"
    app.run()
    assert app.query_params["written"] == "2;top-k:5" and len(all_drawn(app, "columns")) == 3


def row_of(strips: dict, number: int) -> list[str]:
    """The tokens of one of several strips."""
    return [column[number]["token"] for column in strips["columns"]]


@pytest.mark.parametrize("beside", [[], [("top-p", 0.9), ("temperature", 0.7)]])
def test_two_settings_write_with_one_seed(beside: list[tuple[str, float]]) -> None:
    prompt = "The capital of France is"
    app = page(SAMPLING, prompt=prompt)
    spelled = ",".join(f"{name}:{value}" for name, value in beside)
    for seed in (1, 2):
        app.session_state["written"] = prompt, f"{seed};{spelled};temperature:1.5"
        app.run()
        assert not app.exception and not app.warning
        strips = all_drawn(app, "columns")[0]
        assert strips["names"] == ["A", "B"]
        told = [models.written(models.NAMES[0], prompt, chain, seed, 30) for chain in (beside, [("temperature", 1.5)])]
        named = [visible(pieces(models.load(models.NAMES[0]).tokenizer, [id for id, _ in row])) for row in told]
        assert [row_of(strips, number) for number in (0, 1)] == named
        assert named[0][: strips["parted"]] == named[1][: strips["parted"]]
        assert named[0][strips["parted"]] != named[1][strips["parted"]]


def test_the_beams_drawn_are_those_of_the_search() -> None:
    prompt = "The capital of France is"
    app = page(SAMPLING, prompt=prompt, width="4", length="6")
    assert not app.exception and not app.warning
    model = models.load(models.NAMES[0])
    found = beams.search(model.gpt, ids(model.name, prompt), 4, 6)
    tree = drawn(app, "width")
    assert [[(cell["beam"], cell["total"]) for cell in column] for column in tree["columns"]] == [
        [(one.beam, pytest.approx(one.total, abs=1e-5)) for one in step] for step in found.steps
    ]
    best, score = found.ranked[0]
    assert "".join(visible(pieces(model.tokenizer, best))) == tree["columns"][-1][0]["text"]
    greedy = model.gpt.generate(torch.tensor([ids(model.name, prompt)]), 6, temperature=0)[0, -6:].tolist()
    strips = all_drawn(app, "columns")[1]
    assert [row_of(strips, n) for n in (0, 1)] == [visible(pieces(model.tokenizer, row)) for row in (greedy, best)]
    assert any(f"the best beam at **{6 * score:.2f} nats**" in element.value for element in app.markdown)


@pytest.mark.parametrize(("asked", "shown"), [("9", 3), ("0", 3), ("-1", 3), ("x", 3), ("1e9", 3), ("", 3), ("2", 2)])
def test_a_width_in_the_link_is_one_there_is(asked: str, shown: int) -> None:
    app = page(SAMPLING, prompt="Anna", width=asked)
    assert not app.exception
    assert app.slider(key="width").value == drawn(app, "width")["width"] == shown


@pytest.mark.parametrize("prompt", ["a", "cat " * 200, *HOSTILE.values()], ids=["one token", "long", *HOSTILE])
def test_any_prompt_gets_its_beams_and_its_tree(prompt: str) -> None:
    app = page(SAMPLING, prompt=prompt, width="8", length="12")
    assert not app.exception
    tree, branches = drawn(app, "width"), drawn(app, "path")
    assert len(tree["columns"]) == 12 and len(branches["next"]) == 5
    assert branches["tokens"] == [] and branches["link"] == ""


def test_a_tree_comes_back_from_its_link_with_its_numbers() -> None:
    name = models.NAMES[0]
    kitchen, garden, stop = (ids(name, text)[0] for text in (" kitchen", " garden", "."))
    link = f"14_0-{kitchen}_1-{stop}_0-{garden}"
    app = page(SAMPLING, prompt="Anna is in the garden", tree=link)
    assert not app.exception and not app.warning
    branches = drawn(app, "path")
    assert (branches["root"], branches["path"], branches["link"]) == ("Anna·is·in·the", [0, 3], link)
    after = models.read(name, "Anna is in the").trace.logits[0, -1].softmax(-1)
    shares = [token["share"] for token in branches["tokens"]]
    assert shares[::2] == pytest.approx([after[kitchen].item(), after[garden].item()], rel=1e-5)
    app.text_input(key="prompt").set_value("Anna is in the kitchen").run()
    assert drawn(app, "path")["path"] == [0, 1]
    app.text_input(key="prompt").set_value("Anna was").run()
    assert drawn(app, "path")["tokens"] == []  # edited by hand: a new root
    assert drawn(app, "path")["root"] == "Anna·was"


@pytest.mark.parametrize("tree", ["x", "14_0-999999", "9_0-1441", "<b>", "14_5-1441", "1" * 9000])
def test_a_tree_that_makes_no_sense_gets_a_sentence(tree: str) -> None:
    app = page(SAMPLING, prompt="Anna is in the", tree=tree)
    assert not app.exception
    assert "does not fit its prompt" in app.warning[0].value and tree not in app.warning[0].value
    assert drawn(app, "path")["tokens"] == []
    app.run()
    assert not app.warning  # said once


def test_what_is_taken_grows_the_tree() -> None:
    """As the pictures do when they are clicked; the driver cannot click them."""
    name = models.NAMES[0]
    app = AppTest.from_function(take_them, default_timeout=60)
    app.session_state["ids"] = ids(name, " kitchen.")
    app.run()
    assert not app.exception
    assert app.session_state["prompt"] == "Anna is in the kitchen."
    assert app.session_state["branches"][name].texts() == [
        "Anna is in the",
        "Anna is in the kitchen",
        "Anna is in the kitchen.",
    ]


def take_them() -> None:
    import streamlit as st

    from pages.shared import controls, models

    st.session_state["prompt"] = "Anna is in the"
    controls.take(models.read(models.NAMES[0], "Anna is in the"), st.session_state["ids"])


def test_gpt2s_tokenizer_is_laid_beside_the_others_once_it_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = train_bpe(LANGUAGES.values(), 400)
    monkeypatch.setattr("pages.shared.models.gpt2_tokenizer", lambda: trained)
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
    for (language, text), cost in zip(LANGUAGES.items(), costs[models.NAMES[0]], strict=True):
        if " " in text:
            words = text.count(" ") + 1
            assert cost == pytest.approx(len(ids(models.NAMES[0], text)) / words, abs=0.006)
        else:
            assert language == "Japanese" and pd.isna(cost)


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


def rankings(app: AppTest) -> list[list[tuple[str, float]]]:
    """The two lists of neighbours, raw and with the inputs left out: words and cosines, as the charts hold them."""
    frames = [pa.ipc.open_stream(e.proto.datasets[0].data.data).read_all() for e in app.get("vega_lite_chart")[:2]]
    return [list(zip(*(frame[column].to_pylist() for column in ("word", "cosine")))) for frame in frames]


@pytest.mark.parametrize("kind", [models.WORD_VECTORS, "wte"])
@pytest.mark.parametrize("expression", ["king - man + woman", "Paris - France + Italy", "0.5 * cat + 0.5 * dog"])
def test_the_neighbours_of_a_sum_are_those_of_its_vectors(kind: str, expression: str) -> None:
    app = page(EMBEDDINGS, expression=expression, vectors=kind)
    assert not app.exception and not app.warning
    vectors = models.embeddings(models.NAMES[0] if kind == "wte" else kind)
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
    for kind in (models.WORD_VECTORS, "wte"):
        app = page(EMBEDDINGS, vectors=kind)
        shares, questions = (element.value for element in app.dataframe)
        found = score(models.embeddings(models.NAMES[0] if kind == "wte" else kind))
        assert len(questions) == shares["questions"].sum() == 160
        words = models.embeddings(models.NAMES[0] if kind == "wte" else kind).words
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
        ("a b c", "'man' is not in it"),
        ("man " * 1000, "may have 150"),
        ("a" * 10**6, "'man'"),
    ):
        app.text_area(key="lines1").set_value(text).run()
        assert not app.exception and said in app.warning[0].value
        assert len(app.warning[0].value) < 200


def heat_maps(app: AppTest) -> dict[str, np.ndarray]:
    """The numbers of each Plotly heat map of the page, by its title."""
    figures = [json.loads(element.proto.spec) for element in app.get("plotly_chart")]
    return {
        figure["layout"].get("title", {}).get("text", "vectors"): numbers(figure["data"][0]["z"]) for figure in figures
    }


def numbers(z: dict | list) -> np.ndarray:
    """An array as Plotly sends it: a list, or bytes with their type and shape."""
    if isinstance(z, list):
        return np.array(z, float)
    found = np.frombuffer(base64.b64decode(z["bdata"]), z["dtype"])
    return found.reshape([int(n) for n in z["shape"].split(",")])


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
        expected = first_attention(model.gpt, idx, name).pattern[0, model.looks_back]
        np.testing.assert_allclose(drawn[name], expected, atol=1e-6)
    tables = {"learned": model.gpt.wpe.weight, "sinusoidal": sinusoidal(128, model.gpt.config.n_embd)}
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
    changes = Changes(positions="positions" not in link, mask="mask" not in link)
    moved = reordered(model.gpt, torch.tensor(sum(words, [])), places, changes).moved
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


def test_another_model_has_other_heads() -> None:
    app = page(POSITIONS, first="H7")
    app.selectbox(key="model").set_value(models.NAMES[1]).run()
    assert not app.exception
    assert len(heat_maps(app)) == 1 + 5 + 3


def test_the_curves_beyond_the_context_say_how_they_came_about() -> None:
    app = page(POSITIONS)
    told, command = app.caption[-1].value, app.code[0].value
    assert f"{models.BEYOND['steps']:,} batches" in told and f"--steps {models.BEYOND['steps']}" in command
    table = app.dataframe[-1].value
    assert list(table["scheme"]) == list(SCHEMES) == list(models.BEYOND["loss"])
    for scheme, shown in zip(SCHEMES, table["193 to 256"]):
        assert shown == pytest.approx(sum(models.BEYOND["loss"][scheme][192:]) / 64, abs=6e-4)


@pytest.mark.parametrize("name", [*LESSONS, KNOWS, TOKENS, SAMPLING, EMBEDDINGS, WORD2VEC, POSITIONS, SCALPEL, ZOO])
def test_each_section_of_the_prose_is_shown_once(name: str) -> None:
    source = (PAGES / f"{name}.py").read_text("utf-8")
    shown = re.findall(r'prose\.section\(PAGE(?:, "([^"]*)")?\)', source)
    shown += [""] * ('prose.sections(PAGE)[""]' in source)
    written = [heading for heading, body in prose.sections(name).items() if heading or body]
    assert sorted(shown) == sorted(written)
