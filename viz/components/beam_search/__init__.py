"""A beam search as a tree from left to right: a column for each step, the likeliest text in the first row."""

from collections.abc import Sequence
from typing import Any

from viz.components.component import assets
from viz.tokens import visible

JS, CSS = assets("beam_search")

Tried = tuple[int, str, bool, float, float]  # its beam in the column before, token, typable, log P of it and of all


def data(root: str, steps: Sequence[Sequence[Tried]], width: int) -> dict[str, Any]:
    """What is drawn: of each step what it tried, likeliest first, of which the first `width` were kept."""
    best = [0]
    for step in reversed(steps[1:]):
        best.append(step[best[-1]][0])
    best.reverse()
    columns: list[list[dict[str, Any]]] = []
    for n, step in enumerate(steps):
        tokens = visible(token for _, token, *_ in step)
        columns.append(
            [
                {
                    "beam": beam,
                    "token": token,
                    "text": (columns[-1][beam]["text"] if columns else "") + token,
                    "typable": typable and (not columns or columns[-1][beam]["typable"]),
                    "log_p": log_p,
                    "total": total,
                    "kept": row < width,
                    "best": row == best[n],
                }
                for row, (token, (beam, _, typable, log_p, total)) in enumerate(zip(tokens, step, strict=True))
            ]
        )
    return {"root": visible([root])[0], "columns": columns, "width": width}
