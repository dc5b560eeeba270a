"""The truth: against the world it follows, told a hundred thousand times."""

import math
from collections import Counter, defaultdict
from itertools import islice

import pytest
import torch
from tokenizers import Tokenizer

from model.language import tokenization
from model.toy_world import grammar
from model.toy_world.exact import Truth, divergence

TOLD = 100_000


@pytest.fixture(scope="module")
def told() -> list[str]:
    return list(islice(grammar.documents("truth"), TOLD))


@pytest.fixture(scope="module")
def tokenizer(told: list[str]) -> Tokenizer:
    return tokenization.train_bpe(told[:5_000], 1500)  # so small that many words are two tokens or three


@pytest.fixture(scope="module")
def words(told: list[str]) -> Tokenizer:
    return tokenization.train_bpe(told[:30_000], 6000)  # nearly every word is one token


@pytest.fixture(scope="module")
def truth(tokenizer: Tokenizer) -> Truth:
    return Truth(tokenizer)


def truth_of(tokenizer: Tokenizer, prompt: str) -> dict[int, float]:
    return dict(Truth(tokenizer).follow(prompt)[-1])


@pytest.mark.parametrize(
    "prompt",
    ["", "The", "The capital of", "When", "Once upon a time there", "I", "Question: What is", "My", "The king and the"],
)
def test_frequencies_are_the_probabilities(told, tokenizer: Tokenizer, truth: Truth, prompt: str) -> None:
    start = tokenizer.encode(prompt).ids
    texts = [f"{text}\n" for text in told if text.startswith(prompt)]
    after = [ids.ids[len(start)] for ids in tokenizer.encode_batch(texts) if ids.ids[: len(start)] == start]
    next = truth.follow(prompt)[-1]
    assert len(after) >= 50 and set(after) <= next.keys()
    counts = Counter(after)
    for id, p in next.items():  # no count is more than six standard deviations off
        expected = p * len(after)
        assert abs(counts[id] - expected) < 6 * math.sqrt(expected * (1 - p)) + 3, tokenizer.decode([id])


def test_documents_come_as_often_as_their_surprise_says(told: list[str], truth: Truth) -> None:
    counts = Counter(told)
    for text, count in counts.most_common(60):
        expected = TOLD * math.exp(-sum(truth.nats(text)))
        assert abs(count - expected) < 6 * math.sqrt(expected), text


def test_probabilities_sum_to_one_and_follow_the_text(told: list[str], tokenizer: Tokenizer, truth: Truth) -> None:
    for text in told[:150]:
        ids = tokenizer.encode(text).ids
        followed = truth.follow(text)
        assert len(followed) == len(ids) + 1
        for next in followed:
            assert sum(next.values()) == pytest.approx(1, abs=1e-9)
        assert all(id in next for id, next in zip(ids, followed))
        assert tokenizer.token_to_id("Ċ") in followed[-1]


def test_a_prefix_alone_has_the_same_truth(told: list[str], tokenizer: Tokenizer, truth: Truth) -> None:
    text = next(text for text in told if text.count(" ") > 20)
    followed = truth.follow(text)
    encoding = tokenizer.encode(text)
    whole_words = [n for n, (start, _) in enumerate(encoding.offsets) if n and text[start] == " "]
    for n in whole_words:
        alone = truth.follow(text[: encoding.offsets[n][0]])[-1]
        assert alone == pytest.approx(followed[n], abs=1e-12)


def test_a_text_told_in_two_ways_has_the_sum(monkeypatch: pytest.MonkeyPatch, told: list[str]) -> None:
    animal = grammar.Draw(("cat", "dog", "cats"), ".", lambda i: None)
    lines = [("The ", animal), ("The cat.", None)]
    start = grammar.Draw(tuple(lead for lead, _ in lines), "", lambda i: lines[i][1], weights=(0.4, 0.6))
    monkeypatch.setattr("model.toy_world.exact.START", start)
    tokenizer = tokenization.train_bpe(["The cat. The dog."] * 9, 300)
    the, cat, dog, s, stop = tokenizer.encode("The cat dogs.").ids
    assert truth_of(tokenizer, "The") == pytest.approx({cat: 0.6 + 0.4 * 2 / 3, dog: 0.4 / 3})
    p_cats = 0.4 / 3 / (0.6 + 0.4 * 2 / 3)  # the s of cats is a token of its own
    assert truth_of(tokenizer, "The cat") == pytest.approx({s: p_cats, stop: 1 - p_cats})
    assert sum(Truth(tokenizer).nats("The cat.")) == pytest.approx(-math.log(0.6 + 0.4 / 3))


def tellings(draw: grammar.Draw | None) -> list[tuple[str, float]]:
    """Every text that a chain of draws can tell, with its probability."""
    if draw is None:
        return [("", 1.0)]
    weights = draw.weights or [1 / len(draw.texts)] * len(draw.texts)
    return [
        (text + draw.after + rest, weight * p)
        for i, (text, weight) in enumerate(zip(draw.texts, weights))
        for rest, p in tellings(draw.then(i))
    ]


@pytest.mark.parametrize("merges", [0, 20, 200])
def test_a_small_world_has_the_truth_of_all_its_texts(monkeypatch: pytest.MonkeyPatch, merges: int) -> None:
    words = ("rest", "restaurant", "rest area", "cat", "cats", "a", "polar bear")  # some begin like others
    verb = grammar.Draw(("sat", "s", "sat"), "", lambda i: None)
    thing = grammar.Draw(words, " ", lambda i: verb)
    part = grammar.Draw(words, "s. ", lambda i: thing)
    again = grammar.Draw(("", ""), "", lambda i: (thing, part)[i], weights=(0.3, 0.7))
    leads = {"The ": thing, "": part, "The": again, "The rest sat": None, "rest ": again, '"': verb}
    start = grammar.Draw(tuple(leads), "", lambda i: list(leads.values())[i], weights=(0.1, 0.2, 0.1, 0.3, 0.2, 0.1))
    monkeypatch.setattr("model.toy_world.exact.START", start)
    told = tellings(start)
    tokenizer = tokenization.train_bpe([text for text, _ in told], 257 + merges)
    after: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)  # what follows each beginning, in tokens
    for text, p in told:
        ids = tokenizer.encode(f"{text}\n").ids
        for n, id in enumerate(ids):
            after[tuple(ids[:n])][id] += p
    truth = Truth(tokenizer)
    for begun, next in after.items():
        text = tokenizer.decode(begun)
        if tuple(tokenizer.encode(text).ids) == begun:  # which is not so where the beginning has tokens of its own
            found = truth.follow(text)[-1]
            assert found == pytest.approx({id: p / next.total() for id, p in next.items()}, abs=1e-12), text


@pytest.mark.parametrize(
    ("prompt", "inside"),
    [
        ("The capital of France is Paris.\nThe capital of", None),
        ("% monkeys", 0),
        ("The capital of France is Rome", 5),
        ("The capital of France is ", 5),
        ("The capital of Narnia", 3),
        ("\n", 0),
        ("The  capital", 1),
        ("The capital of France is Paris.\r\n", 7),
        ("\x00", 0),
        ("Ünïcödé 👩‍👩‍👧‍👦", 0),
    ],
)
def test_outside_the_world_there_is_no_truth(words: Tokenizer, prompt: str, inside: int | None) -> None:
    followed = Truth(words).follow(prompt)
    assert len(followed) == len(words.encode(prompt).ids) + 1
    known = [bool(next) for next in followed]
    assert known == sorted(known, reverse=True)  # once outside, always outside
    assert known.index(False) == inside + 1 if inside is not None else all(known)


def test_a_line_break_begins_a_new_document(truth: Truth) -> None:
    assert truth.follow("I think, therefore I am.\n")[-1] == truth.follow("")[0]
    one, two = truth.follow("The king"), truth.follow("I think, therefore I am.\nThe king")
    assert two[-len(one) :] == one


def test_what_cannot_be_told_surprises_without_end(truth: Truth) -> None:
    assert sum(truth.nats("The capital of France is Rome.")) == math.inf
    assert sum(truth.nats("I think, therefore I am.")) < 15


def test_the_divergence_is_that_of_the_definition() -> None:
    logits = torch.tensor([1.0, 2.0, 3.0, 4.0])
    log_q = logits.log_softmax(-1)
    p = torch.tensor([0.5, 0.5, 0.0, 0.0])
    expected = torch.nn.functional.kl_div(log_q, p, reduction="sum").item()
    assert divergence({0: 0.5, 1: 0.5}, log_q) == pytest.approx(expected, rel=1e-6)
    assert divergence({id: q.exp().item() for id, q in enumerate(log_q)}, log_q) == pytest.approx(0, abs=1e-6)
    assert math.isnan(divergence({}, log_q))
