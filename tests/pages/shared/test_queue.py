"""Turns: so many at once, in their order, told how many are before; who has gone computes nothing."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pytest
from streamlit.elements.spinner import DELAY_SECS

from pages.shared import models
from pages.shared.runtime import memo as kept
from pages.shared.runtime import queue as turns
from pages.shared.runtime.queue import Line


class Gone(BaseException):
    """As Streamlit ends the script of a visitor who has left: no Exception."""


def until(true: Callable[[], bool]) -> None:
    """Wait until it is true; fails after ten seconds."""
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.mark.parametrize("at_once", [1, 3])
def test_so_many_compute_at_once_in_the_order_in_which_they_came(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[int, list[int]] = {}
    line, done, computing, most = Line(at_once, lambda place: tell(place)), [], [], []
    go = threading.Event()
    monkeypatch.setattr(turns, "SOON", 0.01)
    monkeypatch.setattr(turns, "LOOKS", 0.05)

    def tell(place: int) -> AbstractContextManager:
        told.setdefault(int(threading.current_thread().name), []).append(place)
        return nullcontext()

    def work() -> None:
        with line.turn():
            me = int(threading.current_thread().name)
            computing.append(me)
            most.append(len(computing))
            done.append(me)
            go.wait(10)
            computing.remove(me)

    begun = [threading.Thread(target=work, name=str(n)) for n in range(8)]
    for n, one in enumerate(begun):
        one.start()
        until(lambda: len(line._line) == n + 1)
    until(lambda: len(told) == 8 - at_once)
    assert len(computing) == at_once and {n: {*places} for n, places in told.items()} == {
        n: {n + 1 - at_once} for n in range(at_once, 8)
    }
    go.set()
    for one in begun:
        one.join(10)
    assert max(most) == at_once and not line._line
    assert [max(done[:n]) < at_once + n for n in range(1, 8)] == [True] * 7  # nobody overtakes who came much before
    assert all(places == sorted(places, reverse=True) for places in told.values())


def test_who_has_gone_leaves_the_line_and_computes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LOOKS", 0.01)
    computed, line = [], Line(1, lambda place: leave())

    @contextmanager
    def leave() -> Iterator[None]:
        yield
        if threading.current_thread().name == "gone":
            raise Gone

    def gone() -> None:
        with pytest.raises(Gone), line.turn():
            computed.append("gone")

    def stays() -> None:
        with line.turn():
            computed.append("stays")

    with line.turn():
        first, second = threading.Thread(target=gone, name="gone"), threading.Thread(target=stays)
        first.start()
        until(lambda: len(line._line) == 2)
        second.start()
        first.join(10)
        assert not first.is_alive() and len(line._line) == 2
    second.join(10)
    assert computed == ["stays"] and not line._line


def test_long_work_lets_others_go_between_its_steps() -> None:
    line, order = Line(1), []

    def other() -> None:
        with line.turn():
            order.append("other")

    thread = threading.Thread(target=other)

    def steps() -> Iterator[int]:
        for n in range(3):
            if n == 1:
                thread.start()
                until(lambda: len(line._line) == 2)
            order.append(n)
            yield n

    assert list(line.each(steps())) == [0, 1, 2]
    thread.join(10)
    assert order == [0, 1, "other", 2]


def test_a_turn_ends_with_what_is_raised_in_it_and_none_is_had_twice() -> None:
    line = Line(1)
    with pytest.raises(ZeroDivisionError), line.turn():
        1 / 0
    with line.turn(), pytest.raises(RuntimeError, match="would wait for itself"), line.turn():
        pass
    with line.turn():  # it is free again
        assert len(line._line) == 1


def test_who_waits_for_what_another_finds_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    said, found, go = [], [], threading.Event()
    monkeypatch.setattr(kept, "SOON", 0.01)
    monkeypatch.setattr(kept, "LOOKS", 0.01)
    monkeypatch.setattr(kept.st, "spinner", lambda text, **_: said.append(text) or nullcontext())

    @kept.kept(1)
    def find(name: str) -> str:
        found.append(name)
        go.wait(10)
        return name.upper()

    answers: list[str] = []
    asking = [threading.Thread(target=lambda: answers.append(find("same"))) for _ in range(3)]
    for one in asking:
        one.start()
    until(lambda: len(said) >= 2)
    go.set()
    for one in asking:
        one.join(10)
    assert answers == ["SAME"] * 3 and found == ["same"]
    assert set(said) == {"Another visitor asked for the same, which is being computed"}


def test_what_was_found_is_kept_when_the_visitor_goes_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def spinner(text: str, **_: object) -> Iterator[None]:
        yield
        raise Gone

    monkeypatch.setattr(kept.st, "spinner", spinner)
    found = []

    @kept.kept(1, doing="Finding")
    def find(name: str) -> str:
        found.append(name)
        return name.upper()

    with pytest.raises(Gone):
        find("it")
    assert find("it") == "IT" and found == ["it"]


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
def test_what_computes_takes_a_turn(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    models.load(NAME)
    models.read(NAME, PROMPT)
    taken: list[int] = []

    @contextmanager
    def refused() -> Iterator[None]:
        taken.append(1)
        raise Gone
        yield

    monkeypatch.setattr(models, "turn", refused)
    monkeypatch.setattr(turns.LINE, "turn", refused)
    getattr(models, name).cache_clear()
    with pytest.raises(Gone):
        WORK[name]()
    assert taken == [1]
    monkeypatch.undo()
    models.load(NAME)
    assert WORK[name]() is not None  # and it is not in the way of the next


def test_words_that_appear_late_stand_long_enough_to_be_read() -> None:
    assert turns.LOOKS > 4 * DELAY_SECS  # a spinner is seen only after that
