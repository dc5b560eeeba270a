"""The lesson on attention on your prompt, run whole by Streamlit's own test driver, with good input and bad."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from pages.shared import models
from pages.shared.compute import readings
from tests import tiny_llama
from tests.driver import HOSTILE, drawn, page, read_prompt
from tests.pages import test_family
from tests.pages.test_family import offer
from tests.pages.test_hand import array, said
from viz.tokens import visible

ON_PROMPT = "transformer/attention_on_prompt"
NAME = models.NAMES[0]


@pytest.fixture
def llama(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return tiny_llama.offer(monkeypatch, tmp_path)


def ids_of_prompt() -> list[int]:
    return models.load(tiny_llama.NAME).tokenizer.encode(tiny_llama.PROMPT).ids


@pytest.mark.parametrize("name", models.NAMES)
@pytest.mark.parametrize("picked", [None, "L1 H2"])
def test_the_steps_on_a_prompt_are_those_of_the_model(name: str, picked: str | None) -> None:
    app = page(ON_PROMPT, model=name, **({"picked": picked} if picked else {}))
    assert not app.exception and not app.warning
    reading = read_prompt(name, app.text_input(key="prompt").value)
    layer, head = (1, 2) if picked else reading.model.start
    attn, sent = reading.trace.blocks[layer].attn, drawn(app, "products")
    assert sent["queries"] == visible(reading.tokens)
    for field, of in {"q": attn.q, "k": attn.k, "v": attn.v, "scaled": attn.scores, "weights": attn.pattern}.items():
        np.testing.assert_allclose(array(sent[field]), of[0, head], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(array(sent["z"]), attn.z[0, head], rtol=1e-3, atol=1e-4)
    assert (np.isneginf(array(sent["masked"])) == np.triu(np.ones((len(reading.tokens),) * 2), 1)).all()
    apart = float(said(app).split("own pass by ")[1].split(" ")[0])
    assert apart < 1e-5


@pytest.mark.parametrize(("layer", "head"), [(0, 0), (1, 4), (2, 5)])
def test_steps_of_a_llama_are_those_of_transformers(llama: Path, layer: int, head: int) -> None:
    app = page(ON_PROMPT, model=tiny_llama.NAME, prompt=tiny_llama.PROMPT, picked=f"L{layer} H{head}")
    assert not app.exception and not app.warning
    sent = drawn(app, "products")
    hf_model = tiny_llama.transformers_model(llama)
    record = tiny_llama.activations(hf_model, ids_of_prompt())
    length = len(ids_of_prompt())
    pattern = record["patterns"][layer, head]
    np.testing.assert_allclose(array(sent["weights"]), pattern, atol=1e-5)
    values = record[f"layers.{layer}.self_attn.v_proj out"].view(length, 2, 8)[:, head // 3]
    np.testing.assert_allclose(array(sent["v"]), values, atol=1e-5)
    np.testing.assert_allclose(array(sent["z"]), pattern @ values, atol=1e-4)
    z = record[f"layers.{layer}.self_attn.o_proj in"].view(length, 6, 8)[:, head]
    np.testing.assert_allclose(array(sent["z"]), z, atol=1e-4)
    angles = hf_model.model.rotary_emb(torch.zeros(1), torch.arange(length)[None])
    q = record[f"layers.{layer}.self_attn.q_proj out"].view(1, length, 6, 8).transpose(1, 2)
    k = record[f"layers.{layer}.self_attn.k_proj out"].view(1, length, 2, 8).transpose(1, 2)
    q, k = apply_rotary_pos_emb(q, k, *angles)
    np.testing.assert_allclose(array(sent["q"]), q[0, head], atol=1e-4)
    np.testing.assert_allclose(array(sent["k"]), k[0, head // 3], atol=1e-4)
    np.testing.assert_allclose(array(sent["scaled"]), q[0, head] @ k[0, head // 3].T / 8**0.5, atol=1e-3)
    assert float(said(app).split("own pass by ")[1].split(" ")[0]) < 1e-5
    first = head // 3 * 3
    assert f"Query heads H{first} to H{first + 2} share the same keys and values" in said(app)
    assert "rotated by their positions (RoPE)" in said(app) and "RoPE" not in said(page(ON_PROMPT))


@pytest.mark.parametrize("prompt", [*HOSTILE.values(), "cat " * 5000], ids=[*HOSTILE, "long"])
def test_any_text_is_worked_out(prompt: str) -> None:
    app = page(ON_PROMPT, prompt=prompt)
    assert not app.exception and len(app.warning) == (len(prompt) > 1000)
    shown = drawn(app, "products")["queries"]
    assert shown == visible(read_prompt(NAME, prompt).tokens)[:32]


def test_the_end_of_a_long_prompt_is_worked_out_too() -> None:
    app = page(ON_PROMPT, prompt="the cat sat. " * 12, end="the last 32")
    reading = read_prompt(NAME, app.text_input(key="prompt").value)
    sent, (layer, head) = drawn(app, "products"), reading.model.start
    assert sent["queries"] == visible(reading.tokens)[-32:] and sent["keys"] == visible(reading.tokens)
    pattern = reading.trace.blocks[layer].attn.pattern[0, head, -32:]
    np.testing.assert_allclose(array(sent["weights"]), pattern, rtol=1e-4, atol=1e-5)


def test_an_empty_prompt_gets_a_sentence() -> None:
    app = page(ON_PROMPT)
    app.text_input(key="prompt").set_value("").run()
    assert not app.exception and "The prompt is empty" in app.info[0].value


def test_another_model_is_worked_out_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    offer(monkeypatch, test_family.NAME, tmp_path)
    app = page(ON_PROMPT, model=test_family.NAME, prompt="the king and the queen")
    assert not app.exception and not app.warning
    assert app.selectbox(key="model").value == test_family.NAME
    models.load.cache_clear()
    readings.forward_pass.cache_clear()
