"""The toy world: a written grammar that tells the text the built-in model reads.

`words.txt` holds its words, `sentences.txt` its sentences; what a template cannot say (sums,
sequences, repeats) is told by the functions below. Every draw adds its -log p to `Teller.nats`,
so each document carries its own surprise, and the mean over many documents is the loss below
which no model of this text can come.
"""

import math
import random
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import accumulate, count
from pathlib import Path
from typing import NamedTuple, TypeVar

Row = dict[str, str]
Option = TypeVar("Option")
HERE = Path(__file__).parent
SLOT = re.compile(r"\{(?P<a>[aA]:)?(?P<kind>[A-Za-z]+)(?P<nth>\d?)(?:\.(?P<column>\w+))?\}|\[(?P<choice>[^]]+)\]")


def _blocks(path: Path) -> Iterator[tuple[list[str], list[str]]]:
    """The header words and the lines of each block of a file in which a block starts with "="."""
    for block in re.split(r"^= ", path.read_text("utf-8"), flags=re.M)[1:]:
        header, *lines = (line for line in block.splitlines() if line.strip())
        yield header.split(), lines


def _tables() -> dict[str, list[Row]]:
    return {
        name: [dict(zip(columns, (cell.replace("_", " ") for cell in line.split()), strict=True)) for line in lines]
        for (name, *columns), lines in _blocks(HERE / "words.txt")
    }


TABLES = _tables()
LEXICON = sorted({cell for rows in TABLES.values() for row in rows for cell in row.values() if " " not in cell})


class Document(NamedTuple):
    """One text of the toy world and its surprise in nats: the sum of -log p over its draws."""

    text: str
    nats: float


class Teller:
    """Tells one document: makes the draws, writes the words, adds up the surprise in nats."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.text = ""
        self.nats = 0.0
        self.known: dict[tuple[str, str], Row] = {}

    def pick(self, options: Sequence[Option]) -> Option:
        """One of the options, each as likely as any other."""
        self.nats += math.log(len(options))
        return options[int(self.rng.random() * len(options))]

    def say(self, text: str) -> None:
        """Append text as it stands."""
        self.text += text

    def row(self, kind: str, nth: str) -> Row:
        """The row that `{kind}` or `{kind2}` stands for: drawn when first met, then remembered."""
        if (kind, nth) not in self.known:
            taken = [row for (other, _), row in self.known.items() if other == kind]
            self.known[kind, nth] = self.pick([row for row in TABLES[kind] if row not in taken])
        return self.known[kind, nth]

    def tell(self, template: str) -> None:
        """Say a line of `sentences.txt`, drawing each of its slots when the text reaches it."""
        for words, slot in _parse(template):
            self.say(words)
            if slot is None:
                continue
            if slot["choice"]:
                self.say(self.pick(slot["choice"].split("|")))
                continue
            kind = slot["kind"]
            word = self.row(kind.lower(), slot["nth"])[slot["column"] or "name"]
            if slot["a"]:
                word = f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
            capital = (slot["a"] or kind)[0].isupper()
            self.say(word[0].upper() + word[1:] if capital else word)


@cache
def _parse(template: str) -> list[tuple[str, re.Match[str] | None]]:
    """The template as pairs of fixed words and the slot behind them (None at the end)."""
    slots = list(SLOT.finditer(template))
    ends = [0, *(slot.end() for slot in slots)]
    starts = [*(slot.start() for slot in slots), len(template)]
    return list(zip((template[end:start] for end, start in zip(ends, starts)), [*slots, None]))


def sums(teller: Teller) -> None:
    """3 + 4 = 7, in digits or in words."""
    a, b = teller.pick(range(11)), teller.pick(range(11))
    names = ["zero", *(row["name"] for row in TABLES["number"])]
    if a + b < len(names) and teller.pick([True, False]):
        teller.say(f"{names[a]} plus {names[b]} is {names[a + b]}.")
    else:
        teller.say(f"{a} + {b} = {a + b}.")


SEQUENCES = [
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(),
    "January February March April May June July August September October November December".split(),
    [row["name"] for row in TABLES["number"]],
    "A B C D E F G H I J K L M N O P Q R S T U V W X Y Z".split(),
]


def sequences(teller: Teller) -> None:
    """Days, months, numbers and letters in their order."""
    items = teller.pick(SEQUENCES)
    start = teller.pick(range(len(items) - 2))
    if teller.pick([True, False]):
        teller.say(f"After {items[start]} comes {items[start + 1]}.")
    else:
        end = start + teller.pick(range(3, min(6, len(items) - start) + 1))
        teller.say(", ".join(items[start:end]) + ".")


def repeats(teller: Teller) -> None:
    """Any words, said twice or three times in the same order: what an induction head is for."""
    words = [teller.pick(LEXICON) for _ in range(teller.pick(range(2, 13)))]
    teller.say(" ".join(words * teller.pick([2, 3])) + ".")


TOLD_BY_CODE: dict[Callable[[Teller], None], int] = {sums: 8, sequences: 5, repeats: 30}
FAMILIES = [(lines, int(weight)) for (_, weight), lines in _blocks(HERE / "sentences.txt")]
FAMILIES += list(TOLD_BY_CODE.items())
_UP_TO = list(accumulate(weight for _, weight in FAMILIES))


def document(rng: random.Random) -> Document:
    """One document: a family is drawn by its weight, then one of its lines, then the words."""
    teller = Teller(rng)
    family, weight = rng.choices(FAMILIES, cum_weights=_UP_TO)[0]
    teller.nats -= math.log(weight / _UP_TO[-1])
    if callable(family):
        family(teller)
    else:
        teller.tell(teller.pick(family))
    return Document(teller.text, teller.nats)


def documents(seed: str) -> Iterator[Document]:
    """Endless documents; the same seed tells the same ones on every machine."""
    rng = random.Random(seed)
    return (document(rng) for _ in count())
