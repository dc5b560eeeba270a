"""The lesson on the lens, run whole by Streamlit's own test driver, with good input and bad."""

import re

import numpy as np
import pyarrow as pa
import pytest
import torch
from streamlit.testing.v1 import AppTest

from model.interpretability import attribution, logit_lens
from pages.shared import models
from pages.shared.compute import interpretability
from tests.driver import CONTEXT, HOSTILE, all_drawn, drawn, heat_maps, ids, page, read_prompt, unescaped
from viz.components.lens_grid import READOUTS
from viz.tokens import visible

LENS, NAME = "interpretability/lens", models.NAMES[0]
FRANCE = "The capital of France is"
PLACES = dict(zip(("before it", "after its attention", "after its MLP"), logit_lens.PLACES))


def grid(app: AppTest) -> dict:
    return drawn(app, "cells")


def charts(app: AppTest) -> list[dict[str, list]]:
    """The numbers of each bar chart and map of heads, by column."""
    return [
        pa.ipc.open_stream(chart.proto.datasets[0].data.data).read_all().to_pydict()
        for chart in app.get("vega_lite_chart")
    ]


def difference(app: AppTest) -> tuple[float, float]:
    """The two numbers of the sentence: the difference of the logits, and what the parts add up to."""
    (said,) = [element.value for element in app.markdown if "less that of" in element.value]
    first, second = said.split("is **")[1].split("**: ")[0], said.split("add is **")[1].split("**")[0]
    return float(first), float(second)


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


def test_the_parts_add_up_to_the_difference_and_are_drawn() -> None:
    app = page(LENS, prompt=FRANCE)
    reading = read_prompt(NAME, FRANCE)
    logits = reading.trace.logits[0, -1]
    best, second = logits.topk(2).indices.tolist()
    apart, total = difference(app)
    assert apart == pytest.approx((logits[best] - logits[second]).item(), abs=6e-5)
    assert total == pytest.approx(apart, abs=1.1e-4)
    bars, heads = charts(app)
    parts = attribution.attribute(reading.model.decoder, reading.trace, len(reading.tokens) - 1, best, second)
    assert sum(bars["value"]) == pytest.approx(apart, abs=2e-4)
    assert bars["part"][:4] == ["token ·is", "position 4", "L0 attention", "L0 MLP"] and len(bars["part"]) == 2 + 8 + 3
    for layer in range(4):
        assert bars["value"][2 + 2 * layer] == pytest.approx(parts.heads[layer].sum().item(), abs=1e-5)
    np.testing.assert_allclose(heads["score"], parts.heads.flatten(), atol=1e-5)
    by_head, by_neuron = (element.value for element in app.dataframe)
    for table, adds, letter in ((by_head, parts.heads, "H"), (by_neuron, parts.neurons, "N")):
        strongest = adds.flatten()[adds.flatten().abs().argsort(descending=True)][:8]
        assert list(table["adds"]) == pytest.approx(strongest.tolist(), abs=6e-4)
        layer, number = map(int, table.iloc[0, 0].removeprefix("L").split(f" {letter}"))
        assert table["adds"][0] == pytest.approx(adds[layer, number].item(), abs=6e-4)


def at(position: str) -> AppTest:
    """The page with that position in its link; the driver takes the parts of a link one after the other."""
    app = page(LENS, prompt=FRANCE)
    app.query_params["position"] = position
    return app.run()


@pytest.mark.parametrize("link", [{}, {"answer": "French", "rival": "Italy"}, {"answer": "Italy", "rival": "Paris"}])
def test_the_likelier_token_is_so_many_times_as_likely(link: dict[str, str]) -> None:
    app = page(LENS, prompt=FRANCE, **link)
    probabilities = read_prompt(NAME, FRANCE).trace.logits[0, -1].double().softmax(-1)
    answer, rival = probabilities.topk(2).indices.tolist()
    if link:
        answer, rival = (ids(NAME, f" {link[key]}")[0] for key in ("answer", "rival"))
    (sentence,) = [element.value for element in app.markdown if "times as likely" in element.value]
    name, times = re.search(r"\*\*: \*\*(.+?)\*\* is (\S+) times as likely", sentence).groups()
    likelier, other = (answer, rival) if probabilities[answer] > probabilities[rival] else (rival, answer)
    assert ids(NAME, unescaped(name).replace("·", " ")) == [likelier]
    ratio = (probabilities[likelier] / probabilities[other]).item()
    assert float(times.replace(",", "")) == pytest.approx(ratio, rel=0.06 if ratio < 100 else 0.01)


def test_answer_and_rival_are_chosen_by_name() -> None:
    app = page(LENS, prompt=FRANCE, answer="French", rival="Italy")
    assert not app.exception and not app.warning
    logits = read_prompt(NAME, FRANCE).trace.logits[0, -1]
    french, italy = ids(NAME, " French")[0], ids(NAME, " Italy")[0]
    assert difference(app)[0] == pytest.approx((logits[french] - logits[italy]).item(), abs=6e-5)
    app.selectbox(key="answer").set_value(None).run()
    assert difference(app)[0] == pytest.approx((logits.max() - logits[italy]).item(), abs=6e-5)
    app.selectbox(key="rival").set_value(app.selectbox(key="rival").options[0]).run()
    assert "The rival is the answer itself" in app.info[0].value and not app.exception


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
    logits = read_prompt(NAME, FRANCE).trace.logits[0, 1].sort(descending=True).values
    assert difference(app)[0] == pytest.approx((logits[0] - logits[1]).item(), abs=6e-5)
    assert "·capital" in charts(app)[0]["part"][0]
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
    logits = reading.trace.logits[0, 36].sort(descending=True).values
    assert difference(app)[0] == pytest.approx((logits[0] - logits[1]).item(), abs=6e-5)


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
    apart, total = difference(app)
    assert total == pytest.approx(apart, abs=1.1e-4)


def test_the_summaries_are_those_of_all_heads() -> None:
    app = page(LENS, prompt=FRANCE)
    patterns = torch.stack([block.attn.pattern[0] for block in read_prompt(NAME, FRANCE).trace.blocks])
    expected = {"mean": patterns.mean((0, 1)), "rollout": attribution.rollout(patterns)}
    for name, shown in heat_maps(app).items():
        np.testing.assert_allclose(shown, expected[name.split()[0]], atol=1e-6)
        assert "all 32 heads" in name
    strips = all_drawn(app, "names")[-1]
    assert strips["names"] == ["mean", "rollout"]
    for n, values in enumerate(expected.values()):
        row = [column[n]["value"] for column in strips["columns"]]
        assert row == pytest.approx(values[-1].tolist(), abs=1e-6) and sum(row) == pytest.approx(1, abs=1e-5)


def test_rollout_is_shown_beside_that_of_even_heads() -> None:
    """Of two tokens, L layers of even heads leave the second (3/4)^L of itself; the rest is the first."""
    app = page(LENS, prompt=" dog cat")
    (said,) = [element.value for element in app.markdown if "If every head looked" in element.value]
    assert len(grid(app)["tokens"]) == 2 and said.endswith(f"give it **{1 - 0.75**4:.2f}**.")


def test_every_model_of_the_picker_is_read() -> None:
    for name in models.NAMES:
        app = page(LENS, model=name, prompt=FRANCE)
        assert not app.exception and not app.warning
        assert len(grid(app)["rows"]) == models.load(name).decoder.config.n_layer
