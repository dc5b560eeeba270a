"""The lesson on the lens, run whole by Streamlit's own test driver, with good input and bad."""

import re
from itertools import product
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

from model.interpretability import logit_lens
from pages.shared import models, prose
from pages.shared.compute import interpretability
from tests import llama
from tests.driver import ATTRIBUTION, CONTEXT, HOSTILE, LENS, drawn, ids, page, read_prompt, shows, unescaped
from viz.components.lens_grid import READOUTS
from viz.tokens import visible

NAME = models.NAMES[0]
FRANCE = "The capital of France is"
PLACES = dict(zip(("before it", "after its attention", "after its MLP"), logit_lens.PLACES))


def grid(app: AppTest) -> dict:
    return drawn(app, "cells")


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("place", PLACES)
def test_each_cell_is_what_the_lens_reads(readout: str, place: str) -> None:
    app = page(LENS, prompt=FRANCE, readout=readout, place=place, answer="·Paris")
    assert not app.exception and not app.warning
    drawing, reading = grid(app), read_prompt(NAME, FRANCE)
    paris, texts = ids(NAME, " Paris")[0], models.vocabulary(models.load(NAME)).texts
    found = logit_lens.read(reading.model.decoder, reading.trace, PLACES[place], slice(None), paris)
    assert drawing["tokens"] == visible(reading.tokens)
    assert len(drawing["rows"]) == len(found.ids) == 4 + (place != "after its MLP")
    assert "output" in drawing["rows"][-1]
    texts = visible(texts)
    numbers = {
        "top token": found.log_p[..., 0].exp(),
        "probability": found.followed.exp(),
        "rank": found.rank,
        "entropy": found.entropy,
        "KL": found.kl,
    }[readout]
    for row, cells in enumerate(drawing["cells"]):
        for column, cell in enumerate(cells):
            assert [word for word, _ in cell["likeliest"]] == [texts[id] for id in found.ids[row, column].tolist()]
            shares = found.log_p[row, column].exp().tolist()
            assert [share for _, share in cell["likeliest"]] == pytest.approx(shares, abs=1e-4)
            assert cell["same"] == (found.ids[row, column, 0] == found.ids[-1, column, 0])
            assert cell["token"] == (cell["likeliest"][0][0] if readout == "top token" else "")
            shown = float(cell["number"].strip("<% ").replace(",", ""))
            scale = 100 if "%" in cell["number"] else 1
            assert abs(shown - scale * numbers[row, column].item()) <= (0.51 if readout == "top token" else 0.11)


def at(position: str) -> AppTest:
    """The page with that position in its link; the driver takes the parts of a link one after the other."""
    app = page(LENS, prompt=FRANCE)
    app.query_params["position"] = position
    return app.run()


@pytest.mark.parametrize("text", ["doghouse in Wales", "</script><b>x", "# **b** :red[r]", "x" * 10_000, "\x00\x01"])
def test_what_is_no_token_gets_a_sentence(text: str) -> None:
    app = page(LENS, answer=text)
    assert not app.exception
    (warning,) = app.warning
    assert "is no token of this model" in unescaped(warning.value) and len(warning.value) < 300
    assert "**" not in warning.value.split("You see")[0].replace("\\*", "")


def test_the_clicked_position_is_explained_and_in_the_link() -> None:
    app = at("1")
    assert grid(app)["picked"] == 1
    top = models.load(NAME).token(read_prompt(NAME, FRANCE).trace.logits[0, 1].argmax().item())
    assert shows(app, f"After {prose.bold(' capital')} (position 1) the output is {prose.bold(top)}.")
    linked = app.get("page_link")[0].proto
    assert linked.page == "attribution" and "position=1" in linked.query_string
    app.text_input(key="prompt").set_value("The keys near the box").run()
    assert grid(app)["picked"] == 4 and app.query_params["position"] == "4"


@pytest.mark.parametrize("asked", ["-1", "99", "x", "<b>", "1e9", "", "٣"])
def test_a_position_that_is_none_changes_nothing_and_one_beyond_the_last_is_the_last(asked: str) -> None:
    app = at("1")
    app.query_params["position"] = asked
    app.run()
    assert not app.exception and grid(app)["picked"] == (1 if not re.fullmatch("[0-9]+", asked) else 4)


@pytest.mark.parametrize("asked", ["dice", "<b>", "../x"])
def test_a_link_that_asks_for_nothing_there_is_gets_the_page(asked: str) -> None:
    app = page(LENS, readout=asked, place=asked, **{"from": asked})
    assert not app.exception and len(grid(app)["rows"]) == 4


def test_of_a_long_prompt_a_window_is_read() -> None:
    prompt = "cat " * 200 + "The capital of France is"
    app = page(LENS, prompt=prompt, readout="entropy")
    assert not app.exception
    assert len(grid(app)["tokens"]) == 32 and grid(app)["first"] == CONTEXT - 32
    app.slider(key="from").set_value(5).run()
    reading, drawing = read_prompt(NAME, prompt), grid(app)
    assert (drawing["first"], drawing["picked"]) == (5, 36)  # the last one that is shown
    found = logit_lens.read(reading.model.decoder, reading.trace, "resid_post", slice(5, 37))
    assert [float(cell["number"]) for cell in drawing["cells"][1]] == pytest.approx(
        found.entropy[1].tolist(), abs=0.006
    )
    assert shows(app, "(position 36)")


def test_prompts_that_become_shorter_are_read_from_their_own_window() -> None:
    app = page(LENS, prompt="cat " * 120)
    for count in (90, 60, 40, 33):
        app.text_input(key="prompt").set_value("cat " * count).run()
        assert not app.exception
        tokens = len(read_prompt(NAME, "cat " * count).tokens)
        assert app.slider(key="from").value == app.slider(key="from").max == tokens - 32


def test_only_what_is_shown_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one place, and of the tokens in the window: as many rows of logits as the grid has cells but the output's."""
    rows = []
    read = logit_lens.logits

    def counted(gpt: object, stream: torch.Tensor) -> torch.Tensor:
        rows.append(stream.shape[0])
        return read(gpt, stream)

    monkeypatch.setattr(logit_lens, "logits", counted)
    app = page(LENS, prompt="dog " * 100, readout="KL")
    rows.clear()
    interpretability.read_lens.cache_clear()
    for readout in ("entropy", "KL", "top token"):
        app.segmented_control(key="readout").set_value(readout).run()
        assert rows == [32] * 3  # the last layer is the output, and the others are read once
    app.segmented_control(key="readout").set_value("rank").run()
    assert rows == [32] * 6 and not app.exception


@pytest.mark.parametrize("prompt", ["a", *HOSTILE.values()], ids=["one token", *HOSTILE])
@pytest.mark.parametrize("readout", ["top token", "rank"])
def test_odd_text_is_read(prompt: str, readout: str) -> None:
    app = page(LENS, prompt=prompt, readout=readout)
    assert not app.exception
    assert grid(app)["tokens"] == visible(read_prompt(NAME, prompt).tokens)[-32:]


def test_every_model_of_the_picker_is_read() -> None:
    for name in models.NAMES:
        app = page(LENS, model=name, prompt=FRANCE)
        assert not app.exception and not app.warning
        assert len(grid(app)["rows"]) == models.load(name).decoder.config.n_layer


def test_an_old_link_with_a_rival_opens_attribution() -> None:
    app = page(LENS, prompt=FRANCE, answer="French", rival="Italy")
    assert not app.exception and app.subheader[0].value == page(ATTRIBUTION).subheader[0].value
    assert [app.selectbox(key=key).value for key in ("answer", "rival")] == ["French", "Italy"]
    app = page(LENS, prompt=FRANCE, readout="rank", rival="Italy")
    assert len(grid(app)["rows"]) == 4 and "rival=Italy" in app.get("page_link")[0].proto.query_string


@torch.inference_mode()
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("place", PLACES)
def test_each_cell_of_a_llama_is_that_of_transformers(
    readout: str, place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name, reference = llama.offer(monkeypatch, tmp_path), llama.reference()
    app = page(LENS, model=name, prompt="The king and the queen said", readout=readout, place=place, answer="queen")
    assert not app.exception and not app.warning
    streams: dict[str, list[torch.Tensor]] = {"before it": [], "after its attention": [], "after its MLP": []}
    for layer in reference.model.layers:
        layer.register_forward_pre_hook(lambda _, inputs: streams["before it"].append(inputs[0][0]))
        norm = layer.post_attention_layernorm
        norm.register_forward_pre_hook(lambda _, inputs: streams["after its attention"].append(inputs[0][0]))
        layer.register_forward_hook(lambda _, inputs, output: streams["after its MLP"].append(output[0]))
    output = reference(llama.token_ids("The king and the queen said")).logits[0]
    read = streams[place][:-1] if place == "after its MLP" else streams[place]
    log_p = torch.stack([*(reference.lm_head(reference.model.norm(stream)) for stream in read), output])
    log_p = log_p.double().log_softmax(-1)
    queen = llama.token_ids(" queen")[0, 0]
    numbers = {
        "top token": log_p.max(-1).values.exp(),
        "probability": log_p[..., queen].exp(),
        "rank": 1 + (log_p > log_p[..., queen, None]).sum(-1),
        "entropy": -(log_p.exp() * log_p).sum(-1),
        "KL": (log_p[-1].exp() * (log_p[-1] - log_p)).sum(-1),
    }[readout]
    texts, cells = visible(models.vocabulary(models.load(name)).texts), grid(app)["cells"]
    assert len(cells) == len(log_p) and len(cells[0]) == log_p.size(1)
    for row, column in product(range(len(log_p)), range(log_p.size(1))):
        cell, top = cells[row][column], log_p[row, column].topk(5)
        assert visible(word for word, _ in cell["likeliest"]) == [texts[id] for id in top.indices.tolist()]
        shares = [share for _, share in cell["likeliest"]]
        assert shares == pytest.approx(top.values.exp().tolist(), abs=1e-4)
        scale = 100 if "%" in cell["number"] else 1
        shown = float(cell["number"].strip("<% ").replace(",", ""))
        tolerance = 0.51 if readout == "top token" else 0.11 if scale == 100 else 0.006
        assert abs(shown - scale * numbers[row, column].item()) <= tolerance
