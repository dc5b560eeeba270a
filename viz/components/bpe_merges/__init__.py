"""The merges of byte pair encoding on one word, one step at a time."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from viz.components.token_cuts import label

Step = tuple[int, int, Sequence[bytes]]  # the rank of the pair that is merged, the id it becomes, the word afterwards


def data(word: str, steps: Sequence[Step]) -> dict[str, Any]:
    """What is drawn: the bytes of a word, and its symbols after each merge, new ones marked."""
    symbols: Sequence[bytes] = [bytes([byte]) for byte in word.encode()]
    rows = [{"symbols": [{"label": label(symbol), "new": False} for symbol in symbols]}]
    for rank, id, after in steps:
        before = _spans(symbols)
        shown = [{"label": label(symbol), "new": span not in before} for symbol, span in zip(after, _spans(after))]
        rows.append({"rank": rank, "id": id, "symbols": shown})
        symbols = after
    return {"rows": rows}


def _spans(symbols: Sequence[bytes]) -> list[tuple[int, int]]:
    """The start and end of each symbol in the word, in bytes."""
    ends = list(accumulate(map(len, symbols)))
    return list(zip([0, *ends], ends))
