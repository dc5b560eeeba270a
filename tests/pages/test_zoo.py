"""The head zoo, run whole by Streamlit's own test driver."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from streamlit.testing.v1 import AppTest
from transformers import LlamaForCausalLM

from model.interpretability import head_scores
from pages.shared import models
from pages.shared.compute import interpretability
from pages.shared.runtime import progress
from tests import llama
from tests.driver import ZOO, page, pictures
from viz.tokens import visible

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
def test_scores_of_a_kind_are_drawn(kind: str) -> None:
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


def test_answers_without_the_best_heads_are_drawn() -> None:
    app = page(ZOO, kind="induction", which="the best 8")
    best = head_scores.top_heads(interpretability.score_heads(models.load(NAME))["induction"], 8)
    shown = charts(app)[2]
    after = interpretability.answer_questions(models.load(NAME), 20, tuple(best), "zero").get(60)
    for kind, was, now in zip(
        head_scores.ASKED, shares(shown, "untouched").values(), shares(shown, "ablated").values()
    ):
        assert now == sum(prediction.correct for prediction in after[kind]) / 20
        assert kind != head_scores.COPY or now < was
    table = app.dataframe[0].value
    assert list(table["right"]) == [one.answer for one in after[head_scores.COPY]]
    np.testing.assert_allclose(table["P(right), ablated"], [one.probability for one in after[head_scores.COPY]])


@pytest.mark.parametrize(
    "link",
    [{"kind": "lion"}, {"kind": "<b>"}, {"which": "all"}, {"asked": "../x", "kind": ""}, {"instead": "1"}],
    ids=str,
)
def test_invalid_values_in_the_link_are_ignored(link: dict[str, str]) -> None:
    app = page(ZOO, **link)
    assert not app.exception and app.radio(key="kind").value == "previous token"
    assert len(charts(app)) == 3


def test_long_work_waits_until_the_visitor_opts_in_and_too_long_work_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "QUICK", 0)
    app = page(ZOO)
    assert not app.exception and len(charts(app)) == 2
    assert {toggle.key for toggle in app.toggle} == {"ask anyway"}
    app.toggle(key="ask anyway").set_value(True).run()
    assert not app.exception and len(charts(app)) == 3
    monkeypatch.setattr(progress, "MOST", 1)
    app.run()
    assert not app.exception and not app.toggle
    assert len([info for info in app.info if "a shorter prompt, or a smaller model" in info.value]) == 1


def test_old_link_to_the_search_opens_its_lesson() -> None:
    app = page(ZOO, asked="coreference")
    assert not app.exception and not app.radio
    assert app.selectbox(key="asked").value == "coreference"


@pytest.mark.parametrize("kind", ["previous token", "induction", "indirect object"])
def test_with_a_llama_scores_and_answers_equal_transformers(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = llama.offer(monkeypatch, tmp_path, "owner/long-llama", block_size=200)
    app = page(ZOO, model=name, kind=kind)
    assert not app.exception and not app.warning
    model, peer = models.load(name), llama.reference(name)
    scores = []
    for text, word in head_scores.texts(kind):
        ids = model.tokenizer.encode(text).ids
        with torch.inference_mode():
            pattern = torch.cat(peer(torch.tensor([ids]), output_attentions=True).attentions)
        scores.append(torch.stack([pattern[:, :, i, j] for i, j in pairs(kind, ids, text, word, model)]).mean(0))
    expected = torch.stack(scores).mean(0)
    np.testing.assert_allclose(heads(charts(app)[0]), expected, atol=1e-5)
    layer, head = divmod(int(expected.argmax()), 4)
    assert charts(app)[1]["word"][0] == f"L{layer} H{head}"
    table = app.dataframe[0].value
    ablated = (layer, head)
    for column, cut in (("untouched", None), ("ablated", ablated)):
        for question, answer, shown, token in zip(
            table["question"], table["right"], table[f"P(right), {column}"], table[column]
        ):
            p = probabilities(peer, torch.tensor([model.tokenizer.encode(question).ids]), cut)
            assert shown == pytest.approx(p[model.tokenizer.encode(f" {answer}").ids[0]].item(), abs=1e-5)
            assert token == visible([model.token(int(p.argmax()))])[0]


def pairs(kind: str, ids: list[int], text: str, word: str, model: models.Model) -> list[tuple[int, int]]:
    """The positions between which a head of a kind attends, from the definition of the kind."""
    if kind == "previous token":
        return [(n, n - 1) for n in range(1, len(ids))]
    if kind == "induction":
        return [(n, m + 1) for n, id in enumerate(ids) for m in [last(ids[:n], id)] if m is not None and m + 1 < n]
    end = re.search(rf"\b{word}\b", text).end()
    starts = [len(model.tokenizer.encode(text[:stop]).ids) for stop in [end]]
    return [(len(ids) - 1, starts[0] - 1)]


def last(ids: list[int], id: int) -> int | None:
    """The last position of an id in some ids; None if it is not there."""
    return max((n for n, each in enumerate(ids) if each == id), default=None)


def probabilities(peer: LlamaForCausalLM, idx: torch.Tensor, ablated: tuple[int, int] | None) -> torch.Tensor:
    """The next-token probabilities in transformers, with the output of one head set to zero."""
    hooks = []
    if ablated:
        layer, head = ablated

        def zero(_: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
            z = inputs[0].clone()
            z[..., 12 * head : 12 * (head + 1)] = 0
            return (z,)

        hooks.append(peer.model.layers[layer].self_attn.o_proj.register_forward_pre_hook(zero))
    with torch.inference_mode():
        logits = peer(idx).logits[0, -1]
    for hook in hooks:
        hook.remove()
    return logits.softmax(-1)
