"""Turns: so many at once, in their order, told how many are before; who has gone computes nothing."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pytest

from pages.shared import models, turns
from pages.shared.turns import Line


class Gone(BaseException):
    """As Streamlit ends the script of a visitor who has left: no Exception."""


def until(true: Callable[[], bool]) -> None:
    """Wait until it is true; fails after ten seconds."""
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.mark.parametrize("at_once", [1, 3])
def test_so_many_compute_at_once_in_the_order_in_which_they_came(at_once: int) -> None:
    told: dict[int, list[int]] = {}
    line, done, computing, most = Line(at_once, lambda place: tell(place)), [], [], []
    go = threading.Event()

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
    assert len(computing) == at_once and told == {n: [n + 1 - at_once] for n in range(at_once, 8)}
    go.set()
    for one in begun:
        one.join(10)
    assert max(most) == at_once and not line._line
    assert [max(done[:n]) < at_once + n for n in range(1, 8)] == [True] * 7  # nobody overtakes who came much before
    assert all(places == sorted(set(places), reverse=True) for places in told.values())


def test_who_has_gone_leaves_the_line_and_computes_nothing() -> None:
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
    monkeypatch.setattr(turns, "LOOKS", 0.01)
    monkeypatch.setattr(turns.st, "spinner", lambda text, **_: said.append(text) or nullcontext())

    @models.kept(1)
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
