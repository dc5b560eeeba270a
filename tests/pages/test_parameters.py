"""The parameter counter: presets, sizes of one's own, and a Llama against the modules of transformers."""

import re

import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest
from transformers import LlamaForCausalLM

from model.transformer.parameter_count import PRESETS
from pages.shared import models
from tests import tiny_llama
from tests.driver import PARAMETERS, page
from tests.tiny_llama import TinyLlama

NAME = models.NAMES[0]


def parameters(app: AppTest) -> int:
    return int(app.metric[0].value.replace(",", ""))


def test_a_link_with_the_earlier_name_of_a_preset_opens_it() -> None:
    app = page(PARAMETERS, preset="The notes' GPT")
    assert not app.exception and parameters(app) == PRESETS["A small GPT"].parameters
    assert app.session_state["preset"] == "A small GPT"
    app.button_group(key="preset").set_value("GPT-2").run()  # a click afterwards counts, not the link
    assert parameters(app) == PRESETS["GPT-2"].parameters


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_counted(name: str) -> None:
    app = page(PARAMETERS, preset=name)
    assert not app.exception
    assert parameters(app) == PRESETS[name].parameters
    matches = [re.search(r"\(bfloat16\) they take ([\d,.]+) GB", element.value) for element in app.caption]
    (gigabytes,) = [match for match in matches if match]
    assert float(gigabytes[1].replace(",", "")) == pytest.approx(PRESETS[name].parameters * 16 / 8 / 10**9, abs=0.0051)
    (table,) = [one.value for one in app.dataframe if "formula" in one.value]
    assert table["parameters"].sum() == PRESETS[name].parameters
    assert table["share"].sum() == pytest.approx(1)


def test_this_model_is_counted_first() -> None:
    weights = sum(weight.numel() for weight in models.load(NAME).decoder.parameters())
    assert parameters(page(PARAMETERS)) == weights


def test_a_moved_slider_counts_sizes_of_ones_own() -> None:
    app = page(PARAMETERS, preset="GPT-2")
    app.slider(key="layers").set_value(24).run()
    assert not app.exception
    block = 12 * 768**2 + 13 * 768
    assert parameters(app) == PRESETS["GPT-2"].parameters + 12 * block
    app.toggle(key="tied").set_value(False).run()
    assert parameters(app) == PRESETS["GPT-2"].parameters + 12 * block + 50_257 * 768
    app.select_slider(key="heads").set_value(25).run()
    assert "n_embd 768 cannot be divided into n_head 25 heads" in app.info[0].value and not app.exception


@pytest.mark.parametrize("link", [{"layers": "999"}, {"width": "<b>"}, {"kind": "x"}, {"preset": "y"}, {"vocab": "-1"}])
def test_sizes_in_a_link_are_those_there_are(link: dict[str, str]) -> None:
    app = page(PARAMETERS, **({"preset": "your own"} | link))
    assert not app.exception


def test_an_old_link_to_the_counter_opens_it() -> None:
    app = page("transformer/gpt", preset="GPT-2", prompt="The keys")
    assert not app.exception and parameters(app) == PRESETS["GPT-2"].parameters
    assert app.subheader[0].value.startswith("Parameters")


def test_an_old_link_to_both_lessons_stays_and_links_the_counter() -> None:
    app = page("transformer/gpt", preset="GPT-2", box="z")
    assert app.subheader[0].value.startswith("The whole GPT")
    link = app.get("page_link")[0].proto
    assert link.page == "parameters" and "preset=GPT-2" in link.query_string


@pytest.fixture
def llama(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> TinyLlama:
    return tiny_llama.offer_with_peer(monkeypatch, tmp_path_factory.mktemp("llama"))


def counted(peer: LlamaForCausalLM) -> dict[str, int]:
    """The parameters of the modules of transformers, by the names of the parts on the page."""

    def count(*names: str) -> int:
        return sum(weight.numel() for name, weight in peer.named_parameters() if any(part in name for part in names))

    parts = {"token embedding": count("embed_tokens"), "positions": 0, "attention": count("self_attn")}
    return parts | {"MLP": count("mlp."), "RMS norms": count("norm"), "head": count("lm_head")}


def test_a_llama_is_counted_from_its_configuration_as_transformers_counts_it(llama: TinyLlama) -> None:
    app = page(PARAMETERS, model=llama.name)
    assert not app.exception and not app.warning
    assert parameters(app) == sum(weight.numel() for weight in llama.peer.parameters())
    (table,) = [frame.value for frame in app.dataframe]
    assert dict(zip(table["part"], table["parameters"])) == counted(llama.peer)
    assert app.button_group(key="kind").value == "Llama" and app.button_group(key="preset").value == "this model"
    (chart,) = app.get("vega_lite_chart")
    tables = [pa.ipc.open_stream(data.data.data).read_all().to_pandas() for data in chart.proto.datasets]
    values = {value for table in tables for column in table for value in table[column].astype(str)}
    assert f"this model · {parameters(app):,}" in values
    assert not [value for value in values if value.startswith("your own")]


def test_moved_sliders_of_a_llama_count_sizes_of_ones_own(llama: TinyLlama) -> None:
    app = page(PARAMETERS, model=llama.name)
    before, C, V = parameters(app), llama.config.n_embd, llama.config.vocab_size
    app.toggle(key="tied").set_value(True).run()
    assert parameters(app) == before - V * C
    app.select_slider(key="key_heads").set_value(1).run()
    assert parameters(app) == before - V * C - 3 * 2 * C * C // 6  # keys and values of one head fewer in 3 layers
    app.select_slider(key="hidden").set_value(256).run()
    assert parameters(app) == before - V * C - 3 * 2 * C * C // 6 + 3 * 3 * C * (256 - 67)
    assert app.button_group(key="preset").value == "your own"
    app.select_slider(key="key_heads").set_value(4).run()
    assert "6 heads cannot share 4 heads" in app.info[0].value and not app.exception


def test_own_sizes_stay_possible_when_another_model_is_picked(llama: TinyLlama) -> None:
    """The slider no longer offers the vocabulary of the model before; the nearest size is taken."""
    app = page(PARAMETERS, model=llama.name)
    app.toggle(key="tied").set_value(True).run()
    app.selectbox(key="model").set_value(NAME).run()
    assert not app.exception and app.button_group(key="preset").value == "your own"
