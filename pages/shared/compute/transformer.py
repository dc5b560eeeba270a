"""Cached computations of the transformer lessons."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from model.language.tokenization import pieces
from model.transformer import position_schemes, positions, untrained_stacks
from model.transformer.intervention import Interventions
from model.transformer.record import AttentionTrace
from model.transformer.score_scaling import SoftmaxStatistics, by_width
from pages.shared import forward_steps
from pages.shared.compute.readings import Reading
from pages.shared.forward_steps import Step
from pages.shared.models import Model
from pages.shared.runtime.memo import memoize
from pages.shared.runtime.queue import permit

MOST_POSITIONS = 1024  # of a scheme's vectors: their dot products take the square of it in memory


@memoize(64)
def without_residual(reading: Reading) -> tuple[list[float], torch.Tensor]:
    """The model without its residual connections: the mean cosine of two tokens before each block and at the end, and
    the logits (V) of the next token."""
    with permit():
        trace = reading.model.decoder.trace(reading.trace.idx, Interventions(residual=False))
    return untrained_stacks.mean_cosines(trace), trace.logits[0, -1].clone()


@memoize(64)
def effect_of_last_token(reading: Reading, mask: bool) -> list[float]:
    """The largest change of any logit at each of the T - 1 earlier tokens when the last token is replaced; with the
    causal mask it is 0."""
    decoder, idx = reading.model.decoder, reading.trace.idx
    replaced = idx.clone()
    replaced[:, -1] = (idx[:, -1] + 1) % decoder.config.vocab_size
    with permit():
        before, after = (decoder.trace(ids, Interventions(mask=mask)).logits[0, :-1] for ids in (idx, replaced))
    return (before - after).abs().amax(-1).tolist()


class OpenStep(NamedTuple):
    """A step of the forward pass, its values of all tokens, and how many parameters were learned for it."""

    step: Step
    values: torch.Tensor
    learned: int

    def at_token(self, token: int) -> torch.Tensor:
        """The values at one token: a vector; of a pattern, the row of each head (H, token + 1)."""
        values = self.values[0, :, token] if self.values.dim() == 4 else self.values[0, token]
        return values[:, : token + 1] if self.step.name == "pattern" else values.flatten()


def open_steps(reading: Reading, layer: int) -> tuple[dict[str, OpenStep], dict[str, OpenStep]]:
    """The steps of the whole forward pass by name, and those inside the block of a layer."""
    decoder, trace = reading.model.decoder, reading.trace
    block, record = decoder.blocks[layer], trace.blocks[layer]
    road = [(step, step.values(trace), decoder) for step in forward_steps.road(decoder)]
    inside = [(step, step.values(block, record), block) for step in forward_steps.inside(decoder)]

    def count(step: Step, module: nn.Module) -> int:
        return sum(weight.numel() for weight in step.learned(module)) if step.learned else 0

    first, second = (
        {step.name: OpenStep(step, values, count(step, module)) for step, values, module in steps}
        for steps in (road, inside)
    )
    return first, second


class NextToken(NamedTuple):
    """A token that could come next."""

    id: int
    logit: float
    probability: float


def next_tokens(reading: Reading, position: int, count: int) -> list[NextToken]:
    """The likeliest tokens after the one at a position, `count` of them at most."""
    logits = reading.trace.logits[0, position]
    probabilities = logits.softmax(-1)
    ids = logits.topk(min(count, len(logits))).indices.tolist()
    return [NextToken(id, logits[id].item(), probabilities[id].item()) for id in ids]


def position_vectors(model: Model, scheme: str) -> torch.Tensor:
    """The learned or sinusoidal position vectors (T, C) of a model's size, T at most MOST_POSITIONS."""
    config = model.decoder.config
    count = min(config.block_size, MOST_POSITIONS)
    return model.decoder.W_pos[:count] if scheme == "learned" else positions.sinusoidal(count, config.n_embd)


@memoize(32)
def products_by_distance(model: Model, scheme: str) -> tuple[torch.Tensor, int | None]:
    """The mean, least and largest dot product (T, 3) of two position vectors at each distance, and the distance at
    which the mean first rises."""
    with permit():
        spread = positions.by_distance(position_vectors(model, scheme))
    return spread, positions.first_rise(spread[:, 0].tolist())


class Shift(NamedTuple):
    """Sinusoids at a position and some steps later (C), the first rotated by the matrix of that shift, and the largest
    error of this over all positions."""

    before: list[float]
    rotated: list[float]
    after: list[float]
    error: float


@memoize(64)
def shift_sinusoids(model: Model, steps: int, position: int) -> Shift:
    """The sinusoids of a model's width before and after a shift by `steps` positions."""
    config = model.decoder.config
    with permit():
        waves = positions.sinusoidal(min(config.block_size, MOST_POSITIONS) + steps, config.n_embd)
        before, after = waves[:-steps], waves[steps:]
        rotated = before @ positions.rotation_matrix(steps, config.n_embd).T
    rows = (part[position].tolist() for part in (before, rotated, after))
    return Shift(*rows, (rotated - after).abs().max().item())


@memoize(64)
def first_attention(reading: Reading, scheme: str, count: int) -> AttentionTrace:
    """The first layer's attention over the first `count` tokens, with another scheme of positions."""
    with permit():
        return position_schemes.first_attention(reading.model.decoder, reading.trace.idx[:, :count], scheme)


class RotatedQuery(NamedTuple):
    """A query as RoPE rotates it at each of T positions (T, D), the angle of one step for each pair of dimensions, in
    degrees (D / 2), the base of these angles, and the query's scores with a key at some places."""

    hands: torch.Tensor
    degrees: list[float]
    base: float
    scores: list[float]


def rotate_query(reading: Reading, head: int, count: int, places: Sequence[tuple[int, int]]) -> RotatedQuery:
    """How RoPE rotates the query of the last of `count` tokens in a head of the first layer.

    The scores are those with the first token's key, at each of the places (position of the query, of the key).
    """
    decoder, record = reading.model.decoder, first_attention(reading, "none", count)
    base, config = position_schemes.rotation_base(decoder), decoder.config
    q = record.q[0, head].double()
    k = record.k[0, head * config.n_kv_head // config.n_head].double()
    degrees = positions.angles(torch.ones(1), config.head_size // 2, base)[0].rad2deg().tolist()
    at = torch.tensor(places)
    queries = positions.rotate(q[-1].expand(len(places), -1), at[:, 0], base)
    keys = positions.rotate(k[0].expand(len(places), -1), at[:, 1], base)
    scores = (queries * keys).sum(-1) / config.head_size**0.5
    hands = positions.rotate(q[-1].expand(len(q), -1), torch.arange(len(q)), base)
    return RotatedQuery(hands, degrees, base, scores.tolist())


class WordOrder(NamedTuple):
    """The tokens of the same words in two orders, how far each token's final vector moved (as a share of its length),
    the first layer's patterns (H, T, T) in both, and the second order's patterns with the tokens put back."""

    tokens: list[str]
    other_tokens: list[str]
    moved: list[float]
    patterns: torch.Tensor
    other_patterns: torch.Tensor
    put_back: torch.Tensor


def word_ids(model: Model, words: Sequence[str]) -> list[list[int]]:
    """The ids of each word behind a space, so that a word has the same ids wherever it stands."""
    return [model.tokenizer.encode(f" {word}", add_special_tokens=False).ids for word in words]


@memoize(64)
def reorder_words(
    model: Model, words: tuple[str, ...], indices: tuple[int, ...], positions: bool, mask: bool
) -> WordOrder:
    """Run a model on words and on the same words in the order of `indices`, with or without positions and mask."""
    ids = word_ids(model, words)
    flat = torch.tensor(sum(ids, []))
    spans = torch.arange(len(flat)).split([len(part) for part in ids])
    order = torch.cat([spans[index] for index in indices])
    with permit():
        runs = position_schemes.reordered(
            model.decoder, flat, order.tolist(), Interventions(positions=positions, mask=mask)
        )
    patterns, other_patterns = (trace.blocks[0].attn.pattern[0].clone() for trace in (runs.original, runs.other))
    back = order.argsort()
    return WordOrder(
        pieces(model.tokenizer, flat.tolist()),
        pieces(model.tokenizer, flat[order].tolist()),
        runs.moved.tolist(),
        patterns,
        other_patterns,
        other_patterns[:, back][:, :, back],
    )


@memoize(64)
def measure_stacks(
    blocks: int, size: float, seed: int
) -> dict[untrained_stacks.Stack, untrained_stacks.StackMeasurement]:
    """For each way to stack untrained blocks: what becomes of the tokens and of the gradients."""
    with permit():
        return {stack: untrained_stacks.measure(stack, blocks, size, seed) for stack in untrained_stacks.STACKS}


@memoize(64)
def softmax_by_width(seed: int, divided: bool) -> list[SoftmaxStatistics]:
    """The softmax over random scores for each width of queries and keys, divided by its square root or not."""
    return by_width(seed, divided)
