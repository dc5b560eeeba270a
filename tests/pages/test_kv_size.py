"""The lesson on the size of the KV cache, run whole by Streamlit's own test driver."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from streamlit.testing.v1 import AppTest

from pages.shared import models
from tests import llama
from tests.driver import page

KV_SIZE = "decoding/kv_size"


def table(app: AppTest) -> pd.DataFrame:
    (frame,) = [element.value for element in app.dataframe]
    return frame.set_index("model")


def test_cache_of_known_models_has_its_published_size() -> None:
    sizes = table(page(KV_SIZE, tokens="131,072", each="1"))
    assert sizes.loc["Llama 3.1 8B", "MB kept"] == pytest.approx(2 * 32 * 8 * 128 * 131_072 / 1e6, abs=0.06)
    assert sizes.loc["Llama 3.1 8B", "MB if no heads shared"] == pytest.approx(
        4 * sizes.loc["Llama 3.1 8B", "MB kept"], abs=0.3
    )
    assert sizes.loc["GPT-2", "tokens"] == 1024 and sizes.loc["GPT-2", "MB kept"] == 18.9
    assert sizes.loc["Llama 3.1 8B", "MB kept"] > sizes.loc["Llama 3.1 8B", "MB of the weights"]


@pytest.mark.parametrize("each", ["4", "2", "1"])
def test_cache_of_the_picked_model_is_that_of_its_record(each: str) -> None:
    name = models.NAMES[0]
    row = table(page(KV_SIZE, each=each)).loc[name]
    decoder = models.load(name).decoder
    cache = decoder.trace(torch.zeros(1, decoder.config.block_size, dtype=torch.long)).cache
    size = sum(k.nbytes + v.nbytes for k, v in cache) * int(each) / 4
    assert row["MB kept"] == row["MB if no heads shared"] == pytest.approx(size / 1e6, abs=0.051)


def test_llama_keeps_one_key_and_value_for_each_group_of_query_heads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = llama.offer(monkeypatch, tmp_path)
    app = page(KV_SIZE, model=name, each="4")
    assert not app.exception and not app.warning
    row, peer = table(app).loc[name], llama.reference()
    cache = peer(torch.zeros(1, 96, dtype=torch.long), use_cache=True).past_key_values
    size = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert row["2 · L · heads · size"] == "2 · 3 · 2 · 12" and row["tokens"] == 96
    assert row["MB kept"] == round(size / 1e6, 1) and row["MB if no heads shared"] == round(2 * size / 1e6, 1)
    assert row["MB of the weights"] == round(sum(weight.nbytes for weight in peer.parameters()) / 1e6, 1)
    (sentence,) = [element.value for element in app.markdown if "keeps" in element.value and "layers;" in element.value]
    assert f"keeps {size / 96 / 1e3:.1f} kB" in sentence and "2 query heads share each head" in sentence


@pytest.mark.parametrize("value", ["<b>", "-1", "nan", "1e99", "٣"])
def test_invalid_values_in_the_link_are_ignored(value: str) -> None:
    app = page(KV_SIZE, tokens=value, each=value)
    assert not app.exception and app.select_slider(key="tokens").value == 8192
