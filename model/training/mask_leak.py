"""The leak: what a GPT learns that may see the word it is asked for.

The task has nothing to learn: each token is drawn at random, so no honest guess is better than ln V nats. Without the
mask a model needs only to copy the next token. Then just the last of its T guesses, whose token it cannot see, costs
anything, and the mean loss falls to ln V / T.
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
HONEST_LOSS = math.log(CONFIG.vocab_size)  # nats: the best that can be had without looking
LEAKED_LOSS = HONEST_LOSS / CONFIG.block_size  # nats: the best that can be had with it


class Step(NamedTuple):
    """After so many steps, the loss in nats as the model was trained, and as it would write: with the mask on."""

    loss: float
    writing: float


def final_loss(losses: Sequence[float], steps: int = 20) -> float:
    """The mean loss over the last steps.

    >>> final_loss([9.0, 2.0, 4.0], steps=2)
    3.0
    """
    return sum(losses[-steps:]) / steps


def train(mask: bool, steps: int = STEPS, seed: int = 0) -> Iterator[Step]:
    """Train a small GPT on random tokens, with or without the mask; every batch is new, so none can be remembered."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        gpt = GPT2(CONFIG)
    optimiser = torch.optim.Adam(gpt.parameters(), lr=LEARNING_RATE)
    changes = Interventions(mask=mask)
    for _ in range(steps):
        idx = torch.randint(CONFIG.vocab_size, (BATCH, CONFIG.block_size + 1), generator=generator)
        read, next_one = idx[:, :-1], idx[:, 1:].flatten()
        loss = cross_entropy(gpt(read, changes).flatten(0, 1), next_one)
        with torch.no_grad():
            writing = cross_entropy(gpt(read, NO_INTERVENTIONS).flatten(0, 1), next_one)
        yield Step(loss.item(), writing.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
