"""The lesson on the whole GPT, run whole by Streamlit's own test driver, with good input and bad."""

import inspect
import json
import re
import textwrap

import pytest
import torch
from streamlit.testing.v1 import AppTest
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

from model.transformer.decoder import Decoder
from model.transformer.gpt2 import gelu
from model.transformer.intervention import Interventions
from pages.shared import lesson, models
from pages.shared.compute import transformer
from tests import tiny_llama
from tests.driver import HOSTILE, PAGES, examples, page, read_prompt, unescaped
from tests.tiny_llama import TinyLlama

WHOLE_GPT = "transformer/gpt"
NAME = models.NAMES[0]
PROMPT = examples("transformer/gpt")["Who gets the key?"].prompt
IN_A_BLOCK = "resid_pre ln_1 q k v pattern z out resid_mid ln_2 mlp_pre mlp_post mlp_out resid_post".split()


def drawn(app: AppTest) -> dict:
    """What the picture of the boxes was sent."""
    found = [json.loads(one.proto.json) for one in app.get("bidi_component") if one.proto.json]
    (flow,) = [one for one in found if "inside" in one]
    return flow


def test_every_step_is_a_box_and_holds_what_was_computed() -> None:
    app = page(WHOLE_GPT)
    assert not app.exception and not app.warning
    flow, model, reading = drawn(app), models.load(NAME), read_prompt(NAME, PROMPT)
    layers = [f"L{n}" for n in range(model.decoder.config.n_layer)]
    assert [box["name"] for box in flow["road"]] == ["wte", "wpe", *layers, "ln_f", "logits"]
    assert [box["name"] for box in flow["inside"]] == IN_A_BLOCK
    lengths = {box["name"]: box["length"] for box in (*flow["road"], *flow["inside"])}
    made, block = reading.trace.blocks[-1], model.decoder.blocks[-1]
    expected = {
        "wte": reading.trace.embed[0, -1],
        "wpe": reading.trace.pos_embed[-1],
        "L1": reading.trace.blocks[1].resid_post[0, -1],
        "ln_f": reading.trace.ln_f[0, -1],
        "logits": reading.trace.logits[0, -1],
        "ln_2": block.ln_2(made.resid_mid)[0, -1],
        "q": made.attn.q[0, :, -1],
        "mlp_post": made.mlp_post[0, -1],
        "resid_post": made.resid_post[0, -1],
    }
    for name, values in expected.items():
        assert lengths[name] == pytest.approx(values.norm().item(), rel=1e-5), name
    (one,) = [box for box in flow["road"] if box["name"] == "wte"]
    values = reading.trace.embed[0, -1]
    seen = torch.tensor(one["percents"]).float()
    assert len(seen) == 256 and torch.equal(seen.sign()[values.abs() > 0.1], values.sign()[values.abs() > 0.1])
    probabilities = reading.trace.logits[0, -1].softmax(-1).topk(5).values
    assert [word["share"] for word in flow["words"]] == pytest.approx(probabilities.tolist())


@pytest.mark.parametrize("name", ["wte", "wpe", "L0", "ln_f", "logits", *IN_A_BLOCK, "next"])
def test_a_box_opens_to_its_numbers_and_to_the_lines_that_computed_them(name: str) -> None:
    app = page(WHOLE_GPT, box=name)
    assert not app.exception
    assert drawn(app)["picked"] == name
    check_statements(app, "gpt2")
    if name == "pattern":
        table = app.dataframe[0].value.set_index("head")
        pattern = read_prompt(NAME, PROMPT).trace.blocks[-1].attn.pattern[0, :, -1]
        assert table.to_numpy() == pytest.approx(pattern.numpy(), abs=1e-6)


def check_statements(app: AppTest, family: str) -> None:
    """The statements that are shown stand in the files of that family, at the lines that are named."""
    files = ["block", "decoder", "record", "positions", family]
    files = {*(f"model/transformer/{name}.py" for name in files), "model/decoding/sampling.py"}
    shown = re.split(r"^# ", app.code[0].value, flags=re.M)[1:]
    assert shown
    for part in shown:
        where, *lines = part.rstrip().splitlines()
        file, line = re.fullmatch(r"(\S+), line (\d+)", where).groups()
        assert file in files
        source = (PAGES.parent / file).read_text("utf-8").splitlines()
        there = source[int(line) - 1 : int(line) - 1 + len(lines)]
        assert [text.strip() for text in there] == [text.strip() for text in lines]


def test_the_lines_of_a_box_are_the_ones_it_names() -> None:
    app = page(WHOLE_GPT, box="z")
    assert "grouped_matmul(pattern, v)" in app.code[0].value
    with pytest.raises(ValueError):
        lesson.code_lines((gelu, "nowhere in it"))


@pytest.mark.parametrize("link", [{"box": "<b>"}, {"block": "L99"}, {"at": "7"}, {"at": "99  x", "box": ""}], ids=str)
def test_a_link_that_makes_no_sense_shows_the_whole(link: dict[str, str]) -> None:
    app = page(WHOLE_GPT, **link)
    assert not app.exception
    flow = drawn(app)
    assert (flow["picked"], flow["block"], flow["token"]) == ("next", "L3", 13)


def test_another_token_and_block_are_opened() -> None:
    app = page(WHOLE_GPT, block="L1", box="out", at="3  ·Tom")
    flow, reading = drawn(app), read_prompt(NAME, PROMPT)
    assert (flow["token"], flow["block"], flow["picked"]) == (3, "L1", "out")
    (box,) = [box for box in flow["inside"] if box["name"] == "out"]
    assert box["length"] == pytest.approx(reading.trace.blocks[1].attn.out[0, 3].norm().item(), rel=1e-5)
    probabilities = reading.trace.logits[0, 3].softmax(-1).topk(5).values
    assert [word["share"] for word in flow["words"]] == pytest.approx(probabilities.tolist())


@pytest.mark.parametrize("prompt", [*HOSTILE.values(), "cat " * 500], ids=[*HOSTILE, "long"])
@pytest.mark.parametrize("box", ["pattern", "wte"])
def test_odd_text_goes_through_all_boxes(prompt: str, box: str) -> None:
    app = page(WHOLE_GPT, box=box)
    app.text_input(key="prompt").set_value(prompt).run()
    assert not app.exception
    assert len(drawn(app)["tokens"]) == len(read_prompt(NAME, prompt).tokens)


def test_a_token_that_looks_like_markup_is_none() -> None:
    app = page(WHOLE_GPT, box="wte", prompt="**", at="0  **")
    assert any("At ****" in unescaped(element.value) for element in app.markdown)


def test_without_the_mask_the_future_leaks() -> None:
    with_mask, without = (transformer.effect_of_last_token(read_prompt(NAME, PROMPT), mask) for mask in (True, False))
    assert with_mask == [0] * 13
    assert min(without) > 0.01
    model, idx = models.load(NAME), read_prompt(NAME, PROMPT).trace.idx
    other = idx.clone()
    other[0, -1] += 1
    moved = (
        model.decoder.trace(idx, Interventions(mask=False)).logits
        - model.decoder.trace(other, Interventions(mask=False)).logits
    )
    assert without[4] == pytest.approx(moved[0, 4].abs().max().item())
    sent = [json.loads(one.proto.json) for one in page(WHOLE_GPT).get("bidi_component") if one.proto.json]
    (strips,) = [one for one in sent if one.get("names") == ["with the mask", "without"]]
    assert [column[1]["value"] for column in strips["columns"]] == pytest.approx(without)


def test_the_code_of_the_trace_is_shown() -> None:
    shown = "\n".join(block.value for block in page(WHOLE_GPT).code)
    assert textwrap.dedent(inspect.getsource(Decoder.trace)) in shown


IN_A_LLAMA = "resid_pre ln_1 q k v pattern z out resid_mid ln_2 mlp_pre mlp_up mlp_post mlp_out resid_post".split()


@pytest.fixture
def llama(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> TinyLlama:
    return tiny_llama.offer_with_peer(monkeypatch, tmp_path_factory.mktemp("llama"))


def expected_boxes(llama: TinyLlama, prompt: str, layer: int, token: int) -> dict[str, torch.Tensor]:
    """The vector of each box at a token, as transformers computes it."""
    ids = llama.ids(prompt)
    record = tiny_llama.activations(llama.peer, ids[0].tolist())
    here = {name.removeprefix(f"layers.{layer}."): values for name, values in record.items()}
    size = llama.config.head_size
    q, k = (here[f"self_attn.{part}_proj out"].unflatten(-1, (-1, size)).transpose(0, 1)[None] for part in "qk")
    q, k = apply_rotary_pos_emb(q, k, *LlamaRotaryEmbedding(llama.peer.config)(q, torch.arange(ids.size(1))[None]))
    boxes = {f"L{n}": record[f"layers.{n} out"][token] for n in range(llama.config.n_layer)}
    return boxes | {
        "wte": record["embed_tokens out"][token],
        "ln_f": record["norm out"][token],
        "logits": record["logits"][token],
        "resid_pre": record[f"layers.{layer} in"][token],
        "ln_1": here["input_layernorm out"][token],
        "q": q[0, :, token].flatten(),
        "k": k[0, :, token].flatten(),
        "v": here["self_attn.v_proj out"][token],
        "pattern": record["patterns"][layer, :, token, : token + 1],
        "z": here["self_attn.o_proj in"][token],
        "out": here["self_attn.o_proj out"][token],
        "resid_mid": here["post_attention_layernorm in"][token],
        "ln_2": here["post_attention_layernorm out"][token],
        "mlp_pre": here["mlp.gate_proj out"][token],
        "mlp_up": here["mlp.up_proj out"][token],
        "mlp_post": here["mlp.down_proj in"][token],
        "mlp_out": here["mlp.down_proj out"][token],
        "resid_post": record[f"layers.{layer} out"][token],
    }


def test_the_boxes_of_a_llama_are_the_activations_of_transformers(llama: TinyLlama) -> None:
    app = page(WHOLE_GPT, model=llama.name, prompt=tiny_llama.PROMPT, block="L1")
    assert not app.exception and not app.warning
    flow, token = drawn(app), llama.ids(tiny_llama.PROMPT).size(1) - 1
    assert [box["name"] for box in flow["road"]] == ["wte", "L0", "L1", "L2", "ln_f", "logits"]
    assert [box["name"] for box in flow["inside"]] == IN_A_LLAMA
    expected = expected_boxes(llama, tiny_llama.PROMPT, 1, token)
    lengths = {box["name"]: box["length"] for box in (*flow["road"], *flow["inside"]) if box["length"] is not None}
    assert {*lengths} >= {*expected} - {"pattern"}
    for name in {*lengths} - {"pattern"}:
        assert lengths[name] == pytest.approx(expected[name].norm().item(), rel=1e-5), name
    likeliest = expected["logits"].softmax(-1).topk(5).values
    assert [word["share"] for word in flow["words"]] == pytest.approx(likeliest.tolist(), rel=1e-4)


@pytest.mark.parametrize("name", ["wte", "L0", "ln_f", "logits", *IN_A_LLAMA, "next"])
def test_a_box_of_a_llama_opens_to_the_numbers_of_transformers(llama: TinyLlama, name: str) -> None:
    app = page(WHOLE_GPT, model=llama.name, prompt=tiny_llama.PROMPT, block="L1", box=name)
    assert not app.exception and drawn(app)["picked"] == name
    check_statements(app, "llama")
    expected = expected_boxes(llama, tiny_llama.PROMPT, 1, llama.ids(tiny_llama.PROMPT).size(1) - 1)
    table = app.dataframe[0].value
    if name == "next":
        probabilities = expected["logits"].softmax(-1).topk(12)
        assert list(table["probability"]) == pytest.approx(probabilities.values.tolist(), rel=1e-4)
        assert list(table["id"]) == probabilities.indices.tolist()
    elif name == "pattern":
        assert table.set_index("head").to_numpy() == pytest.approx(expected[name].numpy(), abs=1e-6)
    else:
        assert table.to_numpy()[0] == pytest.approx(expected[name][:8].numpy(), abs=1e-5)


@torch.no_grad()
def test_without_the_mask_a_llama_sees_the_future_as_in_transformers(llama: TinyLlama) -> None:
    idx = llama.ids(tiny_llama.PROMPT)
    other, T = idx.clone(), idx.size(1)
    other[0, -1] = (other[0, -1] + 1) % llama.config.vocab_size
    before, after = (llama.peer(ids, attention_mask=torch.zeros(1, 1, T, T)).logits[0, :-1] for ids in (idx, other))
    app = page(WHOLE_GPT, model=llama.name, prompt=tiny_llama.PROMPT)
    sent = [json.loads(each.proto.json) for each in app.get("bidi_component") if each.proto.json]
    (strips,) = [each for each in sent if each.get("names") == ["with the mask", "without"]]
    assert [column[0]["value"] for column in strips["columns"]] == [0] * (T - 1)
    expected = (before - after).abs().amax(-1).tolist()
    assert [column[1]["value"] for column in strips["columns"]] == pytest.approx(expected, abs=1e-4)
