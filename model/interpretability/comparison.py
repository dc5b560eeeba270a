"""Comparison of two readings: one text by two models, or two texts by one model.

Two tokenizers cut a text differently, so the predictions of their models are compared per byte. Two texts are aligned
first; then the attention of a head between the same tokens can be subtracted.

Source of the alignment: Wagner and Fischer 1974, "The String-to-String Correction Problem".
"""

from collections.abc import Sequence
from itertools import accumulate, takewhile
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor

Column = tuple[int | None, int | None]  # a token in one text or vocabulary, and its counterpart in the other
Pairs = Sequence[tuple[int, int]]  # the columns that have both


class CommonSuffix(NamedTuple):
    """A suffix of a text that both tokenizations predict: its size in bytes, and the first token of it in each."""

    size: int
    first: int
    second: int


def common_suffix(first: Sequence[bytes], second: Sequence[bytes]) -> CommonSuffix:
    """The longest suffix that starts on a token boundary of both tokenizations, excluding the first token.

    The first token is never predicted. Both tokenizations end with the same byte; without a common boundary the suffix
    is empty.

    >>> common_suffix([b"cd", b"e"], [b"ab", b"cd", b"e"])
    CommonSuffix(size=1, first=1, second=2)
    """

    def boundaries(tokens: Sequence[bytes]) -> dict[int, int]:
        """The index of every token but the first, and of the end, by the bytes from there to the end of the text."""
        sizes = [*accumulate(map(len, reversed(tokens)), initial=0)]
        return {size: len(tokens) - n for n, size in enumerate(sizes) if n < len(tokens)}

    first_boundaries, second_boundaries = boundaries(first), boundaries(second)
    size = max(first_boundaries.keys() & second_boundaries.keys())
    return CommonSuffix(size, first_boundaries[size], second_boundaries[size])


def entropy(log_probabilities: Tensor) -> float:
    """Entropy in nats of a distribution with these log-probabilities (V): 0 if one token has all of it."""
    return -(log_probabilities.exp() * log_probabilities).nan_to_num(0).sum().item()


def counterpart(id: int, tokenizer: Tokenizer, other_tokenizer: Tokenizer) -> int | None:
    """The token of another byte-level BPE with the same bytes; None if it takes several tokens for them."""
    token = tokenizer.id_to_token(id)
    return None if token is None else other_tokenizer.token_to_id(token)


def match_tokens(
    first: Tokenizer, second: Tokenizer, first_ids: Sequence[int], second_ids: Sequence[int]
) -> list[Column]:
    """Tokens of two tokenizers, each beside the token of the other tokenizer with the same bytes; None if none has."""
    columns = [(id, counterpart(id, first, second)) for id in first_ids]
    return columns + [column for id in second_ids if (column := (counterpart(id, second, first), id)) not in columns]


def align(first: Sequence[int], second: Sequence[int]) -> list[Column]:
    """Alignment of two texts: the positions of each token and its counterpart, or None where it has none.

    The alignment has the smallest edit distance (replaced, deleted and inserted tokens); among equals, the one that
    pairs the last tokens.

    >>> align([5, 6, 7], [5, 7])
    [(0, 0), (1, None), (2, 1)]
    """
    costs = [[*range(len(second) + 1)]]
    for n, id in enumerate(first, 1):
        row = [n]
        for m, other_id in enumerate(second, 1):
            row.append(min(costs[-1][m - 1] + (id != other_id), costs[-1][m] + 1, row[-1] + 1))
        costs.append(row)
    n, m, columns = len(first), len(second), []
    while n or m:
        if n and m and costs[n][m] == costs[n - 1][m - 1] + (first[n - 1] != second[m - 1]):
            n, m = n - 1, m - 1
            columns.append((n, m))
        elif n and costs[n][m] == costs[n - 1][m] + 1:
            n -= 1
            columns.append((n, None))
        else:
            m -= 1
            columns.append((None, m))
    return columns[::-1]


def common_prefix_length(columns: Sequence[Column], first: Sequence[int], second: Sequence[int]) -> int:
    """Number of columns before the first difference; up to there a causal model computes the same for both texts."""
    same = takewhile(lambda c: None not in c and c[0] == c[1] and first[c[0]] == second[c[1]], columns)
    return sum(1 for _ in same)


def attention_difference(first: Tensor, second: Tensor, pairs: Pairs) -> Tensor:
    """Attention in the second text minus that in the first between N aligned tokens: (..., N, N) from (..., T, T)."""
    rows, second_rows = torch.tensor(pairs).T
    return second[..., second_rows[:, None], second_rows] - first[..., rows[:, None], rows]


def moved_attention(first: Tensor, second: Tensor, pairs: Pairs) -> Tensor:
    """Share of its attention that each of N aligned tokens moves to other tokens: (..., N) from (..., T, T).

    This is the total variation distance of its two rows, half the sum of |p - q|: 0 where they are equal, 1 where they
    share no token. A token without a counterpart counts as attended to in one text only.
    """
    total = attention_difference(first, second, pairs).abs().sum(-1)
    for pattern, positions in zip((first, second), torch.tensor(pairs).T):
        unpaired = torch.ones(pattern.shape[-1], dtype=torch.bool)
        unpaired[positions] = False
        total = total + pattern[..., positions, :][..., unpaired].sum(-1)
    return total / 2


def total_variation(p: Tensor, q: Tensor) -> float:
    """Total variation distance of two distributions (V): the share of the probability that is on other tokens.

    >>> round(total_variation(torch.tensor([0.5, 0.5]), torch.tensor([0.75, 0.25])), 4)
    0.25
    """
    return (p - q).abs().sum().item() / 2
