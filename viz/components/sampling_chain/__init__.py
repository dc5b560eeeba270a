"""From logits to the next token, live: a chain of steps whose sliders redraw the picture in the browser.

The logits of the whole vocabulary travel once, as float32; from there on the browser computes what
`model.decoding.sampling` does.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from viz.components.component import assets
from viz.tokens import visible

JS, CSS = assets("sampling_chain")


def payload(
    logits: np.ndarray,
    named: Sequence[int],
    tokens: Sequence[str],
    typable: Sequence[bool],
    seen: Sequence[int],
    truth: Mapping[int, float],
) -> bytes:
    """The logits (V), the names of some ids and whether they can be typed, and the ids that stand in the text already.

    What is named is put into words but once where it is the same again, which costs more than all the rest. `truth` is
    the true probability of each id, where that is known, and empty where it is not.

    Raises ValueError where a logit is not finite.
    """
    if not np.isfinite(logits).all():
        raise ValueError("a logit is not a finite number, so there are no probabilities")
    rest = {"seen": sorted(set(seen)), "read": len(seen), "truth": truth or None}
    header = (_names(tuple(named), tuple(tokens), tuple(typable))[:-1] + ", " + json.dumps(rest)[1:]).encode()
    header += b" " * (-len(header) % 4)  # float32 begins at a multiple of four
    return len(header).to_bytes(4, "little") + header + logits.astype("<f4").tobytes()


@lru_cache(4)
def _names(named: tuple[int, ...], tokens: tuple[str, ...], typable: tuple[bool, ...]) -> str:
    """The names of ids, and those that cannot be typed, in JSON."""
    names = dict(zip(named, visible(tokens), strict=True))
    whole = named == tuple(range(len(named)))
    cannot = [id for id, one in zip(named, typable, strict=True) if not one]
    return json.dumps({"names": [*names.values()] if whole else names, "untypable": cannot})
