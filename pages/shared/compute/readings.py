"""Cached forward passes over a prompt, and the toy world's true probabilities beside them."""

from typing import NamedTuple

import torch
from cachetools.keys import hashkey

from model.language.surprise import surprises
from model.language.tokenization import pieces
from model.toy_world.exact import Distribution, Truth
from model.transformer.record import Trace
from pages.shared.models import Model
from pages.shared.runtime.memo import memoize
from pages.shared.runtime.queue import permit

READINGS = 512_000_000  # bytes of all cached readings
LATEST = 120  # readings that are cached at most, however small: a class of 100 has its own
MAX_CHARACTERS = 20_000  # of a prompt; more is a book, and its beginning would not be read anyway


class ForwardPass(NamedTuple):
    """A forward pass over the end of a prompt: what is cached of a reading, without the model."""

    prompt: str  # its last MAX_CHARACTERS
    tokens: list[str]
    trace: Trace
    cut_characters: int  # before those
    cut_tokens: int  # before the tokens that were read
    bytes: int  # of the trace


class Reading(NamedTuple):
    """A model's forward pass over the end of a prompt.

    It holds its model, which may be evicted meanwhile; the cache holds only the forward pass.
    """

    model: Model
    prompt: str
    tokens: list[str]
    trace: Trace
    cut_characters: int
    cut_tokens: int
    bytes: int

    @property
    def cache_key(self) -> tuple[str, str, int]:
        """The model's name and the prompt, which stand for the reading in the keys of caches."""
        return self.model.name, self.prompt, self.cut_characters

    @property
    def ids(self) -> list[int]:
        """The T ids of the tokens."""
        return self.trace.idx[0].tolist()

    @property
    def surprises(self) -> list[float]:
        """The surprise of each of the T tokens, −ln p, in nats; NaN for the first, before which nothing was read."""
        return surprises(self.trace.logits[0], self.trace.idx[0]).tolist()


def read(model: Model, prompt: str) -> Reading:
    """The model's reading of the end of a prompt, as much as a page shows; raises ValueError for an empty one."""
    return Reading(model, *forward_pass(model, prompt))


@memoize(
    READINGS,
    lambda run: max(run.bytes, READINGS // LATEST),
    lambda model, prompt: hashkey(model.name, prompt[-MAX_CHARACTERS:], len(prompt)),
)
def forward_pass(model: Model, prompt: str) -> ForwardPass:
    """The cached part of `read`."""
    ids = model.tokenizer.encode(prompt[-MAX_CHARACTERS:]).ids
    shown = ids[-model.max_tokens :]
    with permit():
        trace = model.decoder.trace(torch.tensor([shown], dtype=torch.long))
    return ForwardPass(
        prompt[-MAX_CHARACTERS:],
        pieces(model.tokenizer, shown),
        trace,
        cut_characters=max(0, len(prompt) - MAX_CHARACTERS),
        cut_tokens=len(ids) - len(shown),
        bytes=model.decoder.config.trace_bytes(len(shown)),
    )


@memoize(5000)
def next_probability(model: Model, prompt: str, id: int) -> float:
    """The probability of a token after a prompt, without a reading: those of other visitors stay in the cache."""
    ids = model.tokenizer.encode(prompt[-MAX_CHARACTERS:]).ids[-model.max_tokens :]
    with permit():
        logits, _ = model.decoder.step(torch.tensor([ids]))
    return logits[0].softmax(-1)[id].item()


@memoize(4)
def toy_world(model: Model) -> Truth:
    """The exact probabilities of the toy world, in the tokens of a model."""
    return Truth(model.tokenizer)


@memoize(16)
def true_distributions(reading: Reading) -> list[Distribution]:
    """The toy world's next-token distribution before each of the T tokens, and after the last: T + 1.

    A distribution is empty from where the prompt is not a text of that world; all are empty if the beginning of the
    prompt was not read, and for a model that was not trained on the toy world.
    """
    if reading.cut_tokens or reading.cut_characters or not reading.model.card:
        return [{}] * (len(reading.tokens) + 1)
    return toy_world(reading.model).follow(reading.prompt)


@memoize(128)
def true_next(reading: Reading) -> Distribution:
    """The toy world's distribution of the token after the prompt; empty where `true_distributions` has an empty one."""
    return true_distributions(reading)[-1]
