"""The toy world: what it tells, and that it is as wide and as harmless as it says."""

import math
import random
import re
from itertools import islice

import pytest

from model.language import tokenization
from model.toy_world import grammar
from model.toy_world.exact import Truth
from model.toy_world.grammar import TABLES


@pytest.fixture(scope="module")
def told() -> list[str]:
    return list(islice(grammar.documents("test"), 30_000))


def tell(template: str, seed: int = 1) -> str:
    """One text of a template."""
    rng = random.Random(seed)
    text, draw = grammar.parse_line(template)
    while draw:
        i = rng.randrange(len(draw.texts))
        text += draw.texts[i] + draw.after
        draw = draw.then(i)
    return text


def test_the_same_seed_tells_the_same(told: list[str]) -> None:
    assert list(islice(grammar.documents("test"), 50)) == told[:50]
    assert list(islice(grammar.documents("another"), 50)) != told[:50]


def test_it_is_wide(told: list[str]) -> None:
    assert len({word for text in told for word in re.findall("[a-z]+", text.lower())}) >= 3000
    assert len(grammar.FAMILIES) >= 100


def test_the_families_that_ask_are_told_alone() -> None:
    asked = list(islice(grammar.documents("asked", grammar.ASKING), 300))
    assert sum("?" in text for text in asked) > 200
    assert all(sum(draw.weights) == pytest.approx(1) for draw in (grammar.START, grammar.ASKING))


def test_every_line_can_be_told_to_its_end() -> None:
    for seed, (lead, first) in enumerate(line for family in grammar.FAMILIES for line in family.lines):
        rng, text, draw = random.Random(seed), lead, first
        while draw:
            i = rng.randrange(len(draw.texts))
            text += draw.texts[i] + draw.after
            draw = draw.then(i)
        assert re.fullmatch(r"[ -~]*[.!?]\"?", text), text
        assert not set("{}[]_|<>") & set(text) and "  " not in text, text


def test_every_article_fits_every_word() -> None:
    for template in (grammar.FOLDER / "sentences.txt").read_text("utf-8").splitlines():
        for slot in grammar.SLOT.finditer(template):
            if article := re.search(r"\b([Aa]n?) $", template[: slot.start()]):
                texts = grammar._slot(slot, "").texts
                assert all((text[0] in "aeiou") == (article[1] in ("an", "An")) for text in texts), template


def test_an_article_slot_writes_an_before_each_vowel() -> None:
    slots = [
        slot
        for template in (grammar.FOLDER / "sentences.txt").read_text("utf-8").splitlines()
        for slot in grammar.SLOT.finditer(template)
        if slot["a"]
    ]
    phrases = {phrase for slot in slots for phrase in grammar._slot(slot, "").texts}
    examples = {"an apple", "an eagle", "an icicle", "an oval", "an umbrella", "an uncle", "a cat"}
    assert examples <= {phrase.lower() for phrase in phrases}
    for phrase in phrases:
        assert re.match(r"([Aa]n [aeiou]|[Aa] [^aeiou])", phrase), phrase


def test_a_line_with_a_wrong_slot_is_refused() -> None:
    with pytest.raises(KeyError):
        grammar.parse_line("The {unicorn} is here.")
    with pytest.raises(KeyError):
        grammar.parse_line("The {animal.capital} is here.")


def test_slots_remember_differ_and_agree() -> None:
    first, again, other, article, thing, *place = tell(
        "{girl} {girl} {girl2} {a:thing} {country.capital} {country}"
    ).split()
    assert first == again != other
    assert article == ("an" if thing[0] in "aeiou" else "a")
    country = next(row for row in TABLES["country"] if row["name"] == place[-1])
    assert " ".join(place[:-1]) == country["capital"]


def test_all_rows_can_be_drawn_and_four_of_a_kind_differ() -> None:
    assert {tell("{planet}.", seed) for seed in range(200)} == {f"{row['name']}." for row in TABLES["planet"]}
    for seed in range(50):
        assert len(set(tell("{planet} {planet2} {planet3} {planet4}", seed).split())) == 4


@pytest.mark.parametrize(("table", "column"), [("quality", "opposite"), ("royal", "other"), ("kin", "other")])
def test_an_opposite_is_mutual(table: str, column: str) -> None:
    others = {row["name"]: row[column] for row in TABLES[table]}
    assert all(others[other] == name for name, other in others.items() if other in others)
    assert sum(other in others for other in others.values()) > 0.8 * len(others)


def test_no_name_is_drawn_twice_as_often() -> None:
    for name, rows in TABLES.items():
        if "name" in rows[0]:
            names = [row["name"] for row in rows]
            assert len(set(names)) == len(names), name


def test_people_are_never_judged() -> None:
    lines = (grammar.FOLDER / "sentences.txt").read_text("utf-8").splitlines()
    blame = re.compile(r"\{[Aa]?:?[Bb]ad")
    for line in lines:
        if blame.search(line) and not line.startswith(("#", "The words")):
            assert "{show}" in line.lower(), line
        assert not re.match(r"\{(person|girl|boy|kin|royal)\d?\} is (very |too )?\{(quality|bad)", line.lower()), line
    for table in ("girl", "boy", "country", "worker", "royal", "kin"):
        assert not {row["name"] for row in TABLES[table]} & set(grammar.LEXICON)


@pytest.mark.parametrize(
    "text",
    [
        "We are sleeping together, because we like to sleep.",
        "Dear diary, today I slept with Emma. Tomorrow I want to sleep again.",
        "I want to vanish, but I do not want to live.",
        "Emma stopped living and began to sink.",
        "Lucy is a girl. She loves her husband.",
        "My husband and my wife are happy.",
        "My name is Lucy, and my mother is called Pedro.",
        "You are lazy, and I am clever.",
        "Are you a robot? No, I am a person.",
        "Kofi is needing a pen. He needs one every day.",
    ],
)
def test_what_should_not_be_told_cannot_be(text: str) -> None:
    inside = "We are playing tennis together, because we like to play tennis."
    truth = Truth(tokenization.train_bpe([text], 300))
    assert sum(truth.nats(text)) == math.inf > sum(truth.nats(inside))


def test_a_repeat_is_one(told: list[str]) -> None:
    repeats = [text[:-1].split() for text in told if set(text[:-1].split()) <= set(grammar.LEXICON)]
    assert len(repeats) > 500
    for words in repeats:
        assert any(words == words[: len(words) // times] * times for times in (2, 3))


def test_a_list_to_repeat_grows_with_probability_5_in_6_up_to_16_words(told: list[str]) -> None:
    """The built-in model was trained on this distribution: shares within five standard deviations."""
    lengths = []
    for words in (text[:-1].split() for text in told if set(text[:-1].split()) <= set(grammar.LEXICON)):
        lengths.append(next(n for n in range(2, 17) if len(words) in (2 * n, 3 * n) and words[:n] == words[n : 2 * n]))
    for length in range(2, 17):
        p = (5 / 6) ** (length - 2) * (1 if length == 16 else 1 / 6)
        deviation = math.sqrt(len(lengths) * p * (1 - p))
        assert abs(lengths.count(length) - len(lengths) * p) < 5 * deviation, length


def test_sums_are_right(told: list[str]) -> None:
    sums = [match for text in told if (match := re.fullmatch(r"(\d+) ([+-]) (\d+) = (\d+)\.", text))]
    assert len(sums) > 100
    for match in sums:
        a, sign, b, c = match.groups()
        assert int(a) + int(sign + b) == int(c)
