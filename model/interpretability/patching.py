"""Ablation and activation patching.

Ablation: the output of a head or an MLP is replaced by zero, or by its mean over other positions, which keeps the
activations closer to those of training (Wang et al. 2022, "Interpretability in the Wild", section 2.1).

Patching (also called causal tracing; Meng et al. 2022, "Locating and Editing Factual Associations in GPT", section 2):
a clean and a corrupted prompt with the same number of tokens are run once each. Then the corrupted run is repeated with
one activation of the clean run in place of its own (*denoising*). The share of the clean run's answer that this
restores tells whether the activation is sufficient for it. The metric is a logit difference or the probability of the
answer (Zhang and Nanda 2023, "Towards Best Practices of Activation Patching", section 2, recommend the first: a
probability is never below 0, and so hides what works against the answer).
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
    """Replacement activations for ablated heads and MLPs: their means, or zeros."""

    z: Tensor  # (L, H, D)
    mlp_out: Tensor  # (L, C)


def zero_replacements(config: DecoderConfig) -> Replacements:
    """Zeros as replacements (zero ablation)."""
    layers = config.n_layer
    return Replacements(torch.zeros(layers, config.n_head, config.head_size), torch.zeros(layers, config.n_embd))


def mean_replacements(traces: Sequence[Trace]) -> Replacements:
    """Means over all positions of at least one trace, as replacements (mean ablation)."""
    layers = list(zip(*(trace.blocks for trace in traces)))
    z = [torch.cat([block.attn.z.transpose(1, 2).flatten(0, 1) for block in blocks]).mean(0) for blocks in layers]
    mlp_out = [torch.cat([block.mlp_out.flatten(0, 1) for block in blocks]).mean(0) for blocks in layers]
    return Replacements(torch.stack(z), torch.stack(mlp_out))


def ablation_edits(heads: Collection[Head], mlps: Collection[int], instead: Replacements) -> tuple[Edit, ...]:
    """Edits that replace the outputs of these heads, and of the MLPs of these layers."""
    return (
        *(Edit("z", layer, instead.z[layer, head], head=head) for layer, head in sorted(heads)),
        *(Edit("mlp_out", layer, instead.mlp_out[layer]) for layer in sorted(mlps)),
    )


def patch_each_head(
    decoder: Decoder, trace: Trace, instead: Sequence[Tensor]
) -> Iterator[tuple[int, list[int], Tensor]]:
    """Patching of one head's z at a time in the run of a trace (B, T).

    `instead` has, for each layer, the replacement of z: (H, T, D) or a shape that broadcasts to it. Yields a layer,
    some of its heads, and the logits (heads, B, V) at the last position; earlier layers are not recomputed.
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
    """Patching of the residual stream, before one layer and at one position at a time, in the run of a trace (1, T).

    The patch comes from the trace `other` (1, T). Yields a layer, some positions from `start` on, and the logits
    (positions, V) at the last position.
    """
    tokens = trace.idx.size(1)
    for layer, (block, source) in enumerate(zip(trace.blocks, other.blocks, strict=True)):
        for positions in torch.arange(start, tokens).split(max(1, TOKENS_PER_BATCH // tokens)):
            rows = block.resid_pre.repeat(len(positions), 1, 1)
            rows[range(len(positions)), positions] = source.resid_pre[0, positions]
            yield layer, positions.tolist(), decoder.forward_from(rows, layer)


def sweep_multiply_adds(config: DecoderConfig, rows: int, tokens: int) -> int:
    """Multiply-adds of a sweep that starts `rows` forward passes of `tokens` tokens at each layer."""
    layers = config.n_layer * (config.n_layer + 1) // 2  # a row that starts at the first layer computes all of them
    block = config.multiply_adds(tokens, read_off=0) // config.n_layer
    return rows * (layers * block + config.n_layer * config.n_embd * config.vocab_size)


def metrics(logits: Tensor, answer: int, rival: int) -> Tensor:
    """METRICS (..., 2) of logits (..., V): logit(answer) - logit(rival), and the probability of the answer."""
    return torch.stack([logits[..., answer] - logits[..., rival], logits.softmax(-1)[..., answer]], dim=-1)


def restored_share(patched: Tensor, corrupted: Tensor, clean: Tensor) -> Tensor:
    """Restored share of a metric: 0 at the corrupted run, 1 at the clean run; below 0 or above 1 beyond them.

    Raises ValueError if the two runs have the same value.
    """
    if ((clean - corrupted).abs() < 1e-6).any():
        raise ValueError("the two prompts give the same answer equally strongly, so there is nothing to bring back")
    return (patched - corrupted) / (clean - corrupted)


def first_difference(first: Tensor, second: Tensor) -> int:
    """The first position at which two prompts (1, T) differ; raises ValueError if they are equal or of two lengths."""
    if first.shape != second.shape:
        raise ValueError(
            f"the first prompt has {first.size(1)} tokens, the second {second.size(1)}; a position can be "
            "patched only where both have it, so they must have the same number"
        )
    if not (differ := (first != second)[0].nonzero()).numel():
        raise ValueError("the two prompts are the same; change a word in one of them")
    return differ[0].item()


def kl_divergence(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """Kullback-Leibler divergence KL(p || q) (...), in nats, of two next-token distributions, from logits (..., V).

    >>> round(kl_divergence(torch.tensor([0.0, 0.0]), torch.tensor([0.25, 0.75]).log()).item(), 4)
    0.1438
    """
    log_p, log_q = p_logits.log_softmax(-1), q_logits.log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1).clamp_min(0)
