"""Direct logit attribution: what each embedding, head, neuron and bias adds to the difference of two logits.

Sources: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits" (the residual stream is a sum, so the
logits are, too); Geva et al. 2022, "Transformer Feed-Forward Layers Build Predictions by Promoting Concepts in the
Vocabulary Space" (which tokens a neuron promotes); Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers"
(rollout). Shapes as in `model/transformer/record.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from model.transformer.decoder import Decoder
from model.transformer.record import Head, Trace


@dataclass(frozen=True)
class Attribution:
    """What each part adds to the logit of one token minus that of another, at one position; together, the difference.

    The scale of the final norm is held fixed, which makes the rest linear. Biases add the same to every prompt, except
    for that scale; the biases of queries, keys and values are part of what the heads add.
    """

    token: Tensor  # the embedding of the token at that position
    position: Tensor | None  # its position vector; None in a family without them
    heads: Annotated[Tensor, "L H"]
    neurons: Annotated[Tensor, "L M"]
    attention_biases: Annotated[Tensor, "L"]
    mlp_biases: Annotated[Tensor, "L"]
    norm_bias: Tensor  # of the final norm

    @property
    def total(self) -> float:
        """The sum of all parts, in double precision."""
        return sum(part.double().sum().item() for part in vars(self).values() if part is not None)


@torch.inference_mode()
def attribute(decoder: Decoder, trace: Trace, position: int, toward: int, against: int) -> Attribution:
    """Split logit(toward) - logit(against) at a position into what each part of the model wrote."""
    direction = gradient(decoder, trace, position, toward, against)
    heads, neurons, attention_biases, mlp_biases = [], [], [], []
    for weights, block in zip(decoder.blocks, trace.blocks):
        heads.append((block.attn.z[0, :, position] * (weights.W_O @ direction)).sum(-1))
        neurons.append(block.mlp_post[0, position] * (weights.W_out @ direction))
        attention_biases.append(weights.b_O @ direction)
        mlp_biases.append(weights.b_out @ direction)
    return Attribution(
        direction @ trace.embed[0, position],
        None if trace.pos_embed is None else direction @ trace.pos_embed[position],
        *map(torch.stack, (heads, neurons, attention_biases, mlp_biases)),
        (decoder.W_U[toward] - decoder.W_U[against]) @ decoder.ln_f.bias,
    )


def gradient(decoder: Decoder, trace: Trace, position: int, toward: int, against: int) -> Tensor:
    """The gradient (C) of logit(toward) - logit(against) with respect to the final residual stream at a position.

    The final norm's scale is held fixed.
    """
    return decoder.pull(trace.blocks[-1].resid_post[0, position], decoder.W_U[toward] - decoder.W_U[against])


@torch.inference_mode()
def attribute_source(
    decoder: Decoder, trace: Trace, position: int, source: int, toward: int, against: int
) -> Annotated[Tensor, "L H"]:
    """The part of each head's contribution to logit(toward) - logit(against) that comes from one source token."""
    direction = gradient(decoder, trace, position, toward, against)
    contributions = []
    for weights, block in zip(decoder.blocks, trace.blocks):
        z = block.attn.pattern[0, :, position, source, None] * block.attn.values[0, :, source]
        contributions.append((z * (weights.W_O @ direction)).sum(-1))
    return torch.stack(contributions)


def strongest(contributions: Tensor, count: int) -> list[tuple[int, int]]:
    """The indices of the `count` contributions (L, N) with the largest absolute value, the largest first.

    >>> strongest(torch.tensor([[1.0, -5.0], [2.0, 0.0]]), 2)
    [(0, 1), (1, 0)]
    """
    largest = contributions.flatten().abs().topk(min(count, contributions.numel())).indices
    return [divmod(n, contributions.size(1)) for n in largest.tolist()]


def written_by_heads(decoder: Decoder, trace: Trace, position: int, heads: Sequence[Head]) -> Tensor:
    """What some heads wrote to the stream at a position, without their layer's bias: (N, C)."""
    return torch.stack(
        [trace.blocks[layer].attn.z[0, head, position] @ decoder.blocks[layer].W_O[head] for layer, head in heads]
    )


def written_by_neurons(
    decoder: Decoder, trace: Trace, position: int, neurons: Sequence[tuple[int, int]]
) -> Annotated[Tensor, "N C"]:
    """What some neurons (layer, neuron) wrote to the stream at a position."""
    return torch.stack(
        [
            decoder.blocks[layer].W_out[neuron] * trace.blocks[layer].mlp_post[0, position, neuron]
            for layer, neuron in neurons
        ]
    )


@torch.inference_mode()
def promoted_tokens(decoder: Decoder, written: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ids (N, count) whose logits each of the vectors `written` (N, C) raises most, and lowers most."""
    raised = decoder.unembed(decoder.ln_f.weigh(written))
    return raised.topk(count).indices, (-raised).topk(count).indices


def rollout(patterns: Tensor) -> Tensor:
    """Attention rollout: the patterns (L, H, T, T) of all layers as one pattern (T, T), whose rows sum to 1.

    In each layer the heads' mean counts one half, and staying at the same token, for the residual stream, the other
    half; the layers are multiplied.
    """
    stay = torch.eye(patterns.size(-1))
    flow = stay
    for mean in patterns.mean(1):
        flow = (0.5 * mean + 0.5 * stay) @ flow
    return flow


def even_rollout(layers: int, tokens: int) -> Tensor:
    """The rollout (T, T) of heads that each look at all visible tokens alike.

    >>> even_rollout(layers=1, tokens=2)
    tensor([[1.0000, 0.0000],
            [0.2500, 0.7500]])
    """
    even = torch.ones(tokens, tokens).tril() / torch.arange(1, tokens + 1)[:, None]
    return rollout(even.expand(layers, 1, -1, -1))
