"""The scalpel: what breaks where a part is cut out, and what comes back where a part of another run is put in.

Ablation: the output of a head or an MLP is replaced by zero, or by its mean over other positions, which
leaves the model nearer to what it knows (Wang et al. 2022, "Interpretability in the Wild", section 2.1).

Patching (also called causal tracing; Meng et al. 2022, "Locating and Editing Factual Associations in GPT",
section 2): of two prompts of as many tokens, each is run once. Then the corrupted run is made again, with
one activation of the clean run in place of its own: *denoising*. What share of the clean run's answer that
brings back says whether this activation is enough for it. Measured by the difference of two logits, or by
the probability of the answer (Zhang and Nanda 2023, "Towards Best Practices of Activation Patching",
section 2: they recommend the first; the second hides what works against the answer, since it is never
below 0).
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from model.transformer.config import DecoderConfig
from model.transformer.decoder import Decoder
from model.transformer.intervention import Edit, Interventions
from model.transformer.record import Head, Trace

METRICS = ("logit difference", "probability")
TOKENS_PER_BATCH = 2_000  # tokens in one batch of a sweep, which bounds its memory


class Replacements(NamedTuple):
    """What each head and each MLP puts out on average, or nothing; what takes the place of one that is cut."""

    z: Tensor  # (L, H, D)
    mlp_out: Tensor  # (L, C)


def zero_replacements(config: DecoderConfig) -> Replacements:
    """Nothing, in the form of means."""
    layers = config.n_layer
    return Replacements(torch.zeros(layers, config.n_head, config.head_size), torch.zeros(layers, config.n_embd))


def mean_replacements(traces: Sequence[Trace]) -> Replacements:
    """The means over all positions of some traces, of which there must be one."""
    layers = list(zip(*(trace.blocks for trace in traces)))
    return Replacements(
        torch.stack(
            [torch.cat([one.attn.z.transpose(1, 2).flatten(0, 1) for one in layer]).mean(0) for layer in layers]
        ),
        torch.stack([torch.cat([one.mlp_out.flatten(0, 1) for one in layer]).mean(0) for layer in layers]),
    )


def ablation_edits(heads: Collection[Head], mlps: Collection[int], instead: Replacements) -> tuple[Edit, ...]:
    """The edits that take out these heads, and the MLPs of these layers, and put their means in place."""
    return (
        *(Edit("z", layer, instead.z[layer, head], head=head) for layer, head in sorted(heads)),
        *(Edit("mlp_out", layer, instead.mlp_out[layer]) for layer in sorted(mlps)),
    )


def patch_each_head(
    decoder: Decoder, trace: Trace, instead: Sequence[Tensor]
) -> Iterator[tuple[int, list[int], Tensor]]:
    """The run of a trace (B, T), again and again, in each of which one head's z is replaced.

    Of each layer `instead` has what takes z's place, (H, T, D), or what spreads over it. Comes as layer, some of
    its heads, and the logits (heads, B, V) after the last token; only from that layer on is anything computed.
    """
    count, tokens = trace.idx.shape
    for layer, (block, value) in enumerate(zip(trace.blocks, instead, strict=True)):
        z, resid = block.attn.z, block.resid_pre
        for heads in torch.arange(z.size(1)).split(max(1, TOKENS_PER_BATCH // (count * tokens))):
            rows = z.repeat(len(heads), 1, 1, 1, 1)
            for row, head in zip(rows, heads):
                row[:, head] = value[head]
            edit = Edit("z", layer, rows.flatten(0, 1))
            logits = decoder.forward_from(resid.repeat(len(heads), 1, 1), layer, Interventions(edits=(edit,)))
            yield layer, heads.tolist(), logits.unflatten(0, (len(heads), count))


def patch_each_position(
    decoder: Decoder, trace: Trace, other: Trace, start: int = 0
) -> Iterator[tuple[int, list[int], Tensor]]:
    """The run of a trace (1, T), again and again, each with the other's residual stream before one layer at one token.

    Comes as layer, some positions from `start` on, and the logits (positions, V) after the last token.
    """
    tokens = trace.idx.size(1)
    for layer, (block, of) in enumerate(zip(trace.blocks, other.blocks, strict=True)):
        for positions in torch.arange(start, tokens).split(max(1, TOKENS_PER_BATCH // tokens)):
            rows = block.resid_pre.repeat(len(positions), 1, 1)
            rows[range(len(positions)), positions] = of.resid_pre[0, positions]
            yield layer, positions.tolist(), decoder.forward_from(rows, layer)


def sweep_multiply_adds(config: DecoderConfig, rows: int, tokens: int) -> int:
    """The multiplications of a sweep in which each layer is the first of so many rows of so many tokens."""
    layers = config.n_layer * (config.n_layer + 1) // 2  # a row that starts at the first layer computes all of them
    block = config.multiply_adds(tokens, read_off=0) // config.n_layer
    return rows * (layers * block + config.n_layer * config.n_embd * config.vocab_size)


def metrics(logits: Tensor, answer: int, rival: int) -> Tensor:
    """Of logits (..., V) the METRICS (..., 2): the answer's logit less its rival's, and the answer's probability."""
    return torch.stack([logits[..., answer] - logits[..., rival], logits.softmax(-1)[..., answer]], dim=-1)


def restored_share(patched: Tensor, corrupted: Tensor, clean: Tensor) -> Tensor:
    """The share of the way from the corrupted to the clean run: 0 nothing, 1 all of it; also below 0, or above 1.

    Raises ValueError where the two runs do not differ, so that there is no way.
    """
    if ((clean - corrupted).abs() < 1e-6).any():
        raise ValueError("the two prompts give the same answer equally strongly, so there is nothing to bring back")
    return (patched - corrupted) / (clean - corrupted)


def first_difference(one: Tensor, other: Tensor) -> int:
    """The first position at which two prompts (1, T) differ; raises ValueError where there is none to be patched."""
    if one.shape != other.shape:
        raise ValueError(
            f"the first prompt has {one.size(1)} tokens, the second {other.size(1)}; a position can be "
            "patched only where both have it, so they must have the same number"
        )
    if not (differ := (one != other)[0].nonzero()).numel():
        raise ValueError("the two prompts are the same; change a word in one of them")
    return differ[0].item()


def kl_divergence(one: Tensor, other: Tensor) -> Tensor:
    """How far the guesses of one run are from those of the other: KL(one || other) of logits (..., V), in nats."""
    log_p, log_q = one.log_softmax(-1), other.log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1).clamp_min(0)
