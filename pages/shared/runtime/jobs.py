"""Jobs: long computations that all visitors who ask for the same thing share, and that survive the visitor who started
them.

A job runs on a worker thread, step by step. Each step takes a permit, so that the short computations of other visitors
run between two steps. A job can be cancelled and resumed where it stopped; the number of jobs, their memory and their
time are bounded.
"""

import itertools
import logging
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Generic, TypeVar

from pages.shared.runtime.queue import CORES, SEMAPHORE, Semaphore

Result = TypeVar("Result")
Steps = Callable[[], Iterator[tuple[float, Result]]]
"""Makes the iterator of a job. It is called without a permit, so that it may read what is cached; each `next` of the
iterator has a permit. A step is the share that is done, from 0 to 1, and the result so far."""

WATCHING = 3.0  # seconds for which a visitor who was last seen at a job counts as waiting for it
LOG = logging.getLogger(__name__)
_numbers = itertools.count()


class State(StrEnum):
    """The state of a job; `QUEUED` and `RUNNING` are active, the others are final until it is resumed."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ACTIVE = (State.QUEUED, State.RUNNING)


class Cancelled(Exception):
    """Ends the wait for a permit of a job that was cancelled."""


class Job(Generic[Result]):
    """A long computation. `result` is its last step's result, complete once `state` is DONE; `error` is a sentence."""

    def __init__(self, jobs: "Jobs", key: Hashable, steps: Steps) -> None:
        self.key, self.number, self.created = key, next(_numbers), time.monotonic()
        self.state, self.share, self.result = State.QUEUED, 0.0, None
        self.error: str | None = None
        self.can_retry = False  # whether another try could succeed
        self.seconds = 0.0  # of computing
        self._jobs, self._steps, self._iterator = jobs, steps, None
        self._cancelling, self._abandoned, self._behind = False, False, 0
        self._watchers: dict[Hashable, float] = {}

    @property
    def active(self) -> bool:
        """Whether it is queued or running."""
        return self.state in ACTIVE

    @property
    def position(self) -> int:
        """How many jobs are before it, or, once it runs, computations for whose permits it waits; 0 if none are."""
        with self._jobs.changed:
            if self.state is State.QUEUED:
                return self._jobs.pending.index(self) + 1 if self in self._jobs.pending else 1
            return self._behind

    def watch(self, visitor: Hashable) -> int:
        """Note that a visitor waits for the job; returns how many others do."""
        with self._jobs.changed:
            now = time.monotonic()
            self._watchers = {other: seen for other, seen in self._watchers.items() if now - seen < WATCHING}
            self._watchers[visitor] = now
            return len(self._watchers) - 1

    def cancel(self) -> None:
        """Stop it after its current step; its iterator is kept, so that it can be resumed."""
        with self._jobs.changed:
            if self in self._jobs.pending:
                self._jobs.pending.remove(self)
                self._jobs.end(self, State.CANCELLED)
            elif self.active:
                self._cancelling = True

    def abandon(self) -> None:
        """Cancel it until somebody asks for it again: its visitor asks for something else now."""
        with self._jobs.changed:
            self.cancel()
            self._abandoned = True

    def resume(self) -> None:
        """Continue a cancelled job where it stopped, or start a failed one over."""
        with self._jobs.changed:
            self._cancelling = self._abandoned = False
            if self.state is State.FAILED:
                self.share, self.result, self.seconds = 0.0, None, 0.0
            if not self.active and self.state is not State.DONE:
                self._jobs.submit(self)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is not active; False after `timeout` seconds."""
        with self._jobs.changed:
            return self._jobs.changed.wait_for(lambda: not self.active, timeout)

    def get(self, timeout: float | None = None) -> Result:
        """Wait for the result; raises RuntimeError if it failed or was cancelled, TimeoutError after `timeout` s."""
        if not self.wait(timeout):
            raise TimeoutError(f"the job is not done after {timeout} s")
        if self.state is not State.DONE:
            raise RuntimeError(self.error or f"the job was {self.state}")
        return self.result

    @contextmanager
    def _wait_for_permit(self, position: int) -> Iterator[None]:
        """Note the position in the queue for permits; raises Cancelled in a job that was cancelled meanwhile."""
        self._behind = position
        try:
            yield
        finally:
            self._behind = 0
        if self._cancelling:
            raise Cancelled


class Jobs:
    """The jobs of a server: at most `workers` run and `waiting` wait.

    It caches the results of the `max_results` jobs that were used last, within `memory` bytes, and the iterators of up
    to `paused` cancelled jobs. A job may compute for `seconds`.
    """

    def __init__(
        self,
        workers: int = CORES,
        waiting: int = 32,
        max_results: int = 64,
        memory: int = 64_000_000,
        paused: int = 8,
        seconds: float = 300,
        semaphore: Semaphore = SEMAPHORE,
    ) -> None:
        self.workers, self.waiting, self.max_results, self.memory = workers, waiting, max_results, memory
        self.paused, self.seconds, self.semaphore = paused, seconds, semaphore
        self.pending: list[Job] = []
        self.changed = threading.Condition()
        self._jobs: OrderedDict[Hashable, Job] = OrderedDict()  # the latest used last
        self._threads = self._running = 0

    def run(self, key: Hashable, steps: Steps) -> Job:
        """The job of that key: the one that is there, in whatever state, or a new one."""
        with self.changed:
            job = self._jobs.get(key)
            if job is None:
                job = Job(self, key, steps)
                self.submit(job)
            else:
                self._jobs.move_to_end(key)
                if job._abandoned:
                    job.resume()
            return job

    def submit(self, job: Job) -> None:
        """Queue a job, and start a worker if there are not enough; where too many wait, the job fails."""
        if self._running + len(self.pending) >= self.workers + self.waiting:
            job.state, job.can_retry = State.FAILED, True
            job.error = f"{self.waiting} long computations wait on this server already; try again in a minute"
            return
        job.state, job.error, job.can_retry = State.QUEUED, None, False
        self._jobs[job.key] = job
        self._jobs.move_to_end(job.key)
        self.pending.append(job)
        if self._threads < self.workers:
            self._threads += 1
            threading.Thread(target=self._work, name="job", daemon=True).start()

    def end(self, job: Job, state: State, error: str | None = None, can_retry: bool = False) -> None:
        """Give a job a final state, and forget the jobs that are too many."""
        self._running -= job.state is State.RUNNING
        job.state, job.error, job.can_retry, job._cancelling = state, error, can_retry, False
        if state is not State.CANCELLED:
            job._iterator = None  # and with it the model
        if state is State.DONE:
            job._steps = None
        self._forget()
        self.changed.notify_all()

    def clear(self) -> None:
        """Forget all jobs; those that run are cancelled."""
        with self.changed:
            for job in list(self._jobs.values()):
                job.cancel()
            self._jobs.clear()

    def _forget(self) -> None:
        final = [job for job in self._jobs.values() if not job.active]
        cancelled = [job for job in final if job.state is State.CANCELLED]
        others = [job for job in final if job.state is not State.CANCELLED]
        sizes = [memory_of(job.result) for job in others]
        while len(others) > 1 and (len(others) > self.max_results or sum(sizes) > self.memory):
            del self._jobs[others.pop(0).key], sizes[0]
        for job in cancelled[: len(cancelled) - self.paused if len(cancelled) > self.paused else 0]:
            job._iterator, job.share, job.result = None, 0.0, None  # resumed, it starts over
            del self._jobs[job.key]

    def _work(self) -> None:
        """Run the jobs that wait, one after the other, until none do."""
        while True:
            with self.changed:
                if not self.pending:
                    self._threads -= 1
                    return
                job = self.pending.pop(0)
                job.state, self._running = State.RUNNING, self._running + 1
            try:
                self._run(job)
            except Cancelled:
                self._end(job, State.CANCELLED)
            except ValueError as error:
                self._end(job, State.FAILED, str(error))
            except Exception:
                LOG.exception("The job %r failed", job.key)
                self._end(job, State.FAILED, "the server met an error that it did not expect", can_retry=True)

    def _end(self, job: Job, *args: Any, **kwargs: Any) -> None:
        with self.changed:
            self.end(job, *args, **kwargs)

    def _run(self, job: Job) -> None:
        """Take the steps of a job, each with a permit; raises Cancelled, and whatever a step raises."""
        if job._iterator is None:
            job._iterator = iter(job._steps())
        while job.seconds <= self.seconds:
            with self.semaphore.permit(job._wait_for_permit):
                began = time.monotonic()
                step = next(job._iterator, None)
                job.seconds += time.monotonic() - began
            with self.changed:
                if step is None:
                    self.end(job, State.DONE)
                    return
                job.share, job.result = step
                if job._cancelling:
                    self.end(job, State.CANCELLED)
                    return
        raise ValueError(f"it was stopped after {self.seconds:g} s of computing, the limit here, {job.share:.0%} done")


def memory_of(value: Any) -> int:
    """The bytes of a result: of its tensors and arrays, in lists, tuples and dictionaries."""
    if hasattr(value, "nbytes"):
        return value.nbytes
    if isinstance(value, dict):
        return sum(memory_of(item) for item in value.values())
    if isinstance(value, list | tuple):
        return sum(memory_of(item) for item in value)
    return sys.getsizeof(value)


JOBS = Jobs()
run = JOBS.run
