"""Sampling: temperature, filters and repetition penalty, applied one after the other to the logits of the next token.

Each step takes logits (V) and returns logits (V); a removed token has -inf. The softmax of the result gives the
probabilities.

Sources: top-k: Fan et al. 2018, "Hierarchical Neural Story Generation", section 5.4; top-p: Holtzman et al. 2020, "The
Curious Case of Neural Text Degeneration", section 3.1; min-p: Nguyen et al. 2024, "Turning Up the Heat", section 3;
repetition penalty: Keskar et al. 2019, "CTRL", section 4.1.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from model.transformer.decoder import Decoder, Draw

MIN_TEMPERATURE = 1e-30  # below it a logit divided by the temperature may be too large for a float32; it counts as 0
Chain = Sequence[tuple[str, float]]  # the name of each step, in their order, and its number


def temperature(logits: Tensor, value: float) -> Tensor:
    """Logits (V) divided by the temperature; at 0 only the largest remains. Raises ValueError below 0.

    >>> temperature(torch.tensor([2.0, 1.0]), 0.5)
    tensor([4., 2.])
    """
    _check("temperature", value, 0, math.inf)
    if value < MIN_TEMPERATURE:
        return logits.masked_fill(torch.arange(len(logits)) != logits.argmax(), -math.inf)
    return logits / value


def top_k(logits: Tensor, k: float) -> Tensor:
    """Top-k: the k largest logits remain, and ties with the k-th. Raises ValueError for a k below 1.

    >>> top_k(torch.tensor([3.0, 1.0, 2.0]), 2)
    tensor([3., -inf, 2.])
    """
    _check("top-k", k, 1, math.inf)
    smallest = logits.topk(min(int(k), len(logits))).values[-1]
    return logits.masked_fill(logits < smallest, -math.inf)


def top_p(logits: Tensor, p: float) -> Tensor:
    """Top-p (nucleus sampling): the most likely tokens remain whose probabilities first sum to p or more.

    Of equal logits at the edge the larger ids remain. The sum runs from the largest probability on, in float64, as in
    the browser: where it is exactly p, the two keep the same tokens.

    >>> top_p(torch.tensor([0.5, 0.3, 0.15, 0.05]).log(), 0.9).isfinite()
    tensor([ True,  True,  True, False])
    """
    _check("top-p", p, 0, 1)
    if p == 1:
        return logits
    ascending, order = logits.sort(stable=True)
    sums = _relative_probabilities(ascending).flip(0).cumsum(0)
    count = int((sums / sums[-1] < p).sum()) + 1  # with the token that crosses p
    return logits.index_fill(0, order[: len(order) - count], -math.inf)


def min_p(logits: Tensor, p: float) -> Tensor:
    """Min-p: tokens remain that have at least p times the largest probability, computed in float64.

    >>> min_p(torch.tensor([0.6, 0.3, 0.1]).log(), 0.4).isfinite()
    tensor([ True,  True, False])
    """
    _check("min-p", p, 0, 1)
    return logits.masked_fill(_relative_probabilities(logits) < p, -math.inf)


def _relative_probabilities(logits: Tensor) -> Tensor:
    """Probabilities divided by the largest one, in float64."""
    exact = logits.double()
    return (exact - exact.max()).exp()


def repetition_penalty(logits: Tensor, penalty: float, ids: Iterable[int] = ()) -> Tensor:
    """Repetition penalty: logits of the ids in the text are divided by it if positive, else multiplied.

    >>> repetition_penalty(torch.tensor([2.0, -1.0, 3.0]), 2.0, ids=[0, 1])
    tensor([ 1., -2.,  3.])
    """
    _check("repetition", penalty, 1, math.inf)
    repeated = torch.tensor(sorted(set(ids)), dtype=torch.long)
    values = logits[repeated]
    return logits.index_copy(0, repeated, torch.where(values < 0, values * penalty, values / penalty))


STEPS = {"repetition": repetition_penalty, "temperature": temperature, "top-k": top_k, "top-p": top_p, "min-p": min_p}


def apply(chain: Chain, logits: Tensor, ids: Iterable[int] = ()) -> Tensor:
    """Logits (V) after all steps of the chain; `ids` are those of the text so far.

    Raises ValueError for a step that is not in STEPS, a number out of its range, more steps than there are, and logits
    that are NaN.
    """
    if len(chain) > len(STEPS):
        raise ValueError(f"the chain has {len(chain)} steps; it may have {len(STEPS)}")
    if logits.isnan().any():
        raise ValueError("a logit is NaN, so there are no probabilities")
    for name, value in chain:
        if name not in STEPS:
            raise ValueError(f"there is no step {name!r}; there is {', '.join(STEPS)}")
        logits = repetition_penalty(logits, value, ids) if name == "repetition" else STEPS[name](logits, value)
    return logits


def draw(chain: Chain, generator: torch.Generator | None = None) -> Draw:
    """A function that samples the next ids (B, 1) by a chain, for `Decoder.passes` and `Decoder.generate`."""

    def draw_next(logits: Tensor, text: Tensor) -> Tensor:
        rows = [apply(chain, row, ids.tolist()) for row, ids in zip(logits, text)]
        return torch.multinomial(torch.stack(rows).softmax(-1), 1, generator=generator)

    return draw_next


def sample_tokens(decoder: Decoder, ids: Sequence[int], chain: Chain, seed: int) -> Iterator[tuple[int, float]]:
    """Generation by a chain, without end: each sampled id, and its surprise in nats before any step of the chain.

    Raises ValueError as `apply` does, and if there are no ids.
    """
    passes = decoder.passes(
        torch.tensor([list(ids)], dtype=torch.long), draw(chain, torch.Generator().manual_seed(seed))
    )
    for step in passes:
        logits, _ = step.output
        id = step.ids.item()
        yield id, -logits[0].log_softmax(-1)[id].item()


def _check(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most or value == math.inf:
        limit = f"at least {least}" if most == math.inf else f"from {least} to {most}"
        raise ValueError(f"{name} is {value}; it must be {limit}")
