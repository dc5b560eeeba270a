"""The toy world: what it tells, and that its surprise is the true one."""

import math
import random
from collections import Counter
from itertools import islice

import pytest

from model import world


@pytest.fixture(scope="module")
def told() -> list[world.Document]:
    return list(islice(world.documents("test"), 100_000))


def test_the_same_seed_tells_the_same(told: list[world.Document]) -> None:
    assert list(islice(world.documents("test"), 50)) == told[:50]
    assert list(islice(world.documents("another"), 50)) != told[:50]


def test_frequencies_are_the_probabilities_that_the_surprise_says(told: list[world.Document]) -> None:
    counts = Counter(document.text for document in told)
    nats = {document.text: document.nats for document in told}
    common = [text for text, count in counts.most_common(80)]
    for text in common:
        expected = math.exp(-nats[text]) * len(told)
        assert abs(counts[text] - expected) < 5 * math.sqrt(expected), text


def test_every_line_can_be_told_without_a_slot_left_over() -> None:
    for family, _ in world.FAMILIES:
        for line in [family] if callable(family) else family:
            teller = world.Teller(random.Random(0))
            line(teller) if callable(line) else teller.tell(line)
            assert teller.text
            assert not set("{}[]_|") & set(teller.text), teller.text


def test_slots_remember_differ_and_agree() -> None:
    teller = world.Teller(random.Random(1))
    teller.tell("{girl} {girl} {girl2} {a:thing} {country.capital} {country}")
    first, again, other, article, thing, *place = teller.text.split(" ")
    assert first == again != other
    assert article == ("an" if thing[0] in "aeiou" else "a")
    country = next(row for row in world.TABLES["country"] if row["name"] == place[-1])
    assert " ".join(place[:-1]) == country["capital"]


def test_an_opposite_is_mutual() -> None:
    opposites = {row["name"]: row["opposite"] for row in world.TABLES["quality"]}
    mutual = [name for name, opposite in opposites.items() if opposites.get(opposite) == name]
    assert len(mutual) >= 20


def test_a_repeat_is_one(told: list[world.Document]) -> None:
    teller = world.Teller(random.Random(2))
    world.repeats(teller)
    words = teller.text.rstrip(".").split()
    assert any(words == words[: len(words) // times] * times for times in (2, 3))


@pytest.mark.parametrize("text", ["3 + 4 = 7.", "two plus three is five.", "After Monday comes Tuesday."])
def test_what_is_told_by_code_is_true(told: list[world.Document], text: str) -> None:
    assert text in {document.text for document in told}
    for document in told[:20_000]:
        if " + " in document.text:
            sum_, result = document.text.rstrip(".").split(" = ")
            assert sum(map(int, sum_.split(" + "))) == int(result)
