"""The block of a decoder-only transformer: attention and an MLP that read the residual stream and add to it.

The forward pass is the same in every family; `gpt2.py` and `llama.py` say what their attention and MLP project with.
Shapes as in `record.py`, and S for all tokens that are attended to: the cached ones and T new ones.

Source: Vaswani et al. 2017, "Attention Is All You Need", equation 1.
"""

import math
from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor, nn

from model.transformer.intervention import NO_INTERVENTIONS, EditSite, Interventions, no_edit
from model.transformer.positions import Rotation, rotate_by
from model.transformer.record import AttentionTrace, BlockTrace


class Attention(nn.Module):
    """Causal self-attention of H query heads over G key/value heads: softmax(q.k / sqrt(D)) v."""

    n_head: int

    def forward(
        self,
        x: Tensor,
        past: tuple[Tensor, Tensor] | None = None,
        edit: EditSite = no_edit,
        mask: bool = True,
        rotation: Rotation | None = None,
        bias: Tensor | None = None,
    ) -> AttentionTrace:
        """Attend from each of the normalized vectors x (B, T, C) to itself and to those before it.

        `past` are the keys and values (B, G, S - T, D) of a cache. A rotation turns q and k (rotary positions); a bias
        (H, T, S) is added to the scores (ALiBi).
        """
        q, k, v = self.qkv(x)  # (B, T, C) -> (B, H, T, D), (B, G, T, D), (B, G, T, D)
        if rotation is not None:
            q, k = rotate_by(q, *rotation), rotate_by(k, *rotation)  # the shapes stay
        q, k, v = edit("q", q), edit("k", k), edit("v", v)
        if past is not None:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)  # (B, G, S, D)
        scores = grouped_matmul(q, k.mT) / math.sqrt(q.size(-1))  # (B, H, T, D) @ (B, G, D, S) -> (B, H, T, S)
        if bias is not None:
            scores = scores + bias
        future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).triu(1 + k.size(2) - q.size(2))
        pattern = (scores.masked_fill(future, -math.inf) if mask else scores).softmax(-1)  # each row (S) sums to 1
        pattern = edit("pattern", pattern)
        z = edit("z", grouped_matmul(pattern, v))  # (B, H, T, S) @ (B, G, S, D) -> (B, H, T, D)
        out = edit("out", self.output(z.transpose(1, 2).flatten(2)))  # (B, H, T, D) -> (B, T, H D) -> (B, T, C)
        return AttentionTrace(q, k, v, scores, pattern, z, out)

    def qkv(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, H, T, D), keys and values (B, G, T, D) of normalized vectors x (B, T, C)."""
        raise NotImplementedError

    @property
    def output(self) -> nn.Linear:
        """The matrix, and in GPT-2 the bias, that maps the heads' concatenated z (H D) to the stream (C)."""
        raise NotImplementedError


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Vectors (B, T, H D) as (B, H, T, D)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def grouped_matmul(heads: Tensor, groups: Tensor) -> Tensor:
    """The product of heads (B, H, T, X) with groups (B, G, X, Y), H / G heads in turn with each: (B, H, T, Y)."""
    if heads.size(1) == groups.size(1):
        return heads @ groups
    stacked = heads.unflatten(1, (groups.size(1), -1)).flatten(2, 3)  # (B, G, H / G T, X): one product for each group
    return (stacked @ groups).unflatten(2, (-1, heads.size(2))).flatten(1, 2)


class MLP(nn.Module):
    """The MLP of a block: `activation` is its nonlinearity, `output` its last matrix."""

    activation: Callable[[Tensor], Tensor]
    activation_name: str

    def forward(self, x: Tensor, edit: EditSite = no_edit) -> tuple[Tensor, Tensor | None, Tensor]:
        """For normalized vectors x (B, T, C): mlp_pre and mlp_up (B, T, M), and mlp_out (B, T, C)."""
        raise NotImplementedError

    @property
    def output(self) -> nn.Linear:
        """The matrix, and in GPT-2 the bias, that maps the neurons (M) to the stream (C)."""
        raise NotImplementedError


class Block(nn.Module):
    """Read the normalized residual stream and add attention's output; again for the MLP."""

    def __init__(self, ln_1: nn.Module, attn: Attention, ln_2: nn.Module, mlp: MLP) -> None:
        super().__init__()
        self.ln_1, self.attn, self.ln_2, self.mlp = ln_1, attn, ln_2, mlp

    def forward(
        self,
        resid_pre: Tensor,
        past: tuple[Tensor, Tensor] | None = None,
        edit: EditSite = no_edit,
        interventions: Interventions = NO_INTERVENTIONS,
        rotation: Rotation | None = None,
    ) -> BlockTrace:
        """The record of this block for a stream (B, T, C); `edit` applies this layer's edits."""
        residual = interventions.residual
        resid_pre = edit("resid_pre", resid_pre)
        attn = self.attn(self.ln_1(resid_pre), past, edit, interventions.mask, rotation=rotation)
        resid_mid = edit("resid_mid", resid_pre + attn.out if residual else attn.out)
        mlp_pre, mlp_up, mlp_out = self.mlp(self.ln_2(resid_mid), edit)
        return BlockTrace(resid_pre, attn, resid_mid, mlp_pre, mlp_up, mlp_out, self.mlp.activation, residual)

    @property
    def has_biases(self) -> bool:
        """Whether attention and MLP add a bias each; without, b_O and b_out are zeros."""
        return self.attn.output.bias is not None

    @property
    def W_O(self) -> Annotated[Tensor, "H D C"]:
        """What each head's z is multiplied with to write to the stream."""
        return self.attn.output.weight.T.unflatten(0, (self.attn.n_head, -1))

    @property
    def b_O(self) -> Annotated[Tensor, "C"]:
        """The bias of the output matrix, which attention adds whatever the pattern; zeros if there is none."""
        return _bias(self.attn.output)

    @property
    def W_out(self) -> Annotated[Tensor, "M C"]:
        """What each neuron's activation is multiplied with to write to the stream."""
        return self.mlp.output.weight.T

    @property
    def b_out(self) -> Annotated[Tensor, "C"]:
        """The bias of the last matrix, which the MLP adds whatever it reads; zeros if there is none."""
        return _bias(self.mlp.output)


def _bias(linear: nn.Linear) -> Tensor:
    return linear.weight.new_zeros(linear.out_features) if linear.bias is None else linear.bias
