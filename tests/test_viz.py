"""What the pictures are given."""

import json

import numpy as np
import pytest

from viz import attention, matrices, words


def patterns(layers: int, heads: int, tokens: int) -> np.ndarray:
    scores = np.random.default_rng(0).normal(size=(layers, heads, tokens, tokens)) * 3
    weights = np.where(np.tril(np.ones((tokens, tokens), bool)), np.exp(scores), 0)
    return weights / weights.sum(-1, keepdims=True)


def unpacked(packed: bytes, count: int) -> np.ndarray:
    """The weights in packed bytes, read bit by bit and not as the packing wrote them."""
    bits = np.unpackbits(np.frombuffer(packed, np.uint8))[: count * 12].reshape(count, 12)
    return bits @ (1 << np.arange(11, -1, -1)) / 4095


@pytest.mark.parametrize("tokens", [1, 2, 3, 8])
def test_the_weights_arrive_right_to_12_bits(tokens: int) -> None:
    sent = patterns(3, 5, tokens)
    message = attention.payload([f"t{n}" for n in range(tokens)], sent, start=(1, 2))
    length = int.from_bytes(message[:4], "little")
    header = json.loads(message[4 : 4 + length])
    assert (header["layers"], header["heads"], len(header["tokens"]), header["start"]) == (3, 5, tokens, [1, 2])
    below = sent[..., *np.tril_indices(tokens)].ravel()
    np.testing.assert_allclose(unpacked(message[4 + length :], below.size), below, atol=0.5 / 4095 + 1e-9)


def test_144_heads_at_64_tokens_take_less_than_half_a_megabyte() -> None:
    assert len(attention.payload(["·token"] * 64, patterns(12, 12, 64), start=(0, 0))) < 500_000


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -0.1, 1.1])
def test_a_weight_that_is_none_is_refused(wrong: float) -> None:
    broken = patterns(1, 1, 4)
    broken[0, 0, 2, 1] = wrong
    with pytest.raises(ValueError, match="from 0 to 1"):
        attention.pack(broken[0])


def test_the_steps_show_the_numbers_and_leave_out_what_is_masked() -> None:
    tokens = ["a", " b", "a"]
    scores = np.arange(9.0).reshape(3, 3)
    pattern = patterns(1, 1, 3)[0, 0]
    figure = matrices.steps(tokens, scores * 2, scores, pattern)
    products, masked, softmax = (np.array(trace.z, float) for trace in figure.data)
    np.testing.assert_array_equal(products, scores * 2)
    future = np.triu(np.ones((3, 3), bool), 1)
    for found, expected in ((masked, scores), (softmax, pattern)):
        assert np.isnan(found[future]).all()
        np.testing.assert_array_equal(found[~future], expected[~future])
    assert list(figure.layout.xaxis.ticktext) == ["a", "·b", "a"]
    assert figure.data[0].texttemplate
    assert figure.to_json()


def test_many_tokens_leave_the_cells_without_numbers() -> None:
    many = np.zeros((40, 40))
    assert not matrices.steps(["x"] * 40, many, many, many).data[0].texttemplate


def test_the_bars_say_the_true_probability_and_what_is_left() -> None:
    data = words.data([" Paris", "\n"], np.array([0.75, 0.125]), others=98)
    assert data == {
        "words": [{"word": "·Paris", "probability": 0.75}, {"word": "⏎", "probability": 0.125}],
        "others": 98,
        "rest": 0.125,
    }
