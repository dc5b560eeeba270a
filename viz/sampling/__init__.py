"""From logits to the next token, live: a chain of steps whose sliders redraw the picture in the browser.

The logits of the whole vocabulary travel once, as float32; from there on the browser computes what
`model.sampling` does.
"""

import json
from collections.abc import Mapping, Sequence

import numpy as np

from viz.component import assets
from viz.tokens import visible

JS, CSS = assets("sampling")


def payload(
    logits: np.ndarray,
    named: Sequence[int],
    tokens: Sequence[str],
    typable: Sequence[bool],
    seen: Sequence[int],
    truth: Mapping[int, float],
) -> bytes:
    """The logits (V), the names of some ids and whether they can be typed, and the ids that stand in the text already.

    `truth` is the true probability of each id, where that is known, and empty where it is not.

    Raises ValueError where a logit is not finite.
    """
    if not np.isfinite(logits).all():
        raise ValueError("a logit is not a finite number, so there are no probabilities")
    names = dict(zip(map(int, named), visible(tokens), strict=True))
    can = [int(id) for id, one in zip(named, typable, strict=True) if one]
    header = {"names": names, "typable": can, "seen": sorted(set(seen)), "read": len(seen), "truth": truth or None}
    header = json.dumps(header).encode()
    header += b" " * (-len(header) % 4)  # float32 begins at a multiple of four
    return len(header).to_bytes(4, "little") + header + logits.astype("<f4").tobytes()
