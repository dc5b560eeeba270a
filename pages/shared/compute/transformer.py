"""Cached computations of the transformer lessons."""

import torch

from model.transformer import untrained_stacks
from model.transformer.intervention import Interventions
from model.transformer.score_scaling import SoftmaxStatistics, by_width
from pages.shared.compute.readings import Reading
from pages.shared.runtime.memo import memoize
from pages.shared.runtime.queue import permit


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
