"""Generation pass by pass, as it is sent and drawn."""

import json

import numpy as np
import pytest

from tests.node import run
from viz.components import kv_cache

PASSES = [
    kv_cache.Pass(0, 0, 3, np.array([0.5, 0.25, 0.25]), [(" a", 0.75), ("\n", 0.25)], 0, (300, 300)),
    kv_cache.Pass(0, 3, 1, np.array([0.1, 0.2, 0.3, 0.4]), [("b", 1.0)], 0, (100, 400)),
    kv_cache.Pass(1, 0, 4, np.array([0.1, 0.2, 0.3, 0.4]), [("c", 1.0)], 0, (400, 400)),
]
DATA = kv_cache.data([*"abcde"], 3, 2, 4, 64, PASSES)


def test_passes_are_sent_with_visible_tokens() -> None:
    assert json.loads(json.dumps(DATA)) == DATA
    assert DATA["passes"][0] == {
        "first": 0,
        "cached": 0,
        "new": 3,
        "looks": [0.5, 0.25, 0.25],
        "likeliest": [["·a", 0.75], ["⏎", 0.25]],
        "taken": 0,
        "work": [300, 300],
    }


def test_counts_and_bytes_are_written_in_three_digits() -> None:
    counts = run("kv_cache", "[999, 1234, 1.5e6, 2.34e9, 5e12].map(amount)")
    assert counts == ["999", "1,234", "1.50 M", "2.34 G", "5.00 T"]
    assert run("kv_cache", "[64, 9999, 10000, 2.5e6].map(bytes)") == ["64 bytes", "9,999 bytes", "10 kB", "2.5 MB"]


def test_a_token_is_gone_cached_computed_or_not_there_yet() -> None:
    states = "[0, 1, 2, 3, 4].map((place) => state(place, { first: 1, cached: 2, new: 1 }, hasCache))"
    assert run("kv_cache", states, hasCache=True) == ["gone", "kept", "kept", "new", "none"]
    assert run("kv_cache", states, hasCache=False) == ["gone", "new", "new", "new", "none"]


def test_work_is_summed_over_the_passes_so_far() -> None:
    script = "[0, 1, 2].map((step) => [0, 1].map((which) => workSoFar(data.passes, step, which)))"
    assert run("kv_cache", script, data=DATA) == [[300, 300], [400, 700], [800, 1100]]


@pytest.mark.parametrize(
    ("step", "rows", "formula"),
    [
        (0, [["positions read", "3", "3", "1.0 ×"], ["multiply-adds", "300", "300", "1.0 ×"]], True),
        (1, [["positions read", "1", "4", "4.0 ×"], ["multiply-adds", "100", "400", "4.0 ×"]], False),
    ],
)
def test_the_table_counts_with_the_cache_and_without(step: int, rows: list, formula: bool) -> None:
    script = """((parts) => [
        parts[0].all(({ tag }) => tag === "tr").map((row) => row.children.map((cell) => cell.textContent)),
        parts[1]?.textContent ?? null,
    ])(counts(data, step, true))"""
    table, text = run("kv_cache", script, data=DATA, step=step)
    assert table[1:3] == rows
    if formula:  # the keys and values of 3 tokens, 64 bytes each
        assert text == "Kept: 2 · 2 layers · 3 tokens · 4 numbers · 4 bytes = 192"
        assert table[4] == ["kept", "192 bytes", "0", ""]
    else:  # the context is full
        assert text is None and table[4] == ["kept", "0 bytes", "0", ""]


def test_each_pass_is_described_in_a_sentence() -> None:
    script = "[[0, true], [1, true], [1, false], [2, true]].map(([n, on]) => sentence(data, n, on))"
    prompt, cached, anew, full = run("kv_cache", script, data=DATA)
    assert prompt == "The prompt goes in: 3 tokens at once; keys and values are kept. Step on with › or the arrow keys."
    assert cached == "Only “d” goes in. Its query looks at 4 keys, of which 3 were kept."
    assert anew == "All 4 tokens go in again; 3 of them give the same keys and values as before."
    assert full.startswith("The context of 4 tokens is full: the oldest token falls out")
