"""The head zoo, run whole by Streamlit's own test driver."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from model.interpretability import head_scores
from pages.shared import models
from pages.shared.compute import interpretability
from pages.shared.runtime import progress
from tests.driver import ZOO, page, pictures

NAME = models.NAMES[0]


def charts(app: AppTest) -> list[pd.DataFrame]:
    return [
        pa.ipc.open_stream(chart.proto.datasets[0].data.data).read_all().to_pandas()
        for chart in app.get("vega_lite_chart")
    ]


def heads(table: pd.DataFrame) -> np.ndarray:
    return table.pivot(index="layer", columns="head", values="score").to_numpy()


def shares(table: pd.DataFrame, run: str) -> dict[str, float]:
    rows = table[table["run"] == run]
    return dict(zip(rows["word"], rows["probability"]))


@pytest.mark.parametrize("kind", head_scores.KINDS)
def test_a_kind_is_measured_now(kind: str) -> None:
    app = page(ZOO, kind=kind)
    assert not app.exception and not app.warning
    model = models.load(NAME)
    scores = head_scores.scores(model.decoder, model.tokenizer, kind)
    shown = charts(app)
    np.testing.assert_allclose(heads(shown[0]), scores.numpy(), atol=1e-5)
    best = [f"L{layer} H{head}" for layer, head in head_scores.top_heads(scores, 5)]
    assert list(shown[1]["word"]) == best and list(shown[0].loc[shown[0]["marked"], "name"]) == best[:1]
    assert len(pictures(app)) == 1
    (radio,) = app.radio
    assert radio.proto.captions[list(head_scores.KINDS).index(kind)] == f"{best[0]}: {scores.max():.2f}"


def test_the_cut_is_the_one_that_was_asked_for() -> None:
    app = page(ZOO, kind="induction", which="the best 8")
    best = head_scores.top_heads(interpretability.score_heads(models.load(NAME))["induction"], 8)
    shown = charts(app)[2]
    after = interpretability.answer_questions(models.load(NAME), 20, tuple(best), "zero").get(60)
    for kind, was, now in zip(head_scores.ASKED, shares(shown, "untouched").values(), shares(shown, "cut").values()):
        assert now == sum(prediction.correct for prediction in after[kind]) / 20
        assert kind != head_scores.COPY or now < was
    table = app.dataframe[0].value
    assert list(table["right"]) == [one.answer for one in after[head_scores.COPY]]
    np.testing.assert_allclose(table["P(right), cut"], [one.probability for one in after[head_scores.COPY]])


def test_the_head_that_is_missed_most_is_found_now() -> None:
    app = page(ZOO, asked="coreference")
    found = interpretability.search_heads(models.load(NAME), "coreference", 10, "zero").get(60).probability
    lost = heads(charts(app)[3])
    before = interpretability.answer_questions(models.load(NAME), 10, (), "zero").get(60)["coreference"]
    np.testing.assert_allclose(lost, sum(one.probability for one in before) / 10 - found.numpy(), atol=1e-6)
    worst = "L{} H{}".format(*head_scores.top_heads(-found, 1)[0])
    assert any(f"**{worst} is missed most**" in element.value for element in app.markdown)


@pytest.mark.parametrize(
    "link", [{"kind": "lion"}, {"kind": "<b>"}, {"which": "all"}, {"asked": "../x"}, {"instead": "1"}], ids=str
)
def test_a_link_that_makes_no_sense_shows_what_there_is(link: dict[str, str]) -> None:
    app = page(ZOO, **link)
    assert not app.exception and app.radio(key="kind").value == "previous token"
    assert len(charts(app)) == 5


def test_what_takes_long_is_asked_for_first_and_what_takes_too_long_is_not_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "QUICK", 0)
    app = page(ZOO)
    assert not app.exception and len(charts(app)) == 2
    assert {toggle.key for toggle in app.toggle} == {"ask anyway", "search anyway"}
    app.toggle(key="ask anyway").set_value(True).run()
    assert not app.exception and len(charts(app)) == 3
    monkeypatch.setattr(progress, "MOST", 1)
    app.run()
    assert not app.exception and not app.toggle
    assert len([info for info in app.info if "a shorter prompt, or a smaller model" in info.value]) == 2
