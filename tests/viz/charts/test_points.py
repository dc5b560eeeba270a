"""Words as points of a plane, and where their names stand."""

import numpy as np
import pytest

from viz.charts import points


def test_words_stand_at_their_points_with_arrows_between_them() -> None:
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
