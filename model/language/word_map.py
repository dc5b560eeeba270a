"""Word vectors on a plane, and how many of their neighbors the plane loses."""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from model.language.embeddings import lost_neighbors, pca, project

NEIGHBORS = 5  # of each word, which may be lost


class WordMap(NamedTuple):
    """Points of N words on a plane."""

    points: Annotated[Tensor, "N 2"]
    variance: Annotated[Tensor, "2"] | None  # the share of the variance along each axis; None for axes between words
    neighbors: int  # the nearest of each word that are looked for
    lost: float  # the share of them that are not near on the plane


def distinct(vectors: Sequence[Tensor]) -> int:
    """The number of different ones among vectors (C)."""
    return len({tuple(vector.tolist()) for vector in vectors})


def lay_out(vectors: Tensor, fitted: Tensor | None = None, ends: Sequence[Tensor] = ()) -> WordMap:
    """The map of word vectors (N, C), of which three or more differ.

    The plane is that of the first two principal components of `fitted` (M, C), by default of the vectors themselves.
    With four `ends` (C) each axis runs from one to the next instead, to the right and up.

    >>> words = torch.tensor([[0.0, 0.0, 1.0], [4.0, 0.0, 0.0], [0.0, 2.0, 0.0], [4.0, 2.0, 0.0]])
    >>> lay_out(words, ends=[words[0], words[1], words[0], words[2]]).neighbors
    3
    """
    if ends:
        start, end, low, high = ends
        points, variance = torch.stack([project(start, end, vectors), project(low, high, vectors)], dim=1), None
    else:
        points, variance = pca(vectors, vectors if fitted is None else fitted)
    neighbors = min(NEIGHBORS, distinct([*vectors]) - 1)
    return WordMap(points, variance, neighbors, lost_neighbors(vectors, points, neighbors))
