"""Generation with a KV cache, pass by pass: the tokens that are computed, the tokens that are cached, and the savings.

A token's keys and values do not change when later tokens are added, because no token attends to later ones. So they are
cached, and each pass computes the newest token alone.

Source: Pope et al. 2022, "Efficiently Scaling Transformer Inference" (the costs of the cache).
"""

from collections.abc import Iterator, Sequence
from time import thread_time
from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from model.decoding import sampling
from model.transformer.config import DecoderConfig
from model.transformer.decoder import Decoder
from model.transformer.record import Trace


class Step(NamedTuple):
    """One pass of generation: the tokens in the cache, the new ones, and the sampled token."""

    first: int  # position in the text of the first token in the context
    cached: int  # number of tokens from there on whose keys and values were cached
    new: int  # number of tokens after those, which are computed
    pattern: Annotated[Tensor, "L H T"]  # attention of the last token over T = cached + new tokens
    logits: Annotated[Tensor, "V"]
    id: int  # the sampled token

    @property
    def bytes(self) -> int:
        """Memory of the record, in bytes."""
        return self.pattern.nbytes + self.logits.nbytes


def steps(
    decoder: Decoder, ids: Sequence[int], chain: sampling.Chain, seed: int, first: Trace | None = None
) -> Iterator[Step]:
    """The passes that generate tokens after `ids` without end, each drawn by the chain, as in `sampling.sample_tokens`.

    The first pass reads the whole prompt; `first` is its trace, if that exists already. Raises ValueError as
    `sampling.apply` does, and if there are no ids.
    """
    draw = sampling.draw(chain, torch.Generator().manual_seed(seed))
    for step in decoder.passes(torch.tensor([list(ids)], dtype=torch.long), draw, record=True, first=first):
        trace: Trace = step.output
        pattern = torch.stack([block.attn.pattern[0, :, -1] for block in trace.blocks])
        yield Step(step.first, step.cached, trace.idx.size(1), pattern, trace.logits[0, -1].clone(), step.ids.item())


class Timed(NamedTuple):
    """CPU time in seconds of one pass with the cache and without it, and the difference of their logits."""

    cached: float
    recomputed: float
    difference: float  # largest absolute difference of a logit
    same: bool  # whether the most likely token is the same


def timed(decoder: Decoder, ids: Sequence[int], begin: int) -> Iterator[Timed]:
    """Timed passes over the first `begin` tokens of a text, then one more token each time, up to all but the last."""
    idx, cache, block_size = torch.tensor([list(ids)]), None, decoder.config.block_size
    for end in range(begin, len(ids)):
        window = idx[:, max(0, end - block_size) : end]
        if end > block_size:
            cache = None
        began = thread_time()
        with_cache, cache = decoder.step(idx[:, end - 1 : end] if cache else window, cache)
        between = thread_time()
        without, _ = decoder.step(window)
        done = thread_time()
        same = torch.equal(with_cache.argmax(-1), without.argmax(-1))
        yield Timed(between - began, done - between, (with_cache - without).abs().max().item(), same)


class CacheSize(NamedTuple):
    """The KV cache of a model for `tokens` tokens, in bytes; `bytes_unshared` if each query head had its own keys and
    values. Beside it, the bytes of the weights."""

    tokens: int
    bytes_per_token: int
    bytes: int
    bytes_unshared: int
    weight_bytes: int


def cache_size(config: DecoderConfig, tokens: int, bytes_each: int) -> CacheSize:
    """The size of the KV cache where each number takes `bytes_each`; a shorter context holds fewer tokens.

    >>> from model.transformer.gpt2 import GPT2_SMALL
    >>> cache_size(GPT2_SMALL, 2000, 2)
    CacheSize(tokens=1024, bytes_per_token=36864, bytes=37748736, bytes_unshared=37748736, weight_bytes=248879616)
    """
    tokens = min(tokens, config.block_size)
    size = config.kv_bytes(tokens, bytes_each)
    group = config.n_head // config.n_kv_head
    return CacheSize(tokens, config.kv_bytes(1, bytes_each), size, group * size, bytes_each * config.parameters)
