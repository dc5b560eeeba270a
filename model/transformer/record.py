"""The record of a forward pass: every activation that the models of this folder compute.

Shapes, in letters: B batch, T tokens, C width of the residual stream, H query heads, G key/value heads (as many as H in
GPT-2), D head size, M width of the MLP, V vocabulary. Activations have the names of the residual-stream literature
(Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"), as in TransformerLens.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
from torch import Tensor

Cache = tuple[tuple[Tensor, Tensor], ...]  # for each block, the keys and values (B, G, S, D) of the S tokens so far


def cache_length(cache: Cache | None) -> int:
    """The number of tokens whose keys and values a cache holds."""
    return cache[0][0].size(2) if cache else 0


class Head(NamedTuple):
    """An attention head: its layer and its number there.

    >>> str(Head(3, 1))
    'L3 H1'
    """

    layer: int
    head: int

    def __str__(self) -> str:
        return f"L{self.layer} H{self.head}"


@dataclass(frozen=True)
class AttentionTrace:
    """The activations of one attention layer; with a cache, k and v span the cached tokens too.

    With rotary positions, q and k are the rotated ones, whose dot products are the scores.
    """

    q: Annotated[Tensor, "B H T D"]
    k: Annotated[Tensor, "B G T D"]
    v: Annotated[Tensor, "B G T D"]
    scores: Annotated[Tensor, "B H T T"]  # q.k / sqrt(D), before the mask
    pattern: Annotated[Tensor, "B H T T"]  # rows sum to 1, zero above the diagonal unless the mask is off
    z: Annotated[Tensor, "B H T D"]  # pattern @ v
    out: Annotated[Tensor, "B T C"]

    @property
    def keys(self) -> Annotated[Tensor, "B H T D"]:
        """The keys that each query head reads: those of its key/value group."""
        return self.k.repeat_interleave(self.q.size(1) // self.k.size(1), dim=1)

    @property
    def values(self) -> Annotated[Tensor, "B H T D"]:
        """The values that each query head reads: those of its key/value group."""
        return self.v.repeat_interleave(self.q.size(1) // self.v.size(1), dim=1)


@dataclass(frozen=True)
class BlockTrace:
    """The activations of one block: attention adds to the residual stream, then the MLP does.

    Activations that one cheap step reproduces bit for bit (mlp_post, resid_post) are computed on demand, which saves a
    quarter of the memory. So are the normalized streams: `block.ln_1(resid_pre)` and `block.ln_2(resid_mid)`.
    """

    resid_pre: Annotated[Tensor, "B T C"]
    attn: AttentionTrace
    resid_mid: Annotated[Tensor, "B T C"]  # resid_pre + attn.out
    mlp_pre: Annotated[Tensor, "B T M"]  # what the activation function reads; in a gated MLP, the gate
    mlp_up: Annotated[Tensor, "B T M"] | None  # in a gated MLP, the factor beside the gate
    mlp_out: Annotated[Tensor, "B T C"]
    activation: Callable[[Tensor], Tensor]  # of the MLP: GELU or SiLU
    residual: bool = True  # False where an intervention removed the residual connections

    @property
    def mlp_post(self) -> Annotated[Tensor, "B T M"]:
        """The neurons' activations: activation(mlp_pre), in a gated MLP times mlp_up."""
        post = self.activation(self.mlp_pre)
        return post if self.mlp_up is None else post * self.mlp_up

    @property
    def resid_post(self) -> Annotated[Tensor, "B T C"]:
        """The residual stream that the next block reads."""
        return self.resid_mid + self.mlp_out if self.residual else self.mlp_out


@dataclass(frozen=True)
class Trace:
    """One whole forward pass, from the token ids to the logits of the next token at each position."""

    idx: Annotated[Tensor, "B T"]
    embed: Annotated[Tensor, "B T C"]
    pos_embed: Annotated[Tensor, "T C"] | None  # GPT-2's position vectors (zero if switched off); None in a Llama
    blocks: tuple[BlockTrace, ...]
    ln_f: Annotated[Tensor, "B T C"]
    logits: Annotated[Tensor, "B T V"]

    @property
    def patterns(self) -> Annotated[Tensor, "L H T T"]:
        """The attention patterns of all layers and heads, for the first row of the batch."""
        return torch.stack([block.attn.pattern[0] for block in self.blocks])

    @property
    def cache(self) -> Cache:
        """The keys and values that later tokens need."""
        return tuple((block.attn.k, block.attn.v) for block in self.blocks)
