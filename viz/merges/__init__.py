"""The merges of one word, stepped through one at a time."""

from collections.abc import Sequence
from typing import Any

from viz.component import assets
from viz.pieces import label

JS, CSS = assets("merges")

Step = tuple[int, int, Sequence[bytes]]  # the rank of the pair that is merged, the id it becomes, the word afterwards


def data(word: str, steps: Sequence[Step]) -> dict[str, Any]:
    """What is drawn: the bytes of a word, and after each merge its symbols; what is new there has changed places."""
    symbols: Sequence[bytes] = [bytes([byte]) for byte in word.encode()]
    rows = [{"symbols": [{"label": label(symbol), "new": False} for symbol in symbols]}]
    for rank, id, after in steps:
        kept = _ends(symbols)
        at, shown = 0, []
        for symbol in after:
            shown.append({"label": label(symbol), "new": (at, at + len(symbol)) not in kept})
            at += len(symbol)
        rows.append({"rank": rank, "id": id, "symbols": shown})
        symbols = after
    return {"rows": rows}


def _ends(symbols: Sequence[bytes]) -> set[tuple[int, int]]:
    """Where each symbol starts and ends."""
    at, found = 0, set()
    for symbol in symbols:
        found.add((at, at + len(symbol)))
        at += len(symbol)
    return found
