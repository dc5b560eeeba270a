"""What the pictures are given."""

import json
import math

import numpy as np
import pytest

from viz.charts import bars, curves, points
from viz.charts import heatmaps as matrices
from viz.components import attention_steps as byhand
from viz.components import beam_search as beams
from viz.components import bpe_merges as merges
from viz.components import forward_pass as flow
from viz.components import head_switches as board
from viz.components import lens_grid as lens
from viz.components import next_words as words
from viz.components import residual_stream as road
from viz.components import text_tree as branches
from viz.components import token_bars as strip
from viz.components import token_cuts as pieces
from viz.percent import percent


def patterns(layers: int, heads: int, tokens: int, sink: float = 0) -> np.ndarray:
    scores = np.random.default_rng(0).normal(size=(layers, heads, tokens, tokens)) * 3
    scores[..., 0] += sink
    weights = np.where(np.tril(np.ones((tokens, tokens), bool)), np.exp(scores), 0)
    return weights / weights.sum(-1, keepdims=True)


def test_a_probability_is_written_one_way_and_a_small_one_not_as_none() -> None:
    told = {0: "0 %", 0.0004: "< 0.1 %", 0.000999: "< 0.1 %", 0.001: "0.1 %", 0.1234: "12.3 %", 1: "100.0 %"}
    assert {share: percent(share) for share in told} == told
    assert [percent(0.004, 0), percent(0.83, 0), percent(0.00004, 2)] == ["< 1 %", "83 %", "< 0.01 %"]
    assert [percent(0.125, 0), percent(-0.125, 0), percent(math.nan)] == ["13 %", "-13 %", "–"]


def test_what_is_worked_out_by_hand_is_sent_with_what_is_no_number() -> None:
    matrix = np.array([[1 / 3, -np.inf], [np.nan, -1e9 + 1 / 3]])
    sent = byhand.data([" a", "<b>"], ["x\n", "y"], {"q": matrix[:, :1], "masked": matrix}, 2.0, ["d0"])
    assert sent["queries"] == ["·a", "<b>"] and sent["keys"] == ["x⏎", "y"] and sent["contents"] == ["d0"]
    assert sent["masked"] == [[1 / 3, "-Infinity"], ["NaN", -1e9 + 1 / 3]] and sent["divisor"] == 2
    assert sent["q"] == [[0.333333333], ["NaN"]]
    assert json.loads(json.dumps(sent, allow_nan=False)) == sent


def test_the_steps_show_the_numbers_and_leave_out_what_is_masked() -> None:
    tokens = ["a", " b", "a"]
    scores = np.arange(9.0).reshape(3, 3)
    pattern = patterns(1, 1, 3)[0, 0]
    figures = matrices.steps(tokens, scores * 2, scores, pattern)
    products, masked, softmax = (np.array(figure.data[0].z, float) for figure in figures)
    np.testing.assert_array_equal(products, scores * 2)
    future = np.triu(np.ones((3, 3), bool), 1)
    for found, expected in ((masked, scores), (softmax, pattern)):
        assert np.isnan(found[future]).all()
        np.testing.assert_array_equal(found[~future], expected[~future])
    for figure in figures:
        assert list(figure.layout.xaxis.ticktext) == ["a", "·b", "a"]
        assert figure.data[0].texttemplate
        assert figure.to_json()


def test_a_row_in_numbers_stops_at_the_query() -> None:
    scores = np.arange(9.0).reshape(3, 3)
    pattern = patterns(1, 1, 3)[0, 0]
    table = matrices.row(["a", " b", "a"], scores * 2, scores, pattern, query=1)
    assert list(table["key"]) == ["a", "·b", "a"]
    assert list(table["q·k"]) == [6, 8, 10]
    assert list(table["÷ √D"][:2]) == [3, 4] and np.isnan(table["÷ √D"][2])
    assert table["weight"].sum() == pytest.approx(1, abs=2e-4)


def test_many_tokens_leave_the_cells_without_numbers() -> None:
    many = np.zeros((40, 40))
    assert not matrices.steps(["x"] * 40, many, many, many)[0].data[0].texttemplate


def test_the_bars_say_the_probability_and_what_is_left() -> None:
    data = words.data([" Paris", "\n"], np.array([0.75, 0.125]), others=98, typable=[True, False])
    assert data == {
        "words": [
            {"word": "·Paris", "shares": [0.75], "typable": True},
            {"word": "⏎", "shares": [0.125], "typable": False},
        ],
        "others": 98,
        "rest": [0.125],
    }


def test_the_bars_have_the_truth_beside_them() -> None:
    truth = np.array([0.5, 0.0])
    data = words.data([" Paris", " Rome"], np.array([0.75, 0.125]), others=1, typable=[True, True], truth=truth)
    assert [word["shares"] for word in data["words"]] == [[0.75, 0.5], [0.125, 0.0]]
    assert data["rest"] == [0.125, 0.5]


def test_the_strip_is_as_high_as_its_largest_number() -> None:
    data = strip.data(["a", " b", "\n"], [0.25, math.nan, 0.0], full=0.5)
    assert data["tokens"] == [
        {"token": "a", "value": 0.25},
        {"token": "·b", "value": None},
        {"token": "⏎", "value": 0.0},
    ]
    assert data["full"] == 0.5
    assert strip.data(["a"], [2.0], full=0.5)["full"] == 2.0
    assert strip.data(["a"], [math.nan], full=0.5)["full"] == 0.5
    with pytest.raises(ValueError):
        strip.data(["a", "b"], [1.0], full=1)


def test_strips_below_each_other_say_where_they_part() -> None:
    data = strip.rows({"A": (["a", " b", "c"], [1, 2, 9]), "B": (["a", " c", "c"], [1, 3, math.nan])}, full=5)
    assert data["names"] == ["A", "B"] and data["parted"] == 1 and data["full"] == 9
    assert data["columns"][1] == [{"token": "·b", "value": 2.0}, {"token": "·c", "value": 3.0}]
    assert data["columns"][2][1] == {"token": "c", "value": None}
    same = strip.rows({"A": (["a"], [1]), "B": (["a"], [2])}, full=5)
    assert same["parted"] is None and data["differ"] == []
    assert strip.rows({"": (["a"], [1])}, full=5)["names"] == []
    with pytest.raises(ValueError):
        strip.rows({"A": (["a"], [1]), "B": (["a", "b"], [1, 2])}, full=5)


def test_aligned_strips_mark_each_column_that_differs() -> None:
    rows = {"A": (["a", "", "c", "d"], [1, math.nan, 2, 3]), "B": (["a", "b", "c", "e"], [1, 2, 3, 4])}
    data = strip.rows(rows, full=5, aligned=True)
    assert data["differ"] == [1, 3] and data["parted"] is None
    assert data["columns"][1] == [{"token": "", "value": None}, {"token": "b", "value": 2.0}]


def test_the_way_to_the_best_beam_is_marked() -> None:
    steps = [
        [(0, " a", True, -0.5, -0.5), (0, "\n", False, -1, -1), (0, "<b>", True, -2, -2)],
        [(1, " c", True, -0.1, -1.1), (0, " d", True, -1, -1.5), (1, " e", True, -3, -4)],
    ]
    drawn = beams.data(" x", steps, width=2)
    assert drawn["root"] == "·x" and drawn["width"] == 2
    cells = [cell for column in drawn["columns"] for cell in column]
    assert [cell["text"] for cell in cells] == ["·a", "⏎", "<b>", "⏎·c", "·a·d", "⏎·e"]
    assert [cell["kept"] for cell in cells] == [True, True, False] * 2
    assert [cell["best"] for cell in cells] == [False, True, False, True, False, False]
    assert [cell["typable"] for cell in cells] == [True, False, True, False, True, False]  # with all before it


def test_the_way_to_the_place_in_hand_is_marked() -> None:
    places = [(0, " a", 0.5), (1, " b", 0.25), (1, "</script>", 0.1), (0, " c", 0.3)]
    drawn = branches.data("x" * 50, places, 3, [("\n", 0.9, False)], "50_0-1")
    assert drawn["root"] == "…" + "x" * 40 and drawn["path"] == [0, 1, 3] and drawn["link"] == "50_0-1"
    assert drawn["tokens"][2] == {"after": 1, "token": "</script>", "share": 0.1}
    assert drawn["next"] == [{"token": "⏎", "share": 0.9, "typable": False}]
    assert branches.data("x", [], 0, [], "")["path"] == [0]


def test_pieces_are_counted_in_bytes_and_say_what_they_are() -> None:
    drawn = pieces.data("é <b>", [("one", [b"\xc3", b"\xa9 ", b"<b>"], [7, 1234, 9])])
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
    assert pieces.data("\x00", [("one", [b"\x00"], [0])])["rows"][0]["tokens"][0]["label"] == "␀"


def test_a_cut_that_is_not_one_of_the_text_is_refused() -> None:
    with pytest.raises(ValueError, match="of one do not add up"):
        pieces.data("abc", [("one", [b"a", b"c"], [1, 2])])


def test_what_a_merge_made_is_marked() -> None:
    rows = merges.data("abab", [(5, 261, [b"ab", b"ab"]), (9, 265, [b"abab"])])["rows"]
    assert [[symbol["label"] for symbol in row["symbols"]] for row in rows] == [[*"abab"], ["ab", "ab"], ["abab"]]
    assert [[symbol["new"] for symbol in row["symbols"]] for row in rows] == [[False] * 4, [True, True], [True]]
    assert (rows[1]["rank"], rows[2]["id"]) == (5, 265)
    kept = merges.data("xab", [(0, 256, [b"x", b"ab"])])["rows"][1]["symbols"]
    assert [symbol["new"] for symbol in kept] == [False, True]


def test_a_bar_is_as_long_as_its_cosine_and_what_was_typed_is_told_apart() -> None:
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


def test_words_stand_where_they_are_and_arrows_between_them() -> None:
    where = np.array([[0.0, 0], [4, 0], [0, 2], [4, 2]])
    names, roles = ["man", "king", "the sum", "x y"], ["typed", "typed", "sum", "listed"]
    figure = points.words(names, where, roles, ("one", "other"), [(0, 1)], "dark")
    drawn = {trace.text: (trace.x[0], trace.y[0], trace.marker.symbol) for trace in figure.data}
    assert drawn == {"man": (0, 0, "square"), "king": (4, 0, "square"), "the sum": (0, 2, "x"), "x·y": (4, 2, "circle")}
    (arrow,) = figure.layout.annotations
    assert (arrow.ax, arrow.ay, arrow.x, arrow.y) == (0, 0, 4, 0)
    assert figure.layout.yaxis.scaleanchor == "x" and figure.layout.xaxis.title.text == "one"


def test_no_name_covers_another() -> None:
    crowd = np.random.default_rng(0).normal(size=(60, 2))
    names, sizes = [f"word{n}" for n in range(60)], [14.0] * 60
    stand = points.places(names, crowd, sizes)
    assert 20 < sum(where is not None for where in stand) < 60  # there is not room for all
    pixels = crowd * (np.array([points.WIDE, points.HIGH]) / np.ptp(crowd, axis=0)).min()
    boxes = []
    for name, pixel, where in zip(names, pixels, stand):
        if where:
            box = np.array([len(name) * points.LETTER, points.LINE]) * 14
            middle = pixel + np.array(points.PLACES[where]) * (points.GAP + box / 2)
            boxes.append((middle - box / 2, middle + box / 2))
    for n, (low, high) in enumerate(boxes):
        assert not any((low < up).all() and (high > down).all() for down, up in boxes[:n])
    stand = points.places(["a"] * 9, np.zeros((9, 2)), sizes[:9])
    assert None in stand and len({*stand} - {None}) == 9 - stand.count(None)  # all at one point: each at another side
    assert points.places(["a"], np.zeros((1, 2)), [14.0]) == ["top center"]


@pytest.mark.parametrize("full", range(9))
def test_a_name_may_stand_at_every_side_of_its_own_point(full: int) -> None:
    """With so many sides taken by other points it stands at the next one."""
    sides = ["top center", "bottom center", "middle right", "middle left"]
    sides += ["top right", "top left", "bottom right", "bottom left"]
    others = [
        (20 * ("right" in side) - 20 * ("left" in side), 17 * ("top" in side) - 17 * ("bottom" in side))
        for side in sides[:full]
    ]
    corners = [(-points.WIDE / 2, -points.HIGH / 2), (points.WIDE / 2, points.HIGH / 2)]
    where = np.array([(0, 0), *others, *corners], float)
    first, *_ = points.places(["cat"] * len(where), where, [14.0] * len(where))
    assert first == [*sides, None][full]


def test_markup_in_a_word_is_no_markup_to_plotly() -> None:
    figure = points.words(["<b>x</b>", "a&b"], np.eye(2), ["typed", "listed"], ("from <b>x</b>", "it's"))
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("from &lt;b&gt;x&lt;/b&gt;", "it's")
    assert {trace.text for trace in figure.data} == {"&lt;b&gt;x&lt;/b&gt;", "a&amp;b"}
    heatmap = matrices.cosines(["<i>"], np.eye(1))
    assert heatmap.layout.xaxis.ticktext == ("&lt;i&gt;",) and heatmap.data[0].customdata[0][0][0] == "&lt;i&gt;"


def test_cosines_are_on_one_scale() -> None:
    heatmap = matrices.cosines(["a", "b"], np.array([[1.0, -0.5], [-0.5, 1]]), "dark").data[0]
    assert (heatmap.zmin, heatmap.zmax) == (-1, 1) and "cosine" in heatmap.hovertemplate
    assert heatmap.customdata[0][1] == ["a", "b"]


def rows_of(chart: dict) -> list[list[dict]]:
    """The data of each layer of an Altair chart; where layers share them, they are the chart's."""
    return [chart["datasets"][layer.get("data", chart.get("data"))["name"]] for layer in chart["layer"]]


def test_matrices_of_one_kind_share_a_scale() -> None:
    tokens, small = ["a", " b"], np.array([[1.0, 9.0], [-2.0, 0.5]])
    for figure in matrices.scores({"one": (tokens, small), "two": (tokens, 2 * small)}):
        assert figure.data[0].zmax == -figure.data[0].zmin == 4  # the 18 above the diagonal is masked
        assert np.isnan(figure.data[0].z[0][1])
    one, two = matrices.patterns({"one": (tokens, small), "two": (tokens[::-1], small)})
    np.testing.assert_array_equal(one.data[0].z, small)
    assert (one.layout.title.text, list(two.layout.xaxis.ticktext)) == ("one", ["·b", "a"])
    assert one.data[0].zmax == two.data[0].zmax == 1


def test_vectors_are_drawn_with_their_tokens_or_all() -> None:
    table = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    read = matrices.vectors(["a", " b"], table[:2])
    np.testing.assert_array_equal(read.data[0].z, table[:2])
    assert list(read.data[0].y) == ["0 a", "1 ·b"] and read.layout.yaxis.dtick == 1
    every = matrices.vectors(["a", " b"], table)
    assert list(every.data[0].y) == ["0 a", "1 ·b", "2", "3", "4", "5"] and every.layout.yaxis.dtick is None
    assert every.layout.yaxis.type == "category" and "%{y}" in every.data[0].hovertemplate
    some = matrices.vectors(["a", " b", "<b>"], table[::2], 2)
    assert list(some.data[0].y) == ["0 a", "2 &lt;b&gt;", "4"]
    assert read.data[0].zmax == np.abs(table[:2]).max() == -read.data[0].zmin


def test_a_wave_has_a_dot_at_each_token() -> None:
    line, dots = rows_of(curves.wave(np.array([0.5, -1, 2]), ["a", " b"], "dimension 7").to_dict())
    assert [row["value"] for row in line] == [0.5, -1, 2]
    assert [(row["token"], row["position"]) for row in dots] == [("a", 0), ("·b", 1)]


@pytest.mark.parametrize("rise", [2, None])
def test_the_first_rise_is_marked_where_there_is_one(rise: int | None) -> None:
    spread = np.array([[3.0, 3, 3], [1, 0, 2], [2, 1, 4]])
    chart = curves.by_distance(spread, rise, "dot product").to_dict()
    assert ("first rise: 2" in json.dumps(chart)) == (rise is not None)
    found = [(row["mean"], row["least"], row["largest"]) for row in rows_of(chart)[0]]
    assert found == [(3, 3, 3), (1, 0, 2), (2, 1, 4)]


def test_a_clock_has_a_dot_for_each_position_even_where_nothing_points() -> None:
    points = np.array([[3.0, 4.0], [0.0, -5.0]])
    rim, hand, dots, _ = rows_of(curves.clock(points, "pair 0").to_dict())
    assert [(row["x"], row["y"]) for row in dots] == [(3, 4), (0, -5)]
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


def test_a_width_stands_below_a_curve_as_it_is() -> None:
    chart = curves.several({"one": [0.5, 1, 2]}, "d", "y", doubled=(1, 2, 4)).to_dict()
    assert [row["x"] for row in rows_of({"layer": [chart], "datasets": chart["datasets"]})[0]] == [1, 2, 4]
    across = chart["encoding"]["x"]
    assert across["scale"] == {"type": "log", "base": 2} and across["axis"]["values"] == [1, 2, 4]


def test_curves_are_smoothed_on_either_side_of_the_border() -> None:
    values = [0.0, 3, 0, 3, 9, 9, 9, 0]
    assert curves.smooth(values, 3, border=4).tolist() == [1.5, 1, 2, 1.5, 9, 9, 6, 4.5]
    chart = curves.beyond({"one": values}, 4, 3, "one").to_dict()
    lines, rule, _ = rows_of(chart)
    assert [(row["x"], row["y"]) for row in lines[:2]] == [(1, 1.5), (2, 1)]
    assert rule[0]["x"] == 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("sign", [1, -1])
def test_every_head_has_its_number_and_the_marked_ones_a_frame(theme: str, sign: int) -> None:
    scores = np.arange(6.0).reshape(2, 3) * sign
    chart = matrices.heads(scores, [(1, 2)], "logits", theme).to_dict()
    (rows,) = chart["datasets"].values()
    assert {(row["layer"], row["head"]): row["score"] for row in rows} == {
        divmod(n, 3): score for n, score in enumerate(scores.ravel())
    }
    assert [row["name"] for row in rows if row["marked"]] == ["L1 H2"]
    cells, frames, _ = chart["layer"]
    assert frames["transform"] == [{"filter": "datum.marked"}]
    assert cells["encoding"]["color"]["scale"]["domain"] == ([0, 5] if sign > 0 else [-5, 0, 5])
    assert [param["name"] for param in chart["params"]] == ["head"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_guesses_stand_beside_each_other_with_their_ranks(theme: str) -> None:
    guesses = {"A": [(0.5, 1), (0.25, 1234)], "B": [None, (1.0, 1)], "truth": [(0.75, None), (0.0, None)]}
    chart = bars.beside([" Rome", " Rome"], guesses, theme).to_dict()
    rows = next(iter(chart["datasets"].values()))
    told = {(row["word"], row["whose"]): (row["probability"], row["told"]) for row in rows}
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


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_difference_is_drawn_from_the_row_on_that_can_differ(theme: str) -> None:
    one, other = patterns(1, 2, 4)[0]
    figure = matrices.difference(["a", "<b>", "c", "d"], one, other, 2, "H0", theme)
    (heatmap,) = figure.data
    assert heatmap.z.shape == (2, 4) and list(figure.layout.yaxis.ticktext) == ["c", "d"]
    assert np.isnan(heatmap.z[0, 3]) and heatmap.z[1, 1] == pytest.approx(100 * (other - one)[3, 1])
    assert heatmap.text[0][0] == f"{100 * (other - one)[2, 0]:+.0f}" and heatmap.text[0][3] == ""
    query, key, a, b = heatmap.customdata[1, 1]
    assert (query, key) == ("d", "&lt;b&gt;") and float(b) - float(a) == pytest.approx(heatmap.z[1, 1], abs=0.011)
    assert (heatmap.zmin, heatmap.zmax) == (-100, 100)
    same = matrices.difference(["a", "b"], one[:2, :2], one[:2, :2], 2, "H0", theme)
    assert same.data[0].z[0].tolist() == [0, 0]  # the last row, where nothing differs
    assert matrices.difference(["a"] * 40, *patterns(1, 2, 40)[0], 0, "H0", theme).data[0].texttemplate is None


def test_rulers_can_stand_without_chips() -> None:
    assert (
        pieces.data("a", [("A", [b"a"], [1])])["chips"] and not pieces.data("a", [("A", [b"a"], [1])], False)["chips"]
    )


def test_the_map_of_positions_names_each_token_and_writes_what_is_not_0() -> None:
    shares = np.array([[0.0, 1.0, -0.001], [0.25, -0.5, 0.004]])
    chart = matrices.positions(shares, [" a", " a", "<b>"], "restored").to_dict()
    (rows,) = chart["datasets"].values()
    assert {(row["layer"], row["position"]): row["score"] for row in rows} == dict(np.ndenumerate(shares))
    assert [row["column"] for row in rows[:3]] == ["0 ·a", "1 ·a", "2 <b>"]
    assert [row["text"] for row in rows] == ["0.00", "1.00", "0.00", "0.25", "−0.50", "0.00"]
    assert [param["name"] for param in chart["params"]] == ["position"]
    assert chart["layer"][-1]["transform"] == [{"filter": "abs(datum.score) >= 0.005"}]


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


def test_the_board_says_which_heads_are_off_and_what_each_does() -> None:
    assert board.data(2, 3, {(1, 2), (0, 1)}) == {"layers": 2, "heads": 3, "off": [[0, 1], [1, 2]], "effects": None}
    effects = np.array([[0.5, -0.25, 0], [1, 0, 0]], np.float32)
    assert board.data(2, 3, (), effects)["effects"] == effects.tolist()


def test_a_road_is_sent_with_its_numbers_and_visible_tokens() -> None:
    numbers = [np.full((2, 3), value) for value in (1.00004, 2, -0.5, np.float32(0.25))]
    sent = road.data([" a", "\n"], [(-1, "token"), (0, "attention"), (0, "MLP")], *numbers, picked=(1, 0))
    assert json.loads(json.dumps(sent)) == sent
    assert sent["tokens"] == ["·a", "⏎"] and sent["picked"] == [1, 0]
    assert sent["stream"] == [[1.0] * 3] * 2 and sent["cosines"][1] == [-0.5] * 3
    assert sent["places"][1] == {"layer": 0, "part": "attention"}


PICKED = {"token": 0, "block": "L0", "picked": "next"}


def test_a_box_is_painted_on_a_scale_of_its_own_which_one_outlier_does_not_set() -> None:
    values = np.array([0.5, -1.0, 0.25, *[1.0] * 197, 1000])
    long = flow.Box("wte", "wte", "embedding", np.arange(1.0, 301))
    matrix = flow.Box("pattern", "pattern", "attention", np.array([[0.5, 0.5], [1, 0]]))
    sent = flow.data([" a"], [flow.Box("L0", "L0", "stream", values), long], [matrix], [(" b", 1.0)], **PICKED)
    assert json.loads(json.dumps(sent)) == sent
    box, cut = sent["road"]
    assert box["percents"][:4] == [50, -100, 25, 100] and box["percents"][-1] == 100
    assert box["length"] == pytest.approx(np.linalg.norm(values))
    assert len(cut["percents"]) == flow.DRAWN and cut["size"] == "300"
    assert cut["length"] == pytest.approx(np.linalg.norm(np.arange(1, 301)))  # of all of them
    assert (sent["inside"][0]["columns"], sent["inside"][0]["size"], sent["inside"][0]["length"]) == (2, "2 × 2", None)
    assert sent["words"] == [{"word": "·b", "share": 1.0}]


def test_a_box_of_nothing_but_zeros_is_empty() -> None:
    nothing = flow.Box("wpe", "wpe", "embedding", np.zeros(4))
    assert flow.data(["a"], [nothing], [], [], **PICKED)["road"][0]["percents"] == [0] * 4


def test_shares_are_those_of_each_whole() -> None:
    chart = bars.shares({"one": {"a": 1, "b": 3}, "two": {"a": 0, "b": 5}}, "two").to_dict()
    parts, frame = rows_of(chart)
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


def test_neurons_lie_on_the_curve_and_its_lowest_point_is_marked() -> None:
    x = np.linspace(-4, 4, 9)
    chart = curves.activation(x, (x - 1) ** 2 - 2, np.maximum(x, 0), np.array([9.0]), np.array([8.0])).to_dict()
    lines, neurons, mark = rows_of(chart)
    assert len(lines) == 18 and neurons == [{"x": 9.0, "y": 8.0, "neuron": 0}]
    assert mark[0]["label"] == "lowest: -2.0000 at 1.0000"
    assert all(layer["encoding"]["x"]["scale"]["clamp"] for layer in chart["layer"])  # beyond is at the edge


@pytest.mark.parametrize(
    ("readout", "numbers"), [("top token", ["50 %", "8 %"]), ("entropy", ["0.69", "2.08"]), ("KL", ["1.00", "0.00"])]
)
def test_the_grid_of_the_lens_says_what_is_read(readout: str, numbers: list[str]) -> None:
    ids, shares = np.array([[[1, 0]], [[0, 1]]]), np.array([[[0.5, 0.5]], [[0.08, 0.01]]])
    entropy, kl = np.log([[2.0], [8.0]]), np.array([[1.0], [0.0]])
    drawn = lens.data(["\n"], 7, ["L0", "output"], {0: " a", 1: "<b>"}, ids, shares, entropy, kl, 8, readout, 7)
    assert (drawn["tokens"], drawn["first"], drawn["picked"], drawn["rows"]) == (["⏎"], 7, 7, ["L0", "output"])
    one, other = drawn["cells"][0][0], drawn["cells"][1][0]
    assert [one["number"], other["number"]] == numbers
    assert one["likeliest"] == [["<b>", 0.5], ["·a", 0.5]] and other["likeliest"] == [["·a", 0.08], ["<b>", 0.01]]
    assert (one["same"], other["same"]) == (False, True)
    shades = {"top token": [0.5, 0.08], "entropy": [0.333, 1], "KL": [1, 0]}[readout]
    assert [one["shade"], other["shade"]] == shades
    assert one["token"] == ("<b>" if readout == "top token" else "")


def test_the_grid_follows_a_token() -> None:
    ids, ones = np.zeros((2, 1, 1), int), np.ones((2, 1))
    followed = " a", np.array([[0.0001], [0.25]]), np.array([[1000], [1]])

    def shown(readout: str) -> list[tuple[str, float]]:
        drawn = lens.data(["x"], 0, ["L0", "o"], {0: "y"}, ids, ones[..., None], ones, ones, 1000, readout, 0, followed)
        assert "·a" in drawn["legend"]
        return [(row[0]["number"], row[0]["shade"]) for row in drawn["cells"]]

    assert shown("rank") == [("1,000", 0), ("1", 1)]
    assert shown("probability") == [("< 0.1 %", 0), ("25.0 %", 0.25)]


def test_bars_that_add_and_take_have_room_for_their_numbers() -> None:
    chart = bars.signed(["b", "a"], [2.0, -1.0], "logits", "dark").to_dict()
    (rows,) = chart["datasets"].values()
    assert [(row["part"], row["value"]) for row in rows] == [("b", 2), ("a", -1)]
    drawn, adds, takes = chart["layer"]
    assert drawn["encoding"]["x"]["scale"]["domain"] == pytest.approx([-1.4, 2.4])
    assert drawn["encoding"]["y"]["sort"] == ["b", "a"]
    assert adds["transform"] == [{"filter": "datum.value >= 0"}] and takes["mark"]["align"] == "right"
    assert bars.signed(["a"], [0.0], "logits").to_dict()
