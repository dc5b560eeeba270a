"""The tree of texts, as it is sent."""

from viz.components import text_tree


def test_the_path_to_the_end_of_the_text_is_marked() -> None:
    places = [(0, " a", 0.5), (1, " b", 0.25), (1, "</script>", 0.1), (0, " c", 0.3)]
    drawn = text_tree.data("x" * 50, places, 3, [("\n", 0.9, False)], "50_0-1")
    assert drawn["root"] == "…" + "x" * 40 and drawn["path"] == [0, 1, 3] and drawn["link"] == "50_0-1"
    assert drawn["tokens"][2] == {"after": 1, "token": "</script>", "share": 0.1}
    assert drawn["next"] == [{"token": "⏎", "share": 0.9, "typable": False}]
    assert text_tree.data("x", [], 0, [], "")["path"] == [0]
