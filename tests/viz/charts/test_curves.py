"""Curves: numbers, marks and styles."""

import json
import math

import numpy as np
import pytest

from tests.viz.samples import layer_rows
from viz.charts import curves


def test_a_wave_has_a_dot_at_each_token() -> None:
    line, dots = layer_rows(curves.wave(np.array([0.5, -1, 2]), ["a", " b"], "dimension 7").to_dict())
    assert [row["value"] for row in line] == [0.5, -1, 2]
    assert [(row["token"], row["position"]) for row in dots] == [("a", 0), ("·b", 1)]


@pytest.mark.parametrize("rise", [2, None])
def test_the_first_rise_is_marked_where_there_is_one(rise: int | None) -> None:
    spread = np.array([[3.0, 3, 3], [1, 0, 2], [2, 1, 4]])
    chart = curves.by_distance(spread, rise, "dot product").to_dict()
    assert ("first rise: 2" in json.dumps(chart)) == (rise is not None)
    found = [(row["mean"], row["least"], row["largest"]) for row in layer_rows(chart)[0]]
    assert found == [(3, 3, 3), (1, 0, 2), (2, 1, 4)]


def test_a_clock_has_a_dot_for_each_position_also_for_zero_vectors() -> None:
    points = np.array([[3.0, 4.0], [0.0, -2.0]])
    rim, hand, dots, _ = layer_rows(curves.clock(points, "pair 0").to_dict())
    assert [(row["x"], row["y"]) for row in dots] == [(3, 4), (0, -2)]
    assert (hand[-1]["x"], hand[-1]["y"]) == (3, 4)
    assert {round(math.hypot(row["x"], row["y"]), 9) for row in rim} == {5}
    assert curves.clock(np.zeros((1, 2)), "pair 0").to_dict()


def test_every_curve_has_a_style_of_its_own() -> None:
    names = [f"H{n}" for n in range(12)]
    encoding = curves.several({name: [0, -1] for name in names}, "x", "y", picked="H3").to_dict()["encoding"]
    colours, dashes = (encoding[channel]["scale"]["range"] for channel in ("color", "strokeDash"))
    styles = [(colour, *dash) for colour, dash in zip(colours, dashes)]
    assert len(set(styles)) == 12
    assert encoding["strokeWidth"]["scale"]["range"] == [2, 2, 2, 4] + [2] * 8


def test_doubled_values_of_x_have_a_logarithmic_axis() -> None:
    chart = curves.several({"one": [0.5, 1, 2]}, "d", "y", doubled=(1, 2, 4)).to_dict()
    assert [row["x"] for row in layer_rows({"layer": [chart], "datasets": chart["datasets"]})[0]] == [1, 2, 4]
    across = chart["encoding"]["x"]
    assert across["scale"] == {"type": "log", "base": 2} and across["axis"]["values"] == [1, 2, 4]


def test_curves_are_smoothed_on_each_side_of_the_border_alone() -> None:
    values = [0.0, 3, 0, 3, 9, 9, 9, 0]
    assert curves.smooth(values, 3, border=4).tolist() == [1.5, 1, 2, 1.5, 9, 9, 6, 4.5]
    chart = curves.beyond({"one": values}, 4, 3, "one").to_dict()
    lines, rule, _ = layer_rows(chart)
    assert [(row["x"], row["y"]) for row in lines[:2]] == [(1, 1.5), (2, 1)]
    assert rule[0]["x"] == 4.5


def test_neurons_lie_on_the_curve_and_its_lowest_point_is_marked() -> None:
    x = np.linspace(-4, 4, 9)
    chart = curves.activation(x, (x - 1) ** 2 - 2, np.maximum(x, 0), np.array([9.0]), np.array([8.0])).to_dict()
    lines, neurons, mark = layer_rows(chart)
    assert len(lines) == 18 and neurons == [{"x": 9.0, "y": 8.0, "neuron": 0}]
    assert mark[0]["label"] == "lowest: -2.0000 at 1.0000"
    assert all(layer["encoding"]["x"]["scale"]["clamp"] for layer in chart["layer"])  # beyond is at the edge


def test_the_name_of_the_activation_and_the_lower_end_of_the_picture_can_be_chosen() -> None:
    x = np.linspace(-4, 4, 9)
    chart = curves.activation(x, x, x, x, x, name="SiLU", lowest_shown=-4.0).to_dict()
    assert {row["name"] for row in layer_rows(chart)[0]} == {"SiLU", "ReLU"}
    assert all(layer["encoding"]["y"]["scale"]["domain"] == [-4.0, 4.0] for layer in chart["layer"])
