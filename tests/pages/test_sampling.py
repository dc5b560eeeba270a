"""Sampling: what is drawn and written is what the model and the chain give."""

import pytest
import torch
from streamlit.testing.v1 import AppTest

from model.decoding import beam_search
from model.language.tokenization import pieces
from pages.shared import models
from pages.shared.compute import decoding
from tests.driver import HOSTILE, SAMPLING, all_drawn, drawn, ids, page, pictures, read_prompt, unescaped
from viz.tokens import visible


@pytest.mark.parametrize("prompt", [*HOSTILE.values(), "cat " * 5000], ids=[*HOSTILE, "long"])
def test_the_logits_sent_are_those_of_the_model(prompt: str) -> None:
    app = page(SAMPLING, prompt=prompt)
    assert not app.exception
    logits = read_prompt(models.NAMES[0], prompt).trace.logits[0, -1]
    (sent,) = pictures(app)
    assert sent.endswith(logits.numpy().astype("<f4").tobytes())


def test_the_surprise_of_a_text_is_that_of_the_model() -> None:
    prompt = "The capital of France is"
    app = page(SAMPLING, prompt=prompt)
    told = ids(models.NAMES[0], prompt)
    loss = torch.nn.functional.cross_entropy(
        read_prompt(models.NAMES[0], prompt).trace.logits[0, :-1], torch.tensor(told[1:])
    )
    shown = all_drawn(app, "full")[-1]["tokens"]
    assert shown[0]["value"] is None
    assert sum(row["value"] for row in shown[1:]) / (len(told) - 1) == pytest.approx(loss.item(), abs=1e-4)
    (sentence,) = [element.value for element in app.markdown if "perplexity of" in element.value]
    bits = loss.item() / 0.693147
    expected = f"**{loss:.2f} nats** per token on average ({bits:.2f} bits): a perplexity of **{2**bits:.1f}**."
    assert sentence == expected


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
    greedy = model.decoder.generate(torch.tensor([ids(model.name, "The capital of France is")]), 30)
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


@pytest.mark.parametrize("beside", [(), (("top-p", 0.9), ("temperature", 0.7))])
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
        told = [
            decoding.write(read_prompt(models.NAMES[0], prompt), chain, seed, 30)
            for chain in (beside, (("temperature", 1.5),))
        ]
        named = [visible(pieces(models.load(models.NAMES[0]).tokenizer, [id for id, _ in row])) for row in told]
        assert [row_of(strips, number) for number in (0, 1)] == named
        assert named[0][: strips["parted"]] == named[1][: strips["parted"]]
        assert named[0][strips["parted"]] != named[1][strips["parted"]]


def test_the_beams_drawn_are_those_of_the_search() -> None:
    prompt = "The capital of France is"
    app = page(SAMPLING, prompt=prompt, width="4", length="6")
    assert not app.exception and not app.warning
    model = models.load(models.NAMES[0])
    found = beam_search.search(model.decoder, ids(model.name, prompt), 4, 6)
    tree = drawn(app, "width")
    assert [[(cell["beam"], cell["total"]) for cell in column] for column in tree["columns"]] == [
        [(one.beam, pytest.approx(one.total, abs=1e-5)) for one in step] for step in found.steps
    ]
    best, score = found.ranked[0]
    assert "".join(visible(pieces(model.tokenizer, best))) == tree["columns"][-1][0]["text"]
    greedy = model.decoder.generate(torch.tensor([ids(model.name, prompt)]), 6)[0, -6:].tolist()
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
    after = read_prompt(name, "Anna is in the").trace.logits[0, -1].softmax(-1)
    shares = [token["share"] for token in branches["tokens"]]
    assert shares[::2] == pytest.approx([after[kitchen].item(), after[garden].item()], rel=1e-5)
    app.text_input(key="prompt").set_value("Anna is in the kitchen").run()
    assert drawn(app, "path")["path"] == [0, 1]
    app.text_input(key="prompt").set_value("Anna was").run()
    assert drawn(app, "path")["tokens"] == []  # edited by hand: a new root
    assert drawn(app, "path")["root"] == "Anna·was"


@pytest.mark.parametrize("tree", ["xyz", "14_0-999999", "9_0-1441", "<b>", "14_5-1441", "1" * 9000])
def test_a_tree_that_makes_no_sense_gets_a_sentence(tree: str) -> None:
    app = page(SAMPLING, prompt="Anna is in the", tree=tree)
    assert not app.exception
    (warning,) = app.warning
    assert "does not fit its prompt" in warning.value and tree not in warning.value
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
    from tests.driver import read_prompt

    st.session_state["prompt"] = "Anna is in the"
    controls.append_tokens(read_prompt(models.NAMES[0], "Anna is in the"), st.session_state["ids"])
