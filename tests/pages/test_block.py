"""The lesson on the block, run whole by Streamlit's own test driver, with good input and bad."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from model.interpretability.residual_stream import residual_stream
from pages.shared import models
from tests import tiny_llama
from tests.driver import HOSTILE, examples, page, read_prompt
from viz.tokens import visible

BLOCK = "transformer/block"
NAME = models.NAMES[0]
PROMPT = examples(BLOCK)["Who gets the key?"].prompt


@pytest.fixture
def llama(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return tiny_llama.offer(monkeypatch, tmp_path)


def drawn(app: AppTest) -> dict:
    """What the picture of the residual stream was sent."""
    sent = [json.loads(element.proto.json) for element in app.get("bidi_component") if element.proto.json]
    (picture,) = [data for data in sent if "places" in data]
    return picture


@pytest.mark.parametrize("name", models.NAMES)
def test_the_stream_is_that_of_the_model(name: str) -> None:
    app = page(BLOCK, model=name)
    assert not app.exception and not app.warning
    sent, stream = drawn(app), residual_stream(read_prompt(name, PROMPT).trace)
    assert [(place["layer"], place["part"]) for place in sent["places"]] == list(stream.places)
    assert np.array(sent["stream"]) == pytest.approx(stream.stream.norm(dim=-1).numpy(), abs=1e-4)
    assert np.array(sent["written"]) == pytest.approx(stream.written.norm(dim=-1).numpy(), abs=1e-4)
    assert np.array(sent["cosines"]) == pytest.approx(stream.cosines.numpy(), abs=1e-4)
    assert np.array(sent["shares"]).sum(1) == pytest.approx(1, abs=2e-3)
    assert sent["picked"] == [len(sent["tokens"]) - 1, models.load(name).decoder.config.n_layer - 1]


def test_stream_of_a_llama_is_that_of_transformers(llama: Path) -> None:
    app = page(BLOCK, model=tiny_llama.NAME, prompt=tiny_llama.PROMPT)
    assert not app.exception and not app.warning
    ids = models.load(tiny_llama.NAME).tokenizer.encode(tiny_llama.PROMPT).ids
    record = tiny_llama.activations(tiny_llama.transformers_model(llama), ids)
    written = [record["embed_tokens out"]]
    for layer in range(3):
        written += [record[f"layers.{layer}.self_attn out"], record[f"layers.{layer}.mlp out"]]
    written = torch.stack(written, 1)
    stream, end = written.cumsum(1), record["norm in"][:, None]
    sent = drawn(app)
    assert [place["part"] for place in sent["places"]] == ["token", *["attention", "MLP"] * 3]
    assert np.array(sent["written"]) == pytest.approx(written.norm(dim=-1).numpy(), abs=1e-3)
    assert np.array(sent["stream"]) == pytest.approx(stream.norm(dim=-1).numpy(), abs=1e-3)
    cosines = torch.cosine_similarity(written, end, dim=-1)
    assert np.array(sent["cosines"]) == pytest.approx(cosines.numpy(), abs=2e-4)
    shares = (written * end).sum(-1) / end.square().sum(-1)
    assert np.array(sent["shares"]) == pytest.approx(shares.numpy(), abs=2e-4)
    assert any("no position vectors" in caption.value for caption in app.caption)
    assert not any("no position vectors" in caption.value for caption in page(BLOCK).caption)


def test_words_of_a_llama_are_the_largest_effects_on_its_logits(llama: Path) -> None:
    app = page(BLOCK, model=tiny_llama.NAME, prompt=tiny_llama.PROMPT, block="L1", at="2  ·and")
    assert not app.exception
    table = app.dataframe[0].value
    model, hf_model = models.load(tiny_llama.NAME), tiny_llama.transformers_model(llama)
    ids = model.tokenizer.encode(tiny_llama.PROMPT).ids
    position = app.selectbox(key="at").options.index(app.selectbox(key="at").value)
    record = tiny_llama.activations(hf_model, ids)
    end = record["norm in"][position]
    scale = (end.square().mean() + hf_model.config.rms_norm_eps).sqrt()
    for row, part in enumerate(("self_attn", "mlp")):
        written = record[f"layers.1.{part} out"][position]
        effects = hf_model.lm_head.weight @ (written * hf_model.model.norm.weight / scale)
        for column, sign in {"writes towards": 1, "and away from": -1}.items():
            values, best = (sign * effects).topk(5)
            shown = [
                f"{visible([model.token(id)])[0]} {sign * value:+.2f}"
                for id, value in zip(best.tolist(), values.tolist())
            ]
            assert table[column][row] == "  ".join(shown)
        assert table["length"][row] == pytest.approx(written.norm().item(), abs=1e-4)


def test_the_picked_block_says_what_it_adds_and_for_which_words() -> None:
    app = page(BLOCK, block="L2", at="13  ·to")
    table = app.dataframe[0].value.set_index("part")
    stream = residual_stream(read_prompt(NAME, PROMPT).trace)
    assert list(table.index) == ["L2 attention", "L2 MLP"]
    assert table["length"].tolist() == pytest.approx(stream.written[13, 6:8].norm(dim=-1).tolist())
    assert table["share of the end"].tolist() == pytest.approx(stream.shares[13, 6:8].tolist())
    assert all(words.startswith("·Tom +") for words in table["writes towards"])  # both write towards the right answer


@pytest.mark.parametrize(
    ("link", "lesson"),
    [
        ({"norm": "ln_f"}, "mlp"),
        ({"norm": "L1 ln_2", "block": "L1", "at": "3  ·Tom"}, "mlp"),
        ({"stacked": "after", "residual": "false"}, "untrained_stacks"),
        ({"blocks": "7"}, "untrained_stacks"),
        ({"size": "1.0", "seed": "5"}, "untrained_stacks"),
        ({"seed": "5"}, "untrained_stacks"),
    ],
    ids=str,
)
def test_old_link_to_a_part_that_moved_opens_its_lesson(link: dict[str, str], lesson: str) -> None:
    app = page(BLOCK, **link)
    assert not app.exception and not app.warning
    new = page(f"transformer/{lesson}", **link)
    assert [element.value for element in app.subheader] == [element.value for element in new.subheader]
    assert [element.value for element in app.markdown] == [element.value for element in new.markdown]
    widgets = {"norm": app.segmented_control, "stacked": app.segmented_control, "block": app.selectbox}
    widgets |= {"at": app.selectbox, "residual": app.toggle, "blocks": app.slider, "size": app.slider}
    widgets |= {"seed": app.number_input}
    assert {key: str(widgets[key](key=key).value).lower() for key in link} == {
        key: value.lower() for key, value in link.items()
    }


@pytest.mark.parametrize("prompt", [*HOSTILE.values(), "cat " * 500], ids=[*HOSTILE, "long"])
def test_any_text_gets_its_stream(prompt: str) -> None:
    app = page(BLOCK)
    app.text_input(key="prompt").set_value(prompt).run()
    assert not app.exception
    assert drawn(app)["tokens"] == visible(read_prompt(NAME, prompt).tokens)


@pytest.mark.parametrize("link", [{"block": "L9"}, {"at": "x"}], ids=str)
def test_a_link_that_makes_no_sense_shows_the_last_token_and_block(link: dict[str, str]) -> None:
    app = page(BLOCK, **link)
    assert not app.exception
    assert drawn(app)["picked"] == [13, 3]


def test_another_prompt_lets_go_of_a_token_that_it_has_not() -> None:
    app = page(BLOCK, at="3  ·Tom")
    assert drawn(app)["picked"] == [3, 3]
    app.text_input(key="prompt").set_value("7 + 5 =").run()
    assert not app.exception
    assert drawn(app)["picked"] == [len(drawn(app)["tokens"]) - 1, 3]


@pytest.mark.parametrize("example", examples(BLOCK).values(), ids=lambda example: example.name)
def test_an_example_fills_the_box(example) -> None:
    app = page(BLOCK)
    app.button(key=f"example {example.name}").click().run()
    assert not app.exception and any(example.look_for in element.value for element in app.markdown)
