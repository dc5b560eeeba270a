"""Jobs: shared by all who ask, independent of the visitor who started them, cancelled, resumed, and bounded."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from pages.shared.runtime import job_view, queue
from pages.shared.runtime.jobs import Job, Jobs, State, memory_of
from pages.shared.runtime.queue import Semaphore
from tests.pages.shared.test_queue import wait_until

SECONDS = 10  # for which a test waits


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    registry = Jobs(workers=1, waiting=2, max_results=3, memory=1000, paused=1, seconds=5, semaphore=Semaphore(1))
    yield registry
    registry.clear()


class Gate:
    """Steps 1 to `count`, each of which waits until the test lets it pass; it counts what was computed."""

    def __init__(self, count: int = 4) -> None:
        self.count, self.computed, self.starts = count, [], 0
        self.go = threading.Semaphore(0)

    def __call__(self) -> Iterator[tuple[float, list[int]]]:
        self.starts += 1
        return self.steps()

    def steps(self) -> Iterator[tuple[float, list[int]]]:
        for n in range(1, self.count + 1):
            assert self.go.acquire(timeout=SECONDS)
            self.computed.append(n)
            yield n / self.count, list(self.computed)

    def let(self, steps: int, job: Job) -> None:
        """Let some steps pass, and wait until the job has their result."""
        share = job.share + steps / self.count
        self.go.release(steps)
        wait_until(lambda: job.share == pytest.approx(share))


def test_all_who_ask_for_the_same_share_one_job_and_its_progress(jobs: Jobs) -> None:
    gate = Gate()
    one = jobs.run("key", gate)
    gate.let(1, one)
    other = jobs.run("key", lambda: pytest.fail("computed twice"))
    assert other is one and other.share == 1 / 4 and other.result == [1] and other.state is State.RUNNING
    gate.let(3, one)
    assert one.get(SECONDS) == other.get(SECONDS) == [1, 2, 3, 4] and gate.starts == 1
    assert jobs.run("key", gate) is one  # also when it is done
    assert jobs.run("other key", lambda: iter([(1.0, "other")])).get(SECONDS) == "other"


def test_a_job_survives_the_thread_that_started_it(jobs: Jobs) -> None:
    gate, started = Gate(2), []
    visitor = threading.Thread(target=lambda: started.append(jobs.run("key", gate)))
    visitor.start()
    visitor.join(SECONDS)
    assert not visitor.is_alive() and started[0].active
    gate.go.release(2)
    assert started[0].get(SECONDS) == [1, 2]


def test_a_cancelled_job_stops_after_its_step_and_resumes_where_it_stopped(jobs: Jobs) -> None:
    gate = Gate()
    job = jobs.run("key", gate)
    gate.let(1, job)
    job.cancel()
    gate.go.release()
    assert job.wait(SECONDS) and job.state is State.CANCELLED and job.result == [1, 2] and job.share == 2 / 4
    with pytest.raises(RuntimeError, match="the job was cancelled"):
        job.get(SECONDS)
    assert jobs.run("key", gate) is job and job.state is State.CANCELLED  # to ask again does not resume it
    gate.go.release(2)
    job.resume()
    assert job.get(SECONDS) == [1, 2, 3, 4] and gate.starts == 1 and gate.computed == [1, 2, 3, 4]
    job.resume()
    job.cancel()
    assert job.state is State.DONE


def test_a_job_that_waits_is_cancelled_at_once_and_knows_its_position(jobs: Jobs) -> None:
    first, second, third = Gate(1), Gate(1), Gate(1)
    running, *waiting = jobs.run(1, first), jobs.run(2, second), jobs.run(3, third)
    wait_until(lambda: running.state is State.RUNNING)
    assert [job.position for job in (running, *waiting)] == [0, 1, 2]
    waiting[0].cancel()
    assert waiting[0].state is State.CANCELLED and waiting[1].position == 1
    first.go.release()
    third.go.release()
    assert waiting[1].get(SECONDS) == [1] and not second.computed


def test_no_more_run_than_there_are_workers_and_no_more_wait_than_may(jobs: Jobs) -> None:
    gates = [Gate(1) for _ in range(4)]
    running = jobs.run(0, gates[0])
    wait_until(lambda: running.state is State.RUNNING)
    waiting = [jobs.run(n, gates[n]) for n in (1, 2)]
    refused = jobs.run(3, gates[3])
    assert [job.state for job in waiting] == [State.QUEUED] * 2
    assert refused.state is State.FAILED and refused.can_retry
    assert refused.error == "2 long computations wait on this server already; try again in a minute"
    refused.resume()
    assert refused.state is State.FAILED
    for gate in gates:
        gate.go.release()
    assert [job.get(SECONDS) for job in waiting] == [[1], [1]] and not gates[3].computed
    refused.resume()
    assert refused.get(SECONDS) == [1] and jobs.run(3, gates[3]) is refused


def test_a_job_that_computes_too_long_is_stopped_with_a_sentence() -> None:
    jobs = Jobs(workers=1, seconds=0.05, semaphore=Semaphore(1))

    def endless() -> Iterator[tuple[float, int]]:
        while True:
            time.sleep(0.02)
            yield 0.25, 1

    job = jobs.run("key", endless)
    assert job.wait(SECONDS) and job.state is State.FAILED and not job.can_retry and job.seconds < 1
    assert job.error == "it was stopped after 0.05 s of computing, the limit here, 25% done"


def test_only_computing_counts_for_the_time_limit() -> None:
    semaphore = Semaphore(1)
    jobs = Jobs(workers=1, seconds=0.2, semaphore=semaphore)
    with semaphore.permit():
        job = jobs.run("key", lambda: iter([(1.0, "result")]))
        time.sleep(0.4)
        assert job.active
    assert job.get(SECONDS) == "result"


def test_an_error_is_one_sentence_and_the_next_job_runs(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    tries = []

    def refuses() -> Iterator[tuple[float, int]]:
        yield 0.5, 1
        raise ValueError("the text has no words")

    def breaks() -> Iterator[tuple[float, int]]:
        tries.append(1)
        yield 0.5, 1
        if len(tries) == 1:
            raise ZeroDivisionError("division by zero")

    refused, broken = jobs.run(1, refuses), jobs.run(2, breaks)
    assert refused.wait(SECONDS) and refused.error == "the text has no words" and not refused.can_retry
    assert broken.wait(SECONDS) and broken.error == "the server met an error that it did not expect"
    assert broken.can_retry and "division by zero" in caplog.text and "zero" not in broken.error
    with pytest.raises(RuntimeError, match="the text has no words"):
        refused.get(SECONDS)
    broken.resume()
    assert broken.get(SECONDS) == 1 and len(tries) == 2
    assert jobs.run(3, lambda: iter([(1.0, 3)])).get(SECONDS) == 3


def test_a_step_has_a_permit_and_others_compute_between_two_steps(jobs: Jobs) -> None:
    order, semaphore = [], jobs.semaphore

    def other() -> None:
        with semaphore.permit():
            order.append("other")

    thread = threading.Thread(target=other)

    def steps() -> Iterator[tuple[float, None]]:
        for n in range(3):
            assert len(semaphore._queue) >= 1
            if n == 1:
                thread.start()
                wait_until(lambda: len(semaphore._queue) == 2)
            order.append(n)
            yield n / 3, None

    def factory() -> Iterator[tuple[float, None]]:
        with semaphore.permit():  # it has none yet
            order.append("prepared")
        return steps()

    jobs.run("key", factory).get(SECONDS)
    thread.join(SECONDS)
    assert order == ["prepared", 0, 1, "other", 2] and not semaphore._queue


def test_a_job_that_waits_for_a_permit_knows_its_position_and_can_be_cancelled(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PATIENCE", 0.01)
    monkeypatch.setattr(queue, "INTERVAL", 0.01)
    gate = Gate(1)
    with jobs.semaphore.permit():
        job = jobs.run("key", gate)
        wait_until(lambda: job.position == 1)
        job.cancel()
        assert job.wait(SECONDS) and job.state is State.CANCELLED and job.position == 0
    gate.go.release()
    job.resume()
    assert job.get(SECONDS) == [1]


def test_results_are_bounded_in_number_and_bytes_the_least_recently_used_go_first(jobs: Jobs) -> None:
    def done(key: int, size: int) -> Job:
        job = jobs.run(key, lambda: iter([(1.0, np.zeros(size, np.uint8))]))
        job.get(SECONDS)
        return job

    first, second, third = (done(n, 10) for n in range(3))
    assert done(0, 10) is first
    fourth = done(3, 10)
    assert [done(n, 10) is job for n, job in ((0, first), (2, third), (3, fourth))] == [True] * 3
    assert done(1, 10) is not second
    large = done(5, 995)
    assert list(jobs._jobs) == [5] and done(5, 995) is large
    larger = done(6, 5000)  # the latest stays, however large, or its visitor would wait for ever
    assert list(jobs._jobs) == [6] and done(6, 5000) is larger


def test_the_state_of_a_few_cancelled_jobs_is_kept(jobs: Jobs) -> None:
    gates = Gate(2), Gate(2)
    cancelled = []
    for n, gate in enumerate(gates):
        job = jobs.run(n, gate)
        gate.go.release()
        wait_until(lambda: job.share == 1 / 2)
        job.cancel()
        gate.go.release()
        job.wait(SECONDS)
        cancelled.append(job)
    assert list(jobs._jobs) == [1] and cancelled[0]._iterator is None and cancelled[1]._iterator is not None
    gates[0].go.release(2)
    cancelled[0].resume()
    cancelled[0].get(SECONDS)
    assert [gate.starts for gate in gates] == [2, 1]


def test_what_a_job_computed_with_is_let_go_when_it_ends(jobs: Jobs) -> None:
    job = jobs.run("key", Gate(0))
    assert job.wait(SECONDS) and job._iterator is None and job._steps is None


def test_a_job_counts_the_others_who_wait_for_it(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    job = jobs.run("key", Gate(1))
    assert [job.watch(visitor) for visitor in ("a", "a", "b", "a")] == [0, 0, 1, 1]
    monkeypatch.setattr("pages.shared.runtime.jobs.WATCHING", 0)
    assert job.watch("a") == 0


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (torch.zeros(3), 12),
        ([np.zeros(2), (torch.zeros(1), {"a": np.zeros(4, np.uint8)})], 24),
    ],
)
def test_memory_of_a_result(value: object, size: int) -> None:
    assert memory_of(value) == size


def test_an_abandoned_job_pauses_until_somebody_asks_for_it(jobs: Jobs) -> None:
    gate = Gate(2)
    job = jobs.run("key", gate)
    gate.let(1, job)
    job.abandon()
    gate.go.release()
    assert job.wait(SECONDS) and job.state is State.CANCELLED
    assert jobs.run("key", gate) is job and job.get(SECONDS) == [1, 2] and gate.starts == 1


def view() -> AppTest:
    """A page with one job, as a fresh visitor sees it."""

    def script() -> None:
        import streamlit as st

        from pages.shared.runtime import job_view
        from tests.pages.shared.test_jobs import VIEWED

        if results := job_view.show("Counting", VIEWED["jobs"].run(VIEWED["key"], VIEWED["steps"]), failure="Not {}."):
            st.write(f"counted to {results[0][-1]}")

    return AppTest.from_function(script, default_timeout=20).run()


VIEWED: dict[str, Any] = {}


@pytest.fixture
def gate(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> Gate:
    monkeypatch.setattr(job_view, "PATIENCE", 0.05)
    VIEWED.update(jobs=jobs, key="viewed", steps=Gate())
    return VIEWED["steps"]


def text_of(app: AppTest) -> str:
    return " ".join(bar.proto.text for bar in app.get("progress"))


def test_a_visitor_sees_progress_cancels_resumes_and_gets_the_result(jobs: Jobs, gate: Gate) -> None:
    app = view()
    job = jobs.run("viewed", gate)
    gate.let(1, job)
    app.run()
    assert text_of(app) == "**Counting** · 25% done · it continues when you leave" and not app.markdown
    app.button[0].click().run()
    gate.go.release()
    job.wait(SECONDS)
    app.run()
    assert app.button[0].label == "Resume" and app.markdown[0].value == "**Counting** was cancelled; 50% is done."
    app.button[0].click().run()
    gate.go.release(2)
    job.wait(SECONDS)
    app.run()
    assert app.markdown[0].value == "counted to 4" and not app.button and gate.starts == 1


def test_a_visitor_cannot_cancel_what_another_waits_for(jobs: Jobs, gate: Gate) -> None:
    one, other = view(), view()
    job = jobs.run("viewed", gate)
    assert not other.button and "1 other waits for it too" in text_of(other)
    one.button[0].click().run()
    gate.let(1, job)
    assert job.active and "1 other waits for it too" in text_of(one)
    gate.go.release(3)
    job.get(SECONDS)
    assert [app.run().markdown[0].value for app in (one, other)] == ["counted to 4"] * 2 and gate.starts == 1


def test_a_visitor_reads_why_a_job_failed(jobs: Jobs, gate: Gate) -> None:
    def refuses() -> Iterator[tuple[float, None]]:
        raise ValueError("without words")
        yield

    VIEWED.update(steps=refuses)
    app = view()
    assert app.warning[0].value == "Not without words." and not app.button and not app.exception


def test_a_visitor_who_asks_for_something_else_pauses_the_earlier_job(jobs: Jobs, gate: Gate) -> None:
    app = view()
    earlier = jobs.run("viewed", gate)
    gate.let(1, earlier)
    VIEWED.update(key="next", steps=Gate(1))
    app.run()
    gate.go.release()
    assert earlier.wait(SECONDS) and earlier.state is State.CANCELLED and earlier.share == 0.5
