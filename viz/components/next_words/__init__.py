"""The next words: a bar for each, as long as its probability, and one for the truth if it is known."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from viz.tokens import visible


def data(
    tokens: Sequence[str],
    probabilities: np.ndarray,
    others: int,
    typable: Sequence[bool],
    truth: np.ndarray | None = None,
) -> dict[str, Any]:
    """What is drawn: tokens with the model's and the true probability of each, and the rest for all other tokens.

    A token that cannot be typed, such as a line break or a part of a character, cannot be clicked.
    """
    rows = zip(visible(tokens), map(float, probabilities), typable, strict=True)
    words = [{"word": word, "shares": [share], "typable": can} for word, share, can in rows]
    rest = [max(0.0, 1 - float(probabilities.sum()))]
    if truth is not None:
        for word, share in zip(words, map(float, truth), strict=True):
            word["shares"].append(share)
        rest.append(max(0.0, 1 - float(truth.sum())))
    return {"words": words, "others": others, "rest": rest}
