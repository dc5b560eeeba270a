"""Turns: no more is computed at once than there are cores; who came first is first, and is told how many are before."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition

AT_ONCE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
LONGEST = 200  # as many may wait
PATIENCE = 0.5  # seconds between two looks of who waits


class Full(Exception):
    """There are too many who wait."""


class Line:
    """Those who compute, and behind them those who wait for it, in the order in which they came."""

    def __init__(self, at_once: int = AT_ONCE, longest: int = LONGEST) -> None:
        self.at_once, self.longest = at_once, longest
        self._line: list[object] = []
        self._moved = Condition()

    @contextmanager
    def turn(self, told: Callable[[int], None] = lambda place: None) -> Iterator[Callable[[], None]]:
        """Wait for a turn, and have it; what it yields lets others go first if any wait.

        While it waits it is told its place among those who wait; what `told` raises ends the waiting, so who has gone
        computes nothing. Raises Full where too many wait.
        """
        mine = object()
        with self._moved:
            if len(self._line) >= self.at_once + self.longest:
                raise Full(f"{len(self._line) - self.at_once:,} others are waiting")
            self._line.append(mine)
        try:
            self._wait(mine, told)
            yield lambda: self._pass_on(mine, told)
        finally:
            with self._moved:
                self._line.remove(mine)
                self._moved.notify_all()

    def _wait(self, mine: object, told: Callable[[int], None]) -> None:
        with self._moved:
            while (place := self._line.index(mine) + 1 - self.at_once) > 0:
                if not self._moved.wait_for(lambda: self._line.index(mine) < self.at_once, PATIENCE):
                    self._moved.release()
                    try:
                        told(place)
                    finally:
                        self._moved.acquire()

    def _pass_on(self, mine: object, told: Callable[[int], None]) -> None:
        with self._moved:
            if len(self._line) <= self.at_once:
                return
            self._line.remove(mine)
            self._line.append(mine)
            self._moved.notify_all()
        self._wait(mine, told)
