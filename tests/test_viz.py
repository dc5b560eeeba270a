"""What the pictures are given."""

import json

import numpy as np
import pytest

from viz import attention, matrices, words


def patterns(layers: int, heads: int, tokens: int, sink: float = 0) -> np.ndarray:
    scores = np.random.default_rng(0).normal(size=(layers, heads, tokens, tokens)) * 3
    scores[..., 0] += sink
    weights = np.where(np.tril(np.ones((tokens, tokens), bool)), np.exp(scores), 0)
    return weights / weights.sum(-1, keepdims=True)


def unpacked(packed: bytes, heads: int, tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """The rest of each row (N, T) and the shares of it (N, T, T), read bit by bit and not as they were written."""
    rest = np.frombuffer(packed[: 4 * heads * tokens], "<f4").reshape(heads, tokens)
    count = heads * tokens * (tokens - 1) // 2
    bits = np.unpackbits(np.frombuffer(packed[4 * heads * tokens :], np.uint8))[: count * 12].reshape(count, 12)
    shares = iter(bits @ (1 << np.arange(11, -1, -1)) / 4095)
    found = np.zeros((heads, tokens, tokens))
    for head in range(heads):
        for row in range(tokens):
            for column in range(1, row + 1):
                found[head, row, column] = next(shares)
    return rest, found


@pytest.mark.parametrize("tokens", [1, 2, 3, 8])
@pytest.mark.parametrize("sink", [0, 12])
def test_the_weights_arrive_right_to_12_bits_beside_a_sink_too(tokens: int, sink: float) -> None:
    sent = patterns(3, 5, tokens, sink)
    message = attention.payload([f"t{n}" for n in range(tokens)], sent, start=(1, 2))
    length = int.from_bytes(message[:4], "little")
    header = json.loads(message[4 : 4 + length])
    assert (header["layers"], header["heads"], len(header["tokens"]), header["start"]) == (3, 5, tokens, [1, 2])
    rest, shares = unpacked(message[4 + length :], 15, tokens)
    sent = sent.reshape(15, tokens, tokens)
    np.testing.assert_allclose(1 - rest, sent[:, :, 0], atol=1e-6)
    np.testing.assert_allclose((shares * rest[..., None])[..., 1:], sent[..., 1:], atol=0.5 / 4095 + 1e-6)
    np.testing.assert_allclose(shares[:, 1:].sum(-1), 1, atol=0.5 / 4095 * tokens)


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


def test_the_bars_say_the_true_probability_and_what_is_left() -> None:
    data = words.data([" Paris", "\n"], np.array([0.75, 0.125]), others=98, typable=[True, False])
    assert data == {
        "words": [
            {"word": "·Paris", "probability": 0.75, "typable": True},
            {"word": "⏎", "probability": 0.125, "typable": False},
        ],
        "others": 98,
        "rest": 0.125,
    }
