"""Beam search as a tree from left to right: a column for each step, the likeliest text in the first row."""

from collections.abc import Sequence
from typing import Any

from viz.tokens import visible

# A continuation of one beam: its beam (row in the column before), token, whether the token can be typed, the log
# probability of the token and of the whole text.
Candidate = tuple[int, str, bool, float, float]


def data(root: str, steps: Sequence[Sequence[Candidate]], width: int) -> dict[str, Any]:
    """What is drawn: a column of candidates for each step, likeliest first; the first `width` of each were kept."""
    best = [0]
    for step in reversed(steps[1:]):
        best.append(step[best[-1]][0])
    best.reverse()
    columns: list[list[dict[str, Any]]] = []
    for n, step in enumerate(steps):
        before = columns[-1] if columns else []
        tokens = visible(token for _, token, *_ in step)
        columns.append([])
        for row, (token, (beam, _, typable, log_p, total)) in enumerate(zip(tokens, step, strict=True)):
            columns[-1].append(
                {
                    "beam": beam,
                    "token": token,
                    "text": (before[beam]["text"] if before else "") + token,
                    "typable": typable and (not before or before[beam]["typable"]),
                    "log_p": log_p,
                    "total": total,
                    "kept": row < width,
                    "best": row == best[n],
                }
            )
    return {"root": visible([root])[0], "columns": columns, "width": width}
