"""The lesson on norms and the MLP, run whole by Streamlit's own test driver, with good input and bad."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from streamlit.testing.v1 import AppTest

from model.transformer.gpt2 import gelu
from pages.shared import models
from tests import tiny_llama
from tests.driver import HOSTILE, examples, page, read_prompt
from viz.tokens import visible

MLP = "transformer/mlp"
NAME = models.NAMES[0]
PROMPT = examples(MLP)["Who gets the key?"].prompt


@pytest.fixture
def llama(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return tiny_llama.offer(monkeypatch, tmp_path)


def ids_of_prompt() -> list[int]:
    return models.load(tiny_llama.NAME).tokenizer.encode(tiny_llama.PROMPT).ids


def tables(app: AppTest) -> list[pd.DataFrame]:
    """The data of all charts of the page."""
    return [
        pa.ipc.open_stream(data.data.data).read_all().to_pandas()
        for chart in app.get("vega_lite_chart")
        for data in chart.proto.datasets
    ]


def titles(app: AppTest) -> list[list[str]]:
    """The titles of the histograms: name, and mean with standard deviation."""
    specs = [json.loads(chart.proto.spec) for chart in app.get("vega_lite_chart")]
    return [spec["title"]["text"] for spec in specs if "title" in spec]


def lengths(app: AppTest) -> list[list[float]]:
    """For each token, the length of its vector before the norm and after it."""
    sent = [json.loads(element.proto.json) for element in app.get("bidi_component") if element.proto.json]
    (strips,) = [data for data in sent if data.get("names") == ["before", "normalized"]]
    return [[row["value"] for row in column] for column in strips["columns"]]


def activation_chart(app: AppTest) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """The curves, the neurons and the label of the lowest point."""
    curves, neurons, mark = {}, {}, {}
    for table in tables(app):
        if {"x", "y", "name"} == {*table}:
            curves = table
        elif "neuron" in table:
            neurons = table
        elif "label" in table:
            mark = table
    return curves, neurons, mark["label"][0]


def neuron_table(app: AppTest) -> pd.DataFrame:
    (table,) = [element.value for element in app.dataframe if "neuron" in element.value]
    return table


def test_the_neurons_in_the_table_are_the_most_active_ones() -> None:
    app = page(MLP, block="L1", at="3  ·Tom")
    table = neuron_table(app)
    record = read_prompt(NAME, PROMPT).trace.blocks[1]
    active, numbers = gelu(record.mlp_pre[0, 3]).topk(len(table))
    assert table["neuron"].tolist() == [str(number) for number in numbers.tolist()]
    assert table["passes on"].tolist() == pytest.approx(active.tolist(), abs=1e-5)
    count = (record.mlp_pre[0, 3] > 0).sum()
    assert any(f"{count:,} read more than 0" in caption.value for caption in app.caption)


def test_curve_and_neurons_are_those_of_gelu() -> None:
    curve, neurons, label = activation_chart(page(MLP, block="L1", at="3  ·Tom"))
    pre = read_prompt(NAME, PROMPT).trace.blocks[1].mlp_pre[0, 3]
    np.testing.assert_allclose(neurons["x"], pre, atol=1e-6)
    expected = torch.nn.functional.gelu(torch.tensor(neurons["x"]), approximate="tanh")
    np.testing.assert_allclose(neurons["y"], expected, atol=1e-6)
    gelus = curve[curve["name"] == "GELU"]
    expected = torch.nn.functional.gelu(torch.tensor(gelus["x"].to_numpy()), approximate="tanh")
    np.testing.assert_allclose(gelus["y"], expected, atol=1e-6)
    assert {*curve["name"]} == {"GELU", "ReLU"} and label.startswith("lowest: -0.17")


@pytest.mark.parametrize("layer", [0, 2])
def test_neurons_of_a_llama_are_those_of_transformers(llama: Path, layer: int) -> None:
    app = page(MLP, model=tiny_llama.NAME, prompt=tiny_llama.PROMPT, block=f"L{layer}")
    assert not app.exception and not app.warning
    hf_model = tiny_llama.transformers_model(llama)
    record = tiny_llama.activations(hf_model, ids_of_prompt())
    gate = record[f"layers.{layer}.mlp.gate_proj out"][-1]
    post = record[f"layers.{layer}.mlp.down_proj in"][-1]
    table, (curve, neurons, label) = neuron_table(app), activation_chart(app)
    numbers = post.abs().topk(10).indices
    assert table["neuron"].tolist() == [str(number) for number in numbers.tolist()]
    assert table["gate"].tolist() == pytest.approx(gate[numbers].tolist(), abs=1e-4)
    assert table["passes on"].tolist() == pytest.approx(post[numbers].tolist(), abs=1e-4)
    written = hf_model.model.layers[layer].mlp.down_proj.weight.T[numbers] * post[numbers, None]
    assert table["length"].tolist() == pytest.approx(written.norm(dim=-1).tolist(), abs=1e-4)
    np.testing.assert_allclose(neurons["x"], gate, atol=1e-4)
    np.testing.assert_allclose(neurons["y"], post, atol=1e-4)
    silus = curve[curve["name"] == "SiLU"]
    expected = torch.nn.functional.silu(torch.tensor(silus["x"].to_numpy()))
    np.testing.assert_allclose(silus["y"], expected, atol=1e-6)
    assert {*curve["name"]} == {"SiLU", "ReLU"} and label == "lowest: -0.2785 at -1.2785"
    count = (gate > 0).sum()
    assert any(f"67 neurons of L{layer} at this token; {count} have a gate above 0" in c.value for c in app.caption)


def test_words_of_a_llamas_neurons_are_the_largest_effects_on_its_logits(llama: Path) -> None:
    table = neuron_table(page(MLP, model=tiny_llama.NAME, prompt=tiny_llama.PROMPT, block="L1"))
    hf_model, model = tiny_llama.transformers_model(llama), models.load(tiny_llama.NAME)
    record = tiny_llama.activations(hf_model, ids_of_prompt())
    end = record["norm in"][-1]
    scale = (end.square().mean() + hf_model.config.rms_norm_eps).sqrt()
    post = record["layers.1.mlp.down_proj in"][-1]
    for row, number in enumerate(post.abs().topk(10).indices.tolist()):
        written = hf_model.model.layers[1].mlp.down_proj.weight[:, number] * post[number]
        effects = hf_model.lm_head.weight @ (written * hf_model.model.norm.weight / scale)
        for column, sign in {"towards": 1, "and away from": -1}.items():
            values, best = (sign * effects).topk(3)
            words = [
                f"{visible([model.token(id)])[0]} {sign * value:+.2f}"
                for id, value in zip(best.tolist(), values.tolist())
            ]
            assert table[column][row] == "  ".join(words)


@pytest.mark.parametrize("norm", ["L1 ln_1", "L1 ln_2", "ln_f"])
def test_all_tokens_are_of_one_length_behind_a_norm(norm: str) -> None:
    app = page(MLP, block="L1", norm=norm)
    assert not app.exception
    trace = read_prompt(NAME, PROMPT).trace
    before = {
        "L1 ln_1": trace.blocks[1].resid_pre,
        "L1 ln_2": trace.blocks[1].resid_mid,
        "ln_f": trace.blocks[-1].resid_post,
    }[norm]
    assert [row[0] for row in lengths(app)] == pytest.approx(before[0].norm(dim=-1).tolist())
    assert [row[1] for row in lengths(app)] == pytest.approx([16] * 14, rel=1e-3)
    assert [name for name, _ in titles(app)] == ["before", "normalized", "times γ, plus β"]
    assert any("This model has layer norm" in caption.value for caption in app.caption)


@pytest.mark.parametrize(
    ("norm", "module"),
    [("L1 ln_1", "layers.1.input_layernorm"), ("L1 ln_2", "layers.1.post_attention_layernorm"), ("ln_f", "norm")],
)
def test_norms_of_a_llama_are_those_of_transformers(llama: Path, norm: str, module: str) -> None:
    app = page(MLP, model=tiny_llama.NAME, prompt=tiny_llama.PROMPT, block="L1", norm=norm)
    assert not app.exception
    hf_model = tiny_llama.transformers_model(llama)
    record = tiny_llama.activations(hf_model, ids_of_prompt())
    before, after = record[f"{module} in"], record[f"{module} out"]
    normalized = after / hf_model.model.get_submodule(module).weight
    assert [row[0] for row in lengths(app)] == pytest.approx(before.norm(dim=-1).tolist(), abs=1e-4)
    assert [row[1] for row in lengths(app)] == pytest.approx(normalized.norm(dim=-1).tolist(), abs=1e-4)
    shown = titles(app)
    assert [name for name, _ in shown] == ["before", "normalized", "times γ"]
    for (_, summary), vectors in zip(shown, (before, normalized, after)):
        mean, deviation = (float(number) for number in re.findall(r"-?\d+\.\d+", summary.replace("−", "-")))
        assert mean == pytest.approx(vectors[-1].mean().item(), abs=0.0051)
        assert deviation == pytest.approx(vectors[-1].std(unbiased=False).item(), abs=0.0051)
    assert any("RMS norm" in caption.value and "no β" in caption.value for caption in app.caption)


@pytest.mark.parametrize("prompt", [*HOSTILE.values(), "cat " * 500], ids=[*HOSTILE, "long"])
def test_any_text_gets_its_neurons(prompt: str) -> None:
    app = page(MLP)
    app.text_input(key="prompt").set_value(prompt).run()
    assert not app.exception
    record = read_prompt(NAME, prompt).trace.blocks[-1]
    assert neuron_table(app)["passes on"].tolist() == pytest.approx(record.mlp_post[0, -1].topk(10).values.tolist())


@pytest.mark.parametrize("link", [{"block": "L9"}, {"at": "x"}, {"norm": "<b>"}], ids=str)
def test_a_link_that_makes_no_sense_shows_the_last_token_and_block(link: dict[str, str]) -> None:
    app = page(MLP, **link)
    assert not app.exception
    assert app.selectbox(key="block").value == "L3" and app.selectbox(key="at").value == "13  ·to"
    assert app.segmented_control(key="norm").value == "L3 ln_1"


@pytest.mark.parametrize("example", examples(MLP).values(), ids=lambda example: example.name)
def test_an_example_fills_the_box(example) -> None:
    app = page(MLP)
    app.button(key=f"example {example.name}").click().run()
    assert not app.exception and any(example.look_for in element.value for element in app.markdown)
