"""The lesson that compares, run whole by Streamlit's own test driver, with good input and bad."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from streamlit.testing.v1 import AppTest

from model.interpretability import comparison
from model.toy_world.exact import divergence
from pages.shared import models, prose
from pages.shared.compute import readings
from pages.shared.runtime.catalog import Entry
from tests.driver import HOSTILE, drawn, examples, heat_maps, page, pictures, read_prompt, unescaped
from tests.hub import Hub, repository

COMPARE, PROMPTS = "interpretability/compare", "Two prompts"
A, B = models.NAMES
SIZES, PAIRS = (examples(COMPARE, f"examples-{group}") for group in ("models", "prompts"))
LONG = "cat " * 300 + "and the last word is Paris"


def chart(app: AppTest, column: str) -> pd.DataFrame:
    """The data of the chart that has such a column."""
    tables = [
        pa.ipc.open_stream(table.data.data).read_all().to_pandas()
        for element in app.get("vega_lite_chart")
        for table in element.proto.datasets
    ]
    return next(table for table in tables if column in table)


def moved(app: AppTest) -> np.ndarray:
    """The numbers of the map of heads: (L, H)."""
    return chart(app, "score").pivot(index="layer", columns="head", values="score").to_numpy()


def table(app: AppTest) -> dict[str, list[str]]:
    """Of each row of the table the numbers of A and of B."""
    return {row.iloc[0]: [*row.iloc[1:]] for _, row in app.table[0].value.iterrows()}


def number(text: str) -> float:
    return float(text.strip("*").split()[0])


def patterns(prompt: str, name: str = A) -> torch.Tensor:
    return torch.stack([block.attn.pattern[0] for block in read_prompt(name, prompt).trace.blocks])


def aligned(one: str, other: str) -> tuple[list[comparison.Column], list[tuple[int, int]], int]:
    """The columns of two prompts, those that have both tokens, and how many cannot differ."""
    ids = [read_prompt(A, text).trace.idx[0].tolist() for text in (one, other)]
    columns = comparison.align(*ids)
    return columns, [pair for pair in columns if None not in pair], comparison.common_prefix_length(columns, *ids)


@pytest.mark.parametrize("prompt", [example.prompt for example in SIZES.values()])
def test_two_models_cost_what_they_say_on_the_same_bytes(prompt: str) -> None:
    app = page(COMPARE, prompt=prompt)
    assert not app.exception and not app.warning
    numbers = table(app)
    rest = prompt.split(" ", 1)[1]  # no first token of these is longer or shorter than its word, or both go on there
    for n, name in enumerate(models.NAMES):
        reading = read_prompt(name, prompt)
        log_p = reading.trace.logits[0].log_softmax(-1)
        count = len(models.load(name).tokenizer.encode(f" {rest}").ids)
        ids = reading.trace.idx[0]
        bits = -sum(log_p[at - 1, ids[at]].item() for at in range(len(ids) - count, len(ids))) / math.log(2)
        assert number(numbers["surprise per byte"][n]) == pytest.approx(bits / len(f" {rest}"), abs=0.0051)
        assert number(numbers["surprise per token"][n]) == pytest.approx(bits / count, abs=0.0051)
        perplexity = numbers["surprise per token"][n].split("perplexity ")[1].rstrip(")").replace(",", "")
        assert float(perplexity) == pytest.approx(2 ** (bits / count), rel=1e-5, abs=0.051)
        assert numbers["tokens"][n].startswith(f"{len(ids)} of ")
        now = readings.true_distributions(read_prompt(name, prompt))[-1]
        apart = divergence(now, log_p[-1]) / math.log(2)
        assert number(numbers["next word: from the truth"][n]) == pytest.approx(apart, abs=0.0051)


@pytest.mark.parametrize("prompt", [example.prompt for example in SIZES.values()])
def test_the_next_words_of_two_models_are_theirs(prompt: str) -> None:
    bars = chart(page(COMPARE, prompt=prompt), "caption")
    assert len(bars) == 3 * 6
    readings = {letter: read_prompt(name, prompt) for letter, name in zip("AB", models.NAMES)}
    for _, bar in bars[bars["whose"] != "truth"].iterrows():
        reading = readings[bar["whose"]]
        word = bar["word"][3:].replace("·", " ").replace("⏎", "\n")
        cut = reading.model.tokenizer.encode(word).ids
        if len(cut) > 1:
            assert bar["caption"].endswith("several tokens") and bar["probability"] == 0
            continue
        p = reading.trace.logits[0, -1].softmax(-1)
        assert bar["probability"] == pytest.approx(p[cut[0]].item(), abs=1e-6)
        assert bar["caption"].endswith(f", #{p.argsort(descending=True).tolist().index(cut[0]) + 1:,}")
    best = max(bars.loc[bars["whose"] == "A", "probability"])
    assert best == pytest.approx(readings["A"].trace.logits[0, -1].softmax(-1).max().item(), abs=1e-6)


def test_both_cuts_and_both_pictures_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(tmp_path / "own")
    monkeypatch.setitem(models.CATALOG, "own", Entry("own", tmp_path / "own"))
    app = page(COMPARE, prompt="the cat lamp", model2="own")
    rows = drawn(app, "characters")["rows"]
    assert [row["name"] for row in rows] == [f"A · {A}", "B · own"]
    cuts = [[token["label"] for token in row["tokens"]] for row in rows]
    assert cuts == [["the", "·cat", "·lamp"], ["the", "·cat", "·", "l", "a", "m", "p"]]
    for n, (name, count) in enumerate(((A, 1), ("own", 5))):
        trace = read_prompt(name, "the cat lamp").trace
        log_p, ids = trace.logits[0].log_softmax(-1), trace.idx[0]
        bits = -sum(log_p[at - 1, ids[at]].item() for at in range(1, len(ids))) / math.log(2)
        assert number(table(app)["surprise per byte"][n]) == pytest.approx(bits / len(" cat lamp"), abs=0.0051)
        assert number(table(app)["surprise per token"][n]) == pytest.approx(bits / (1 + count), abs=0.0051)
    one, other = pictures(app)
    for picture, name, link in ((one, A, ""), (other, "own", "2")):
        length = int.from_bytes(picture[:4], "little")
        header = json.loads(picture[4 : 4 + length])
        config = models.load(name).decoder.config
        assert (header["layers"], header["heads"], header["link"]) == (config.n_layer, config.n_head, link)


def test_the_link_holds_both_models_and_a_wrong_one_gets_a_sentence() -> None:
    app = page(COMPARE, model=B, model2=A)
    assert [app.selectbox(key=key).value for key in ("model", "model2")] == [B, A] and not app.warning
    app = page(COMPARE)
    app.query_params["model2"] = "../../etc/passwd"
    app.run()
    assert not app.exception and "not available here" in app.warning[0].value and "passwd" not in app.warning[0].value
    assert app.selectbox(key="model2").value == B


def test_one_model_beside_itself_differs_in_nothing() -> None:
    app = page(COMPARE, model2=A)
    assert not app.exception
    assert all(one == other for one, other in table(app).values())
    bars = chart(app, "caption")
    one, other = (bars.loc[bars["whose"] == letter, "probability"].to_numpy() for letter in "AB")
    assert (one == other).all()


@pytest.mark.parametrize(
    "link", [{"model": "GPT-2", "model2": "GPT-2"}, {"model": "GPT-2"}, {"model2": "GPT-2"}], ids=str
)
def test_a_model_that_is_not_here_yet_is_offered_once_and_no_other_is_compared(
    hub_server: Hub, link: dict[str, str]
) -> None:
    app = page(COMPARE, **link)
    assert not app.exception and not pictures(app) and not app.table
    assert [button.label for button in app.button].count("Fetch it") == 1
    (offer,) = [element.value for element in app.markdown if "is not on this server" in element.value]
    assert "nothing can be shown" in offer


@pytest.mark.parametrize("example", PAIRS.values(), ids=lambda example: example.name)
def test_an_example_fills_both_boxes_and_its_heads_moved(example) -> None:
    app = page(COMPARE, compare=PROMPTS)
    app.button(key=f"example {example.name}").click().run()
    assert not app.exception and not app.warning
    assert [app.text_input(key=key).value for key in ("prompt", "prompt2")] == [example.prompt, example.also["prompt2"]]
    assert any(example.look_for in element.value for element in app.markdown)
    _, pairs, first = aligned(example.prompt, example.also["prompt2"])
    looks = [patterns(text) for text in (example.prompt, example.also["prompt2"])]
    rows = [
        [sum(min(looks[0][..., i, k], looks[1][..., j, m]) for k, m in pairs) for i, j in pairs[first:]]
        for looks in [[look[layer, head] for look in looks] for layer in range(4) for head in range(8)]
    ]
    expected = 1 - np.array(rows).mean(-1).reshape(4, 8)
    np.testing.assert_allclose(moved(app), expected, atol=1e-5)
    layer, head = divmod(int(expected.argmax()), 8)
    found = heat_maps(app)
    np.testing.assert_allclose(found[f"A: L{layer} H{head}"], looks[0][layer, head], atol=1e-6)
    gained = [[looks[1][layer, head, j, m] - looks[0][layer, head, i, k] for k, m in pairs] for i, j in pairs[first:]]
    shown = found[f"L{layer} H{head}: B − A, in %"]
    np.testing.assert_allclose(np.nan_to_num(shown), 100 * np.array(gained), atol=1e-4)


def test_what_the_examples_say_of_two_prompts_is_so() -> None:
    who, where, many, land, more = (
        [patterns(text) for text in (pair.prompt, pair.also["prompt2"])] for pair in PAIRS.values()
    )
    maps = {
        pair.name: moved(page(COMPARE, compare=PROMPTS, prompt=pair.prompt, prompt2=pair.also["prompt2"]))
        for pair in PAIRS.values()
    }
    assert maps["Who gives?"].max() < 0.25 and maps["France or Italy"].max() < 0.4
    assert read_prompt(A, PAIRS["Where is whom?"].prompt).tokens[14] == " Anna"
    for look, behind in zip(where, (1, 7)):
        assert (look[1, [1, 3], 14, behind] > 0.9).all()
    key, keys = (look[..., -1, 1] for look in many)
    assert keys[3, 7] > 0.8 and key[3, 7] < 0.1
    assert all(look[0, 2, -1, -2] > 0.9 for look in more)
    for pair in (PAIRS["Who gives?"], PAIRS["France or Italy"]):
        p, q = (read_prompt(A, text).trace.logits[0, -1].softmax(-1) for text in (pair.prompt, pair.also["prompt2"]))
        assert comparison.total_variation(p, q) > 0.95


def test_what_the_examples_say_of_two_models_is_so() -> None:
    said = {}
    for example in SIZES.values():
        for name in models.NAMES:
            reading = read_prompt(name, example.prompt)
            guess = reading.trace.logits[0, -1].softmax(-1)
            said[example.name, name] = (
                reading.model.token(guess.argmax()),
                guess.max().item(),
                guess,
            )
    assert said["Who gets the key?", A][:2] == (" Tom", pytest.approx(1, abs=0.01))
    bits = comparison.entropy(said["Who gets the key?", B][2].log()) / math.log(2)
    assert f"{bits:.1f} bits" in SIZES["Who gets the key?"].look_for
    assert [said["Where is she?", name][0] for name in models.NAMES] == [" kitchen", " cellar"]
    assert said["Yesterday", A][0] == " walked" and said["Yesterday", B][0].endswith("ed")
    assert said["Sums", A][0] == " 12" and 0.9 < said["Sums", A][1] < 0.99
    assert said["Sums", B][0] != " 12" and said["Sums", B][0].strip().isdigit()
    assert {said["A capital", name][0] for name in models.NAMES} == {" Paris"}
    assert said["A capital", B][1] < said["A capital", A][1]


@pytest.mark.parametrize("rows", ["All rows", "The last row"])
def test_the_rows_that_count_are_chosen(rows: str) -> None:
    one, other = PAIRS["Where is whom?"].prompt, PAIRS["Where is whom?"].also["prompt2"]
    app = page(COMPARE, compare=PROMPTS, prompt=one, prompt2=other, rows=rows, changed="L1 H6")
    _, pairs, first = aligned(one, other)
    expected = comparison.moved_attention(patterns(one), patterns(other), pairs)[
        ..., first if rows == "All rows" else -1 :
    ].mean(-1)
    np.testing.assert_allclose(moved(app), expected, atol=1e-6)
    assert chart(app, "score").query("marked")["name"].tolist() == ["L1 H6"]
    assert "L1 H6: B − A, in %" in heat_maps(app)


def test_the_tokens_stand_above_their_counterparts() -> None:
    app = page(COMPARE, compare=PROMPTS, prompt="The keys near the box", prompt2="The old keys near a box")
    strips = drawn(app, "differ")
    assert [[cell["token"] for cell in column] for column in strips["columns"]] == [
        ["The", "The"], ["", "·old"], ["·keys", "·keys"], ["·near", "·near"], ["·the", "·a"], ["·box", "·box"]
    ]  # fmt: skip
    assert strips["differ"] == [1, 4] and strips["parted"] is None
    assert any("**4 tokens stand in both** · replaced: 1 · in one only: 1" in one.value for one in app.markdown)
    surprises = torch.tensor(read_prompt(A, "The old keys near a box").surprises) / math.log(2)
    shown = [column[1]["value"] for column in strips["columns"]]
    assert shown[0] is None and shown[1:] == pytest.approx(surprises[1:].tolist(), abs=1e-5)


def test_the_words_that_moved_are_those_whose_probability_did() -> None:
    bars = chart(page(COMPARE, compare=PROMPTS, prompt="The key is", prompt2="The keys are"), "caption")
    p, q = (read_prompt(A, text).trace.logits[0, -1].softmax(-1) for text in ("The key is", "The keys are"))
    wide = bars.pivot(index="word", columns="whose", values="probability")
    expected = (q - p).abs().topk(len(wide)).values
    np.testing.assert_allclose((wide["B"] - wide["A"]).abs(), expected, atol=1e-6)


def test_equal_prompts_differ_in_nothing() -> None:
    app = page(COMPARE, compare=PROMPTS, prompt="The key is", prompt2="The key is")
    assert not app.exception and "nothing differs" in app.info[0].value
    assert (moved(app) == 0).all()


def test_a_prompt_of_ones_own_is_copied_to_be_changed() -> None:
    app = page(COMPARE)
    for prompt, other in [
        ("My own words", "My own words"),
        (PAIRS["France or Italy"].prompt, PAIRS["France or Italy"].also["prompt2"]),
    ]:
        app.text_input(key="prompt").set_value(prompt).run()
        app.segmented_control(key="compare").set_value(PROMPTS).run()
        assert not app.exception
        assert [app.text_input(key=key).value for key in ("prompt", "prompt2")] == [prompt, other]
        app.segmented_control(key="compare").set_value("Two models").run()


@pytest.mark.parametrize("text", [*HOSTILE.values(), "x", LONG], ids=[*HOSTILE, "one token", "long"])
def test_odd_text_is_compared(text: str) -> None:
    app = page(COMPARE, prompt=text)
    assert not app.exception and len(pictures(app)) == 2
    assert len(app.warning) == (text == LONG)  # one for both
    if text == LONG:
        assert app.warning[0].value.startswith(
            f"This prompt is longer than {prose.literal(A)} and {prose.literal(B)} can"
        )
    app = page(COMPARE, compare=PROMPTS, prompt=text, prompt2="The keys near the box")
    assert not app.exception and moved(app).shape == (4, 8)
    assert max(map(len, heat_maps(app).values())) <= 32
    app.text_input(key="prompt2").set_value(text).run()
    assert not app.exception and (moved(app) == 0).all()


@pytest.mark.parametrize("link", [{"prompt": ""}, {"compare": PROMPTS, "prompt2": ""}], ids=str)
def test_an_empty_prompt_gets_a_sentence(link: dict[str, str]) -> None:
    app = page(COMPARE, **link)
    app.text_input(key=[*link][-1]).set_value("").run()
    assert not app.exception and "The prompt is empty" in app.info[0].value


@pytest.mark.parametrize(
    "link",
    [{"compare": "<b>"}, {"changed": "L9 H9"}, {"changed": "<b>"}, {"rows": "none"}, {"model2": "Vitrine, huge"}],
)
def test_a_link_that_makes_no_sense_shows_what_there_is(link: dict[str, str]) -> None:
    app = page(COMPARE, **{"compare": PROMPTS} | link)
    assert not app.exception
    if link.keys() & {"changed", "rows"}:
        most = divmod(int(moved(app).argmax()), 8)
        assert "L{} H{}: B − A, in %".format(*most) in heat_maps(app)


def test_names_and_prompts_are_no_markup() -> None:
    app = page(COMPARE, prompt="**b** :red[r] <i>")
    assert all("<i>" not in element.value for element in app.markdown)
    assert any(f"A · {A}" in unescaped(element.value) for element in app.markdown)
