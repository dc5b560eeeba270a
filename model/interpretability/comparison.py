"""Two readings side by side: of one text by two models, or of two texts by one model.

Two tokenizers cut a text differently, so what their models say is compared per byte. Two texts are aligned first; then
the weights that a head gives between the same tokens can be subtracted.

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
    """What two cuts of a text both guess, in bytes, and the token of each with which it begins."""

    size: int
    one: int
    other: int


def common_suffix(one: Sequence[bytes], other: Sequence[bytes]) -> CommonSuffix:
    """The longest end of a text that begins a token in both of its cuts, but not the first, which no model guesses.

    The cuts end with the same byte. Where no token ends with a token of the other cut, that end is empty.
    """

    def begins(cut: Sequence[bytes]) -> dict[int, int]:
        """For every token but the first, and for the end: its place, by the bytes from there to the end."""
        sizes = [*accumulate(map(len, reversed(cut)), initial=0)]
        return {size: len(cut) - n for n, size in enumerate(sizes) if n < len(cut)}

    here, there = begins(one), begins(other)
    size = max(here.keys() & there.keys())
    return CommonSuffix(size, here[size], there[size])


def entropy(log_probabilities: Tensor) -> float:
    """How undecided a guess with these log-probabilities (V) is, in nats: 0 if one token has all."""
    return -(log_probabilities.exp() * log_probabilities).nan_to_num(0).sum().item()


def counterpart(id: int, one: Tokenizer, other: Tokenizer) -> int | None:
    """The token of another byte-level BPE that has the same bytes; None where it takes several tokens for them."""
    token = one.id_to_token(id)
    return None if token is None else other.token_to_id(token)


def match_tokens(one: Tokenizer, other: Tokenizer, ids: Sequence[int], others: Sequence[int]) -> list[Column]:
    """Some tokens of one tokenizer and some of another, each beside the one of the other that has the same bytes."""
    found = [(id, counterpart(id, one, other)) for id in ids]
    return found + [pair for id in others if (pair := (counterpart(id, other, one), id)) not in found]


def align(one: Sequence[int], other: Sequence[int]) -> list[Column]:
    """Two texts token by token, each token beside its counterpart, or beside None where it has none.

    Counterparts are the same token or one that replaces it: as few as can be are replaced, left out or put in. Of ways
    that are equally short it is the one that pairs the last tokens.
    """
    costs = [[*range(len(other) + 1)]]
    for n, id in enumerate(one, 1):
        row = [n]
        for m, another in enumerate(other, 1):
            row.append(min(costs[-1][m - 1] + (id != another), costs[-1][m] + 1, row[-1] + 1))
        costs.append(row)
    n, m, columns = len(one), len(other), []
    while n or m:
        if n and m and costs[n][m] == costs[n - 1][m - 1] + (one[n - 1] != other[m - 1]):
            n, m = n - 1, m - 1
            columns.append((n, m))
        elif n and costs[n][m] == costs[n - 1][m] + 1:
            n -= 1
            columns.append((n, None))
        else:
            m -= 1
            columns.append((None, m))
    return columns[::-1]


def common_prefix_length(columns: Sequence[Column], one: Sequence[int], other: Sequence[int]) -> int:
    """How many columns stand before the first difference: up to there a causal model computes the same twice."""
    return sum(1 for _ in takewhile(lambda c: None not in c and c[0] == c[1] and one[c[0]] == other[c[1]], columns))


def attention_difference(one: Tensor, other: Tensor, pairs: Pairs) -> Tensor:
    """What each of N aligned tokens gives more to each in the other text: (..., N, N) from patterns (..., T, T)."""
    here, there = torch.tensor(pairs).T
    return other[..., there[:, None], there] - one[..., here[:, None], here]


def moved_attention(one: Tensor, other: Tensor, pairs: Pairs) -> Tensor:
    """The share of its attention that each of N aligned tokens moves to other tokens: (..., N) from (..., T, T).

    It is the total variation distance of its two rows, half the sum of |p - q|: 0 where they are the same, 1 where it
    looks at nothing that it looked at before. A token without a counterpart is looked at in one text only.
    """
    apart = attention_difference(one, other, pairs).abs().sum(-1)
    for pattern, places in zip((one, other), torch.tensor(pairs).T):
        alone = torch.ones(pattern.shape[-1], dtype=torch.bool)
        alone[places] = False
        apart = apart + pattern[..., places, :][..., alone].sum(-1)
    return apart / 2


def total_variation(p: Tensor, q: Tensor) -> float:
    """The total variation distance of two distributions (V): the share of probability that is elsewhere."""
    return (p - q).abs().sum().item() / 2
