"""Beam search: a few texts are carried on at once, and the likeliest of all their continuations are kept.

Every step leaves what it tried, kept or dropped. The number of candidates (twice the width) and the length penalty are
those of transformers, whose `generate` the tests compare it with.

Source: Lowerre 1976, "The HARPY Speech Recognition System", where the idea was first used.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from model.transformer.decoder import Decoder
from model.transformer.record import cache_length

MAX_WIDTH, MAX_LENGTH = 8, 12


class Candidate(NamedTuple):
    """One token that was tried after one of the texts that were carried on."""

    beam: int  # the text before it: its place in the step before; 0 at the first step
    id: int
    log_p: float  # of the token after that text, in nats
    total: float  # of all tokens since the prompt, in nats


class Search(NamedTuple):
    """What each step tried, likeliest first (the first `width` of them were kept), and what was found."""

    steps: list[list[Candidate]]
    ranked: list[tuple[list[int], float]]  # the new ids and the score of each beam, best first

    def path(self, step: int, row: int) -> list[Candidate]:
        """The tokens that lead to one candidate, and itself."""
        last = self.steps[step][row]
        return [*self.path(step - 1, last.beam), last] if step else [last]


@torch.inference_mode()
def search(decoder: Decoder, ids: Sequence[int], width: int, length: int, length_penalty: float = 1.0) -> Search:
    """The `width` likeliest texts of `length` tokens after `ids` that a beam search of this width finds.

    A score is a total over length ** length_penalty. A width of 1 is greedy. Where the context is full the last
    block_size tokens are read anew. Raises ValueError for a width or a length out of range, no ids, and NaN.
    """
    for name, value, most in (("width", width, MAX_WIDTH), ("length", length, MAX_LENGTH)):
        if not 1 <= value <= most:
            raise ValueError(f"{name} is {value}; it must be from 1 to {most}")
    block_size, steps = decoder.config.block_size, []
    told = torch.tensor([ids], dtype=torch.long)  # one row a beam
    new, cache, totals = told[:, -block_size:], None, torch.zeros(1)
    for _ in range(length):
        logits, cache = decoder.step(new, cache)
        log_p = logits.log_softmax(-1)
        if log_p.isnan().any():
            raise ValueError("a logit is NaN, so no token is likelier than another")
        sums = totals[:, None] + log_p
        totals, found = sums.flatten().topk(min(2 * width, sums.numel()))
        beams, tokens = found // log_p.size(1), found % log_p.size(1)
        tried = zip(beams.tolist(), tokens.tolist(), log_p[beams, tokens].tolist(), totals.tolist())
        steps.append([Candidate(*one) for one in tried])
        beams, tokens, totals = beams[:width], tokens[:width, None], totals[:width]
        told = torch.cat([told[beams], tokens], dim=1)
        full = cache_length(cache) == block_size
        new, cache = (told[:, -block_size:], None) if full else (tokens, tuple((k[beams], v[beams]) for k, v in cache))
    scores = (totals / length**length_penalty).tolist()
    return Search(steps, list(zip(told[:, -length:].tolist(), scores)))
