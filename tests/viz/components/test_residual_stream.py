"""The residual stream, as it is sent and drawn."""

import json

import numpy as np
import pytest

from tests.node import run
from viz.components import residual_stream


def test_the_stream_is_sent_with_its_numbers_and_visible_tokens() -> None:
    numbers = [np.full((2, 3), value) for value in (1.00004, 2, -0.5, np.float32(0.25))]
    sent = residual_stream.data([" a", "\n"], [(-1, "token"), (0, "attention"), (0, "MLP")], *numbers, picked=(1, 0))
    assert json.loads(json.dumps(sent)) == sent
    assert sent["tokens"] == ["·a", "⏎"] and sent["picked"] == [1, 0]
    assert sent["stream"] == [[1.0] * 3] * 2 and sent["cosines"][1] == [-0.5] * 3
    assert sent["places"][1] == {"layer": 0, "part": "attention"}


def test_a_road_is_as_wide_as_the_square_root_of_its_length() -> None:
    widths = run("residual_stream", "[100, 25, 4, 0].map((length) => wide(length, 100))")
    assert widths == [17, 8.5, pytest.approx(3.4), 1]


def test_a_place_is_read_out_with_lengths_cosine_and_share() -> None:
    places = [(-1, "token"), (-1, "position"), (0, "attention"), (0, "MLP")]
    stream, written = np.array([[1.0, 2, 3, 250]]), np.array([[1.0, 1.5, 2.25, 123.456]])
    cosines, shares = np.array([[0.5, 0.25, -0.126, 0]]), np.array([[0.1, 0.2, -0.0126, 0.9]])
    data = residual_stream.data(["a"], places, stream, written, cosines, shares, (0, 0))
    assert run("residual_stream", "[0, 2, 3].map((n) => about(data, 0, n))", data=data) == [
        " the token adds 1.00 (lengths); cosine with the end 0.50, 10.0 % of it. ",
        " L0 attention adds 2.25 to 2.00, which makes 3.00 (lengths); cosine with the end −0.13, −1.3 % of it. ",
        " L0 MLP adds 123 to 3.00, which makes 250 (lengths); cosine with the end 0.00, 90.0 % of it. ",
    ]
