"""The lesson on the whole GPT, run whole by Streamlit's own test driver, with good input and bad."""

import inspect
import json
import re
import textwrap
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

from model.transformer import gpt2
from model.transformer.intervention import Interventions
from model.transformer.parameter_count import PRESETS
from pages.shared import lesson, models
from pages.shared.compute import transformer
from tests.driver import HOSTILE, examples, page, read_prompt, unescaped

WHOLE_GPT = "transformer/gpt"
NAME = models.NAMES[0]
PROMPT = examples("transformer/gpt")["Who gets the key?"].prompt
IN_A_BLOCK = "resid_pre ln_1 q k v pattern z out resid_mid ln_2 mlp_pre mlp_post mlp_out resid_post".split()


def drawn(app: AppTest) -> dict:
    """What the picture of the boxes was sent."""
    found = [json.loads(one.proto.json) for one in app.get("bidi_component") if one.proto.json]
    (flow,) = [one for one in found if "inside" in one]
    return flow


def parameters(app: AppTest) -> int:
    return int(app.metric[0].value.replace(",", ""))


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
    source = Path(gpt2.__file__).read_text("utf-8").splitlines()
    shown = re.split(r"^# ", app.code[0].value, flags=re.M)[1:]
    assert shown
    for part in shown:
        where, *lines = part.rstrip().splitlines()
        file, line = re.fullmatch(r"(\S+), line (\d+)", where).groups()
        assert file == "model/transformer/gpt2.py"
        there = source[int(line) - 1 : int(line) - 1 + len(lines)]
        assert [text.strip() for text in there] == [text.strip() for text in lines]
    if name == "pattern":
        table = app.dataframe[0].value.set_index("head")
        pattern = read_prompt(NAME, PROMPT).trace.blocks[-1].attn.pattern[0, :, -1]
        assert table.to_numpy() == pytest.approx(pattern.numpy(), abs=1e-6)


def test_the_lines_of_a_box_are_the_ones_it_names() -> None:
    app = page(WHOLE_GPT, box="z")
    assert "pattern @ v" in app.code[0].value
    with pytest.raises(ValueError):
        lesson.code_lines((gpt2.gelu, "nowhere in it"))


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


def test_a_link_with_the_earlier_name_of_a_preset_opens_it() -> None:
    app = page(WHOLE_GPT, preset="The notes' GPT")
    assert not app.exception and parameters(app) == PRESETS["A small GPT"].parameters
    assert app.session_state["preset"] == "A small GPT"
    app.button_group(key="preset").set_value("GPT-2").run()  # a click afterwards counts, not the link
    assert parameters(app) == PRESETS["GPT-2"].parameters


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_counted(name: str) -> None:
    app = page(WHOLE_GPT, preset=name)
    assert not app.exception
    assert parameters(app) == PRESETS[name].parameters
    (gigabytes,) = [re.search(r"\(bfloat16\) they take ([\d,.]+) GB", element.value) for element in app.caption]
    assert float(gigabytes[1].replace(",", "")) == pytest.approx(PRESETS[name].parameters * 16 / 8 / 10**9, abs=0.0051)
    (table,) = [one.value for one in app.dataframe if "formula" in one.value]
    assert table["parameters"].sum() == PRESETS[name].parameters
    assert table["share"].sum() == pytest.approx(1)


def test_this_model_is_counted_first() -> None:
    weights = sum(weight.numel() for weight in models.load(NAME).decoder.parameters())
    assert parameters(page(WHOLE_GPT)) == weights


def test_a_moved_slider_counts_sizes_of_ones_own() -> None:
    app = page(WHOLE_GPT, preset="GPT-2")
    app.slider(key="layers").set_value(24).run()
    assert not app.exception
    block = 12 * 768**2 + 13 * 768
    assert parameters(app) == PRESETS["GPT-2"].parameters + 12 * block
    app.toggle(key="tied").set_value(False).run()
    assert parameters(app) == PRESETS["GPT-2"].parameters + 12 * block + 50_257 * 768
    app.select_slider(key="heads").set_value(25).run()
    assert "768 does not divide into 25 heads" in app.info[0].value and not app.exception


@pytest.mark.parametrize("link", [{"layers": "999"}, {"width": "<b>"}, {"kind": "x"}, {"preset": "y"}, {"vocab": "-1"}])
def test_sizes_in_a_link_are_those_there_are(link: dict[str, str]) -> None:
    app = page(WHOLE_GPT, **({"preset": "your own"} | link))
    assert not app.exception


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
    assert textwrap.dedent(inspect.getsource(gpt2.Decoder.trace)) in shown
