"""Beyond the length: the curves and the table are those of the shipped losses."""

import pyarrow as pa
import pytest

from model.transformer.position_schemes import SCHEMES
from pages.shared.compute import training
from tests.driver import BEYOND_LENGTH, page


def test_the_curves_beyond_the_context_say_how_they_came_about() -> None:
    app = page(BEYOND_LENGTH)
    (description,) = [caption.value for caption in app.caption if "batches" in caption.value]
    command = app.code[0].value
    assert f"{training.BEYOND['steps']:,} batches" in description and f"--steps {training.BEYOND['steps']}" in command
    (table,) = [frame.value for frame in app.dataframe]
    assert list(table["scheme"]) == list(SCHEMES) == list(training.BEYOND["loss"])
    for scheme, shown in zip(SCHEMES, table["193 to 256"]):
        assert shown == pytest.approx(sum(training.BEYOND["loss"][scheme][192:]) / 64, abs=6e-4)


@pytest.mark.parametrize("link", [{}, {"scheme": "ALiBi"}, {"scheme": "<b>"}], ids=str)
def test_each_scheme_has_its_curve_whose_mean_is_that_of_the_losses(link: dict[str, str]) -> None:
    app = page(BEYOND_LENGTH, **link)
    assert not app.exception
    (chart,) = app.get("vega_lite_chart")
    tables = [pa.ipc.open_stream(data.data.data).read_all().to_pandas() for data in chart.proto.datasets]
    (curves,) = [table for table in tables if {"x", "y", "name"} == {*table}]
    for scheme, losses in training.BEYOND["loss"].items():
        curve = curves[curves["name"] == scheme]
        assert list(curve["x"]) == list(range(1, len(losses) + 1))
        middle = curve[curve["x"] == 150]["y"].item()
        assert middle == pytest.approx(sum(losses[145:154]) / 9)
