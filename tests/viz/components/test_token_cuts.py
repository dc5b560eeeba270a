"""A text and its tokens, as they are sent."""

import pytest

from tests.node import run
from viz.components import token_cuts


def test_tokens_have_their_size_in_bytes_and_a_description() -> None:
    drawn = token_cuts.data("é <b>", [("one", [b"\xc3", b"\xa9 ", b"<b>"], [7, 1234, 9])])
    assert [piece["size"] for piece in drawn["characters"]] == [2, 1, 1, 1, 1]
    (row,) = drawn["rows"]
    assert [(piece["label"], piece["size"], piece["whole"]) for piece in row["tokens"]] == [
        ("<C3>", 1, False),
        ("<A9 20>", 2, False),
        ("<b>", 3, True),
    ]
    assert row["tokens"][1]["about"] == "id 1,234 · 2 bytes: A9 20 · not whole characters"
    assert "U+003C less-than sign, U+0062 latin small letter b" in row["tokens"][2]["about"]
    assert drawn["characters"][0]["about"] == "2 bytes: C3 A9 · U+00E9 latin small letter e with acute"
    assert token_cuts.data("\x00", [("one", [b"\x00"], [0])])["rows"][0]["tokens"][0]["label"] == "␀"


def test_tokens_that_do_not_add_up_to_the_text_are_refused() -> None:
    with pytest.raises(ValueError, match="of one do not add up"):
        token_cuts.data("abc", [("one", [b"a", b"c"], [1, 2])])


def test_rulers_can_be_drawn_without_chips() -> None:
    assert (
        token_cuts.data("a", [("A", [b"a"], [1])])["chips"]
        and not token_cuts.data("a", [("A", [b"a"], [1])], False)["chips"]
    )


def test_rulers_break_where_all_rows_have_a_border() -> None:
    rows = [[2, 2, 2, 2], [4, 4], [1, 1, 2, 4]]
    script = "[3, 4, 7, 8].map((room) => lines(rows.map((row) => row.map((size) => ({ size }))), room))"
    assert run("token_cuts", script, rows=rows) == [[[0, 4], [4, 8]]] * 3 + [[[0, 8]]]
