"""Every lesson with a tiny random Llama."""

from pathlib import Path

import pytest

from tests import tiny_llama
from tests.driver import SCRIPTS, page


@pytest.fixture(autouse=True)
def llama_is_offered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tiny_llama.offer(monkeypatch, tmp_path)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_lesson_is_drawn_with_a_llama(script: str) -> None:
    app = page(script, model=tiny_llama.NAME, prompt=tiny_llama.PROMPT)
    assert not app.exception and not app.error
