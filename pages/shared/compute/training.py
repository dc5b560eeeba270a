"""Cached computations of the lessons on training: small trainings that run here, and results that are shipped."""

import json
from collections.abc import Iterator

from model.loading.folders import CHECKPOINTS
from model.training import mask_leak
from pages.shared.runtime import jobs
from pages.shared.runtime.jobs import Job

BEYOND = json.loads((CHECKPOINTS / "positions.json").read_text("utf-8"))  # losses beyond the length trained on


def mean_loss_beyond(first: int, last: int) -> dict[str, float]:
    """The mean loss of each scheme at the positions from `first` to `last`, counted from 1, in nats per token."""
    return {scheme: sum(losses[first - 1 : last]) / (last - first + 1) for scheme, losses in BEYOND["loss"].items()}


def train_mask_leak() -> Job[dict[bool, list[mask_leak.Step]]]:
    """The job that trains a small GPT on random tokens twice, without the causal mask and with it."""

    def steps() -> Iterator[tuple[float, dict[bool, list[mask_leak.Step]]]]:
        curves: dict[bool, list[mask_leak.Step]] = {False: [], True: []}
        for n, pair in enumerate(zip(mask_leak.train(False), mask_leak.train(True)), 1):
            for curve, step in zip(curves.values(), pair):
                curve.append(step)
            yield n / mask_leak.STEPS, curves

    return jobs.run("train_mask_leak", steps)


def mask_leak_losses(curves: dict[bool, list[mask_leak.Step]]) -> dict[str, list[float]]:
    """The loss of each step in nats, by the name of its curve: trained without the mask and with it, and what the first
    model would write; and two constants, the best loss without looking and the best with it."""
    off, on = curves[False], curves[True]
    return {
        "mask off": [step.loss for step in off],
        "mask on": [step.loss for step in on],
        "mask off, but on to write": [step.writing for step in off],
        "ln 16": [mask_leak.HONEST_LOSS] * len(on),
        "ln 16 / 12": [mask_leak.LEAKED_LOSS] * len(on),
    }
