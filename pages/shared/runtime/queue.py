"""A fair semaphore: no more computations run at once than there are cores, in the order of arrival."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Condition, local
from typing import TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
PATIENCE = 0.5  # seconds before a visitor who waits sees a sentence about it
INTERVAL = 3.0  # seconds between two updates of that sentence, and between two looks whether the visitor is still there
Step = TypeVar("Step")
ShowPosition = Callable[[int], AbstractContextManager]


def spinner(text: str) -> AbstractContextManager:
    """A spinner for the visitor whose script runs on this thread; nothing on the worker thread of a job."""
    return st.spinner(text) if get_script_run_ctx(suppress_warning=True) else nullcontext()


def position_spinner(position: int) -> AbstractContextManager:
    """A spinner with the position in the queue; Streamlit ends the script of a visitor who has left when it changes."""
    others = "One other is" if position == 1 else f"{position} others are"
    return spinner(f"{others} before you: this server computes {CORES} at once")


class Semaphore:
    """A fair semaphore of `permits` permits that reports the position in the queue.

    Never wait for a cached result while holding a permit: two callers would deadlock.
    """

    def __init__(self, permits: int = CORES, show_position: ShowPosition = position_spinner) -> None:
        self.permits, self.show_position = permits, show_position
        self._queue: list[object] = []  # the holders of a permit first, then those who wait
        self._changed = Condition()
        self._thread = local()

    @contextmanager
    def permit(self, show_position: ShowPosition | None = None) -> Iterator[None]:
        """Wait for a permit, and hold it in the block; `show_position` is entered with each position while it waits.

        Whatever `show_position` raises ends the wait. Raises RuntimeError in a thread that holds a permit.
        """
        if getattr(self._thread, "holds_permit", False):
            raise RuntimeError("a thread that holds a permit would wait for itself")
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
        try:
            with self._changed:
                self._changed.wait_for(lambda: self._position(ticket) <= 0, PATIENCE)
            while (position := self._position(ticket)) > 0:
                with (show_position or self.show_position)(position), self._changed:
                    self._changed.wait_for(lambda: self._position(ticket) <= 0, INTERVAL)
            self._thread.holds_permit = True
            yield
        finally:
            self._thread.holds_permit = False
            with self._changed:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def _position(self, ticket: object) -> int:
        """How many computations, at least, must end before this ticket's turn; 0 or less holds a permit."""
        with self._changed:
            return self._queue.index(ticket) + 1 - self.permits

    def permit_each(self, steps: Iterable[Step]) -> Iterator[Step]:
        """Run an iterator with a permit for each step, so that other computations run between two steps."""
        steps = iter(steps)
        while True:
            with self.permit():
                step = next(steps, None)
            if step is None:
                return
            yield step


SEMAPHORE = Semaphore()
permit, permit_each = SEMAPHORE.permit, SEMAPHORE.permit_each
