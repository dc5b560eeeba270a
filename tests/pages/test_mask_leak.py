"""The lesson on the mask leak, run whole by Streamlit's own test driver, with good input and bad."""

import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from model.training import mask_leak
from tests import llama
from tests.driver import HOSTILE, MASK_LEAK, drawn, page, shows


def test_a_later_word_changes_earlier_predictions_only_without_the_mask() -> None:
    app = page(MASK_LEAK)
    rows = drawn(app, "columns")
    on, off = ([column[n]["value"] for column in rows["columns"]] for n in (0, 1))
    assert rows["names"] == ["mask on", "mask off"]
    assert on[:-1] == [0] * (len(on) - 1) and on[-1] > 0.1
    assert sum(off[:-1]) > 0.1


def test_the_loss_without_the_mask_is_shown_after_a_guess() -> None:
    app = page(MASK_LEAK)
    assert not shows(app, "Over the last 20 steps")
    guess = app.pills(key="guess")
    guess.set_value(guess.options[1]).run()
    assert not app.exception
    (sentence,) = [element.value for element in app.markdown if "Over the last 20 steps" in element.value]
    assert "Right" in sentence
    without, with_mask = (float(part.split("**")[0]) for part in sentence.split("steps: **")[1].split(", **")[:2])
    assert without == pytest.approx(math.log(16) / 12, abs=0.03) and with_mask == pytest.approx(math.log(16), abs=0.03)
    assert mask_leak.HONEST_LOSS == math.log(16)


@pytest.mark.parametrize("prompt", [*HOSTILE.values(), "cat " * 5000], ids=[*HOSTILE, "long"])
@pytest.mark.parametrize("last", ["", "</script><b>x", "x" * 5000])
def test_odd_text_is_replaced(prompt: str, last: str) -> None:
    app = page(MASK_LEAK, prompt=prompt, last=last)
    assert not app.exception and len(drawn(app, "columns")["columns"]) > 0


@torch.inference_mode()
def test_a_later_word_moves_the_predictions_of_a_llama_as_in_transformers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name, reference = llama.offer(monkeypatch, tmp_path), llama.reference()
    app = page(MASK_LEAK, model=name, prompt="The king and the queen said", last="sea")
    assert not app.exception and not app.warning
    idx = llama.token_ids("The king and the queen said")
    replaced = torch.cat([idx[:, :-1], llama.token_ids(" sea")[:, :1]], dim=1)
    count = idx.size(1)
    columns = drawn(app, "columns")["columns"]
    for row, see_all in enumerate(({}, {"attention_mask": torch.zeros(1, 1, count, count)})):
        before, after = (reference(ids, **see_all).logits[0].log_softmax(-1) for ids in (idx, replaced))
        expected = F.kl_div(after, before, reduction="none", log_target=True).sum(-1)
        values = [column[row]["value"] for column in columns]
        assert values == pytest.approx(expected.tolist(), abs=1e-4)
        assert (max(values[:-1]) > 0.01) == (row == 1)
