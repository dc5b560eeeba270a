"""The view of a job on a page: its progress, its place in the queue, and buttons that cancel and resume it."""

import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import streamlit as st

from pages.shared.prose import literal
from pages.shared.runtime.jobs import Job, State

PATIENCE = 0.4  # seconds for which a page waits for a new job before it goes on without its result
EVERY = 0.5  # seconds between two updates of the progress


def show(what: str, *jobs: Job, failure: str = "{}", slot: str = "") -> tuple[Any, ...] | None:
    """The results of the jobs if all are done; else None, and a panel with their progress, which reruns the page when
    they end. `failure` is the sentence on a job that failed, around its error.

    When a visitor asks for other jobs in the same `slot` (by default `what`), the earlier ones are paused, unless
    somebody else waits for them: a slider that is dragged does not fill the queue.
    """
    _pause_others(slot or what, jobs)
    for job in jobs:
        job.wait(max(0.0, job.created + PATIENCE - time.monotonic()))
    if all(job.state is State.DONE for job in jobs):
        return tuple(job.result for job in jobs)
    running = any(job.active for job in jobs)

    @st.fragment(run_every=EVERY if running else None)
    def panel() -> None:
        if all(job.state is State.DONE for job in jobs) or running != any(job.active for job in jobs):
            st.rerun()
        others = max(job.watch(_visitor()) for job in jobs)
        with st.container(border=True):
            text, button = st.columns([5, 1], vertical_alignment="center")
            key = f"job {jobs[0].number}"
            if running:
                text.progress(share_of(jobs), f"**{what}** · {status(jobs, others)}")
                if not others:
                    button.button("Cancel", key=f"cancel {key}", on_click=cancel, args=jobs, width="stretch")
                return
            failed = next((job for job in jobs if job.state is State.FAILED), None)
            if failed is None:
                text.markdown(f"**{what}** was cancelled; {share_of(jobs):.0%} is done.")
                button.button("Resume", key=f"resume {key}", on_click=resume, args=jobs, width="stretch")
                return
            text.warning(failure.format(literal(failed.error)))
            if failed.can_retry:
                button.button("Try again", key=f"retry {key}", on_click=resume, args=jobs, width="stretch")

    panel()
    return None


def share_of(jobs: Sequence[Job]) -> float:
    """The share of some jobs that is done, from 0 to 1."""
    return min(1.0, sum(1.0 if job.state is State.DONE else job.share for job in jobs) / len(jobs))


def status(jobs: Sequence[Job], others: int) -> str:
    """A sentence on active jobs: the place in the queue or the share done, and who else waits."""
    position = max(job.position for job in jobs)
    if position and not any(job.share for job in jobs):
        done = f"waiting in the queue, {position} before it"
    else:
        done = f"{share_of(jobs):.0%} done"
    if others:
        return f"{done} · {others} other{'s wait' if others > 1 else ' waits'} for it too"
    return f"{done} · it continues when you leave"


def _pause_others(slot: str, jobs: Sequence[Job]) -> None:
    latest = st.session_state.setdefault("latest jobs", {})
    for job in latest.get(slot, ()):
        if job not in jobs and job.active and not job.watch(_visitor()):
            job.abandon()
    latest[slot] = [job for job in jobs if job.active]


def cancel(*jobs: Job) -> None:
    """Cancel jobs, but none that another visitor waits for."""
    for job in jobs:
        if not job.watch(_visitor()):
            job.cancel()


def resume(*jobs: Job) -> None:
    """Resume all jobs that were cancelled or failed."""
    for job in jobs:
        job.resume()


def _visitor() -> str:
    return st.session_state.setdefault("visitor", uuid4().hex)
