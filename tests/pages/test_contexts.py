"""The lesson on a word in two contexts, run whole by Streamlit's own test driver, with good input and bad."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
import torch
from streamlit.testing.v1 import AppTest
from torch.nn.functional import cosine_similarity

from pages.shared import models
from tests import llama
from tests.driver import CONTEXT, HOSTILE, examples, ids, page
from viz.numbers import decimal

CONTEXTS = "language/contexts"
PAIRS = examples(CONTEXTS)
LINES = ("in one text and the other", "in the first, and at its start", "any two tokens")


def lines(app: AppTest) -> list[list[float]]:
    """The cosines of each line of the chart, after 0 to L blocks."""
    (chart,) = app.get("vega_lite_chart")
    table: pd.DataFrame = pa.ipc.open_stream(chart.proto.datasets[0].data.data).read_all().to_pandas()
    (group,) = [column for column in table if {*LINES} <= {*table[column]}]
    return [table.loc[table[group] == line, "y"].tolist() for line in LINES]


def expected(streams: list[list[torch.Tensor]], here: int, there: int) -> list[list[float]]:
    """The three lines from the residual stream (T, C) of two texts at the start and after each block."""
    between, start, every = [], [], []
    for one, other in zip(*streams):
        between.append(cosine_similarity(one[here], other[there], dim=0).item())
        start.append(cosine_similarity(one[here], streams[0][0][here], dim=0).item())
        every.append(cosine_similarity(one[:, None], other[None], dim=-1).mean().item())
    return [between, start, every]


def test_each_line_is_the_cosine_of_its_definition() -> None:
    app = page(CONTEXTS, shared="·Anna")
    assert not app.exception and not app.warning
    texts = PAIRS["A key and a ring"].prompt, PAIRS["A key and a ring"].also["another"]
    decoder = models.load(models.NAMES[0]).decoder
    idx = [torch.tensor([ids(models.NAMES[0], text)]) for text in texts]
    (anna,) = ids(models.NAMES[0], " Anna")
    streams = []
    for each in idx:
        trace = decoder.trace(each)
        streams.append([trace.blocks[0].resid_pre[0], *(block.resid_post[0] for block in trace.blocks)])
    places = [each[0].tolist().index(anna) for each in idx]
    for shown, cosines in zip(lines(app), expected(streams, *places), strict=True):
        assert shown == pytest.approx(cosines, abs=1e-5)
    between = lines(app)[0]
    (sentence,) = [element.value for element in app.markdown if "have a cosine of" in element.value]
    assert f"**{decimal(between[0])}** before" in sentence and f"**{decimal(between[-1])}** after" in sentence


def test_with_a_llama_each_line_equals_transformers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name = llama.offer(monkeypatch, tmp_path)
    texts = "The king and the queen of the sea", "the man said no and the queen went to the sea"
    app = page(CONTEXTS, model=name, prompt=texts[0], another=texts[1], shared="·queen")
    assert not app.exception and not app.warning
    peer, idx = llama.reference(), [llama.token_ids(text) for text in texts]
    streams, places = [], []
    for each in idx:
        record: list[torch.Tensor] = []  # what goes into the first block, and what each block leaves
        first, *_ = layers = peer.model.layers
        blocks = [first.register_forward_pre_hook(lambda _, inputs, record=record: record.append(inputs[0][0]))]
        for layer in layers:
            hook = layer.register_forward_hook(lambda _, __, output, record=record: record.append(output[0]))
            blocks.append(hook)
        with torch.inference_mode():
            peer(each)
        for hook in blocks:
            hook.remove()
        streams.append([stream.reshape(each.size(1), -1) for stream in record])
        places.append(each[0].tolist().index(models.load(name).tokenizer.encode(" queen").ids[0]))
    for shown, cosines in zip(lines(app), expected(streams, *places), strict=True):
        assert shown == pytest.approx(cosines, abs=1e-5)
    assert lines(app)[0][0] == pytest.approx(1, abs=1e-6)
    assert any("adds no position vectors" in caption.value for caption in app.caption)


def test_texts_of_the_examples_are_true() -> None:
    pair = PAIRS["The same beginning"]
    app = page(CONTEXTS, prompt=pair.prompt, another=pair.also["another"], shared="·keys")
    assert lines(app)[0] == pytest.approx([1] * len(lines(app)[0]), abs=1e-5)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_odd_text_is_compared(text: str) -> None:
    app = page(CONTEXTS, prompt=text, another=text)
    assert not app.exception and lines(app)[0] == pytest.approx([1] * len(lines(app)[0]), abs=1e-5)


def test_two_texts_without_a_common_token_get_a_sentence() -> None:
    app = page(CONTEXTS, prompt="cat", another="dog")
    assert any("no token in common" in info.value for info in app.info)
    assert not app.get("vega_lite_chart")
    app.text_input(key="another").set_value("").run()
    assert not app.exception and any("empty" in info.value for info in app.info)
    app.text_input(key="another").set_value("cat" + " dog" * 5000).run()
    assert any("no token in common" in info.value for info in app.info)  # only the end of a long text is read
    app.text_input(key="prompt").set_value("a dog").run()
    assert not app.exception and not app.info
    assert len(app.get("vega_lite_chart")) == 1


def test_cut_text_gets_a_warning() -> None:
    app = page(CONTEXTS, prompt="a dog", another="the dog")
    assert not app.warning
    app.text_input(key="another").set_value("the dog " * 100).run()
    (said,) = app.warning
    left_out = len(ids(models.NAMES[0], "the dog " * 100)) - CONTEXT
    assert said.value.startswith("The other text is longer") and f"the {left_out:,} tokens" in said.value
    app.text_input(key="prompt").set_value("the dog " * 5000).run()
    first, _ = app.warning
    assert first.value.startswith("The first text is longer") and "characters" in first.value
