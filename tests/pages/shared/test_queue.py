"""The fair semaphore: its number of permits, its order, the position that it reports, and visitors who leave."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pytest
from streamlit.elements.spinner import DELAY_SECS

from pages.shared.runtime import queue
from pages.shared.runtime.queue import Semaphore


class Gone(BaseException):
    """As Streamlit ends the script of a visitor who has left: not an Exception."""


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds; fails after ten seconds."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.mark.parametrize("permits", [1, 3])
def test_no_more_hold_a_permit_than_there_are_and_they_get_it_in_order(
    permits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    positions: dict[int, list[int]] = {}
    semaphore, order, computing, counts = Semaphore(permits, lambda position: show(position)), [], [], []
    go = threading.Event()
    monkeypatch.setattr(queue, "PATIENCE", 0.01)
    monkeypatch.setattr(queue, "INTERVAL", 0.05)

    def show(position: int) -> AbstractContextManager:
        positions.setdefault(int(threading.current_thread().name), []).append(position)
        return nullcontext()

    def work() -> None:
        with semaphore.permit():
            number = int(threading.current_thread().name)
            computing.append(number)
            counts.append(len(computing))
            order.append(number)
            go.wait(10)
            computing.remove(number)

    threads = [threading.Thread(target=work, name=str(n)) for n in range(8)]
    for n, thread in enumerate(threads):
        thread.start()
        wait_until(lambda: len(semaphore._queue) == n + 1)
    wait_until(lambda: len(positions) == 8 - permits)
    assert len(computing) == permits
    assert {n: {*seen} for n, seen in positions.items()} == {n: {n + 1 - permits} for n in range(permits, 8)}
    go.set()
    for thread in threads:
        thread.join(10)
    assert max(counts) == permits and not semaphore._queue
    assert [max(order[:n]) < permits + n for n in range(1, 8)] == [True] * 7  # nobody overtakes who came much earlier
    assert all(seen == sorted(seen, reverse=True) for seen in positions.values())


def test_a_visitor_who_leaves_the_queue_computes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "INTERVAL", 0.01)
    computed, semaphore = [], Semaphore(1, lambda position: leave())

    @contextmanager
    def leave() -> Iterator[None]:
        yield
        if threading.current_thread().name == "gone":
            raise Gone

    def gone() -> None:
        with pytest.raises(Gone), semaphore.permit():
            computed.append("gone")

    def stays() -> None:
        with semaphore.permit():
            computed.append("stays")

    with semaphore.permit():
        first, second = threading.Thread(target=gone, name="gone"), threading.Thread(target=stays)
        first.start()
        wait_until(lambda: len(semaphore._queue) == 2)
        second.start()
        first.join(10)
        assert not first.is_alive() and len(semaphore._queue) == 2
    second.join(10)
    assert computed == ["stays"] and not semaphore._queue


def test_long_work_lets_others_compute_between_its_steps() -> None:
    semaphore, order = Semaphore(1), []

    def other() -> None:
        with semaphore.permit():
            order.append("other")

    thread = threading.Thread(target=other)

    def steps() -> Iterator[int]:
        for n in range(3):
            if n == 1:
                thread.start()
                wait_until(lambda: len(semaphore._queue) == 2)
            order.append(n)
            yield n

    assert list(semaphore.permit_each(steps())) == [0, 1, 2]
    thread.join(10)
    assert order == [0, 1, "other", 2]


def test_an_error_frees_the_permit_and_no_thread_takes_two() -> None:
    semaphore = Semaphore(1)
    with pytest.raises(ZeroDivisionError), semaphore.permit():
        1 / 0
    with semaphore.permit(), pytest.raises(RuntimeError, match="would wait for itself"), semaphore.permit():
        pass
    with semaphore.permit():  # it is free again
        assert len(semaphore._queue) == 1


def test_the_sentence_on_the_position_stays_long_enough_to_be_read() -> None:
    assert queue.INTERVAL > 4 * DELAY_SECS  # a spinner is seen only after that
