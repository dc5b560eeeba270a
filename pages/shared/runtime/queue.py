"""Turns: no more is computed at once than there are cores, in the order in which it was asked for."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Condition, local
from typing import TypeVar

import streamlit as st

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
SOON = 0.5  # seconds that nobody is told to wait
LOOKS = 3.0  # seconds between two looks of who waits, at the place and whether the visitor is still there
Step = TypeVar("Step")


def place_in(place: int) -> AbstractContextManager:
    """Tell the visitor who waits how many are before; it is also where the waiting of one who has gone ends."""
    others = "One other is" if place == 1 else f"{place} others are"
    return st.spinner(f"{others} before you: this server computes {CORES} at once")


class Line:
    """Those who compute, `at_once` of them, and behind them those who wait for it.

    Whoever has a turn must wait for nobody: two who wait for each other's find would wait for ever.
    """

    def __init__(self, at_once: int = CORES, tell: Callable[[int], AbstractContextManager] = place_in) -> None:
        self.at_once, self.tell = at_once, tell
        self._line: list[object] = []
        self._moved = Condition()
        self._mine = local()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn, and have it; raises RuntimeError within another turn.

        Who is gone leaves the line, and what was asked for is not computed.
        """
        if getattr(self._mine, "turn", False):
            raise RuntimeError("who has a turn already would wait for itself")
        me = object()
        with self._moved:
            self._line.append(me)
        try:
            with self._moved:
                self._moved.wait_for(lambda: self._place(me) <= 0, SOON)
            while (place := self._place(me)) > 0:
                with self.tell(place), self._moved:
                    self._moved.wait_for(lambda: self._place(me) <= 0, LOOKS)
            self._mine.turn = True
            yield
        finally:
            self._mine.turn = False
            with self._moved:
                self._line.remove(me)
                self._moved.notify_all()

    def _place(self, me: object) -> int:
        """How many must end before my turn, at least; 0 and less is a turn."""
        with self._moved:
            return self._line.index(me) + 1 - self.at_once

    def each(self, steps: Iterable[Step]) -> Iterator[Step]:
        """Long work, step by step, with a turn for each: between two of them others have theirs."""
        steps = iter(steps)
        while True:
            with self.turn():
                step = next(steps, None)
            if step is None:
                return
            yield step


LINE = Line()
turn, each = LINE.turn, LINE.each
