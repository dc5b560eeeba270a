"""Questions about the toy world: prompts whose next words the grammar decides."""

import random
from collections.abc import Callable
from typing import NamedTuple

from model.toy_world.grammar import LEXICON, TABLES


class Question(NamedTuple):
    """A prompt, and the words that must follow it."""

    prompt: str
    answer: str


def _agreement(rng: random.Random) -> Question:
    subject, attractor = rng.sample(TABLES["thing"], 2)
    if rng.random() < 0.5:
        return Question(f"The {subject['pl']} near the {attractor['name']}", "are")
    return Question(f"The {subject['name']} near the {attractor['pl']}", "is")


def _indirect_object(rng: random.Random) -> Question:
    giver, receiver = (person["name"] for person in rng.sample(TABLES["person"], 2))
    place, thing = rng.choice(TABLES["place"])["name"], rng.choice(TABLES["thing"])["name"]
    article = "an" if thing[0] in "aeiou" else "a"
    return Question(f"When {giver} and {receiver} went to the {place}, {giver} gave {article} {thing} to", receiver)


def _copy(rng: random.Random) -> Question:
    words = rng.sample(LEXICON, 8)
    repeated = rng.randrange(1, 8)
    return Question(" ".join(words + words[:repeated]), words[repeated])


def _room(rng: random.Random) -> Question:
    girl, boy = rng.choice(TABLES["girl"])["name"], rng.choice(TABLES["boy"])["name"]
    her_room, his_room = (room["name"] for room in rng.sample(TABLES["room"], 2))
    person, room = rng.choice([(girl, her_room), (boy, his_room)])
    return Question(f"{girl} is in the {her_room}. {boy} is in the {his_room}. Where is {person}? In the", room)


def _column(table: str, column: str, template: str) -> Callable[[random.Random], Question]:
    """Questions with a random row of a table: the template filled with it, and its column as the answer."""

    def draw(rng: random.Random) -> Question:
        row = rng.choice(TABLES[table])
        return Question(template.format(**row), row[column])

    return draw


QUESTIONS: dict[str, Callable[[random.Random], Question]] = {
    "capital": _column("country", "capital", "The capital of {name} is"),
    "agreement across an attractor": _agreement,
    "coreference": _column("person", "he", "{name} went home because"),
    "indirect object": _indirect_object,
    "copy of 8 words": _copy,
    "context question": _room,
    "sum up to 20": _column("sum", "c", "{a} + {b} ="),
    "difference": _column("difference", "c", "{a} - {b} ="),
    "opposite": _column("quality", "opposite", "The opposite of {name} is"),
    "comparative": _column("quality", "er", "This key is {name}, that one is"),
    "past tense": _column("act", "past", "Today I {name}. Yesterday I"),
    "plural": _column("thing", "pl", "One {name}, two"),
    "plural of a new word": _column("coined", "pl", "This is a {name}. Now there are two"),
    "young animal": _column("animal", "young", "The {name} and its"),
    "next month": _column("month", "next", "After {name} comes"),
}
