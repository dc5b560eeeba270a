"""The toy world: a written grammar that tells the text the built-in model reads.

`words.txt` holds its words, `sentences.txt` its sentences; only what a template cannot say (words
repeated in the same order) is told by code. A document is a chain of draws, each made as late as the
text allows. To tell one, follow the chain at random; to know what may come next, and how likely it
is, follow every chain that agrees with the text so far (`model.toy_world.exact`).
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

Row = dict[str, str]
FOLDER = Path(__file__).parent
SLOT = re.compile(r"\{(?P<a>[aA]:)?(?P<kind>[A-Za-z]+)(?P<nth>\d?)(?:\.(?P<column>\w+))?\}|\[(?P<choice>[^]]+)\]")


class Draw(NamedTuple):
    """One of the texts is said next, then `after`; `then(i)` is the draw that follows text i, None the end."""

    texts: tuple[str, ...]
    after: str
    then: Callable[[int], "Draw | None"]
    weights: tuple[float, ...] | None = None  # the probability of each text; None: all alike


def _blocks(path: Path) -> Iterator[tuple[list[str], list[str]]]:
    """The header words and the lines of each block of a file in which a block starts with "="."""
    for block in re.split(r"^= ", path.read_text("utf-8"), flags=re.M)[1:]:
        header, *lines = (line for line in block.splitlines() if line.strip())
        yield header.split(), lines


def _tables() -> dict[str, list[Row]]:
    """The tables of words; `name : table table` has the rows of others, `sum` and the like are counted out here."""
    tables: dict[str, list[Row]] = {}
    for (name, *columns), lines in _blocks(FOLDER / "words.txt"):
        if columns[0] == ":":
            tables[name] = [row for part in columns[1:] for row in tables[part]]
        else:
            cells = ([cell.replace("_", " ") for cell in line.split()] for line in lines)
            tables[name] = [dict(zip(columns, row, strict=True)) for row in cells]
    for name in ("number", "day", "month", "letter"):
        names = [row["name"] for row in tables[name]]
        ends = [(start, end) for start in range(len(names)) for end in range(start + 3, min(start + 6, len(names)) + 1)]
        tables[f"{name}s"] = [{"run": ", ".join(names[start:end])} for start, end in ends]
        tables[f"{name}pair"] = [{"name": before, "next": after} for before, after in zip(names, names[1:])]
    words = ["zero", *(row["name"] for row in tables["number"])]
    small = range(11)
    tables["sum"] = [{"a": str(a), "b": str(b), "c": str(a + b)} for a in small for b in small]
    tables["difference"] = [{"a": str(a + b), "b": str(b), "c": str(a)} for a in small for b in small]
    tables["plus"] = [
        {"a": words[a], "b": words[b], "c": words[a + b]} for a in small for b in small if a + b < len(words)
    ]
    return tables


TABLES = _tables()
WORDS = sorted({word for rows in TABLES.values() for row in rows for cell in row.values() for word in cell.split(", ")})


class Slot(NamedTuple):
    """A draw of a template: a choice between words, or a row of a table, of which `texts` holds one column."""

    texts: tuple[str, ...]
    row: tuple[str, str] | None  # the table and the number that tells {animal} from {animal2}; None for a choice
    after: str  # the words of the template behind it


def _slot(match: re.Match[str], after: str) -> Slot:
    if match["choice"]:
        return Slot(tuple(match["choice"].split("|")), None, after)
    kind = match["kind"].lower()
    capital = (match["a"] or match["kind"])[0].isupper()
    return Slot(_column(kind, match["column"] or "name", bool(match["a"]), capital), (kind, match["nth"]), after)


@cache
def _column(kind: str, column: str, article: bool, capital: bool) -> tuple[str, ...]:
    """A column of a table, as `{animal.column}`, `{a:animal.column}` or `{Animal.column}` writes it."""

    def written(word: str) -> str:
        word = f"{'an' if word[0] in 'aeiou' else 'a'} {word}" if article else word
        return word[0].upper() + word[1:] if capital else word

    return tuple(written(row[column]) for row in TABLES[kind])


def parse_line(template: str) -> tuple[str, Draw | None]:
    """A line of `sentences.txt`: the words before its first slot, and its first draw (None if it has no slot).

    Raises KeyError for a table or a column that `words.txt` has not.
    """
    match = list(SLOT.finditer(template))
    ends = [*(slot.start() for slot in match[1:]), len(template)]
    slots = [_slot(slot, template[slot.end() : end]) for slot, end in zip(match, ends)]
    return template[: match[0].start() if match else None], _draw(slots, {})


def _draw(slots: Sequence[Slot], known: dict[tuple[str, str], int]) -> Draw | None:
    """The draw of the first of the slots, where `known` rows were drawn before it."""
    if not slots:
        return None
    (texts, row, after), rest = slots[0], slots[1:]
    if row is None:
        return Draw(texts, after, lambda i: _draw(rest, known))
    if row in known:
        return Draw((texts[known[row]],), after, lambda i: _draw(rest, known))
    taken = {n for (kind, _), n in known.items() if kind == row[0]}
    if not taken:
        return Draw(texts, after, lambda i: _draw(rest, known | {row: i}))
    free = [n for n in range(len(texts)) if n not in taken]
    return Draw(tuple(texts[n] for n in free), after, lambda i: _draw(rest, known | {row: free[i]}))


# Any of these, in any order, can offend no one.
REPEATED = "thing food animal plant place vehicle clothes instrument colour material act number room furniture planet"
LEXICON = tuple(sorted({row["name"] for kind in REPEATED.split() for row in TABLES[kind] if " " not in row["name"]}))


def repeat(words: tuple[str, ...] = ()) -> Draw:
    """Any words, then the same words again, once or twice: what an induction head is for. Nothing marks the turn."""
    more = Draw(LEXICON, " ", lambda i: repeat((*words, LEXICON[i])))
    if len(words) < 2:
        return more
    sentence = " ".join(words)
    again = Draw((sentence, f"{sentence} {sentence}"), ".", lambda i: None)
    return again if len(words) == 16 else Draw(("", ""), "", lambda i: (more, again)[i], weights=(5 / 6, 1 / 6))


class Family(NamedTuple):
    """Ways to tell one kind of text: of each line the words before its first draw, and that draw."""

    lines: Sequence[tuple[str, Draw | None]]
    weight: int
    asks: bool = False


def first_draw(families: Sequence[Family]) -> Draw:
    """The draw of a line of some families, each family as often as its weight says."""
    total = sum(family.weight for family in families)
    lines = [(*line, family.weight / len(family.lines) / total) for family in families for line in family.lines]
    leads, _, weights = zip(*lines)
    return Draw(leads, "", lambda i: lines[i][1], weights)


FAMILIES = [
    Family([parse_line(template) for template in lines], int(weight), "asks" in more)
    for (_, weight, *more), lines in _blocks(FOLDER / "sentences.txt")
]
FAMILIES.append(Family([("", repeat())], 45))
START = first_draw(FAMILIES)
ASKING = first_draw([family for family in FAMILIES if family.asks])


def document(rng: random.Random, start: Draw = START) -> str:
    """One document: a line is drawn by its weight, then the words, as the text reaches them."""
    text, draw = "", start
    while draw is not None:
        count = len(draw.texts)
        i = rng.choices(range(count), draw.weights)[0] if draw.weights else int(rng.random() * count)
        text += draw.texts[i] + draw.after
        draw = draw.then(i)
    return text


def documents(seed: str, start: Draw = START) -> Iterator[str]:
    """Endless documents; the same seed tells the same ones on every machine."""
    rng = random.Random(seed)
    while True:
        yield document(rng, start)
