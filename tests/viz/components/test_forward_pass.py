"""The boxes of a forward pass, as they are sent."""

import json

import numpy as np
import pytest

from tests.node import run
from viz.components import forward_pass

PICKED = {"token": 0, "block": "L0", "picked": "next"}


def test_a_box_has_a_scale_of_its_own_that_one_outlier_does_not_set() -> None:
    values = np.array([0.5, -1.0, 0.25, *[1.0] * 197, 1000])
    long = forward_pass.Box("wte", "wte", "embedding", np.arange(1.0, 301))
    matrix = forward_pass.Box("pattern", "pattern", "attention", np.array([[0.5, 0.5], [1, 0]]))
    sent = forward_pass.data(
        [" a"], [forward_pass.Box("L0", "L0", "stream", values), long], [matrix], [(" b", 1.0)], **PICKED
    )
    assert json.loads(json.dumps(sent)) == sent
    box, cut = sent["road"]
    assert box["percents"][:4] == [50, -100, 25, 100] and box["percents"][-1] == 100
    assert box["length"] == pytest.approx(np.linalg.norm(values))
    assert len(cut["percents"]) == forward_pass.DRAWN and cut["size"] == "300"
    assert cut["length"] == pytest.approx(np.linalg.norm(np.arange(1, 301)))  # of all of them
    assert (sent["inside"][0]["columns"], sent["inside"][0]["size"], sent["inside"][0]["length"]) == (2, "2 × 2", None)
    assert sent["words"] == [{"word": "·b", "share": 1.0}]


def test_a_box_of_zeros_is_empty() -> None:
    nothing = forward_pass.Box("wpe", "wpe", "embedding", np.zeros(4))
    assert forward_pass.data(["a"], [nothing], [], [], **PICKED)["road"][0]["percents"] == [0] * 4


def test_the_scale_of_a_box_is_the_98th_percentile_of_sizes_whatever_their_sign() -> None:
    values = np.linspace(-10, 1, 201)
    box = forward_pass.data(["a"], [forward_pass.Box("L0", "L0", "stream", values)], [], [], **PICKED)["road"][0]
    bound = np.sort(np.abs(values))[196]  # 98 % of the way from the least to the largest
    assert box["percents"] == np.clip(np.rint(100 * values / bound), -100, 100).tolist()


def test_a_number_is_as_strong_in_color_as_its_percentage() -> None:
    colors = run("forward_pass", "[color(-50, false), color(25, false), color(100, true)]")
    assert colors == ["rgba(180,83,9,0.5)", "rgba(15,118,110,0.25)", "rgba(124,58,237,1)"]
