"""Generation pass by pass: the tokens that go in, each layer's KV cache, attention, and the next token."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from viz.tokens import visible


class Pass(NamedTuple):
    """One forward pass of generation."""

    first: int  # position in the text of the first token in the context
    cached: int  # tokens whose keys and values come from the cache
    new: int  # tokens that are computed
    pattern: np.ndarray  # attention of the last token (cached + new,); adds up to 1
    likeliest: Sequence[tuple[str, float]]  # next tokens and their probabilities
    taken: int  # which of them was taken
    work: tuple[int, int]  # multiply-adds with the cache and without


def data(
    tokens: Sequence[str], prompt: int, layers: int, context: int, token_bytes: int, passes: Sequence[Pass]
) -> dict[str, Any]:
    """What is drawn: the tokens of the whole text, the first `prompt` of them given, and its passes.

    The context holds `context` tokens; the cache takes `token_bytes` for each.
    """
    return {
        "text": visible(tokens),
        "prompt": prompt,
        "layers": layers,
        "context": context,
        "each": token_bytes,
        "passes": [
            {
                "first": step.first,
                "cached": step.cached,
                "new": step.new,
                "looks": [round(float(share), 4) for share in step.pattern],
                "likeliest": [[visible([word])[0], round(float(share), 5)] for word, share in step.likeliest],
                "taken": step.taken,
                "work": list(step.work),
            }
            for step in passes
        ],
    }
