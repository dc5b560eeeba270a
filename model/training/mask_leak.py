"""The mask leak: what a GPT learns that may attend to the token it must predict.

The task has nothing to learn: each token is random, so no honest prediction is better than ln V nats. Without the mask
a model needs only to copy the next token. Then only the last of its T predictions, whose token it cannot see, has a
loss, and the mean falls to ln V / T.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch.nn.functional import cross_entropy

from model.transformer.gpt2 import GPT2, GPT2Config
from model.transformer.intervention import NO_INTERVENTIONS, Interventions

CONFIG = GPT2Config(vocab_size=16, block_size=12, n_layer=1, n_head=2, n_embd=32)
STEPS, BATCH, LEARNING_RATE = 150, 64, 1e-2
HONEST_LOSS = math.log(CONFIG.vocab_size)  # nats: the lowest possible loss with the mask
LEAKED_LOSS = HONEST_LOSS / CONFIG.block_size  # nats: the lowest possible loss without it


class Step(NamedTuple):
    """Loss of one step in nats, as the model is trained; and with the mask, as it would generate text."""

    loss: float
    writing: float


def final_loss(losses: Sequence[float], steps: int = 20) -> float:
    """The mean loss over the last steps.

    >>> final_loss([9.0, 2.0, 4.0], steps=2)
    3.0
    """
    return sum(losses[-steps:]) / steps


def train(mask: bool, steps: int = STEPS, seed: int = 0) -> Iterator[Step]:
    """Training of a small GPT on random tokens with or without the mask; every batch is new. Yields each step."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        decoder = GPT2(CONFIG)
    optimizer = torch.optim.Adam(decoder.parameters(), lr=LEARNING_RATE)
    interventions = Interventions(mask=mask)
    for _ in range(steps):
        idx = torch.randint(CONFIG.vocab_size, (BATCH, CONFIG.block_size + 1), generator=generator)
        inputs, targets = idx[:, :-1], idx[:, 1:].flatten()
        loss = cross_entropy(decoder(inputs, interventions).flatten(0, 1), targets)
        with torch.no_grad():
            writing = cross_entropy(decoder(inputs, NO_INTERVENTIONS).flatten(0, 1), targets)
        yield Step(loss.item(), writing.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
