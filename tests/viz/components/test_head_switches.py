"""Heads as switches, as they are sent."""

import numpy as np

from tests.node import run
from viz.components import head_switches


def test_switches_hold_the_heads_that_are_off_and_the_effect_of_each() -> None:
    assert head_switches.data(2, 3, {(1, 2), (0, 1)}) == {
        "layers": 2,
        "heads": 3,
        "off": [[0, 1], [1, 2]],
        "effects": None,
    }
    effects = np.array([[0.5, -0.25, 0], [1, 0, 0]], np.float32)
    assert head_switches.data(2, 3, (), effects)["effects"] == effects.tolist()


def test_an_effect_is_written_with_its_sign_and_nearly_none_as_0() -> None:
    written = run("head_switches", "[-0.25, 0.5, 0.004, -0.0049, 0.006].map(signed)")
    assert written == ["−0.25", "0.50", "0", "0", "0.01"]
