"""The merges of a word, as they are sent."""

from viz.components import bpe_merges


def test_the_symbol_that_a_merge_created_is_marked() -> None:
    rows = bpe_merges.data("abab", [(5, 261, [b"ab", b"ab"]), (9, 265, [b"abab"])])["rows"]
    assert [[symbol["label"] for symbol in row["symbols"]] for row in rows] == [[*"abab"], ["ab", "ab"], ["abab"]]
    assert [[symbol["new"] for symbol in row["symbols"]] for row in rows] == [[False] * 4, [True, True], [True]]
    assert (rows[1]["rank"], rows[2]["id"]) == (5, 265)
    kept = bpe_merges.data("xab", [(0, 256, [b"x", b"ab"])])["rows"][1]["symbols"]
    assert [symbol["new"] for symbol in kept] == [False, True]
