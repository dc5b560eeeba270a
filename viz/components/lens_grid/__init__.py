"""The logit lens as a grid: a column for each token, a row for each layer, the output below; a click picks a column."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from viz.percent import percent
from viz.tokens import visible

# The readouts of a cell, and the meaning of its shade.
READOUTS = {
    "top token": "the likeliest token; the stronger the color, the likelier. Bold: already the token of the output",
    "probability": "the probability of {token}; the stronger the color, the likelier",
    "rank": "the rank of {token} among all tokens; 1 is the likeliest, and strongest in color",
    "entropy": "how undecided the reading is, in nats; full color is an even share for every token",
    "KL": "how far the reading is from the output, in nats; full color is the farthest here",
}


def _shades(
    readout: str,
    top: np.ndarray,
    entropy: np.ndarray,
    kl: np.ndarray,
    vocabulary: int,
    followed: tuple[str, np.ndarray, np.ndarray] | None,
) -> tuple[np.ndarray, np.ndarray]:
    """The shade of each cell (R, T), from 0 to 1, and the number that is written in it."""
    match readout:
        case "top token":
            return top, np.vectorize(lambda share: percent(share, 0))(top)
        case "probability":
            return followed[1], np.vectorize(percent)(followed[1])
        case "rank":
            shades = 1 - np.log(followed[2]) / math.log(max(2, vocabulary))
            return shades, np.vectorize("{:,}".format)(followed[2])
        case "entropy":
            return entropy / math.log(max(2, vocabulary)), np.vectorize("{:.2f}".format)(entropy)
    return kl / max(kl.max(), 1e-6), np.vectorize("{:.2f}".format)(kl)


def data(
    tokens: Sequence[str],
    first: int,
    rows: Sequence[str],
    words: Mapping[int, str],
    ids: np.ndarray,
    shares: np.ndarray,
    entropy: np.ndarray,
    kl: np.ndarray,
    vocabulary: int,
    readout: str,
    picked: int,
    followed: tuple[str, np.ndarray, np.ndarray] | None = None,
) -> dict[str, Any]:
    """The data of the grid: R rows of readings by T tokens, the first of which stands at position `first`.

    `ids` and `shares` (R, T, K) are the likeliest tokens, named by `words`; `entropy`, `kl` (R, T) in nats. `followed`:
    a token, its probabilities and ranks (R, T), shown by the readouts "probability" and "rank".
    """
    shades, text = _shades(readout, shares[..., 0], entropy, kl, vocabulary, followed)
    names = dict(zip(words, visible(words.values())))

    def cell(row: int, column: int) -> dict[str, Any]:
        return {
            "token": names[ids[row, column, 0]] if readout == "top token" else "",
            "number": str(text[row, column]),
            "shade": round(float(min(1, max(0, shades[row, column]))), 3),
            "same": bool(ids[row, column, 0] == ids[-1, column, 0]),
            "likeliest": [[names[id], round(float(p), 5)] for id, p in zip(ids[row, column], shares[row, column])],
            "about": f"entropy {entropy[row, column]:.2f} nats, KL to the output {kl[row, column]:.2f} nats",
        }

    return {
        "tokens": visible(tokens),
        "first": first,
        "rows": list(rows),
        "cells": [[cell(row, column) for column in range(len(tokens))] for row in range(len(rows))],
        "legend": READOUTS[readout].format(token=visible([followed[0]])[0] if followed else ""),
        "picked": picked,
    }
