"""The four steps of attention, as they are sent."""

import json

import numpy as np
import pytest

from tests.node import run
from viz.components import attention_steps


def test_numbers_that_are_not_finite_are_sent_by_name() -> None:
    matrix = np.array([[1 / 3, -np.inf], [np.nan, -1e9 + 1 / 3]])
    sent = attention_steps.data([" a", "<b>"], ["x\n", "y"], {"q": matrix[:, :1], "masked": matrix}, 2.0, ["d0"])
    assert sent["queries"] == ["·a", "<b>"] and sent["keys"] == ["x⏎", "y"] and sent["contents"] == ["d0"]
    assert sent["masked"] == [[1 / 3, "-Infinity"], ["NaN", -1e9 + 1 / 3]] and sent["divisor"] == 2
    assert sent["q"] == [[0.333333333], ["NaN"]]
    assert json.loads(json.dumps(sent, allow_nan=False)) == sent


def test_numbers_are_written_with_as_many_digits_as_their_place_has() -> None:
    cases = {
        "text": [[2, "2"], [-0.5, "−0.5000"], [1e-9, "0"], [-1e-9, "0"], [0.12345, "0.1235"]],
        "input": [[2, "2"], [0.5, "0.5"], [-1.25, "−1.25"]],
        "short": [[0.123, "0.12"], [12.34, "12.3"], [-123.4, "−123"], [123456, "1e5"], [0, "0"]],
        "share": [[0, "0"], [0.5, "0.5000"], [0.00001, "<0.0001"], [1, "1"]],
        "factor": [[-2, "(−2)"], [2, "2"]],
        "root": [[2, "2"], [8**0.5, "√8"]],
        "summand": [[-2, "− 2"], [2, "+ 2"]],
        "subtrahend": [[-2, "+ 2"], [2, "− 2"]],
    }
    for name, pairs in cases.items():
        values, expected = zip(*pairs)
        assert run("attention_steps", f"values.map((value) => {name}(value))", values=values) == [*expected], name
    assert run("attention_steps", "[text(NaN), text(Infinity), text(-Infinity)]") == ["NaN", "∞", "−∞"]
    behind = run("attention_steps", "[masked(2.5, -1e9), masked(1, -Infinity), masked(1, 1)]")
    assert behind == ["−1e9 + 2.5000", "−∞", "1"]
    assert run("attention_steps", "[[0.01], [1, 2], [30], [4000]].map(decimals)") == [4, 2, 1, 0]


def test_the_arithmetic_of_a_row_adds_up_to_its_weights_and_mixture() -> None:
    q, k, v = np.array([[1.0, 2]]), np.array([[1.0, 0], [0, 1], [3, 3]]), np.array([[1.0], [2], [4]])
    products = q @ k.T
    scores = np.where([[True, True, False]], products / 2, -np.inf)
    weights = np.exp(scores) / np.exp(scores).sum()
    numbers = {"q": q, "k": k, "v": v, "products": products, "scaled": products / 2, "masked": scores}
    numbers |= {"weights": weights, "z": weights @ v}
    sent = attention_steps.data(["a"], ["x", "y", "z"], numbers, 2.0)
    script = """(() => {
        const data = { ...sent };
        const names = ["q", "k", "v", "products", "scaled", "masked", "weights", "z"];
        for (const name of names) data[name] = numbers(sent[name]);
        const table = element("div", "", ...arithmetic(data, 0)).all(({ tag }) => tag === "tr");
        return table.map((row) => row.children.map((cell) => cell.textContent));
    })()"""
    head, first, second, third, end = run("attention_steps", script, sent=sent)
    assert head == ["key", "q · k", "÷ 2", "masked", "e^(score − 1)", "weight", "weight · value"]
    assert first == ["x", "1·1 + 2·0 = 1", "0.5000", "0.5000", "0.6065", "0.3775", "0.3775 · (1)"]
    assert second == ["y", "1·0 + 2·1 = 2", "1", "1", "1", "0.6225", "0.6225 · (2)"]
    assert third == ["z", "1·3 + 2·3 = 9", "4.5000", "−∞", "0", "0", "0 · (4)"]
    assert end[:4] == ["sum", "", "", ""] and end[4:] == ["1.6065", "1", f"({(weights @ v).item():.2f})"]


def test_of_many_keys_those_with_the_largest_weights_are_shown() -> None:
    weights = [n / 1000 for n in range(40)]
    script = "shownKeys(weights.map((_, n) => (n < 2 ? -Infinity : 0)), weights)"
    assert run("attention_steps", script, weights=weights) == {"seen": [*range(2, 40)], "shown": [*range(8, 40)]}
    assert run("attention_steps", "shownKeys([-Infinity, 0], [0, 1])") == {"seen": [0, 1], "shown": [0, 1]}


def test_a_long_vector_is_drawn_as_its_products_on_the_scale_of_all() -> None:
    q, k = np.array([[1.0, -2, 3, 0.5, 4]]), np.array([[2.0, 1, 1, 4, -1], [1.0, 1, 1, 1, 1]])
    products = q @ k.T
    weights = np.full((1, 2), 0.5)
    numbers = {"q": q, "k": k, "v": k, "products": products, "scaled": products, "masked": products}
    sent = attention_steps.data(["a"], ["x", "y"], numbers | {"weights": weights, "z": weights @ k}, 1.0)
    script = """(() => {
        const colors = [];
        contextStandIn.fillRect = () => colors.push(contextStandIn.fillStyle);
        const bounds = { products: 4, mixed: 1 };
        keyCells(sent, 0, 0, [1, 1], bounds);
        return colors.slice(0, 5);
    })()"""
    strengths = [0.75 * min(1, (abs(product) / 4) ** 0.5) for product in q[0] * k[0]]
    drawn = [color.removesuffix(")").rsplit(",", 1) for color in run("attention_steps", script, sent=sent)]
    assert [float(strength) for _, strength in drawn] == pytest.approx(strengths)
    assert [color for color, _ in drawn] == [f"rgba({'15,118,110' if n > 0 else '180,83,9'}" for n in q[0] * k[0]]
