"""Heat maps: numbers, scales and labels."""

import numpy as np
import pytest

from tests.viz.samples import attention_patterns
from viz.charts import heatmaps, points


def test_steps_show_all_products_and_leave_out_masked_scores() -> None:
    tokens = ["a", " b", "a"]
    scores = np.arange(9.0).reshape(3, 3)
    pattern = attention_patterns(1, 1, 3)[0, 0]
    figures = heatmaps.steps(tokens, scores * 2, scores, pattern)
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


def test_a_row_has_no_score_after_its_query() -> None:
    scores = np.arange(9.0).reshape(3, 3)
    pattern = attention_patterns(1, 1, 3)[0, 0]
    table = heatmaps.row(["a", " b", "a"], scores * 2, scores, pattern, query=1)
    assert list(table["key"]) == ["a", "·b", "a"]
    assert list(table["q·k"]) == [6, 8, 10]
    assert list(table["÷ √D"][:2]) == [3, 4] and np.isnan(table["÷ √D"][2])
    assert table["weight"].sum() == pytest.approx(1, abs=2e-4)


def test_cells_of_many_tokens_have_no_numbers() -> None:
    many = np.zeros((40, 40))
    assert not heatmaps.steps(["x"] * 40, many, many, many)[0].data[0].texttemplate


def test_markup_in_a_word_is_escaped_for_plotly() -> None:
    figure = points.words(["<b>x</b>", "a&b"], np.eye(2), ["typed", "listed"], ("from <b>x</b>", "it's"))
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("from &lt;b&gt;x&lt;/b&gt;", "it's")
    assert {trace.text for trace in figure.data} == {"&lt;b&gt;x&lt;/b&gt;", "a&amp;b"}
    heatmap = heatmaps.cosines(["<i>"], np.eye(1))
    assert heatmap.layout.xaxis.ticktext == ("&lt;i&gt;",) and heatmap.data[0].customdata[0][0][0] == "&lt;i&gt;"


def test_cosines_are_on_one_scale() -> None:
    heatmap = heatmaps.cosines(["a", "b"], np.array([[1.0, -0.5], [-0.5, 1]]), "dark").data[0]
    assert (heatmap.zmin, heatmap.zmax) == (-1, 1) and "cosine" in heatmap.hovertemplate
    assert heatmap.customdata[0][1] == ["a", "b"]


def test_matrices_of_one_kind_share_a_scale() -> None:
    tokens, small = ["a", " b"], np.array([[1.0, 9.0], [-2.0, 0.5]])
    for figure in heatmaps.scores({"one": (tokens, small), "two": (tokens, 2 * small)}):
        assert figure.data[0].zmax == -figure.data[0].zmin == 4  # the 18 above the diagonal is masked
        assert np.isnan(figure.data[0].z[0][1])
    one, two = heatmaps.patterns({"one": (tokens, small), "two": (tokens[::-1], small)})
    np.testing.assert_array_equal(one.data[0].z, small)
    assert (one.layout.title.text, list(two.layout.xaxis.ticktext)) == ("one", ["·b", "a"])
    assert one.data[0].zmax == two.data[0].zmax == 1


def test_vectors_are_labeled_with_their_tokens() -> None:
    table = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    read = heatmaps.vectors(["a", " b"], table[:2])
    np.testing.assert_array_equal(read.data[0].z, table[:2])
    assert list(read.data[0].y) == ["0 a", "1 ·b"] and read.layout.yaxis.dtick == 1
    every = heatmaps.vectors(["a", " b"], table)
    assert list(every.data[0].y) == ["0 a", "1 ·b", "2", "3", "4", "5"] and every.layout.yaxis.dtick is None
    assert every.layout.yaxis.type == "category" and "%{y}" in every.data[0].hovertemplate
    some = heatmaps.vectors(["a", " b", "<b>"], table[::2], 2)
    assert list(some.data[0].y) == ["0 a", "2 &lt;b&gt;", "4"]
    assert read.data[0].zmax == np.abs(table[:2]).max() == -read.data[0].zmin


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("sign", [1, -1])
def test_every_head_has_its_number_and_marked_heads_a_frame(theme: str, sign: int) -> None:
    scores = np.arange(6.0).reshape(2, 3) * sign
    chart = heatmaps.heads(scores, [(1, 2)], "logits", theme).to_dict()
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
def test_a_difference_is_drawn_from_the_first_row_that_can_differ(theme: str) -> None:
    one, other = attention_patterns(1, 2, 4)[0]
    figure = heatmaps.difference(["a", "<b>", "c", "d"], one, other, 2, "H0", theme)
    (heatmap,) = figure.data
    assert heatmap.z.shape == (2, 4) and list(figure.layout.yaxis.ticktext) == ["c", "d"]
    assert np.isnan(heatmap.z[0, 3]) and heatmap.z[1, 1] == pytest.approx(100 * (other - one)[3, 1])
    assert heatmap.text[0][0] == f"{100 * (other - one)[2, 0]:+.0f}" and heatmap.text[0][3] == ""
    query, key, a, b = heatmap.customdata[1, 1]
    assert (query, key) == ("d", "&lt;b&gt;") and float(b) - float(a) == pytest.approx(heatmap.z[1, 1], abs=0.011)
    assert (heatmap.zmin, heatmap.zmax) == (-100, 100)
    same = heatmaps.difference(["a", "b"], one[:2, :2], one[:2, :2], 2, "H0", theme)
    assert same.data[0].z[0].tolist() == [0, 0]  # the last row, where nothing differs
    assert (
        heatmaps.difference(["a"] * 40, *attention_patterns(1, 2, 40)[0], 0, "H0", theme).data[0].texttemplate is None
    )


def test_the_map_of_positions_names_tokens_and_writes_numbers_that_are_not_0() -> None:
    shares = np.array([[0.0, 1.0, -0.001], [0.25, -0.5, 0.004]])
    chart = heatmaps.positions(shares, [" a", " a", "<b>"], "restored").to_dict()
    (rows,) = chart["datasets"].values()
    assert {(row["layer"], row["position"]): row["score"] for row in rows} == dict(np.ndenumerate(shares))
    assert [row["column"] for row in rows[:3]] == ["0 ·a", "1 ·a", "2 <b>"]
    assert [row["text"] for row in rows] == ["0.00", "1.00", "0.00", "0.25", "−0.50", "0.00"]
    assert [param["name"] for param in chart["params"]] == ["position"]
    assert chart["layer"][-1]["transform"] == [{"filter": "abs(datum.score) >= 0.005"}]


def test_steps_are_on_the_scale_of_their_own_largest_number() -> None:
    products, scores = np.array([[1.0, 9], [-6, 2]]), np.array([[0.5, 70], [-3, 1]])
    figures = heatmaps.steps(["a", "b"], products, scores, np.eye(2))
    assert [(figure.data[0].zmin, figure.data[0].zmax) for figure in figures] == [(-9, 9), (-3, 3), (0, 1)]


@pytest.mark.parametrize(
    ("scores", "domain"), [([[0.3, 0.1]], [0, 1]), ([[-0.3, 0.1]], [-1, 0, 1]), ([[4, 1]], [0, 4])]
)
def test_the_scale_of_heads_reaches_1_at_least(scores: list, domain: list) -> None:
    cells = heatmaps.heads(np.array(scores), (), "score").to_dict()["layer"][0]
    assert cells["encoding"]["color"]["scale"]["domain"] == domain
