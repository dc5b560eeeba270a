"""The lesson on two prompts, run whole by Streamlit's own test driver, with good input and bad."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from streamlit.testing.v1 import AppTest

from model.interpretability import comparison
from pages.shared import models
from tests import llama
from tests.driver import HOSTILE, drawn, examples, heat_maps, page, read_prompt

TWO_PROMPTS = "interpretability/two_prompts"
A = models.NAMES[0]
PAIRS = examples(TWO_PROMPTS)
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


def patterns(prompt: str, name: str = A) -> torch.Tensor:
    return torch.stack([block.attn.pattern[0] for block in read_prompt(name, prompt).trace.blocks])


def aligned(one: str, other: str, name: str = A) -> tuple[list[comparison.Column], list[tuple[int, int]], int]:
    """The columns of two prompts, those that have both tokens, and how many cannot differ."""
    ids = [read_prompt(name, text).ids for text in (one, other)]
    columns = comparison.align(*ids)
    return columns, [pair for pair in columns if None not in pair], comparison.common_prefix_length(columns, *ids)


@pytest.mark.parametrize("example", PAIRS.values(), ids=lambda example: example.name)
def test_example_fills_both_boxes_and_its_moved_attention_equals_the_definition(example) -> None:
    app = page(TWO_PROMPTS)
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


def test_texts_of_the_examples_are_true() -> None:
    who, where, many, land, more = (
        [patterns(text) for text in (pair.prompt, pair.also["prompt2"])] for pair in PAIRS.values()
    )
    maps = {
        pair.name: moved(page(TWO_PROMPTS, prompt=pair.prompt, prompt2=pair.also["prompt2"])) for pair in PAIRS.values()
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


@pytest.mark.parametrize("rows", ["All rows", "The last row"])
def test_map_counts_all_rows_or_the_last(rows: str) -> None:
    one, other = PAIRS["Where is whom?"].prompt, PAIRS["Where is whom?"].also["prompt2"]
    app = page(TWO_PROMPTS, prompt=one, prompt2=other, rows=rows, changed="L1 H6")
    _, pairs, first = aligned(one, other)
    expected = comparison.moved_attention(patterns(one), patterns(other), pairs)[
        ..., first if rows == "All rows" else -1 :
    ].mean(-1)
    np.testing.assert_allclose(moved(app), expected, atol=1e-6)
    assert chart(app, "score").query("marked")["name"].tolist() == ["L1 H6"]
    assert "L1 H6: B − A, in %" in heat_maps(app)


def test_each_token_stands_above_its_counterpart() -> None:
    app = page(TWO_PROMPTS, prompt="The keys near the box", prompt2="The old keys near a box")
    strips = drawn(app, "differ")
    assert [[cell["token"] for cell in column] for column in strips["columns"]] == [
        ["The", "The"], ["", "·old"], ["·keys", "·keys"], ["·near", "·near"], ["·the", "·a"], ["·box", "·box"]
    ]  # fmt: skip
    assert strips["differ"] == [1, 4] and strips["parted"] is None
    assert any("**4 tokens stand in both** · replaced: 1 · in one only: 1" in one.value for one in app.markdown)
    surprises = torch.tensor(read_prompt(A, "The old keys near a box").surprises) / math.log(2)
    shown = [column[1]["value"] for column in strips["columns"]]
    assert shown[0] is None and shown[1:] == pytest.approx(surprises[1:].tolist(), abs=1e-5)


def test_words_are_those_whose_probability_changed_most() -> None:
    bars = chart(page(TWO_PROMPTS, prompt="The key is", prompt2="The keys are"), "caption")
    p, q = (read_prompt(A, text).trace.logits[0, -1].softmax(-1) for text in ("The key is", "The keys are"))
    wide = bars.pivot(index="word", columns="whose", values="probability")
    expected = (q - p).abs().topk(len(wide)).values
    np.testing.assert_allclose((wide["B"] - wide["A"]).abs(), expected, atol=1e-6)


def test_equal_prompts_differ_in_nothing() -> None:
    app = page(TWO_PROMPTS, prompt="The key is", prompt2="The key is")
    assert not app.exception and "nothing differs" in app.info[0].value
    assert (moved(app) == 0).all()


@pytest.mark.parametrize(
    "link",
    [{"changed": "L9 H9"}, {"changed": "<b>"}, {"rows": "none"}],
)
def test_invalid_values_in_the_link_are_ignored(link: dict[str, str]) -> None:
    app = page(TWO_PROMPTS, **link)
    assert not app.exception
    most = divmod(int(moved(app).argmax()), 8)
    assert "L{} H{}: B − A, in %".format(*most) in heat_maps(app)


def test_second_prompt_begins_as_that_of_the_example_or_as_a_copy() -> None:
    pair = PAIRS["France or Italy"]
    for prompt, other in [("My own words", "My own words"), (pair.prompt, pair.also["prompt2"])]:
        app = page(TWO_PROMPTS, prompt=prompt)
        assert not app.exception
        assert [app.text_input(key=key).value for key in ("prompt", "prompt2")] == [prompt, other]
        app.text_input(key="prompt").set_value("Something else").run()
        assert app.text_input(key="prompt2").value == other


@pytest.mark.parametrize("text", [*HOSTILE.values(), "x", LONG], ids=[*HOSTILE, "one token", "long"])
def test_odd_text_is_compared(text: str) -> None:
    app = page(TWO_PROMPTS, prompt=text, prompt2="The keys near the box")
    assert not app.exception and moved(app).shape == (4, 8)
    assert max(map(len, heat_maps(app).values())) <= 32
    app.text_input(key="prompt2").set_value(text).run()
    assert not app.exception and (moved(app) == 0).all()


@pytest.mark.parametrize("key", ["prompt", "prompt2"])
def test_an_empty_prompt_gets_a_sentence(key: str) -> None:
    app = page(TWO_PROMPTS)
    app.text_input(key=key).set_value("").run()
    assert not app.exception and "The prompt is empty" in app.info[0].value


def test_with_a_llama_every_number_equals_transformers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name = llama.offer(monkeypatch, tmp_path)
    prompts = "The king and the queen of the sea", "The king and the man of the sea"
    app = page(TWO_PROMPTS, model=name, prompt=prompts[0], prompt2=prompts[1])
    assert not app.exception and not app.warning
    peer, ids = llama.reference(), [llama.token_ids(prompt) for prompt in prompts]
    with torch.inference_mode():
        outputs = [peer(each, output_attentions=True) for each in ids]
    looks = [torch.cat(output.attentions).numpy() for output in outputs]
    _, pairs, first = aligned(*prompts, name)
    here, there = (list(positions) for positions in zip(*pairs))
    kept = [np.minimum(looks[0][:, :, i][..., here], looks[1][:, :, j][..., there]).sum(-1) for i, j in pairs[first:]]
    expected = 1 - np.mean(kept, axis=0)
    np.testing.assert_allclose(moved(app), expected, atol=1e-5)
    layer, head = divmod(int(expected.argmax()), 4)
    maps = heat_maps(app)
    for letter, pattern in zip("AB", looks):
        np.testing.assert_allclose(np.nan_to_num(maps[f"{letter}: L{layer} H{head}"]), pattern[layer, head], atol=1e-5)
    gained = (looks[1][layer, head][there][:, there] - looks[0][layer, head][here][:, here])[first:, first:]
    shown = np.nan_to_num(maps[f"L{layer} H{head}: B − A, in %"])
    np.testing.assert_allclose(shown[-len(gained) :, -len(gained) :], 100 * gained, atol=1e-3)
    p, q = (output.logits[0, -1].softmax(-1) for output in outputs)
    bars = chart(app, "caption").pivot(index="word", columns="whose", values="probability")
    np.testing.assert_allclose((bars["B"] - bars["A"]).abs(), (q - p).abs().topk(len(bars)).values, atol=1e-5)
    log_p = [output.logits[0, :-1].log_softmax(-1) for output in outputs]
    surprises = [-each.gather(1, idx[0, 1:, None])[:, 0] / math.log(2) for each, idx in zip(log_p, ids)]
    strips = drawn(app, "differ")["columns"]
    for row, bits in enumerate(surprises):
        values = [column[row]["value"] for column in strips if column[row]["token"]]
        assert values[0] is None and values[1:] == pytest.approx(bits.tolist(), abs=1e-4)
