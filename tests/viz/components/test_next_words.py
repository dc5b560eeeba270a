"""The next words, as they are sent."""

import numpy as np

from viz.components import next_words


def test_bars_have_the_probability_and_the_rest() -> None:
    data = next_words.data([" Paris", "\n"], np.array([0.75, 0.125]), others=98, typable=[True, False])
    assert data == {
        "words": [
            {"word": "·Paris", "shares": [0.75], "typable": True},
            {"word": "⏎", "shares": [0.125], "typable": False},
        ],
        "others": 98,
        "rest": [0.125],
    }


def test_bars_have_the_truth_beside_them() -> None:
    truth = np.array([0.5, 0.0])
    data = next_words.data([" Paris", " Rome"], np.array([0.75, 0.125]), others=1, typable=[True, True], truth=truth)
    assert [word["shares"] for word in data["words"]] == [[0.75, 0.5], [0.125, 0.0]]
    assert data["rest"] == [0.125, 0.5]
