"""Positions: each scheme is drawn from its own numbers, those of a Llama as transformers computes them."""

import math

import numpy as np
import pyarrow as pa
import pytest
import torch
from transformers.models.bloom.modeling_bloom import build_alibi_tensor
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

from model.transformer.position_schemes import SCHEMES, first_attention
from model.transformer.positions import sinusoidal
from pages.shared import models
from tests import tiny_llama
from tests.driver import HOSTILE, POSITIONS, drawn, heat_maps, ids, page
from tests.tiny_llama import TinyLlama

TEXT = "the king and the queen went to the sea"


@pytest.fixture
def llama(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> TinyLlama:
    return tiny_llama.offer_with_peer(monkeypatch, tmp_path_factory.mktemp("llama"))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_scheme_is_drawn_from_its_own_numbers(scheme: str) -> None:
    prompt = "The capital of France is"
    app = page(POSITIONS, prompt=prompt, scheme=scheme)
    assert not app.exception and not app.warning
    headings = [element.value for element in app.subheader]
    told = [name for name in ("Learned", "Sinusoidal", "RoPE", "ALiBi", "None") if name in headings]
    assert [name.lower() for name in told] == [scheme.lower()]
    model, idx = models.load(models.NAMES[0]), torch.tensor([ids(models.NAMES[0], prompt)])
    drawn = heat_maps(app)
    for name in SCHEMES:
        expected = first_attention(model.decoder, idx, name).pattern[0, model.looks_back]
        np.testing.assert_allclose(drawn[name], expected, atol=1e-6)
    tables = {"learned": model.decoder.W_pos, "sinusoidal": sinusoidal(128, model.decoder.config.n_embd)}
    assert ("vectors" in drawn) == (scheme in tables)
    if scheme in tables:
        np.testing.assert_allclose(drawn["vectors"], tables[scheme][: idx.size(1)], atol=1e-6)


def test_rope_shows_the_same_score_at_the_same_distance() -> None:
    table = page(POSITIONS, scheme="RoPE").dataframe[0].value
    assert list(table["distance"]) == [3, 3, 3, 2]
    near, *far, other = table["score"]
    assert far == pytest.approx([near, near], abs=1e-9) and abs(other - near) > 1e-3


@pytest.mark.parametrize(
    ("prompt", "scheme"), [*zip([*HOSTILE.values(), "cat " * 5000, "x"], 2 * SCHEMES)], ids=[*HOSTILE, "long", "short"]
)
def test_positions_of_odd_text_are_drawn(scheme: str, prompt: str) -> None:
    app = page(POSITIONS, prompt=prompt, scheme=scheme)
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
    ],
    ids=str,
)
def test_a_link_that_makes_no_sense_shows_what_the_model_has(link: dict[str, str]) -> None:
    app = page(POSITIONS, **link)
    assert not app.exception
    assert "Learned" in [element.value for element in app.subheader]
    assert len(heat_maps(app)) == 1 + 5


def test_a_dimension_that_a_smaller_model_lacks_is_its_last() -> None:
    app = page(POSITIONS, scheme="learned", dimension="255")
    assert app.slider(key="dimension").value == 255
    app.selectbox(key="model").set_value(models.NAMES[1]).run()
    assert not app.exception
    assert app.slider(key="dimension").value == app.slider(key="dimension").max == 63


def test_another_model_has_other_heads() -> None:
    app = page(POSITIONS, first="H7")
    app.selectbox(key="model").set_value(models.NAMES[1]).run()
    assert not app.exception
    assert len(heat_maps(app)) == 1 + 5


@pytest.mark.parametrize("link", [{"one": "cat dog"}, {"other": "cat dog"}, {"positions": "false"}, {"mask": "false"}])
def test_an_old_link_to_word_order_opens_that_lesson(link: dict[str, str]) -> None:
    app = page(POSITIONS, **link, prompt=TEXT)
    assert not app.exception
    assert app.subheader[0].value.startswith("Word order")
    ((key, value),) = link.items()
    widget = app.text_input(key=key) if key in ("one", "other") else app.toggle(key=key)
    assert str(widget.value).lower() == value
    assert "Take the words of the prompt" in [button.label for button in app.button]


def test_an_old_link_to_both_lessons_stays_and_links_the_other() -> None:
    app = page(POSITIONS, scheme="ALiBi", one="cat dog")
    assert "ALiBi" in [element.value for element in app.subheader]
    link = app.get("page_link")[0].proto
    assert link.page == "word_order" and "one=cat+dog" in link.query_string


def first_queries_and_keys(llama: TinyLlama, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries and keys (H, T, D) of the first layer for a stream (T, C), as the modules of transformers give them."""
    layer, size = llama.peer.model.layers[0], llama.config.head_size
    normalized = layer.input_layernorm(x)
    q = layer.self_attn.q_proj(normalized).view(len(x), -1, size).transpose(0, 1)
    k = layer.self_attn.k_proj(normalized).view(len(x), -1, size).transpose(0, 1)
    return q, k.repeat_interleave(llama.config.n_head // llama.config.n_kv_head, dim=0)


def rotated(llama: TinyLlama, q: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """Vectors (H, T, D) rotated by transformers as at the positions (T)."""
    cos, sin = LlamaRotaryEmbedding(llama.peer.config)(q, at[None])
    return apply_rotary_pos_emb(q[None], q[None], cos, sin)[0][0]


@torch.no_grad()
def expected_patterns(llama: TinyLlama, idx: torch.Tensor) -> dict[str, torch.Tensor]:
    """The patterns (H, T, T) of the first layer under each scheme."""
    T, (heads, C) = idx.size(1), (llama.config.n_head, llama.config.n_embd)
    table = llama.peer.model.embed_tokens.weight
    x = table[idx[0]]
    angle = torch.arange(T)[:, None] / 10_000 ** (2 * torch.arange(C // 2) / C)
    waves = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)
    waved = x + waves * table.norm(dim=-1).mean() / math.sqrt(C / 2)

    def pattern(q: torch.Tensor, k: torch.Tensor, bias: torch.Tensor | float = 0.0) -> torch.Tensor:
        scores = q @ k.mT / math.sqrt(llama.config.head_size) + bias
        return scores.masked_fill(torch.ones(T, T).triu(1).bool(), -math.inf).softmax(-1)

    bias = build_alibi_tensor(torch.ones(1, T), heads, torch.float32).view(heads, 1, T)
    return {
        "RoPE": llama.peer(idx, output_attentions=True).attentions[0][0],
        "sinusoidal": pattern(*first_queries_and_keys(llama, waved)),
        "ALiBi": pattern(*first_queries_and_keys(llama, x), bias),
        "none": pattern(*first_queries_and_keys(llama, x)),
    }


@pytest.mark.parametrize("scheme", [None, "learned", "sinusoidal", "ALiBi", "none"])
def test_each_scheme_of_a_llama_is_that_of_transformers(llama: TinyLlama, scheme: str | None) -> None:
    app = page(POSITIONS, model=llama.name, prompt=TEXT, first="H4", **({"scheme": scheme} if scheme else {}))
    assert not app.exception and not app.warning
    expected = expected_patterns(llama, llama.ids(TEXT))
    shown = heat_maps(app)
    assert [name for name in shown if name in SCHEMES] == list(expected)
    for name, patterns in expected.items():
        np.testing.assert_allclose(shown[name], patterns[4], atol=2e-6)
    assert any("This model has no learned position vectors" in caption.value for caption in app.caption)
    heading = {None: "RoPE", "learned": "RoPE", "sinusoidal": "Sinusoidal", "ALiBi": "ALiBi", "none": "None"}[scheme]
    assert heading in [element.value for element in app.subheader]
    if scheme == "sinusoidal":
        np.testing.assert_allclose(shown["vectors"], sinusoidal(96, 48)[: len(patterns[4])], atol=1e-6)
    if scheme == "ALiBi":
        T = len(patterns[4])
        slope = build_alibi_tensor(torch.ones(1, 2), 6, torch.float32)[4, 0, 1].item()
        distance = np.arange(T)[:, None] - np.arange(T)
        expected_bias = np.where(distance >= 0, -slope * distance, np.nan)
        np.testing.assert_allclose(shown["added in H4"], expected_bias, atol=1e-6)
    if scheme == "none":
        shares = [row["value"] for row in drawn(app, "full")["tokens"]]
        assert shares == pytest.approx([1 / (n + 1) for n in range(len(patterns[4]))])


@torch.no_grad()
def test_rope_of_a_llama_rotates_as_transformers_do(llama: TinyLlama) -> None:
    app, idx = page(POSITIONS, model=llama.name, prompt=TEXT, first="H4", scheme="RoPE"), llama.ids(TEXT)
    q, k = (part[4:5] for part in first_queries_and_keys(llama, llama.peer.model.embed_tokens(idx[0])))
    table, (D, T) = app.dataframe[0].value, (llama.config.head_size, idx.size(1))
    for query, key, score in zip(table["query at"], table["key at"], table["score"]):
        expected = rotated(llama, q[:, -1:], torch.tensor([query])) @ rotated(llama, k[:, :1], torch.tensor([key])).mT
        assert score == pytest.approx(expected.item() / math.sqrt(D), abs=2e-3 if query > 1000 else 1e-4)
    hands = rotated(llama, q[:, -1:].expand(1, T, D), torch.arange(T))[0]
    tables = [
        pa.ipc.open_stream(data.data.data).read_all().to_pandas()
        for chart in app.get("vega_lite_chart")
        for data in chart.proto.datasets
    ]
    clocks = [table[["x", "y"]].to_numpy() for table in tables if {"x", "y", "position"} == {*table}]
    assert len(clocks) == 4
    for pair, points in zip((0, D // 16, D // 8, D // 4), clocks):
        np.testing.assert_allclose(points, hands[:, [pair, pair + D // 2]], atol=1e-5)
    assert any("the base is 700." in element.value for element in app.markdown)
