"""The grid of the logit lens, as it is sent and drawn."""

import numpy as np
import pytest

from tests.node import run
from viz.components import lens_grid


@pytest.mark.parametrize(
    ("readout", "numbers"), [("top token", ["50 %", "8 %"]), ("entropy", ["0.69", "2.08"]), ("KL", ["1.00", "0.00"])]
)
def test_cells_of_the_grid_show_the_readout(readout: str, numbers: list[str]) -> None:
    ids, shares = np.array([[[1, 0]], [[0, 1]]]), np.array([[[0.5, 0.5]], [[0.08, 0.01]]])
    entropy, kl = np.log([[2.0], [8.0]]), np.array([[1.0], [0.0]])
    drawn = lens_grid.data(["\n"], 7, ["L0", "output"], {0: " a", 1: "<b>"}, ids, shares, entropy, kl, 8, readout, 7)
    assert (drawn["tokens"], drawn["first"], drawn["picked"], drawn["rows"]) == (["⏎"], 7, 7, ["L0", "output"])
    one, other = drawn["cells"][0][0], drawn["cells"][1][0]
    assert [one["number"], other["number"]] == numbers
    assert one["likeliest"] == [["<b>", 0.5], ["·a", 0.5]] and other["likeliest"] == [["·a", 0.08], ["<b>", 0.01]]
    assert (one["same"], other["same"]) == (False, True)
    shades = {"top token": [0.5, 0.08], "entropy": [0.333, 1], "KL": [1, 0]}[readout]
    assert [one["shade"], other["shade"]] == shades
    assert one["token"] == ("<b>" if readout == "top token" else "")


def test_probability_and_rank_are_those_of_the_followed_token() -> None:
    ids, ones = np.zeros((2, 1, 1), int), np.ones((2, 1))
    followed = " a", np.array([[0.0001], [0.25]]), np.array([[1000], [1]])

    def shown(readout: str) -> list[tuple[str, float]]:
        drawn = lens_grid.data(
            ["x"], 0, ["L0", "o"], {0: "y"}, ids, ones[..., None], ones, ones, 1000, readout, 0, followed
        )
        assert "·a" in drawn["legend"]
        return [(row[0]["number"], row[0]["shade"]) for row in drawn["cells"]]

    assert shown("rank") == [("1,000", 0), ("1", 1)]
    assert shown("probability") == [("< 0.1 %", 0), ("25.0 %", 0.25)]


def test_the_shade_of_a_divergence_is_its_share_of_the_largest() -> None:
    ids, ones = np.zeros((3, 1, 1), int), np.ones((3, 1))
    kl = np.array([[4.0], [2.0], [0.0]])
    drawn = lens_grid.data(["x"], 0, ["L0", "L1", "o"], {0: "y"}, ids, ones[..., None], ones, kl, 8, "KL", 0)
    assert [row[0]["shade"] for row in drawn["cells"]] == [1, 0.5, 0]
    assert "entropy 1.00 nats, KL to the output 2.00 nats" == drawn["cells"][1][0]["about"]


def test_bars_beside_the_grid_are_as_long_as_the_probabilities() -> None:
    cell = {"likeliest": [["a", 0.5], ["b", 0.0004]], "about": "entropy 1.00 nats", "number": "7", "token": ""}
    data = {"tokens": ["x", "y"], "rows": ["L0", "output"], "cells": [[], [cell, cell]]}
    script = """((root) => [root.all(({ tag }) => tag === "i").map(({ style }) => style.width), root.textContent])(
        element("div", "", ...reading(data, 1, 1)))"""
    widths, text = run("lens_grid", script, data=data)
    assert widths == ["50%", "0.04%"]
    assert text == "output, after ya50.0 %b< 0.1 %entropy 1.00 nats · here: 7"


def test_arrow_keys_walk_the_grid_and_a_click_sends_the_position() -> None:
    ids, ones = np.zeros((2, 2, 1), int), np.ones((2, 2))
    data = lens_grid.data(["x", "y"], 5, ["L0", "o"], {0: "z"}, ids, ones[..., None], ones, ones, 8, "top token", 6)
    script = """(() => {
        const [sent, focused] = [[], []];
        const root = element("div");
        draw(root, data, (...message) => sent.push(message));
        const cells = root.all(({ tag }) => tag === "button");
        cells.forEach((cell, n) => (cell.focus = () => focused.push(n)));
        cells.forEach((cell) => cell.onclick());
        const press = (n, key) => cells[n].onkeydown({ key, preventDefault() {} });
        press(0, "ArrowRight"), press(0, "ArrowDown"), press(3, "ArrowLeft"), press(3, "ArrowUp"), press(0, "ArrowUp");
        return [sent, focused, cells.map((cell) => cell.tabIndex)];
    })()"""
    sent, focused, tabs = run("lens_grid", script, data=data)
    assert sent == [["position", position] for position in (5, 6, 5, 6)]
    assert focused == [1, 2, 2, 1] and tabs == [-1, -1, -1, 0]
