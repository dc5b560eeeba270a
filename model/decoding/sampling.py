"""From logits to the next token: temperature and filters, one after the other, over the whole vocabulary.

Each takes logits (V) and gives logits (V); what it cuts is -inf. The probabilities of what is left are their softmax.

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
    """The logits divided by the temperature; at 0 the largest alone is left. Raises ValueError below 0."""
    _check("temperature", value, 0, math.inf)
    if value < MIN_TEMPERATURE:
        return logits.masked_fill(torch.arange(len(logits)) != logits.argmax(), -math.inf)
    return logits / value


def top_k(logits: Tensor, k: float) -> Tensor:
    """The k largest are left, and those as large as the last of them. Raises ValueError for a k below 1."""
    _check("top-k", k, 1, math.inf)
    least = logits.topk(min(int(k), len(logits))).values[-1]
    return logits.masked_fill(logits < least, -math.inf)


def top_p(logits: Tensor, p: float) -> Tensor:
    """The likeliest are left that together have a probability of p or more, the one that crosses it included.

    Of equal logits at the edge the later ids are left. The sum runs from the largest probability on, in float64, as in
    the browser: where it is exactly p, the two keep the same tokens. Example: of logits log [.5, .3, .15, .05],
    top_p(logits, 0.9) leaves the first three.
    """
    _check("top-p", p, 0, 1)
    if p == 1:
        return logits
    ascending, order = logits.sort(stable=True)
    sums = _powers(ascending).flip(0).cumsum(0)
    kept = int((sums / sums[-1] < p).sum()) + 1  # the one that crosses p, too
    return logits.index_fill(0, order[: len(order) - kept], -math.inf)


def min_p(logits: Tensor, p: float) -> Tensor:
    """Those are left that have at least p times the probability of the likeliest, computed in float64."""
    _check("min-p", p, 0, 1)
    return logits.masked_fill(_powers(logits) < p, -math.inf)


def _powers(logits: Tensor) -> Tensor:
    """e to the power of each logit less the largest, in float64: the probabilities, but for their sum."""
    exact = logits.double()
    return (exact - exact.max()).exp()


def repetition_penalty(logits: Tensor, penalty: float, ids: Iterable[int] = ()) -> Tensor:
    """The logits of the ids that stand in the text already: divided by the penalty, or multiplied if negative."""
    _check("repetition", penalty, 1, math.inf)
    seen = torch.tensor(sorted(set(ids)), dtype=torch.long)
    found = logits[seen]
    return logits.index_copy(0, seen, torch.where(found < 0, found * penalty, found / penalty))


STEPS = {"repetition": repetition_penalty, "temperature": temperature, "top-k": top_k, "top-p": top_p, "min-p": min_p}


def apply(chain: Chain, logits: Tensor, ids: Iterable[int] = ()) -> Tensor:
    """The logits (V) after all steps; `ids` are those of the text so far.

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
    """The function that draws the next ids (B, 1) by a chain, for `Decoder.passes` and `Decoder.generate`."""

    def draw_next(logits: Tensor, text: Tensor) -> Tensor:
        rows = [apply(chain, row, ids.tolist()) for row, ids in zip(logits, text)]
        return torch.multinomial(torch.stack(rows).softmax(-1), 1, generator=generator)

    return draw_next


def sample_tokens(decoder: Decoder, ids: Sequence[int], chain: Chain, seed: int) -> Iterator[tuple[int, float]]:
    """Tokens after `ids`, without end: each id, drawn by the chain, and its surprise in nats before any step.

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
