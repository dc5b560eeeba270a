"""The lesson on missed heads, run whole by Streamlit's own test driver."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model.interpretability import head_scores
from pages.shared import models
from pages.shared.compute import interpretability
from pages.shared.runtime import progress
from tests import llama
from tests.driver import page
from tests.pages.test_zoo import charts, heads, probabilities

MISSED = "interpretability/missed_heads"
NAME = models.NAMES[0]


def test_head_whose_loss_hurts_most_is_named() -> None:
    app = page(MISSED, asked="coreference")
    found = interpretability.search_heads(models.load(NAME), "coreference", 10, "zero").get(60).probability
    lost = heads(charts(app)[0])
    before = interpretability.answer_questions(models.load(NAME), 10, (), "zero").get(60)["coreference"]
    np.testing.assert_allclose(lost, sum(one.probability for one in before) / 10 - found.numpy(), atol=1e-6)
    worst = "L{} H{}".format(*head_scores.top_heads(-found, 1)[0])
    assert any(f"**{worst} is missed most**" in element.value for element in app.markdown)


@pytest.mark.parametrize("link", [{"asked": "../x"}, {"asked": "<b>"}, {"search instead": "1"}], ids=str)
def test_invalid_values_in_the_link_are_ignored(link: dict[str, str]) -> None:
    app = page(MISSED, **link)
    assert not app.exception and app.selectbox(key="asked").value == head_scores.ASKED[0]
    assert len(charts(app)) == 2


def test_long_work_waits_until_the_visitor_opts_in_and_too_long_work_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "QUICK", 0)
    app = page(MISSED)
    assert not app.exception and not charts(app)
    assert {toggle.key for toggle in app.toggle} == {"search anyway"}
    monkeypatch.setattr(progress, "MOST", 1)
    app.run()
    assert not app.exception and not app.toggle
    assert len([info for info in app.info if "a shorter prompt, or a smaller model" in info.value]) == 1


def test_with_a_llama_every_loss_equals_transformers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name = llama.offer(monkeypatch, tmp_path, "owner/long-llama", block_size=200)
    app = page(MISSED, model=name, asked="coreference")
    assert not app.exception and not app.warning
    model, peer = models.load(name), llama.reference(name)
    questions = interpretability.answer_questions(model, 10, (), "zero").get(60)["coreference"]
    mean = torch.zeros(4, 4)  # the untouched run, then each head of each layer
    for question in questions:
        idx = torch.tensor([model.tokenizer.encode(question.prompt).ids])
        (answer, *_) = model.tokenizer.encode(f" {question.answer}").ids
        mean[0] += probabilities(peer, idx, None)[answer] / 10
        for layer in range(3):
            for head in range(4):
                mean[1 + layer, head] += probabilities(peer, idx, (layer, head))[answer] / 10
    expected = mean[:1] - mean[1:]
    np.testing.assert_allclose(heads(charts(app)[0]), expected, atol=1e-5)
    worst = "L{} H{}".format(*divmod(int(expected.argmax()), 4))
    (sentence,) = [element.value for element in app.markdown if " is missed most**" in element.value]
    assert f"**{worst} is missed most**" in sentence and f"falls from {mean[0, 0]:.3f}" in sentence
