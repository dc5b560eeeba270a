"""Recipes of the built-in models: their sizes, and the stages of their training."""

from collections.abc import Sequence
from typing import NamedTuple

from model.transformer.gpt2 import GPT2Config


class Phase(NamedTuple):
    """A part of a stage, up to the share `until` of its steps, with the shares of rows of two special kinds.

    `random` rows are repeated random tokens; `asking` rows come from the families of the toy world that end with a
    question about their own text.
    """

    until: float
    random: float
    asking: float = 0.0


class Stage(NamedTuple):
    """A stage of training with one schedule of the learning rate, which rises to `peak` and falls to `last` x peak.

    Each stage begins as from a saved model: with weights rounded to 16 bits, and optimizers without state.
    """

    steps: int
    peak: float
    phases: Sequence[Phase]
    last: float = 0.05


class Recipe(NamedTuple):
    """How a model is trained; the weights after each of the steps in `keep` are saved as well."""

    title: str
    config: GPT2Config
    stages: Sequence[Stage]
    keep: Sequence[int] = ()
    batch: int = 32


RECIPES = {
    "vitrine": Recipe(
        "Vitrine",
        GPT2Config(6144, 128, n_layer=4, n_head=8, n_embd=256),
        stages=(
            Stage(
                20_000,
                5e-3,
                (Phase(0.05, 0.12), Phase(0.09, 0.6), Phase(0.7, 0.03, asking=0.3), Phase(1, 0.03)),
                last=0.01,
            ),
            Stage(1_000, 2e-3, (Phase(1, 0.03, asking=0.5),), last=1),
            Stage(2_000, 2e-3, (Phase(1, 0.03),), last=0.03),
        ),
    ),
    "growing": Recipe(
        "Vitrine, small",
        GPT2Config(6144, 128, n_layer=3, n_head=4, n_embd=64),
        stages=(Stage(4000, 5e-3, (Phase(0.1, 0.12), Phase(0.3, 0.6), Phase(1, 0.03))),),
        keep=(0, 60, 125, 250, 500, 1000, 2000),
    ),
}
