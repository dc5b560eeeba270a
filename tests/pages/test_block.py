"""The lesson on the block, run whole by Streamlit's own test driver, with good input and bad."""

import json

import numpy as np
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from model.interpretability import residual_stream as block
from model.transformer import untrained_stacks as depth
from model.transformer.gpt2 import gelu
from model.transformer.intervention import Interventions
from pages.shared import models
from tests.driver import HOSTILE, examples, page, read_prompt
from viz.tokens import visible

BLOCK = "transformer/block"
NAME = models.NAMES[0]
PROMPT = examples("transformer/block")["Who gets the key?"].prompt


def drawn(app: AppTest) -> dict:
    """What the picture of the road was sent."""
    found = [json.loads(one.proto.json) for one in app.get("bidi_component") if one.proto.json]
    (road,) = [one for one in found if "places" in one]
    return road


def curves(app: AppTest) -> list[dict[str, list[float]]]:
    """Of each chart of several curves the numbers of each."""
    found = []
    for chart in app.get("vega_lite_chart"):
        for data in chart.proto.datasets:
            table = pa.ipc.open_stream(data.data.data).read_all().to_pandas()
            if {"x", "y", "name"} == set(table):
                found.append({name: of["y"].tolist() for name, of in table.groupby("name")})
    return found


@pytest.mark.parametrize("name", models.NAMES)
def test_the_road_is_that_of_the_model(name: str) -> None:
    app = page(BLOCK, model=name)
    assert not app.exception and not app.warning
    sent, road = drawn(app), block.residual_stream(read_prompt(name, PROMPT).trace)
    assert [(place["layer"], place["part"]) for place in sent["places"]] == list(road.places)
    assert np.array(sent["stream"]) == pytest.approx(road.stream.norm(dim=-1).numpy(), abs=1e-4)
    assert np.array(sent["written"]) == pytest.approx(road.written.norm(dim=-1).numpy(), abs=1e-4)
    assert np.array(sent["cosines"]) == pytest.approx(road.cosines.numpy(), abs=1e-4)
    assert np.array(sent["shares"]).sum(1) == pytest.approx(1, abs=2e-3)
    assert sent["picked"] == [len(sent["tokens"]) - 1, models.load(name).decoder.config.n_layer - 1]


def test_the_picked_block_says_what_it_adds_and_for_which_words() -> None:
    app = page(BLOCK, block="L2", at="13  ·to")
    table = app.dataframe[0].value.set_index("part")
    road = block.residual_stream(read_prompt(NAME, PROMPT).trace)
    assert list(table.index) == ["L2 attention", "L2 MLP"]
    assert table["length"].tolist() == pytest.approx(road.written[13, 6:8].norm(dim=-1).tolist())
    assert table["share of the end"].tolist() == pytest.approx(road.shares[13, 6:8].tolist())
    assert all(said.startswith("·Tom +") for said in table["writes towards"])  # both write towards the right answer


def test_the_neurons_in_the_table_are_the_most_active_ones() -> None:
    app = page(BLOCK, block="L1", at="3  ·Tom")
    (table,) = [one.value for one in app.dataframe if "neuron" in one.value]
    made = read_prompt(NAME, PROMPT).trace.blocks[1]
    active, numbers = gelu(made.mlp_pre[0, 3]).topk(len(table))
    assert table["neuron"].tolist() == [str(number) for number in numbers.tolist()]
    assert table["passes on"].tolist() == pytest.approx(active.tolist(), abs=1e-5)
    count = (made.mlp_pre[0, 3] > 0).sum()
    assert any(f"{count:,} read more than 0" in caption.value for caption in app.caption)


@pytest.mark.parametrize("norm", ["L1 ln_1", "L1 ln_2", "ln_f"])
def test_all_tokens_are_of_one_length_behind_a_norm(norm: str) -> None:
    app = page(BLOCK, block="L1", norm=norm)
    assert not app.exception
    sent = [json.loads(one.proto.json) for one in app.get("bidi_component") if one.proto.json]
    (strips,) = [one for one in sent if one.get("names") == ["before", "normalised"]]
    trace = read_prompt(NAME, PROMPT).trace
    before = {
        "L1 ln_1": trace.blocks[1].resid_pre,
        "L1 ln_2": trace.blocks[1].resid_mid,
        "ln_f": trace.blocks[-1].resid_post,
    }[norm]
    assert [column[0]["value"] for column in strips["columns"]] == pytest.approx(before[0].norm(dim=-1).tolist())
    assert [column[1]["value"] for column in strips["columns"]] == pytest.approx([16] * 14, rel=1e-3)


@pytest.mark.parametrize(("norm", "residual"), [("before", True), ("after", False), ("none", False)])
def test_untrained_stacks_are_measured_now(norm: str, residual: bool) -> None:
    app = page(BLOCK, stacked=norm, residual=str(residual).lower(), blocks="7", size="1.0", seed="5")
    assert not app.exception
    _, gradients, alike, _ = curves(app)  # behind the curve of GELU
    stack = depth.Stack(norm, residual)
    expected = depth.measure(stack, 7, 1.0, 5)
    assert gradients[stack.name] == pytest.approx(np.log10(expected.gradients).tolist())
    assert alike[stack.name] == pytest.approx(expected.similarity)
    assert len(alike) == len(depth.STACKS) and len(alike[stack.name]) == 8
    said = " ".join(element.value for element in app.markdown)
    assert f"With {stack.name}, block 0 gets" in said and f"**{expected.similarity[-1]:.3f}**" in said


def test_the_residual_connections_are_taken_out_of_the_trained_model() -> None:
    *_, trained = curves(page(BLOCK))
    reading = read_prompt(NAME, PROMPT)
    changed = reading.model.decoder.trace(reading.trace.idx, Interventions(residual=False))
    assert trained["as it is"] == pytest.approx(depth.similarities(reading.trace))
    assert trained["without"] == pytest.approx(depth.similarities(changed))
    assert trained["without"][0] == pytest.approx(trained["as it is"][0])  # before anything was left out


@pytest.mark.parametrize("prompt", [*HOSTILE.values(), "cat " * 500], ids=[*HOSTILE, "long"])
def test_any_text_gets_its_road(prompt: str) -> None:
    app = page(BLOCK)
    app.text_input(key="prompt").set_value(prompt).run()
    assert not app.exception
    assert drawn(app)["tokens"] == visible(read_prompt(NAME, prompt).tokens)


@pytest.mark.parametrize(
    "link",
    [
        {"block": "L9"},
        {"at": "x"},
        {"norm": "<b>"},
        {"blocks": "99"},
        {"size": "nan"},
        {"seed": "-1"},
        {"stacked": "x"},
    ],
    ids=str,
)
def test_a_link_that_makes_no_sense_shows_what_there_is(link: dict[str, str]) -> None:
    app = page(BLOCK, **link)
    assert not app.exception
    assert drawn(app)["picked"] == [13, 3]


def test_another_prompt_lets_go_of_a_token_that_it_has_not() -> None:
    app = page(BLOCK, at="3  ·Tom")
    assert drawn(app)["picked"] == [3, 3]
    app.text_input(key="prompt").set_value("7 + 5 =").run()
    assert not app.exception
    assert drawn(app)["picked"] == [len(drawn(app)["tokens"]) - 1, 3]


@pytest.mark.parametrize("example", examples("transformer/block").values(), ids=lambda example: example.name)
def test_an_example_fills_the_box(example) -> None:
    app = page(BLOCK)
    app.button(key=f"example {example.name}").click().run()
    assert not app.exception and any(example.look_for in element.value for element in app.markdown)
