"""How a probability is written."""

import math

from viz.percent import percent


def test_a_small_probability_is_not_written_as_0() -> None:
    told = {0: "0 %", 0.0004: "< 0.1 %", 0.000999: "< 0.1 %", 0.001: "0.1 %", 0.1234: "12.3 %", 1: "100.0 %"}
    assert {share: percent(share) for share in told} == told
    assert [percent(0.004, 0), percent(0.83, 0), percent(0.00004, 2)] == ["< 1 %", "83 %", "< 0.01 %"]
    assert [percent(0.125, 0), percent(-0.125, 0), percent(math.nan)] == ["13 %", "-13 %", "–"]
