"""Bar charts: numbers, scales and labels."""

import numpy as np
import pytest

from tests.viz.samples import layer_rows
from viz.charts import bars


def test_a_bar_is_as_long_as_its_cosine_and_typed_words_have_their_own_color() -> None:
    chart = bars.ranked([" a", "b"], [0.9, -0.2], {"b"}).to_dict()
    (rows,) = chart["datasets"].values()
    assert [(row["word"], row["cosine"], row["typed"]) for row in rows] == [("·a", 0.9, False), ("b", -0.2, True)]
    drawn, numbers = chart["layer"]
    assert drawn["encoding"]["x"]["scale"]["domain"] == [-0.2, 1.33]
    assert drawn["encoding"]["color"]["condition"] == {"test": "datum.typed", "value": bars.TYPED}
    assert numbers["mark"]["color"] == bars.INK["light"]


def test_ranks_are_counted() -> None:
    (rows,) = bars.counted([1, 3, 3], 4, "dark").to_dict()["datasets"].values()
    assert [(row["rank"], row["times"]) for row in rows] == [(1, 1), (2, 0), (3, 2), (4, 0)]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_guesses_stand_beside_each_other_with_their_ranks(theme: str) -> None:
    guesses = {"A": [(0.5, 1), (0.25, 1234)], "B": [None, (1.0, 1)], "truth": [(0.75, None), (0.0, None)]}
    chart = bars.beside([" Rome", " Rome"], guesses, theme).to_dict()
    rows = next(iter(chart["datasets"].values()))
    told = {(row["word"], row["whose"]): (row["probability"], row["caption"]) for row in rows}
    assert told == {
        ("00 ·Rome", "A"): (0.5, "A 50.0 %, #1"),
        ("00 ·Rome", "B"): (0, "B several tokens"),
        ("00 ·Rome", "truth"): (0.75, "truth 75.0 %"),
        ("01 ·Rome", "A"): (0.25, "A 25.0 %, #1,234"),
        ("01 ·Rome", "B"): (1.0, "B 100.0 %, #1"),
        ("01 ·Rome", "truth"): (0.0, "truth 0 %"),
    }
    x = chart["layer"][0]["encoding"]["x"]["scale"]["domain"]
    assert x[0] == 0 and x[1] >= 1  # never rescaled
    with pytest.raises(ValueError):
        bars.beside(["a", "b"], {"A": [None]}, theme)


def test_runs_are_compared_word_by_word() -> None:
    chart = bars.compared(["·Tom", "·Anna"], {"untouched": [0.75, 0.0004], "changed": [0.25, 0.5]}, "dark").to_dict()
    (rows,) = chart["datasets"].values()
    assert [(row["word"], row["run"], row["probability"]) for row in rows] == [
        ("·Tom", "untouched", 0.75),
        ("·Anna", "untouched", 0.0004),
        ("·Tom", "changed", 0.25),
        ("·Anna", "changed", 0.5),
    ]
    assert [row["text"] for row in rows] == ["75.0 %", "< 0.1 %", "25.0 %", "50.0 %"]
    with pytest.raises(ValueError):
        bars.compared(["one", "two"], {"run": [1.0]})


def test_shares_are_those_of_each_whole() -> None:
    chart = bars.shares({"one": {"a": 1, "b": 3}, "two": {"a": 0, "b": 5}}, "two").to_dict()
    parts, frame = layer_rows(chart)
    assert [(row["name"], row["part"], row["share"]) for row in parts] == [
        ("one", "a", 0.25),
        ("one", "b", 0.75),
        ("two", "a", 0),
        ("two", "b", 1),
    ]
    assert [row["name"] for row in frame] == ["two"]


def test_a_spread_counts_every_number() -> None:
    values = np.random.default_rng(0).normal(3, 2, 500)
    chart = bars.spread("before", values).to_dict()
    (rows,) = chart["datasets"].values()
    assert sum(row["numbers"] for row in rows) == 500
    assert chart["title"]["text"][1] == f"mean {values.mean():.2f}, standard deviation {values.std():.2f}"


def test_signed_bars_have_room_for_their_numbers() -> None:
    chart = bars.signed(["b", "a"], [2.0, -1.0], "logits", "dark").to_dict()
    (rows,) = chart["datasets"].values()
    assert [(row["part"], row["value"]) for row in rows] == [("b", 2), ("a", -1)]
    drawn, adds, takes = chart["layer"]
    assert drawn["encoding"]["x"]["scale"]["domain"] == pytest.approx([-1.4, 2.4])
    assert drawn["encoding"]["y"]["sort"] == ["b", "a"]
    assert adds["transform"] == [{"filter": "datum.value >= 0"}] and takes["mark"]["align"] == "right"
    negative = bars.signed(["b", "a"], [1.0, -4.0], "logits").to_dict()["layer"][0]
    assert negative["encoding"]["x"]["scale"]["domain"] == pytest.approx([-4.8, 1.8])  # by the larger size of the two
    assert bars.signed(["a"], [0.0], "logits").to_dict()
