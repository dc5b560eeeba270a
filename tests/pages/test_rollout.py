"""The lesson on rollout, run whole by Streamlit's own test driver."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model.interpretability import attribution
from pages.shared import models
from tests import llama
from tests.driver import HOSTILE, ROLLOUT, all_drawn, heat_maps, page, read_prompt

LESSON, NAME = ROLLOUT, models.NAMES[0]
FRANCE = "The capital of France is"


def test_the_summaries_are_those_of_all_heads() -> None:
    app = page(LESSON, prompt=FRANCE)
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
    app = page(LESSON, prompt=" dog cat")
    (sentence,) = [element.value for element in app.markdown if "If every head looked" in element.value]
    assert len(read_prompt(NAME, " dog cat").tokens) == 2 and sentence.endswith(f"give it **{1 - 0.75**4:.2f}**.")


@pytest.mark.parametrize("prompt", ["a", *HOSTILE.values(), "cat " * 200], ids=["one token", *HOSTILE, "long"])
def test_odd_text_is_summarized(prompt: str) -> None:
    app = page(LESSON, prompt=prompt)
    assert not app.exception and len(heat_maps(app)) == 2
    assert all(shown.shape[0] <= 32 for shown in heat_maps(app).values())


@torch.inference_mode()
def test_the_summaries_of_a_llama_are_those_of_its_patterns_in_transformers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = llama.offer(monkeypatch, tmp_path)
    app = page(LESSON, model=name, prompt="The king and the queen said")
    assert not app.exception and not app.warning
    attentions = llama.reference()(llama.token_ids("The king and the queen said"), output_attentions=True).attentions
    patterns = torch.cat(attentions).double()
    stay = torch.eye(patterns.size(-1), dtype=torch.double)
    rolled = stay
    for pattern in patterns:
        rolled = (pattern.mean(0) + stay) / 2 @ rolled
    expected = {"mean": patterns.mean((0, 1)), "rollout": rolled}
    maps = {title.split()[0]: shown for title, shown in heat_maps(app).items()}
    strips = all_drawn(app, "names")[-1]["columns"]
    for row, (kind, pattern) in enumerate(expected.items()):
        np.testing.assert_allclose(maps[kind], pattern, atol=1e-5)
        assert [column[row]["value"] for column in strips] == pytest.approx(pattern[-1].tolist(), abs=1e-5)
