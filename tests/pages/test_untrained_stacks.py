"""The lesson on untrained stacks, run whole by Streamlit's own test driver, with good input and bad."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from streamlit.testing.v1 import AppTest
from transformers import LlamaForCausalLM

from model.transformer import untrained_stacks
from model.transformer.intervention import Interventions
from pages.shared import models
from tests import tiny_llama
from tests.driver import HOSTILE, examples, page, read_prompt, unescaped
from viz.percent import percent
from viz.tokens import visible

STACKS = "transformer/untrained_stacks"
NAME = models.NAMES[0]
PROMPT = examples(STACKS)["A fact"].prompt


def curves(app: AppTest) -> list[dict[str, list[float]]]:
    """The numbers of each curve, by its name, for each chart."""
    charts = []
    for chart in app.get("vega_lite_chart"):
        for data in chart.proto.datasets:
            table = pa.ipc.open_stream(data.data.data).read_all().to_pandas()
            if {"x", "y", "name"} == {*table}:
                charts.append({name: rows["y"].tolist() for name, rows in table.groupby("name")})
    return charts


def sentences(app: AppTest) -> str:
    return unescaped(" ".join(element.value for element in app.markdown))


@pytest.mark.parametrize(("norm", "residual"), [("before", True), ("after", False), ("none", False)])
def test_untrained_stacks_are_measured_now(norm: str, residual: bool) -> None:
    app = page(STACKS, stacked=norm, residual=str(residual).lower(), blocks="7", size="1.0", seed="5")
    assert not app.exception
    gradients, similarities, _ = curves(app)
    stack = untrained_stacks.Stack(norm, residual)
    expected = untrained_stacks.measure(stack, 7, 1.0, 5)
    assert gradients[stack.name] == pytest.approx(np.log10(expected.gradients).tolist())
    assert similarities[stack.name] == pytest.approx(expected.similarity)
    assert len(similarities) == len(untrained_stacks.STACKS) and len(similarities[stack.name]) == 8
    assert f"With {stack.name}, block 0 gets" in sentences(app)
    assert f"**{expected.similarity[-1]:.3f}**" in sentences(app)


def test_the_residual_connections_are_taken_out_of_the_trained_model() -> None:
    app = page(STACKS, prompt=PROMPT)
    *_, trained = curves(app)
    reading = read_prompt(NAME, PROMPT)
    changed = reading.model.decoder.trace(reading.trace.idx, Interventions(residual=False))
    assert trained["as it is"] == pytest.approx(untrained_stacks.mean_cosines(reading.trace))
    assert trained["without"] == pytest.approx(untrained_stacks.mean_cosines(changed))
    assert trained["without"][0] == pytest.approx(trained["as it is"][0])  # before anything was left out
    assert not any("RMS norm" in caption.value for caption in app.caption)


@torch.inference_mode()
def without_residual(hf_model: LlamaForCausalLM, ids: list[int]) -> tuple[list[torch.Tensor], torch.Tensor]:
    """The streams before each block and at the end, and the last logits, with the additions taken out by hand."""
    core = hf_model.model
    stream, positions = core.embed_tokens(torch.tensor([ids])), torch.arange(len(ids))[None]
    angles, streams = core.rotary_emb(stream, positions), []
    mask = torch.full((len(ids), len(ids)), -torch.inf).triu(1)[None, None]
    for layer in core.layers:
        streams.append(stream[0])
        stream = layer.self_attn(layer.input_layernorm(stream), position_embeddings=angles, attention_mask=mask)[0]
        stream = layer.mlp(layer.post_attention_layernorm(stream))
    return [*streams, stream[0]], hf_model.lm_head(core.norm(stream))[0, -1]


def mean_cosine(vectors: torch.Tensor) -> float:
    cosines = torch.cosine_similarity(vectors[:, None], vectors[None], dim=-1)
    return cosines[~torch.eye(len(vectors), dtype=torch.bool)].mean().item()


def test_residual_connections_are_taken_out_of_a_llama(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hf_model = tiny_llama.transformers_model(tiny_llama.offer(monkeypatch, tmp_path))
    app = page(STACKS, model=tiny_llama.NAME, prompt=tiny_llama.PROMPT)
    assert not app.exception and not app.warning
    model = models.load(tiny_llama.NAME)
    ids = model.tokenizer.encode(tiny_llama.PROMPT).ids
    streams, logits = without_residual(hf_model, ids)
    record = tiny_llama.activations(hf_model, ids)
    *_, trained = curves(app)
    assert trained["without"] == pytest.approx([mean_cosine(stream) for stream in streams], abs=1e-4)
    before = [record[f"layers.{layer}.input_layernorm in"] for layer in range(3)] + [record["norm in"]]
    assert trained["as it is"] == pytest.approx([mean_cosine(stream) for stream in before], abs=1e-4)
    guesses = re.search(r"as it is: \*\*(.+)\*\* \((.+)\); without: \*\*(.+)\*\* \((.+)\)\.", sentences(app)).groups()
    expected = []
    for row in (record["logits"][-1], logits):
        probability, id = row.softmax(-1).max(-1)
        expected += [visible([model.token(id.item())])[0], percent(probability.item())]
    assert list(guesses) == expected
    assert any("This model has RMS norm and SiLU" in caption.value for caption in app.caption)


@pytest.mark.parametrize("prompt", [*HOSTILE.values(), "cat " * 500], ids=[*HOSTILE, "long"])
def test_any_text_loses_its_residual_connections(prompt: str) -> None:
    app = page(STACKS)
    app.text_input(key="prompt").set_value(prompt).run()
    assert not app.exception
    assert len(curves(app)) == 2 + (len(read_prompt(NAME, prompt).tokens) > 1)


@pytest.mark.parametrize(
    "link", [{"blocks": "99"}, {"size": "nan"}, {"seed": "-1"}, {"stacked": "x"}, {"residual": "x"}], ids=str
)
def test_a_link_that_makes_no_sense_shows_the_first_stack(link: dict[str, str]) -> None:
    app = page(STACKS, **link)
    assert not app.exception
    expected = untrained_stacks.measure(untrained_stacks.STACKS[0], 12, 0.6, 0)
    assert f"With {untrained_stacks.STACKS[0].name}, block 0 gets" in sentences(app)
    assert f"**{expected.similarity[-1]:.3f}**" in sentences(app)


@pytest.mark.parametrize("example", examples(STACKS).values(), ids=lambda example: example.name)
def test_an_example_fills_the_box(example) -> None:
    app = page(STACKS)
    app.button(key=f"example {example.name}").click().run()
    assert not app.exception and any(example.look_for in element.value for element in app.markdown)
