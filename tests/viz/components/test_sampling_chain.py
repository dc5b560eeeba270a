"""The sampling chain: what is sent, and what the browser computes from it, beside model.decoding.sampling."""

import json
import math
from itertools import permutations

import numpy as np
import pytest
import torch

from model.decoding import sampling
from tests.node import run
from viz.components import sampling_chain

VALUES = {
    "repetition": [1, 1.05, 1.3, 1.5, 2],
    "temperature": [0, 1e-40, 0.05, 0.3, 0.7, 0.9, 1, 1.6, 2],
    "top-k": [1, 2, 3, 5, 10, 50],
    "top-p": [0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1],
    "min-p": [0, 0.01, 0.1, 0.25, 0.5, 1],
}
LOGITS = {
    "spread": lambda random, size: random.normal(0, 4, size),
    "near": lambda random, size: random.normal(0, 1e-6, size),
    "equal": lambda random, size: np.full(size, random.normal()),
    "rounded": lambda random, size: np.rint(random.normal(0, 2, size)),
    "halves": lambda random, size: np.rint(random.normal(0, 2, size) * 2) / 2,
    "fractions": lambda random, size: np.log(random.integers(1, 5, size)),
    "doubling": lambda random, size: random.integers(-6, 1, size) * math.log(2),
}


def random_case(seed: int) -> dict:
    """Logits of 1 to 600 tokens, many of them equal, the ids of a text, and 1 to 5 different steps in random order."""
    random = np.random.default_rng(seed)
    size = int(random.choice([1, 2, 4, 5, 40, 100, 500, 600]))
    logits = LOGITS[random.choice([*LOGITS])](random, size).astype(np.float32)
    names = random.permutation([*VALUES])[: random.integers(1, 6)]
    chain = [(str(name), float(random.choice(VALUES[name]))) for name in names]
    return {"logits": logits.tolist(), "chain": chain, "seen": random.integers(0, size, 5).tolist()}


CASES = [random_case(seed) for seed in range(1000)]
APPLIED = """cases.map(({ chain, logits, seen }) => {
    const after = apply(chain, Float32Array.from(logits), [...new Set(seen)]);
    return [[...after], [...softmax(after)], lost(after, softmax(Float32Array.from(logits)))];
})"""


def test_browser_and_model_keep_the_same_tokens_at_ties_too() -> None:
    """1,000 random chains: the same tokens are kept, the same logits to the bit, the same probabilities."""
    for case, (after, shares, (cut, mass)) in zip(CASES, run("sampling_chain", APPLIED, cases=CASES), strict=True):
        logits = torch.tensor(case["logits"], dtype=torch.float32)
        expected = sampling.apply(case["chain"], logits, case["seen"])
        assert [-math.inf if logit is None else logit for logit in after] == expected.tolist(), case["chain"]
        assert shares == pytest.approx(expected.double().softmax(-1).tolist(), abs=1e-12)
        gone = logits.double().softmax(-1)[expected.isinf()]
        assert cut == (gone > 0).sum() and mass == pytest.approx(gone.sum().item(), abs=1e-12)


@pytest.mark.parametrize(("count", "p", "kept"), [(500, 0.99, 495), (4, 0.5, 2), (100, 0.07, 7), (10, 0.3, 3)])
def test_of_equal_tokens_top_p_keeps_the_later_ids_and_no_more_than_needed(count: int, p: float, kept: int) -> None:
    later = [*range(count - kept, count)]
    assert sampling.top_p(torch.zeros(count), p).isfinite().nonzero()[:, 0].tolist() == later
    ids = "[...APPLY['top-p'](new Float32Array(count), p).entries()].filter(([, l]) => l === 0).map(([id]) => id)"
    assert run("sampling_chain", ids, count=count, p=p) == later


def test_a_repetition_penalty_divides_positive_logits_and_multiplies_negative_ones() -> None:
    after = "[...APPLY.repetition(Float32Array.from([3, -3, 0, 3, -3]), 1.5, [0, 1, 2])]"
    assert run("sampling_chain", after) == [2, -4.5, 0, 3, -3]


def test_draws_come_as_often_as_their_probabilities_and_again_with_the_seed() -> None:
    shares = [0.5, 0.0, 0.3, 0.2, 0.0]
    drawn = "[1, 1, 2].map((seed) => [...draw(Float64Array.from(shares), 20000, seed).counts])"
    first, again, other = (dict(counts) for counts in run("sampling_chain", drawn, shares=shares))
    assert first == again != other
    assert {id: count / 20_000 for id, count in first.items()} == pytest.approx({0: 0.5, 2: 0.3, 3: 0.2}, abs=0.015)
    last = run("sampling_chain", "[0, 1].map((count) => draw([0, 0, 1], count, 7).last)")
    assert last == [None, 2]


@pytest.mark.parametrize("order", [*permutations(["top-k:5", "temperature:0.7", "min-p:0.1"])])
def test_a_chain_is_written_into_the_link_and_read_from_it_in_its_order(order: tuple[str, ...]) -> None:
    text = ",".join(order)
    steps = [[name, float(value)] for name, value in (step.split(":") for step in order)]
    assert run("sampling_chain", "decodeSteps(text)", text=text) == {"steps": steps, "isValid": True}
    assert run("sampling_chain", "encodeSteps(decodeSteps(text).steps)", text=text) == text


@pytest.mark.parametrize(
    "text", ["top-k:0", "temperature:-1", "temperature:1e-40", "dice:1", "constructor:1", "top-p:2", "top-p", "min-p:x"]
)
def test_a_step_that_does_not_exist_or_is_out_of_its_range_is_left_out(text: str) -> None:
    expected = {"steps": [["repetition", 1.5]], "isValid": False}
    assert run("sampling_chain", "decodeSteps(text)", text=f"repetition:1.5,{text}") == expected


def test_the_same_step_twice_counts_once() -> None:
    twice = run("sampling_chain", "decodeSteps('top-k:5,top-k:9')")
    assert twice == {"steps": [["top-k", 5]], "isValid": False}


def test_the_logits_of_the_whole_vocabulary_are_sent() -> None:
    logits = np.random.default_rng(0).normal(size=501)
    packed = sampling_chain.payload(logits, [7, 9], [" a", "\n"], [True, False], [9, 3, 9], {7: 0.25})
    length = int.from_bytes(packed[:4], "little")
    header = json.loads(packed[4 : 4 + length])
    rest = {"seen": [3, 9], "read": 3, "truth": {"7": 0.25}}
    assert header == {"names": {"7": "·a", "9": "⏎"}, "untypable": [9], **rest}
    assert np.array_equal(np.frombuffer(packed[4 + length :], "<f4"), logits.astype("f4"))
    sent = "[(({ header, body }) => [header, [...new Float32Array(body.buffer)]])(unpack(Uint8Array.from(message)))]"
    ((header_there, logits_there),) = run("sampling_chain", sent, message=[*packed])
    assert header_there == header and logits_there == logits.astype("f4").tolist()


def test_names_of_all_ids_are_sent_as_a_list() -> None:
    packed = sampling_chain.payload(np.zeros(3), range(3), ["a", "b", "c"], [True] * 3, [9, 3, 9], {})
    header = json.loads(packed[4 : 4 + int.from_bytes(packed[:4], "little")])
    assert header == {"names": ["a", "b", "c"], "untypable": [], "seen": [3, 9], "read": 3, "truth": None}


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_logit_that_is_not_finite_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        sampling_chain.payload(np.array([0.0, wrong]), [], [], [], [], {})
