"""The logit lens: the next-token prediction that the residual stream would give at each layer.

Source: nostalgebraist 2020, "interpreting GPT: the logit lens" (the final norm and the unembedding, applied to any
layer). Shapes as in `model/transformer/record.py`, and R readings of K top tokens.
"""

from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from model.transformer.decoder import Decoder
from model.transformer.record import Trace

PLACES = ("resid_pre", "resid_mid", "resid_post")  # before a layer, after its attention, after its MLP
TOP = 5  # tokens of each reading


class Lens(NamedTuple):
    """R readings of the residual stream at T positions; the last reading is the model's output."""

    ids: Annotated[Tensor, "R T K"]  # the K likeliest tokens
    log_p: Annotated[Tensor, "R T K"]  # and their log-probabilities
    entropy: Annotated[Tensor, "R T"]  # nats
    kl: Annotated[Tensor, "R T"]  # KL(output || reading), nats
    followed: Annotated[Tensor, "R T"] | None  # the log-probability of one chosen token
    rank: Annotated[Tensor, "R T"] | None  # and its rank; the likeliest token has rank 1


def logits(decoder: Decoder, stream: Tensor) -> Tensor:
    """The logits (…, V) that the model would give if its last layer ended with this stream (…, C)."""
    return decoder.unembed(decoder.ln_f(stream))


@torch.inference_mode()
def read(decoder: Decoder, trace: Trace, place: str, positions: slice, token: int | None = None) -> Lens:
    """Read the stream at one of the PLACES in each layer, and the output after the last.

    Only one layer's logits are in memory at a time. After the last layer the reading is the output, which is not
    computed again.
    """
    final = trace.logits[0, positions]
    layers = trace.blocks[:-1] if place == "resid_post" else trace.blocks
    lens = _empty(len(layers) + 1, *final.shape, followed=token is not None)
    output = final.softmax(-1)
    for n, block in enumerate(layers):
        fill(lens, n, logits(decoder, getattr(block, place)[0, positions]), output, token)
    fill(lens, len(layers), final, output, token)
    return lens._replace(kl=(lens.kl - lens.kl[-1]).clamp(min=0))


def _empty(readings: int, tokens: int, vocabulary: int, followed: bool) -> Lens:
    """An empty `Lens`, allocated before any logits: small pieces between large ones would fragment the memory."""
    top = readings, tokens, min(TOP, vocabulary)
    ids, log_p = torch.empty(top, dtype=torch.long), torch.empty(top)
    entropy, kl, log_p_followed = torch.empty(3, readings, tokens)
    rank = torch.empty(readings, tokens, dtype=torch.long)
    return Lens(ids, log_p, entropy, kl, *((log_p_followed, rank) if followed else (None, None)))


def fill(lens: Lens, n: int, logits: Tensor, output: Tensor, token: int | None) -> None:
    """Write reading n of logits (T, V); `kl` gets the cross-entropy with the output's probabilities (T, V)."""
    log_p = logits.log_softmax(-1)
    torch.topk(log_p, lens.ids.size(-1), out=(lens.log_p[n], lens.ids[n]))
    lens.entropy[n] = -torch.linalg.vecdot(log_p.exp(), log_p)
    lens.kl[n] = -torch.linalg.vecdot(output, log_p)
    if token is not None:
        lens.followed[n] = log_p[:, token]
        lens.rank[n] = 1 + (log_p > log_p[:, token, None]).sum(-1)
