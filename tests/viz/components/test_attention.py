"""The picture of attention: what is sent, and what the browser computes from it."""

import json

import numpy as np
import pytest

from tests.node import run
from viz.components import attention
from viz.percent import percent


def patterns(layers: int, heads: int, tokens: int, sink: float = 0, seed: int = 0) -> np.ndarray:
    """Random attention patterns (L, H, T, T); `sink` is added to the scores of the first token."""
    scores = np.random.default_rng(seed).normal(size=(layers, heads, tokens, tokens)) * 3
    scores[..., 0] += sink
    weights = np.where(np.tril(np.ones((tokens, tokens), bool)), np.exp(scores), 0)
    return weights / weights.sum(-1, keepdims=True)


def rows_of(pattern: np.ndarray) -> list[float]:
    """The weights of a pattern (T, T) below and on the diagonal, row by row, as the browser holds them."""
    return pattern[np.tril_indices(len(pattern))].tolist()


def decoded(packed: bytes, heads: int, tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """The rest of each row (N, T) and the shares of it (N, T, T), read bit by bit and not as they were written."""
    rest = np.frombuffer(packed[: 4 * heads * tokens], "<f4").reshape(heads, tokens)
    count = heads * tokens * (tokens - 1) // 2
    bits = np.unpackbits(np.frombuffer(packed[4 * heads * tokens :], np.uint8))[: count * 12].reshape(count, 12)
    values = iter(bits @ (1 << np.arange(11, -1, -1)) / 4095)
    shares = np.zeros((heads, tokens, tokens))
    for head in range(heads):
        for row in range(tokens):
            for column in range(1, row + 1):
                shares[head, row, column] = next(values)
    return rest, shares


@pytest.mark.parametrize("tokens", [1, 2, 3, 8])
@pytest.mark.parametrize("sink", [0, 12])
def test_weights_arrive_right_to_12_bits_beside_a_sink_too(tokens: int, sink: float) -> None:
    sent = patterns(3, 5, tokens, sink)
    message = attention.payload([f"t{n}" for n in range(tokens)], sent, start=(1, 2))
    length = int.from_bytes(message[:4], "little")
    header = json.loads(message[4 : 4 + length])
    assert (header["layers"], header["heads"], len(header["tokens"]), header["start"]) == (3, 5, tokens, [1, 2])
    rest, shares = decoded(message[4 + length :], 15, tokens)
    sent = sent.reshape(15, tokens, tokens)
    np.testing.assert_allclose(1 - rest, sent[:, :, 0], atol=1e-6)
    np.testing.assert_allclose((shares * rest[..., None])[..., 1:], sent[..., 1:], atol=0.5 / 4095 + 1e-6)
    np.testing.assert_allclose(shares[:, 1:].sum(-1), 1, atol=0.5 / 4095 * tokens)
    there = "(({ header, body }) => [...decode(body, header.layers * header.heads, header.tokens.length).weights])"
    weights = run("attention", f"{there}(unpack(Uint8Array.from(message)))", message=[*message])
    expected = [weight for pattern in sent for weight in rows_of(pattern)]
    assert weights == pytest.approx(expected, abs=0.5 / 4095 + 1e-6)


def test_144_heads_at_64_tokens_take_less_than_half_a_megabyte() -> None:
    assert len(attention.payload(["·token"] * 64, patterns(12, 12, 64), start=(0, 0))) < 500_000


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -0.1, 1.1])
def test_a_weight_outside_0_to_1_is_refused(wrong: float) -> None:
    broken = patterns(1, 1, 4)
    broken[0, 0, 2, 1] = wrong
    with pytest.raises(ValueError, match="from 0 to 1"):
        attention.encode(broken[0])


def random_case(seed: int) -> np.ndarray:
    """A random pattern of 3 to 20 tokens, now and then with exact zeros, or with nearly all on the first token."""
    random = np.random.default_rng(seed)
    pattern = patterns(1, 1, int(random.integers(3, 21)), float(random.choice([0, 0, 12])), seed)[0, 0]
    if seed % 5 == 0:
        pattern = np.where(pattern < 0.05, 0, pattern)
        pattern /= pattern.sum(-1, keepdims=True)
    return pattern


CASES = [random_case(seed) for seed in range(1000)]
ROWS = [{"weights": rows_of(pattern), "count": len(pattern)} for pattern in CASES]


def habits(pattern: np.ndarray) -> tuple[float, float, float, float]:
    """The mean weight of the token before, of the first and of itself, and of the exponential of the entropy."""
    queries = range(2, len(pattern))
    logs = np.log(np.where(pattern > 0, pattern, 1))
    breadth = np.exp(-(pattern * logs).sum(-1))
    return (
        float(np.mean([pattern[n, n - 1] for n in queries])),
        float(np.mean([pattern[n, 0] for n in queries])),
        float(np.mean([pattern[n, n] for n in queries])),
        float(np.mean([breadth[n] for n in queries])),
    )


def test_habits_of_a_head_are_those_of_its_pattern() -> None:
    """1,000 random patterns; the sentence has the same numbers."""
    numbers = run("attention", "cases.map(({ weights, count }) => habits(weights, count))", cases=ROWS)
    sentence = "cases.map(({ weights, count }, n) => describe('L1 H2', weights, count, n % 2 === 1))"
    for n, (pattern, found, text) in enumerate(
        zip(CASES, numbers, run("attention", sentence, cases=ROWS), strict=True)
    ):
        before, first, itself, breadth = habits(pattern)
        expected = {"before": before, "first": first, "itself": itself, "breadth": breadth}
        assert found == pytest.approx(expected, abs=1e-9)
        if abs(10 * breadth % 1 - 0.5) < 1e-6 or any(abs(1000 * share % 1 - 0.5) < 1e-6 for share in (before, itself)):
            continue  # the last digit may be rounded either way
        to_first = "the first token is hidden" if n % 2 else f"{percent(first)} to the first"
        assert text == (
            f"L1 H2 gives {percent(before)} to the token before, {percent(itself)} to itself, {to_first}; "
            f"its attention is spread over about {breadth:.1f} tokens."
        )


def test_two_tokens_have_no_habits() -> None:
    assert "type a few more words" in run("attention", "describe('L0 H0', [1, 0.5, 0.5], 2, false)")


def test_a_pattern_without_its_first_token_sums_to_1_again() -> None:
    script = "cases.map(({ weights, rests }) => [...withoutFirst(Float32Array.from(weights), rests)])"
    cases = [{"weights": rows_of(pattern), "rests": (1 - pattern[:, 0]).tolist()} for pattern in CASES[:200]]
    for pattern, found in zip(CASES, run("attention", script, cases=cases)):
        rest = np.where(1 - pattern[:, :1] > 0, 1 - pattern[:, :1], 1)
        expected = np.where(np.arange(len(pattern)) > 0, pattern / rest, 0)
        assert found == pytest.approx(rows_of(expected), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8, 1])
def test_arcs_are_the_largest_weights_that_make_up_a_share_of_each_row(share: float) -> None:
    script = "cases.map(({ weights, count }) => [...largest(Float32Array.from(weights), count, share)])"
    for pattern, found in zip(CASES, run("attention", script, cases=ROWS[:200], share=share)):
        cells = iter(found)
        for row, weights in enumerate(pattern):
            shown = [next(cells) for _ in range(row + 1)]
            left, needed = share, set()
            for column in np.argsort(-weights[: row + 1], kind="stable"):
                if left > 1e-6:
                    needed.add(int(column))
                    left -= weights[column]
            expected = {*range(row + 1)} if share == 1 else needed
            kept = {column for column, weight in enumerate(shown) if weight > 0}
            assert kept == {column for column in expected if weights[column] > 0}
            assert [shown[n] for n in kept] == pytest.approx([weights[n] for n in kept], abs=1e-6)


def test_the_mean_of_a_layer_is_that_of_its_heads() -> None:
    sent = patterns(2, 3, 4)
    values = [weight for pattern in sent.reshape(6, 4, 4) for weight in rows_of(pattern)]
    script = "[[1, 2], [1, 3], [2, 3]].map((at) => [...mean(Float32Array.from(values), 10, members(data, ...at))])"
    head, layer, every = run("attention", script, values=values, data={"layers": 2, "heads": 3})
    assert head == pytest.approx(rows_of(sent[1, 2]), abs=1e-7)
    assert layer == pytest.approx(rows_of(sent[1].mean(0)), abs=1e-7)
    assert every == pytest.approx(rows_of(sent.mean((0, 1))), abs=1e-7)
