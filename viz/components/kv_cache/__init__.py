"""Generation pass by pass: what goes in, what is kept of each layer, where the newest token looks, what comes next."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from viz.components.component import assets
from viz.tokens import visible

JS, CSS = assets("kv_cache")


class Pass(NamedTuple):
    """One pass: which tokens the model sees, and which of them are new; what the last of them looks at, and says."""

    first: int
    cached: int
    new: int
    looks: np.ndarray  # (cached + new,), adds up to 1
    likeliest: Sequence[tuple[str, float]]  # tokens and their probabilities
    taken: int  # which of them
    work: tuple[int, int]  # multiply-adds with the cache and without


def data(tokens: Sequence[str], prompt: int, layers: int, block_size: int, each: int, passes: Sequence[Pass]) -> dict:
    """What is drawn: the tokens of the whole text, of which `prompt` were there first; each takes `each` bytes."""
    steps: list[dict[str, Any]] = []
    for one in passes:
        words, shares = zip(*one.likeliest)
        steps.append(
            {
                "first": one.first,
                "cached": one.cached,
                "new": one.new,
                "looks": [round(float(share), 4) for share in one.looks],
                "likeliest": [[word, round(float(share), 5)] for word, share in zip(visible(words), shares)],
                "taken": one.taken,
                "work": list(one.work),
            }
        )
    return {
        "text": visible(tokens),
        "prompt": prompt,
        "layers": layers,
        "context": block_size,
        "each": each,
        "passes": steps,
    }
