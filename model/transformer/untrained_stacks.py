"""Untrained stacks of blocks: does a gradient reach the first block, and do the tokens stay apart?

Sources: He et al. 2016, "Deep Residual Learning for Image Recognition" (residual connections); Xiong et al. 2020, "On
Layer Normalization in the Transformer Architecture" (before or after); Dong et al. 2021, "Attention is not all you
need" (without residual connections all tokens become one).
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.transformer.gpt2 import CausalSelfAttention, FeedForward, GPT2Config
from model.transformer.record import Trace

NORMS = ("before", "after", "none")  # of attention and MLP: pre-norm as in GPT-2, post-norm as in the first transformer
TOKENS, WIDTH, HEADS = 16, 64, 4


class Stack(NamedTuple):
    """A variant of the block: the place of the norm, and whether there are residual connections."""

    norm: str
    residual: bool

    @property
    def name(self) -> str:
        norm = "no norm" if self.norm == "none" else f"norm {self.norm}"
        return f"{norm}, {'residual' if self.residual else 'no residual'}"


STACKS = tuple(Stack(norm, residual) for residual in (True, False) for norm in NORMS)


class StackMeasurement(NamedTuple):
    """Measurements of a stack on 16 tokens, before each of its L blocks and at the end: L + 1 numbers each."""

    gradients: list[float]  # norms of the gradient, relative to the one at the end
    similarity: list[float]  # mean cosine similarity of two tokens
    final_norm: float  # largest change of any component by one more norm at the end


def apply_part(stack: Stack, part: nn.Module, x: Tensor) -> Tensor:
    """Residual stream (1, T, C) after an attention or an MLP."""
    read = _norm(x) if stack.norm == "before" else x
    written = part(read).out if isinstance(part, CausalSelfAttention) else part(read)[-1]
    x = x + written if stack.residual else written
    return _norm(x) if stack.norm == "after" else x


def measure(stack: Stack, depth: int, size: float, seed: int) -> StackMeasurement:
    """Measurements of an untrained stack on random tokens, with the gradient of a random sum of its outputs.

    Weights have standard deviation `size` / √inputs, biases are 0. One seed gives the same draw to all stacks.
    """
    config = GPT2Config(vocab_size=1, block_size=TOKENS, n_layer=depth, n_head=HEADS, n_embd=WIDTH)
    draw = torch.Generator().manual_seed(seed)
    first, weights = torch.randn(2, 1, TOKENS, WIDTH, generator=draw, dtype=torch.float64)
    streams = [first.requires_grad_()]
    for _ in range(depth):
        x = streams[-1]
        for kind in (CausalSelfAttention, FeedForward):
            with torch.device("meta"):
                part = kind(config)
            weights_of_part = {
                name: torch.randn(tensor.shape, generator=draw, dtype=torch.float64) * size / math.sqrt(tensor.size(1))
                if tensor.dim() > 1
                else torch.zeros(tensor.shape, dtype=torch.float64)
                for name, tensor in part.named_parameters()
            }
            part.load_state_dict(weights_of_part, assign=True)
            x = apply_part(stack, part, x)
        streams.append(x)
    gradients = torch.autograd.grad((x * weights).sum(), streams)
    lengths = torch.stack([gradient.norm() for gradient in gradients])
    return StackMeasurement(
        (lengths / lengths[-1]).tolist(),
        [mean_cosine(x.detach()[0]) for x in streams],
        (_norm(x) - x).abs().max().item(),
    )


def mean_cosines(trace: Trace) -> list[float]:
    """Mean cosine similarity of two tokens in row 0 of a trace, before each block and at the end: L + 1 numbers."""
    streams = [*(block.resid_pre for block in trace.blocks), trace.blocks[-1].resid_post]
    return [mean_cosine(stream[0]) for stream in streams]


def mean_cosine(vectors: Tensor) -> float:
    """Mean cosine similarity of two of the vectors (T, C).

    >>> round(mean_cosine(torch.tensor([[1.0, 0.0], [3.0, 4.0]])), 4)
    0.6
    """
    units, count = vectors / vectors.norm(dim=-1, keepdim=True), len(vectors)  # F.normalize has no tiny vectors
    return ((units.sum(0).square().sum() - units.square().sum()) / (count * (count - 1))).item()


def _norm(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:])
