"""The code that a page shows, read by many visitors at once."""

import gc
import inspect
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from model.transformer.gpt2 import GPT, CausalSelfAttention
from pages.shared import prose


@pytest.fixture
def crowded() -> Iterator[None]:
    """Threads change places whenever they can, in the middle of what Python does in C, too."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def pause(*_: object) -> None:
        sum(range(50))

    gc.callbacks.append(pause)
    yield
    gc.callbacks.remove(pause)
    sys.setswitchinterval(interval)


def test_many_may_read_the_code_at_once(crowded: None) -> None:
    ways = [(prose.code, CausalSelfAttention), (prose.code, GPT), (prose.statement, GPT.generate, "_draw(")] * 20
    with ThreadPoolExecutor(6) as readers:
        read = list(readers.map(lambda way: way[0].__wrapped__(*way[1:]), ways))  # as if none had read it before
    assert len(set(read)) == 3
    assert read[0] == inspect.getsource(CausalSelfAttention)
