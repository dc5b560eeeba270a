"""Beam search: the `width` most likely texts are extended by one token at a time.

Every step records its candidates, kept or dropped. The number of candidates (twice the width) and the length penalty
are those of transformers, whose `generate` the tests compare it with.

Source: Lowerre 1976, "The HARPY Speech Recognition System", where the idea was first used.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from model.transformer.decoder import Decoder
from model.transformer.record import cache_length

MAX_WIDTH, MAX_LENGTH = 8, 12


class Candidate(NamedTuple):
    """A token that may extend one of the beams."""

    beam: int  # the row, in the step before, of the text that it extends; 0 at the first step
    id: int
    log_p: float  # log-probability of the token after that text, in nats
    total: float  # log-probability of all tokens since the prompt, in nats


class Search(NamedTuple):
    """The candidates of each step, most likely first (the first `width` are kept), and the final beams."""

    steps: list[list[Candidate]]
    ranked: list[tuple[list[int], float]]  # the new ids and the score of each beam, best first

    def path(self, step: int, row: int) -> list[Candidate]:
        """The candidates that lead to one candidate, and that candidate."""
        last = self.steps[step][row]
        return [*self.path(step - 1, last.beam), last] if step else [last]


@torch.inference_mode()
def search(decoder: Decoder, ids: Sequence[int], width: int, length: int, length_penalty: float = 1.0) -> Search:
    """Beam search for the most likely continuations of `ids` by `length` tokens.

    The score of a beam is its total log-probability / length ** length_penalty. A width of 1 is greedy. When the
    context is full, the last block_size tokens are read again. Raises ValueError for a width or a length out of range,
    no ids, and NaN.
    """
    for name, value, largest in (("width", width, MAX_WIDTH), ("length", length, MAX_LENGTH)):
        if not 1 <= value <= largest:
            raise ValueError(f"{name} is {value}; it must be from 1 to {largest}")
    block_size, steps = decoder.config.block_size, []
    texts = torch.tensor([ids], dtype=torch.long)  # one row a beam
    new, cache, totals = texts[:, -block_size:], None, torch.zeros(1)
    for _ in range(length):
        logits, cache = decoder.step(new, cache)
        log_p = logits.log_softmax(-1)
        if log_p.isnan().any():
            raise ValueError("a logit is NaN, so no token is likelier than another")
        sums = totals[:, None] + log_p
        totals, indices = sums.flatten().topk(min(2 * width, sums.numel()))
        beams, tokens = indices // log_p.size(1), indices % log_p.size(1)
        candidates = zip(beams.tolist(), tokens.tolist(), log_p[beams, tokens].tolist(), totals.tolist())
        steps.append([Candidate(*candidate) for candidate in candidates])
        beams, tokens, totals = beams[:width], tokens[:width, None], totals[:width]
        texts = torch.cat([texts[beams], tokens], dim=1)
        full = cache_length(cache) == block_size
        new, cache = (texts[:, -block_size:], None) if full else (tokens, tuple((k[beams], v[beams]) for k, v in cache))
    scores = (totals / length**length_penalty).tolist()
    return Search(steps, list(zip(texts[:, -length:].tolist(), scores)))
