"""The tree of the texts that were tried from one prompt on, and the likeliest next tokens."""

from collections.abc import Sequence
from typing import Any

from viz.tokens import visible

SHOWN = 40  # characters of the root, its last ones

Place = tuple[int, str, float]  # the place that a token stands after (the root is 0), the token, its probability
Next = tuple[str, float, bool]  # a token, its probability, and whether it can be taken


def data(root: str, places: Sequence[Place], at: int, likeliest: Sequence[Next], link: str) -> dict[str, Any]:
    """What is drawn: the tokens after a root, the place `at` which the text ends, and the likeliest next tokens.

    `link` is the tree as the link holds it; empty if the tree is only its root.
    """
    path = [at]
    while path[-1]:
        path.append(places[path[-1] - 1][0])
    tokens = [
        {"after": after, "token": token, "share": share}
        for (after, _, share), token in zip(places, visible(token for _, token, _ in places), strict=True)
    ]
    return {
        "root": visible([root if len(root) <= SHOWN else f"…{root[-SHOWN:]}"])[0],
        "tokens": tokens,
        "path": path[::-1],
        "next": [
            {"token": token, "share": share, "typable": typable}
            for (_, share, typable), token in zip(likeliest, visible(token for token, _, _ in likeliest), strict=True)
        ],
        "link": link,
    }
