"""Bars above tokens, as they are sent."""

import math

import pytest

from tests.node import run
from viz.components import token_bars


def test_full_height_is_at_least_the_largest_value() -> None:
    data = token_bars.data(["a", " b", "\n"], [0.25, math.nan, 0.0], full=0.5)
    assert data["tokens"] == [
        {"token": "a", "value": 0.25},
        {"token": "·b", "value": None},
        {"token": "⏎", "value": 0.0},
    ]
    assert data["full"] == 0.5
    assert token_bars.data(["a"], [2.0], full=0.5)["full"] == 2.0
    assert token_bars.data(["a"], [math.nan], full=0.5)["full"] == 0.5
    with pytest.raises(ValueError):
        token_bars.data(["a", "b"], [1.0], full=1)


def test_rows_are_marked_where_they_begin_to_differ() -> None:
    data = token_bars.rows({"A": (["a", " b", "c"], [1, 2, 9]), "B": (["a", " c", "c"], [1, 3, math.nan])}, full=5)
    assert data["names"] == ["A", "B"] and data["parted"] == 1 and data["full"] == 9
    assert data["columns"][1] == [{"token": "·b", "value": 2.0}, {"token": "·c", "value": 3.0}]
    assert data["columns"][2][1] == {"token": "c", "value": None}
    same = token_bars.rows({"A": (["a"], [1]), "B": (["a"], [2])}, full=5)
    assert same["parted"] is None and data["differ"] == []
    assert token_bars.rows({"": (["a"], [1])}, full=5)["names"] == []
    with pytest.raises(ValueError):
        token_bars.rows({"A": (["a"], [1]), "B": (["a", "b"], [1, 2])}, full=5)


def test_aligned_rows_are_marked_at_each_column_that_differs() -> None:
    rows = {"A": (["a", "", "c", "d"], [1, math.nan, 2, 3]), "B": (["a", "b", "c", "e"], [1, 2, 3, 4])}
    data = token_bars.rows(rows, full=5, aligned=True)
    assert data["differ"] == [1, 3] and data["parted"] is None
    assert data["columns"][1] == [{"token": "", "value": None}, {"token": "b", "value": 2.0}]


def test_a_bar_is_as_high_as_its_share_of_the_full_height() -> None:
    script = """[0.5, 0.004, 0, null].map((value) => cell({ token: "a", value }, 2)).map(
        ([bar, , number]) => [bar.style.height ?? bar.className, number.textContent])"""
    assert run("token_bars", script) == [["25%", "0.50"], ["0.2%", "<0.01"], ["0%", "0.00"], ["none", "–"]]
