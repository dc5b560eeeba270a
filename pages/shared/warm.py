"""The warm start: what happens before the first visitor comes."""

import gc
import sys

import torch

from pages.shared import models
from pages.shared.compute import readings


def warm() -> None:
    """Open the built-in model, run it once, and freeze what is in memory, so that the garbage collector skips it."""
    torch.set_num_threads(1)  # a class shares the cores; one prompt does not need two
    name = models.NAMES[0]
    try:
        readings.true_distributions(readings.read(models.load(name), "Hello"))
    except (ValueError, FileNotFoundError) as error:
        print(f"{name} cannot be used: {error}", file=sys.stderr)  # the pages say so too, and another one stands in
    gc.collect()
    gc.freeze()
