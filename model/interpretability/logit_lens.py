"""Reading a GPT from within: what it would say at each layer, and which of its parts pushed the answer.

Sources: nostalgebraist 2020, "interpreting GPT: the logit lens" (the final norm and the head, put on any layer);
Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits" (the stream is a sum, so the logits are, too);
Geva et al. 2022, "Transformer Feed-Forward Layers Build Predictions by Promoting Concepts in the Vocabulary Space"
(what a neuron writes towards); Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers" (rollout).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from model.transformer.gpt2 import GPT, Trace

PLACES = ("resid_pre", "resid_mid", "resid_post")  # before a layer, after its attention, after its MLP
LIKELIEST = 5  # tokens of each reading


class Lens(NamedTuple):
    """What R readings of the stream say at T positions; the last reading is the model's output."""

    ids: Annotated[Tensor, "R T K"]  # the K likeliest tokens
    log_p: Annotated[Tensor, "R T K"]  # and their log-probabilities
    entropy: Annotated[Tensor, "R T"]  # nats
    kl: Annotated[Tensor, "R T"]  # KL(output || reading), nats
    followed: Annotated[Tensor, "R T"] | None  # the log-probability of a token that was asked for
    rank: Annotated[Tensor, "R T"] | None  # and its rank; that of the likeliest is 1


def logits(gpt: GPT, stream: Tensor) -> Tensor:
    """The logit lens: what the model would say (…, V) if its last layer ended with this stream (…, C)."""
    return F.linear(gpt.ln_f(stream), gpt.wte.weight)


@torch.inference_mode()
def read(gpt: GPT, trace: Trace, place: str, positions: slice, token: int | None = None) -> Lens:
    """Read the stream of each layer at one of the PLACES, and the output after them.

    The logits of one layer are there at a time, never those of all. After the last layer the reading is the output,
    which is not computed again.
    """
    said = trace.logits[0, positions]
    layers = trace.blocks[:-1] if place == "resid_post" else trace.blocks
    found = _room(len(layers) + 1, *said.shape, followed=token is not None)
    output = said.softmax(-1)
    for n, block in enumerate(layers):
        fill(found, n, logits(gpt, getattr(block, place)[0, positions]), output, token)
    fill(found, len(layers), said, output, token)
    return found._replace(kl=(found.kl - found.kl[-1]).clamp(min=0))


def _room(readings: int, tokens: int, vocabulary: int, followed: bool) -> Lens:
    """Room for what is read, made before any logits: small pieces between large ones would break up the memory."""
    likeliest = readings, tokens, min(LIKELIEST, vocabulary)
    ids, log_p = torch.empty(likeliest, dtype=torch.long), torch.empty(likeliest)
    entropy, kl, log_p_followed = torch.empty(3, readings, tokens)
    rank = torch.empty(readings, tokens, dtype=torch.long)
    return Lens(ids, log_p, entropy, kl, *((log_p_followed, rank) if followed else (None, None)))


def fill(found: Lens, n: int, logits: Tensor, output: Tensor, token: int | None) -> None:
    """One reading of logits (T, V); for the KL its cross-entropy with the probabilities (T, V) of the output."""
    log_p = logits.log_softmax(-1)
    torch.topk(log_p, found.ids.size(-1), out=(found.log_p[n], found.ids[n]))
    found.entropy[n] = -torch.linalg.vecdot(log_p.exp(), log_p)
    found.kl[n] = -torch.linalg.vecdot(output, log_p)
    if token is not None:
        found.followed[n] = log_p[:, token]
        found.rank[n] = 1 + (log_p > log_p[:, token, None]).sum(-1)


@dataclass(frozen=True)
class Attribution:
    """What each part adds to the logit of one token less that of another, at one position; in all, the difference.

    The scale of the final norm is taken as it came out, which makes the rest linear. Biases add the same to every
    prompt, but for that scale; those of queries, keys and values are in what the heads add.
    """

    token: Tensor  # the embedding of the token at that position
    position: Tensor
    heads: Annotated[Tensor, "L H"]
    neurons: Annotated[Tensor, "L 4C"]
    attention_biases: Annotated[Tensor, "L"]
    mlp_biases: Annotated[Tensor, "L"]
    norm_bias: Tensor  # of the final norm

    @property
    def total(self) -> float:
        """The sum of all, in double precision."""
        return sum(part.double().sum().item() for part in vars(self).values())


@torch.inference_mode()
def attribute(gpt: GPT, trace: Trace, position: int, toward: int, against: int) -> Attribution:
    """Direct logit attribution: split logit(toward) - logit(against) at a position into what each part wrote."""
    direction = _direction(gpt, trace, position, toward, against)
    heads, neurons, attention_biases, mlp_biases = [], [], [], []
    for block, kept in zip(gpt.h, trace.blocks):
        z = kept.attn.z[0, :, position]
        heads.append((z * (direction @ block.attn.c_proj.weight).view_as(z)).sum(-1))
        neurons.append(kept.mlp_post[0, position] * (direction @ block.mlp.c_proj.weight))
        attention_biases.append(direction @ block.attn.c_proj.bias)
        mlp_biases.append(direction @ block.mlp.c_proj.bias)
    return Attribution(
        direction @ trace.embed[0, position],
        direction @ trace.pos_embed[position],
        *map(torch.stack, (heads, neurons, attention_biases, mlp_biases)),
        (gpt.wte.weight[toward] - gpt.wte.weight[against]) @ gpt.ln_f.bias,
    )


def _direction(gpt: GPT, trace: Trace, position: int, toward: int, against: int) -> Tensor:
    """What is added along it (C) to the stream at a position adds so much to logit(toward) - logit(against) there."""
    apart = gpt.wte.weight[toward] - gpt.wte.weight[against]
    scale = (trace.blocks[-1].resid_post[0, position].var(unbiased=False) + gpt.ln_f.eps).sqrt()
    direction = gpt.ln_f.weight * apart / scale
    return direction - direction.mean()  # the norm takes the mean off the stream; so does this


@torch.inference_mode()
def attribute_look(gpt: GPT, trace: Trace, position: int, source: int, toward: int, against: int) -> Tensor:
    """Of what each head (L, H) adds to logit(toward) - logit(against) at a position, what it takes from a source."""
    direction = _direction(gpt, trace, position, toward, against)
    adds = []
    for block, kept in zip(gpt.h, trace.blocks):
        z = kept.attn.pattern[0, :, position, source, None] * kept.attn.v[0, :, source]
        adds.append((z * (direction @ block.attn.c_proj.weight).view_as(z)).sum(-1))
    return torch.stack(adds)


def strongest(adds: Tensor, count: int) -> list[tuple[int, int]]:
    """Where in (L, N) those are that add or take most, the strongest first."""
    found = adds.flatten().abs().topk(min(count, adds.numel())).indices
    return [divmod(n, adds.size(1)) for n in found.tolist()]


def by_heads(gpt: GPT, trace: Trace, position: int, heads: Sequence[tuple[int, int]]) -> Tensor:
    """What some heads (layer, head) wrote into the stream at a position, without their layer's bias: (N, C)."""
    size = gpt.config.n_embd // gpt.config.n_head
    return torch.stack(
        [
            gpt.h[layer].attn.c_proj.weight[:, head * size : (head + 1) * size]
            @ trace.blocks[layer].attn.z[0, head, position]
            for layer, head in heads
        ]
    )


def by_neurons(gpt: GPT, trace: Trace, position: int, neurons: Sequence[tuple[int, int]]) -> Tensor:
    """What some neurons (layer, neuron) wrote into the stream at a position: (N, C)."""
    return torch.stack(
        [
            gpt.h[layer].mlp.c_proj.weight[:, neuron] * trace.blocks[layer].mlp_post[0, position, neuron]
            for layer, neuron in neurons
        ]
    )


@torch.inference_mode()
def promotes(gpt: GPT, written: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ids (N, count) whose logits each of some written vectors (N, C) raises most, and lowers most."""
    centred = written - written.mean(-1, keepdim=True)
    raised = F.linear(centred * gpt.ln_f.weight, gpt.wte.weight)
    return raised.topk(count).indices, (-raised).topk(count).indices


def rollout(patterns: Tensor) -> Tensor:
    """Attention rollout: the patterns (L, H, T, T) as one, (T, T).

    Of each layer the mean of its heads, half of it, and half of staying where one is for the residual; then the
    product over the layers. Rows sum to 1.
    """
    stay = torch.eye(patterns.size(-1))
    through = stay
    for mean in patterns.mean(1):
        through = (0.5 * mean + 0.5 * stay) @ through
    return through
