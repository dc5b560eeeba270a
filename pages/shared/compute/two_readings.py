"""Computations of the lessons that compare: two models on one prompt, or two prompts on one model."""

import math
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from model.interpretability import comparison
from model.interpretability.comparison import Column
from model.language.tokenization import token_bytes
from model.toy_world.exact import divergence
from pages.shared import models
from pages.shared.compute import readings
from pages.shared.compute.readings import Reading
from pages.shared.models import Model
from viz.charts.bars import Guess

SMALLEST_CHANGE = 0.0005  # of a probability that is shown as changed


def next_token(reading: Reading) -> Tensor:
    """The probability of each token after the prompt: (V,)."""
    return reading.trace.logits[0, -1].softmax(-1)


def probability_and_rank(probabilities: Tensor, ids: Sequence[int | None]) -> list[Guess]:
    """The probability of each token and its rank from 1 on; None where the vocabulary has no such token."""
    chosen = [None if id is None else probabilities[id] for id in ids]
    return [None if p is None else (p.item(), 1 + int((probabilities > p).sum())) for p in chosen]


def next_tokens(a: Reading, b: Reading, pairs: Sequence[Column]) -> tuple[list[str], dict[str, list[Guess]]]:
    """Of each pair of ids, one in the vocabulary of each reading: its text, and both readings' probabilities and ranks.

    Two readings of one prompt also have the true probabilities, where those are known.
    """
    texts_a, texts_b = (models.vocabulary(reading.model).texts for reading in (a, b))
    words = [texts_b[id_b] if id_a is None else texts_a[id_a] for id_a, id_b in pairs]
    sides = list(zip((a, b), zip(*pairs)))
    guesses = {letter: probability_and_rank(next_token(reading), ids) for letter, (reading, ids) in zip("AB", sides)}
    for reading, ids in sides if a.prompt == b.prompt else []:
        if truth := readings.true_next(reading):
            guesses["truth"] = [None if id is None else (truth.get(id, 0.0), None) for id in ids]
    return words, guesses


def likeliest_pairs(a: Reading, b: Reading, count: int) -> list[Column]:
    """The tokens that two models find likeliest, as pairs of ids of the same bytes, by the larger probability."""
    p, q = next_token(a), next_token(b)
    likeliest = [side.topk(min(count, len(side))).indices.tolist() for side in (p, q)]
    pairs = comparison.match_tokens(a.model.tokenizer, b.model.tokenizer, *likeliest)
    larger = {(i, j): max(p[i] if i is not None else 0, q[j] if j is not None else 0) for i, j in pairs}
    return sorted(pairs, key=larger.__getitem__, reverse=True)[:count]


def changed_tokens(a: Reading, b: Reading, count: int) -> list[Column]:
    """The tokens whose probability differs most between two readings of one model, at least two, as pairs of ids."""
    changes = (next_token(a) - next_token(b)).abs()
    largest = changes.topk(min(count, len(changes)))
    ids = [id for n, id in enumerate(largest.indices.tolist()) if n < 2 or largest.values[n] > SMALLEST_CHANGE]
    return [(id, id) for id in ids]


class TextCost(NamedTuple):
    """What a model says of the end of a text, in bits; per byte and per token only if that end is not empty."""

    per_byte: float | None
    per_token: float | None
    entropy: float  # of the next token
    divergence: float | None  # of the next token from the truth, where that is known


def text_costs(a: Reading, b: Reading) -> tuple[int, list[TextCost]]:
    """The bytes of the longest end of the text that begins with a token in both readings, and what it costs in each."""
    cuts = ([token_bytes(reading.model.tokenizer, id) for id in reading.ids] for reading in (a, b))
    size, *firsts = comparison.common_suffix(*cuts)
    return size, [text_cost(reading, first, size) for reading, first in zip((a, b), firsts)]


def text_cost(reading: Reading, first: int, size: int) -> TextCost:
    """What a model says of the tokens from the first on, which are `size` bytes."""
    log_p, count = reading.trace.logits[0, -1].log_softmax(-1), len(reading.tokens) - first
    bits = sum(reading.surprises[first:]) / math.log(2)
    truth = readings.true_next(reading)
    return TextCost(
        bits / size if size else None,
        bits / count if size else None,
        comparison.entropy(log_p) / math.log(2),
        divergence(truth, log_p) / math.log(2) if truth else None,
    )


def cut(model: Model, text: str) -> tuple[list[bytes], list[int]]:
    """The tokens of a text in a model's tokenizer: their bytes and ids."""
    ids = model.tokenizer.encode(text).ids
    return [token_bytes(model.tokenizer, id) for id in ids], ids


class Alignment(NamedTuple):
    """Two prompts token by token."""

    columns: list[Column]  # the position of a token in each prompt, or None
    pairs: list[tuple[int, int]]  # the columns that have both
    equal: list[bool]  # for each pair, whether it is the same token
    first: int  # pairs before the first difference, where nothing can differ
    identical: bool  # whether the two prompts are the same


def align(a: Reading, b: Reading) -> Alignment:
    """The alignment of two prompts that one model has read."""
    columns = comparison.align(a.ids, b.ids)
    pairs = [pair for pair in columns if None not in pair]
    unchanged = comparison.common_prefix_length(columns, a.ids, b.ids)
    equal = [a.ids[i] == b.ids[j] for i, j in pairs]
    return Alignment(columns, pairs, equal, min(unchanged, len(pairs)), unchanged == len(columns))


def moved_attention(a: Reading, b: Reading, alignment: Alignment, last_only: bool) -> Annotated[Tensor, "L H"]:
    """The share of its attention, from 0 to 1, that each head moves: mean over the pairs, or that of the last."""
    rows = comparison.moved_attention(a.trace.patterns, b.trace.patterns, alignment.pairs)
    rows = rows[..., -1:] if last_only else rows[..., alignment.first :]
    return rows.mean(-1) if rows.shape[-1] else rows.new_zeros(rows.shape[:-1])


def aligned_patterns(a: Reading, b: Reading, pairs: Sequence[tuple[int, int]], head: tuple[int, int]) -> list[Tensor]:
    """The attention (N, N) of one head between N aligned tokens, in each of two readings."""
    return [
        reading.trace.patterns[head][list(positions)][:, list(positions)]
        for reading, positions in zip((a, b), zip(*pairs))
    ]


def bits(reading: Reading) -> list[float]:
    """The surprise of each token, in bits; NaN for the first."""
    return (torch.tensor(reading.surprises) / math.log(2)).tolist()
