"""The cache: one computation for all who ask at once, which a visitor who leaves does not undo."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import pytest

from pages.shared import models
from pages.shared.runtime import memo, queue
from pages.shared.runtime.memo import memoize
from tests.pages.shared.test_queue import Gone, wait_until


def test_callers_with_the_same_key_share_one_computation_and_see_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    sentences, computed, go = [], [], threading.Event()
    monkeypatch.setattr(memo, "PATIENCE", 0.01)
    monkeypatch.setattr(memo, "INTERVAL", 0.01)
    monkeypatch.setattr(memo.st, "spinner", lambda text, **_: sentences.append(text) or nullcontext())

    @memoize(1)
    def upper(name: str) -> str:
        computed.append(name)
        go.wait(10)
        return name.upper()

    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(upper("same"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(sentences) >= 2)
    go.set()
    for thread in threads:
        thread.join(10)
    assert answers == ["SAME"] * 3 and computed == ["same"]
    assert set(sentences) == {"Another visitor asked for the same, which is being computed"}


def test_a_result_is_cached_when_its_visitor_leaves_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def spinner(text: str, **_: object) -> Iterator[None]:
        yield
        raise Gone

    monkeypatch.setattr(memo.st, "spinner", spinner)
    computed = []

    @memoize(1, doing="Computing")
    def upper(name: str) -> str:
        computed.append(name)
        return name.upper()

    with pytest.raises(Gone):
        upper("it")
    assert upper("it") == "IT" and computed == ["it"]


NAME, PROMPT = models.NAMES[0], "When Anna and Tom went to the shop, Anna gave a key to"
WORK: dict[str, Callable[[], object]] = {
    "read": lambda: models.read(NAME, "turn"),
    "probability": lambda: models.probability(NAME, "turn", 5),
    "written": lambda: models.written(NAME, PROMPT, (("temperature", 1.25),), 7, 2),
    "searched": lambda: models.searched(NAME, PROMPT, 2, 2),
    "generated": lambda: models.generated(lambda share: None, NAME, PROMPT, None, 1.25, 7, 2),
    "examined": lambda: models.examined(NAME, 29),
    "measure": lambda: models.measure(NAME, 29),
    "measured": lambda: models.measured(NAME, "Induction", PROMPT),
    "reply": lambda: models.reply(NAME, "turn"),
    "without_residual": lambda: models.without_residual(NAME, PROMPT),
    "leaked": lambda: models.leaked(NAME, PROMPT, True),
    "alone": lambda: models.alone(lambda share: None, NAME, PROMPT, "zero"),
    "within": lambda: models.within(NAME, PROMPT, "resid_post", 0, 3, None),
    "stacks": lambda: models.stacks(2, 1.0, 29),
    "word2vec": lambda: models.word2vec(lambda share: None, "king queen man woman", 0.0, 10),
    "learned": lambda: models.learned("to turn in turn", 3),
}


@pytest.mark.parametrize("name", WORK)
def test_a_computation_takes_a_permit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    models.load(NAME)
    models.read(NAME, PROMPT)
    taken: list[int] = []

    @contextmanager
    def refused() -> Iterator[None]:
        taken.append(1)
        raise Gone
        yield

    monkeypatch.setattr(models, "permit", refused)
    monkeypatch.setattr(queue.SEMAPHORE, "permit", refused)
    getattr(models, name).cache_clear()
    with pytest.raises(Gone):
        WORK[name]()
    assert taken == [1]
    monkeypatch.undo()
    models.load(NAME)
    assert WORK[name]() is not None  # and it is not in the way of the next
