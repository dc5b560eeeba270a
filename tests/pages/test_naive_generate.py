"""The lesson on a naive generate(), run whole by Streamlit's own test driver, with good input and bad."""

import re
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

from model.decoding import naive_generate
from pages.shared import models
from pages.shared.compute import decoding
from tests import llama
from tests.driver import HOSTILE, page, read_prompt, unescaped
from viz.tokens import visible

NAIVE = "decoding/naive_generate"
NAME, STORY = models.NAMES[0], "Once upon a time there was a"
LLAMA_PROMPT = "the king and the queen"


def outcomes(app: AppTest, way: str) -> list[str]:
    """The outcome of each case, of the way with this label (and its color)."""
    cells = [unescaped(element.value) for element in app.markdown]
    return [cell.removeprefix(f"{way} ") for cell in cells if cell.startswith(way)]


def run_prompts(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The ids of each text on which the cases are run, from now on."""
    run, texts = naive_generate.run_cases, []
    monkeypatch.setattr(naive_generate, "run_cases", lambda gpt, idx: texts.append(idx[0].tolist()) or run(gpt, idx))
    decoding.try_naive_generate.cache_clear()
    return texts


def test_each_case_is_run_both_ways() -> None:
    app = page(NAIVE, prompt=STORY)
    theirs, ours = outcomes(app, ":red[naive:]"), outcomes(app, ":green[ours:]")
    assert len(theirs) == len(ours) == len(naive_generate.CASES)
    assert theirs[0].startswith("IndexError") and theirs[1].startswith("RuntimeError")
    passes = decoding.generate(print, read_prompt(NAME, STORY), None, 0.0, 0, 32)
    first = visible([models.load(NAME).token(passes[0].id)])[0]
    assert ours[1].startswith(f"**{first}**") and "number 1 of 6,144" in ours[1]
    assert int(re.search(r"number ([\d,]+) of", theirs[2])[1].replace(",", "")) > 6144 - 50
    assert ours[2].startswith("ValueError: temperature is -1.0")


def test_prompts_with_the_same_end_are_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = run_prompts(monkeypatch)
    for start in ("", "Tom is in the garden."):
        prompt = f"{start} Anna is in the kitchen. Tom is in the cellar. Where is Anna?"
        assert not page(NAIVE, prompt=prompt).exception
    (once,) = texts
    assert once == read_prompt(NAME, prompt).trace.idx[0, -16:].tolist()


def test_long_work_waits_until_the_visitor_opts_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.shared.runtime.progress.QUICK", 1)
    texts = run_prompts(monkeypatch)
    app = page(NAIVE, prompt="The dog and the cat")
    assert not app.exception and not texts and not outcomes(app, ":green[ours:]")
    app.toggle(key="notes").set_value(True).run()
    assert not app.exception and len(texts) == 1 and "IndexError" in outcomes(app, ":red[naive:]")[0]


def test_with_a_llama_both_ways_draw_what_transformers_would(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Past the context the naive loop reads all tokens, at positions never trained, and ours the last ones."""
    name = llama.offer(monkeypatch, tmp_path)
    app = page(NAIVE, model=name, prompt=LLAMA_PROMPT)
    assert not app.exception and not app.warning
    peer, prompt = llama.reference(), llama.token_ids(LLAMA_PROMPT)[:, -16:]
    texts = models.vocabulary(models.load(name)).texts

    def logits(ids: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return peer(ids).logits[0, -1]

    def sample(count: int, window: int, temperature: float = 1.0) -> list[int]:
        ids, generator = prompt, torch.Generator()
        for _ in range(count):
            scaled = logits(ids[:, -window:]) / temperature
            probabilities = scaled.masked_fill(scaled < scaled.topk(50).values[-1], -torch.inf).softmax(-1)
            ids = torch.cat([ids, torch.multinomial(probabilities, 1, generator=generator)[None]], dim=1)
        return ids[0, prompt.size(1) :].tolist()

    def described(ids: list[int]) -> str:
        rank = 1 + int((logits(prompt) > logits(prompt)[ids[0]]).sum())
        tokens = "  ".join(f"**{token}**" for token in visible(texts[id] for id in ids))
        return f"{tokens} (the first is number {rank:,} of {len(texts):,} in the model's own order)"

    naive, ours = outcomes(app, ":red[naive:]"), outcomes(app, ":green[ours:]")
    assert naive[0] == described(sample(3, window=99)) and ours[0] == described(sample(3, window=prompt.size(1)))
    assert naive[1].startswith("RuntimeError") and ours[1] == described([logits(prompt).argmax().item()])
    assert naive[2] == described(sample(1, window=99, temperature=-1.0)) and ours[2].startswith("ValueError")
    positions = [int(re.match(r"([\d,]+) positions", way[-1])[1].replace(",", "")) for way in (naive, ours)]
    length = prompt.size(1)
    assert positions == [sum(range(length, length + 32)), length + 31]


@pytest.mark.parametrize("prompt", ["a", *HOSTILE.values()], ids=["one token", *HOSTILE])
def test_odd_text_is_continued(prompt: str) -> None:
    app = page(NAIVE, prompt=prompt)
    assert not app.exception and len(outcomes(app, ":green[ours:]")) == len(naive_generate.CASES)


def test_an_empty_prompt_gets_a_sentence() -> None:
    app = page(NAIVE, prompt="")
    assert not app.exception and "The prompt is empty" in app.info[0].value
