"""The lesson on how heads add up, run whole by Streamlit's own test driver, with good input and bad."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from model.interpretability import attribution
from pages.shared import models
from pages.shared.compute import readings
from tests import tiny_llama
from tests.driver import HOSTILE, heat_maps, page, read_prompt
from tests.pages import test_family
from tests.pages.test_family import offer
from tests.pages.test_hand import said
from viz.tokens import visible

HEADS = "transformer/heads_add_up"
NAME = models.NAMES[0]


@pytest.fixture
def llama(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return tiny_llama.offer(monkeypatch, tmp_path)


def ids_of_prompt() -> list[int]:
    return models.load(tiny_llama.NAME).tokenizer.encode(tiny_llama.PROMPT).ids


@pytest.mark.parametrize("layer", ["L0", "L3"])
def test_what_each_head_adds_is_what_it_wrote(layer: str) -> None:
    app = page(HEADS, at="3  ·Tom", **{"of layer": layer})
    assert not app.exception
    reading = read_prompt(NAME, app.text_input(key="prompt").value)
    n, heads = int(layer[1:]), reading.model.decoder.config.n_head
    written = attribution.written_by_heads(
        reading.model.decoder, reading.trace, 3, [(n, head) for head in range(heads)]
    )
    out = reading.trace.blocks[n].attn.out[0, 3]
    table = app.dataframe[0].value
    assert list(table["adds"]) == [*(f"H{head}" for head in range(heads)), "bias", "sum"]
    bias = reading.model.decoder.blocks[n].b_O
    lengths = [*written.norm(dim=-1).tolist(), bias.norm().item(), out.norm().item()]
    assert list(table["length"]) == pytest.approx(lengths, rel=1e-4)
    vectors = heat_maps(app)["vectors"]
    np.testing.assert_allclose(vectors[:-1].sum(0), vectors[-1], atol=1e-4)
    np.testing.assert_allclose(vectors[-1], out, atol=1e-5)
    apart = [float(part.split("**")[0]) for part in said(app).split("ifference is **")[1:]]
    apart.append(float(said(app).split("at any token is **")[1].split("**")[0]))
    assert len(apart) == 2 and max(apart) < 1e-4


def test_heads_of_a_llama_are_those_of_transformers_and_add_up_without_a_bias(llama: Path) -> None:
    app = page(HEADS, model=tiny_llama.NAME, prompt=tiny_llama.PROMPT, **{"of layer": "L1"})
    assert not app.exception and not app.warning
    hf_model, model = tiny_llama.transformers_model(llama), models.load(tiny_llama.NAME)
    record = tiny_llama.activations(hf_model, ids_of_prompt())
    z = record["layers.1.self_attn.o_proj in"][-1].view(6, 8)
    matrices = hf_model.model.layers[1].self_attn.o_proj.weight.view(48, 6, 8)
    written = torch.einsum("hd,chd->hc", z, matrices)
    out = record["layers.1.self_attn out"][-1]
    table = app.dataframe[0].value
    assert list(table["adds"]) == [*(f"H{head}" for head in range(6)), "sum"]
    rows = torch.cat([written, out[None]])
    assert list(table["length"]) == pytest.approx(rows.norm(dim=-1).tolist(), abs=1e-4)
    np.testing.assert_allclose(heat_maps(app)["vectors"], rows, atol=1e-4)
    assert signed_bars(app) == pytest.approx((written @ out / out.square().sum()).tolist(), abs=1e-4)
    end = record["norm in"][-1]
    scale = (end.square().mean() + hf_model.config.rms_norm_eps).sqrt()
    effects = (rows * hf_model.model.norm.weight / scale) @ hf_model.lm_head.weight.T
    for column, sign in {"writes towards": 1, "and away from": -1}.items():
        for words, effect in zip(table[column], sign * effects):
            values, best = effect.topk(3)
            assert words == "  ".join(
                f"{visible([model.token(id)])[0]} {sign * value:+.2f}"
                for id, value in zip(best.tolist(), values.tolist())
            )
    assert "This family has no biases: the heads alone add up" in said(app)
    assert "cannot hold this layer's weights" in said(app)
    differences = [float(part.split("**")[0]) for part in said(app).split("ifference is **")[1:]]
    differences.append(float(said(app).split("at any token is **")[1].split("**")[0]))
    assert len(differences) == 2 and max(differences) < 1e-4


def signed_bars(app) -> list[float]:
    """The values of the bar chart, in the order of its names."""
    for chart in app.get("vega_lite_chart"):
        for data in chart.proto.datasets:
            table = pa.ipc.open_stream(data.data.data).read_all().to_pandas()
            if "value" in table:
                return table["value"].tolist()
    raise AssertionError("no chart of signed bars")


@pytest.mark.parametrize("prompt", [*HOSTILE.values(), "cat " * 5000], ids=[*HOSTILE, "long"])
def test_any_text_is_worked_out(prompt: str) -> None:
    app = page(HEADS, prompt=prompt)
    assert not app.exception and len(app.warning) == (len(prompt) > 1000)
    reading = read_prompt(NAME, prompt)
    out = reading.trace.blocks[-1].attn.out[0, -1]
    np.testing.assert_allclose(heat_maps(app)["vectors"][-1], out, atol=1e-5)


def test_an_empty_prompt_gets_a_sentence() -> None:
    app = page(HEADS)
    app.text_input(key="prompt").set_value("").run()
    assert not app.exception and "The prompt is empty" in app.info[0].value


def test_another_model_is_worked_out_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    offer(monkeypatch, test_family.NAME, tmp_path)
    app = page(HEADS, model=test_family.NAME, prompt="the king and the queen")
    assert not app.exception and not app.warning
    assert app.selectbox(key="model").value == test_family.NAME
    assert len(app.dataframe[0].value) == 3 + 2
    models.load.cache_clear()
    readings.forward_pass.cache_clear()
