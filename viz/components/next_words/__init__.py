"""The next words: a bar for each, as long as its probability, and one for the truth where it is known."""

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
    """What the bars draw: some tokens, the model's and the true probability of each, and what is left for the others.

    A token that cannot be typed, as a line break or a part of a character, cannot be clicked.
    """
    rows = zip(visible(tokens), map(float, probabilities), typable, strict=True)
    words = [{"word": word, "shares": [share], "typable": can} for word, share, can in rows]
    rest = [max(0.0, 1 - float(probabilities.sum()))]
    if truth is not None:
        for word, share in zip(words, map(float, truth), strict=True):
            word["shares"].append(share)
        rest.append(max(0.0, 1 - float(truth.sum())))
    return {"words": words, "others": others, "rest": rest}
