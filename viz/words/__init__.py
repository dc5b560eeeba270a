"""The next words: a bar for each, as long as its probability; a click takes one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from viz.tokens import visible

HERE = Path(__file__).parent
JS, CSS = ((HERE / f"words.{kind}").read_text("utf-8") for kind in ("js", "css"))


def data(tokens: Sequence[str], probabilities: np.ndarray, others: int, typable: Sequence[bool]) -> dict[str, Any]:
    """What the bars draw: the likeliest tokens, with their probabilities, and what is left for the others.

    A token that cannot be typed, as a line break or a part of a character, cannot be clicked.
    """
    rows = zip(visible(tokens), map(float, probabilities), typable, strict=True)
    words = [{"word": word, "probability": share, "typable": can} for word, share, can in rows]
    return {"words": words, "others": others, "rest": max(0.0, 1 - float(probabilities.sum()))}
