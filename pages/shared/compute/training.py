"""Cached computations of the lessons on training: small trainings that run here, and results that are shipped."""

import json

from model.loading.folders import CHECKPOINTS
from model.training import mask_leak
from pages.shared.runtime.memo import SWEEPS, memoize, without_progress
from pages.shared.runtime.progress import OnProgress
from pages.shared.runtime.queue import permit_each

BEYOND = json.loads((CHECKPOINTS / "positions.json").read_text("utf-8"))  # losses beyond the length trained on


@memoize(SWEEPS, key=without_progress)
def train_mask_leak(on_progress: OnProgress, mask: bool) -> list[mask_leak.Step]:
    """The training of a small GPT on random tokens, with the causal mask or without."""
    steps = []
    for step in permit_each(mask_leak.train(mask)):
        steps.append(step)
        on_progress(len(steps) / mask_leak.STEPS)
    return steps
