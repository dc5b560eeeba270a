"""What a block adds to the residual stream: how long it is, where it points, and which words it writes towards.

Sources: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits" (the stream as a sum of what each part
writes); nostalgebraist 2020, "interpreting GPT: the logit lens" (reading the stream with the final norm and wte);
Geva et al. 2022, "Transformer Feed-Forward Layers Build Predictions by Promoting Concepts in the Vocabulary Space"
(what a neuron writes towards); Ba et al. 2016, "Layer Normalization"; Hendrycks and Gimpel 2016, "Gaussian Error
Linear Units".
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.transformer.gpt2 import GPT, Trace, gelu


class Place(NamedTuple):
    """Where something is added to the stream: by the embeddings (layer -1), or by the two parts of a block."""

    layer: int
    part: str  # token, position, attention or MLP

    @property
    def name(self) -> str:
        return self.part if self.layer < 0 else f"L{self.layer} {self.part}"


@dataclass(frozen=True, eq=False)
class Road:
    """The residual stream of T tokens, past N places at which something is added to it."""

    places: tuple[Place, ...]
    written: Annotated[Tensor, "T N C"]  # what is added
    stream: Annotated[Tensor, "T N C"]  # what the stream is then

    @cached_property
    def cosines(self) -> Annotated[Tensor, "T N"]:
        """Of what is added with the stream at the end."""
        return F.cosine_similarity(self.written, self.stream[:, -1:], dim=-1)

    @cached_property
    def shares(self) -> Annotated[Tensor, "T N"]:
        """Of the stream at the end, along its own direction; those of a token add up to 1."""
        end = self.stream[:, -1:]
        return (self.written * end).sum(-1) / end.square().sum(-1)


def road(trace: Trace) -> Road:
    """What each part of a GPT added to the stream of each token, in the first row of an unchanged trace.

    Everything that is added is the stream at the end.
    """
    token = trace.embed[0]
    places, written = [Place(-1, "token"), Place(-1, "position")], [token, trace.pos_embed]
    stream = [token, token + trace.pos_embed]
    for layer, block in enumerate(trace.blocks):
        places += [Place(layer, "attention"), Place(layer, "MLP")]
        written += [block.attn.out[0], block.mlp_out[0]]
        stream += [block.resid_mid[0], block.resid_post[0]]
    return Road(tuple(places), torch.stack(written, 1), torch.stack(stream, 1))


@torch.inference_mode()
def normalised(norm: nn.LayerNorm, x: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors (…, C) with mean 0 and standard deviation 1, and what the layer norm makes of them with its weights."""
    return F.layer_norm(x, norm.normalized_shape, eps=norm.eps), norm(x)


@torch.inference_mode()
def to_logits(gpt: GPT, end: Tensor, written: Tensor) -> Tensor:
    """What is added to the logits (…, V) by what was written (…, C) to a stream that is `end` (C) at the end.

    The final norm divides by the standard deviation of the whole stream; with that held as it is, the logits are a
    sum: over all that was written, and ln_f's bias through wte. What later layers made of it when they read it is
    counted as theirs.
    """
    centred = written - written.mean(-1, keepdim=True)
    deviation = (end.var(unbiased=False) + gpt.ln_f.eps).sqrt()
    return F.linear(centred / deviation * gpt.ln_f.weight, gpt.wte.weight)


class Towards(NamedTuple):
    """The ids of the tokens that something is written most for and most against, and what it adds to their logits."""

    promoted: list[tuple[int, float]]
    suppressed: list[tuple[int, float]]


@torch.inference_mode()
def towards(gpt: GPT, end: Tensor, written: Tensor, words: int) -> list[Towards]:
    """Of each vector (N, C) that was written to a stream that is `end` (C) at the end, so many words."""
    effects = to_logits(gpt, end, written)

    def most(sign: int) -> list[list[tuple[int, float]]]:
        best = (sign * effects).topk(words)
        return [list(zip(*row)) for row in zip(best.indices.tolist(), (sign * best.values).tolist())]

    return [Towards(*both) for both in zip(most(1), most(-1))]


class Neuron(NamedTuple):
    """A neuron of an MLP at one token: what it read, what it passed on, and what that does to the logits."""

    number: int
    read: float  # before the GELU
    active: float  # after it
    length: float  # of what it wrote
    towards: Towards


@torch.inference_mode()
def neurons(gpt: GPT, trace: Trace, layer: int, position: int, count: int, words: int) -> list[Neuron]:
    """The most active neurons of a layer at a position, and so many words that each writes towards."""
    read, end = trace.blocks[layer].mlp_pre[0, position], trace.blocks[-1].resid_post[0, position]
    active, numbers = gelu(read).topk(count)
    written = active[:, None] * gpt.h[layer].mlp.c_proj.weight.T[numbers]  # a row for each neuron
    columns = (numbers, read[numbers], active, written.norm(dim=-1))
    return [
        Neuron(*row, both)
        for *row, both in zip(*(column.tolist() for column in columns), towards(gpt, end, written, words))
    ]
