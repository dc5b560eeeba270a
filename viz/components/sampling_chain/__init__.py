"""From logits to the next token: a chain of sampling steps whose sliders redraw the picture in the browser.

The logits of the whole vocabulary are sent once, as float32; from there on the browser computes what
`model.decoding.sampling` does.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from viz.components.component import pack
from viz.tokens import visible


def payload(
    logits: np.ndarray,
    named: Sequence[int],
    tokens: Sequence[str],
    typable: Sequence[bool],
    seen: Sequence[int],
    truth: Mapping[int, float],
) -> bytes:
    """What is drawn, as a binary message: the logits (V), and in its header what belongs to some ids.

    The ids in `named` have their `tokens`, which may be `typable` or not; `seen` are the ids of the text so far;
    `truth` is the true probability of each id, empty if it is not known. Raises ValueError if a logit is not finite.
    """
    if not np.isfinite(logits).all():
        raise ValueError("a logit is not a finite number, so there are no probabilities")
    rest = {"seen": sorted(set(seen)), "read": len(seen), "truth": truth or None}
    header = _names(tuple(named), tuple(tokens), tuple(typable))[:-1] + ", " + json.dumps(rest)[1:]
    return pack(header, logits.astype("<f4").tobytes())


@lru_cache(4)  # writing the names takes longer than all the rest, and they are the same for each prompt
def _names(named: tuple[int, ...], tokens: tuple[str, ...], typable: tuple[bool, ...]) -> str:
    """The names of ids, and the ids that cannot be typed, in JSON."""
    names = dict(zip(named, visible(tokens), strict=True))
    is_whole = named == tuple(range(len(named)))
    untypable = [id for id, can in zip(named, typable, strict=True) if not can]
    return json.dumps({"names": [*names.values()] if is_whole else names, "untypable": untypable})
