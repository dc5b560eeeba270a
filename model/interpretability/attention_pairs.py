"""Attention patterns of heads: the pairs of positions that a kind of head attends between, and the attention there.

Sources: Wang et al. 2022, "Interpretability in the Wild", section 3; Olsson et al. 2022, "In-context Learning and
Induction Heads".
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor

from model.transformer.decoder import Decoder
from model.transformer.record import Trace

Pairs = Sequence[tuple[int, int]]  # positions of a query and of a key


class TracedText(NamedTuple):
    """A text of T tokens, the model that read it, and the record of that forward pass."""

    decoder: Decoder
    tokenizer: Tokenizer
    text: str
    trace: Trace


def trace_text(decoder: Decoder, tokenizer: Tokenizer, text: str) -> TracedText:
    """Forward pass over a text; raises ValueError if it has no token, or more than the context of the model."""
    ids = tokenizer.encode(text).ids
    if not ids:
        raise ValueError("it is empty")
    if len(ids) > decoder.config.block_size:
        raise ValueError(f"it has {len(ids):,} tokens, and the model reads {decoder.config.block_size:,} at most")
    return TracedText(decoder, tokenizer, text, decoder.trace(torch.tensor([ids])))


def mean_attention(trace: Trace, pairs: Pairs) -> Tensor:
    """Mean attention weight of each head (L, H) over these pairs of query and key."""
    queries, keys = zip(*pairs)
    return trace.patterns[:, :, queries, keys].mean(-1)


def token_position(traced: TracedText, end: int) -> int:
    """Position of the token that contains the character before the character offset `end`."""
    offsets = traced.tokenizer.encode(traced.text).offsets
    return max(position for position, (start, stop) in enumerate(offsets) if start < end <= stop)


def previous_token_pairs(ids: Sequence[int]) -> Pairs:
    """Pairs from each token to the token before it.

    >>> previous_token_pairs([5, 6, 7])
    [(1, 0), (2, 1)]
    """
    return [(query, query - 1) for query in range(1, len(ids))]


def first_token_pairs(ids: Sequence[int]) -> Pairs:
    """Pairs from each token to the first one, without the second token: for it the first is also the one before.

    >>> first_token_pairs([5, 6, 7, 8])
    [(2, 0), (3, 0)]
    """
    return [(query, 0) for query in range(2, len(ids))]


def duplicate_token_pairs(ids: Sequence[int]) -> Pairs:
    """Pairs from each repeated token to its last occurrence before.

    >>> duplicate_token_pairs([5, 6, 5, 5])
    [(2, 0), (3, 2)]
    """
    last_position: dict[int, int] = {}
    pairs = []
    for position, id in enumerate(ids):
        if id in last_position:
            pairs.append((position, last_position[id]))
        last_position[id] = position
    return pairs


def induction_pairs(ids: Sequence[int]) -> Pairs:
    """Pairs from each repeated token to the token after its last occurrence.

    >>> induction_pairs([5, 6, 5])
    [(2, 1)]
    """
    return [(query, key + 1) for query, key in duplicate_token_pairs(ids) if key + 1 < query]
