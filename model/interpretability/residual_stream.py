"""The residual stream: what each part of the model adds to it, how long it is, and which words it writes towards.

Sources: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits" (the stream as a sum of what each part
writes); nostalgebraist 2020, "interpreting GPT: the logit lens" (reading the stream with the final norm and the
unembedding); Geva et al. 2022, "Transformer Feed-Forward Layers Build Predictions by Promoting Concepts in the
Vocabulary Space" (what a neuron writes towards). Shapes as in `model/transformer/record.py`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from model.transformer.decoder import Decoder
from model.transformer.record import Trace


class Place(NamedTuple):
    """Where something is added to the stream: by the embeddings (layer -1), or by one of the two parts of a block."""

    layer: int
    part: str  # token, position, attention or MLP

    @property
    def name(self) -> str:
        """Such as "L2 MLP"."""
        return self.part if self.layer < 0 else f"L{self.layer} {self.part}"


@dataclass(frozen=True, eq=False)
class ResidualStream:
    """The residual stream of T tokens at N places, at each of which something is added to it."""

    places: tuple[Place, ...]
    written: Annotated[Tensor, "T N C"]  # what is added there
    stream: Annotated[Tensor, "T N C"]  # the stream after the addition

    @cached_property
    def cosines(self) -> Annotated[Tensor, "T N"]:
        """The cosine of what is added with the stream at the end."""
        return F.cosine_similarity(self.written, self.stream[:, -1:], dim=-1)

    @cached_property
    def shares(self) -> Annotated[Tensor, "T N"]:
        """The share of each addition in the stream at the end, along its direction; a token's shares sum to 1."""
        end = self.stream[:, -1:]
        return (self.written * end).sum(-1) / end.square().sum(-1)


def residual_stream(trace: Trace) -> ResidualStream:
    """What each part added to the stream of each token, in the first row of a trace without interventions.

    The sum of all additions is the stream at the end. A family without position vectors has no place for them.
    """
    embed = trace.embed[0]
    places, written, stream = [Place(-1, "token")], [embed], [embed]
    if trace.pos_embed is not None:
        places.append(Place(-1, "position"))
        written.append(trace.pos_embed)
        stream.append(embed + trace.pos_embed)
    for layer, block in enumerate(trace.blocks):
        places += [Place(layer, "attention"), Place(layer, "MLP")]
        written += [block.attn.out[0], block.mlp_out[0]]
        stream += [block.resid_mid[0], block.resid_post[0]]
    return ResidualStream(tuple(places), torch.stack(written, 1), torch.stack(stream, 1))


@torch.inference_mode()
def to_logits(decoder: Decoder, end: Tensor, written: Tensor) -> Tensor:
    """What vectors `written` (…, C) to a stream that is `end` (C) at the end add to the logits: (…, V).

    The final norm divides by the scale of the whole stream; with that held fixed, the logits are a sum over all that
    was written, plus the norm's bias through the unembedding. What later layers made of it is counted as theirs.
    """
    return decoder.unembed(decoder.fold(end, written))


class WritesTowards(NamedTuple):
    """The token ids whose logits a vector raises most and lowers most, each with what it adds."""

    promoted: list[tuple[int, float]]
    suppressed: list[tuple[int, float]]


@torch.inference_mode()
def writes_towards(decoder: Decoder, end: Tensor, written: Tensor, words: int) -> list[WritesTowards]:
    """For each of the vectors `written` (N, C) to a stream that is `end` (C) at the end, its strongest words."""
    effects = to_logits(decoder, end, written)

    def strongest(sign: int) -> list[list[tuple[int, float]]]:
        best = (sign * effects).topk(words)
        return [list(zip(*row)) for row in zip(best.indices.tolist(), (sign * best.values).tolist())]

    return [WritesTowards(*both) for both in zip(strongest(1), strongest(-1))]


class Neuron(NamedTuple):
    """A neuron of an MLP at one token: its input, its activation, and what that does to the logits."""

    number: int
    pre: float  # before the activation function; in a gated MLP, the gate
    post: float  # what is multiplied with its row of W_out
    length: float  # of what it wrote
    towards: WritesTowards


@torch.inference_mode()
def neurons(decoder: Decoder, trace: Trace, layer: int, position: int, count: int, words: int) -> list[Neuron]:
    """The most active neurons of a layer at a position, each with its strongest words.

    In GPT-2 the most active neurons have the largest activations. In a gated MLP a large negative activation writes as
    much, so the largest absolute values count.
    """
    block, end = trace.blocks[layer], trace.blocks[-1].resid_post[0, position]
    pre, post = block.mlp_pre[0, position], block.mlp_post[0, position]
    numbers = (post if block.mlp_up is None else post.abs()).topk(count).indices
    written = post[numbers, None] * decoder.blocks[layer].W_out[numbers]  # (count, C)
    columns = (numbers, pre[numbers], post[numbers], written.norm(dim=-1))
    return [
        Neuron(*row, towards)
        for *row, towards in zip(*(column.tolist() for column in columns), writes_towards(decoder, end, written, words))
    ]
