"""Five schemes of positions in a whole model, and the order of words.

Two schemes add a vector to each token's own before the first layer: *learned* (a table trained with the rest, as in
GPT-2) and *sinusoidal* (waves of growing length). Two change the scores instead: *RoPE* rotates queries and keys by
their positions (as in Llama), *ALiBi* subtracts a penalty for each token in between. *None* leaves it to the mask.

Sources: Vaswani et al. 2017, "Attention Is All You Need", section 3.5 (sinusoidal); Su et al. 2021, "RoFormer", section
3.2 (RoPE); Press et al. 2022, "Train Short, Test Long", section 3 (ALiBi); Haviv et al. 2022, "Transformer Language
Models without Positional Encodings Still Learn Positional Information", and Kazemnejad et al. 2023, "The Impact of
Positional Encoding on Length Generalization" (none).
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from model.transformer.decoder import Decoder
from model.transformer.gpt2 import GPT2, CausalSelfAttention, GPT2Config
from model.transformer.intervention import NO_INTERVENTIONS, Interventions
from model.transformer.positions import Rotation, alibi, rotation, sinusoidal
from model.transformer.record import AttentionTrace, Trace

SCHEMES = ("learned", "sinusoidal", "RoPE", "ALiBi", "none")


class PositionedAttention(CausalSelfAttention):
    """GPT-2's attention with the positions of one of the SCHEMES."""

    def __init__(self, config: GPT2Config, scheme: str) -> None:
        super().__init__(config)
        self.scheme = scheme

    def forward(self, x: Tensor, past: tuple[Tensor, Tensor] | None = None, *arguments, **options) -> AttentionTrace:
        """Attend as every `Attention` does, with this scheme's rotation or bias."""
        start = 0 if past is None else past[0].size(2)
        options |= score_positions(self.scheme, self.n_head, x, start, self.c_proj.in_features // self.n_head)
        return super().forward(x, past, *arguments, **options)


def score_positions(
    scheme: str, heads: int, x: Tensor, start: int, head_size: int, base: float = 10_000
) -> dict[str, Rotation | Tensor | None]:
    """The rotation and the bias with which a scheme changes the scores of x (B, T, C) at positions from `start` on."""
    end = start + x.size(1)
    if scheme == "RoPE":
        cos, sin = rotation(torch.arange(start, end), head_size, base)
        return {"rotation": (cos.to(x), sin.to(x)), "bias": None}
    return {"rotation": None, "bias": alibi(heads, end)[:, start:].to(x) if scheme == "ALiBi" else None}


def gpt2_with(scheme: str, config: GPT2Config) -> GPT2:
    """A fresh GPT-2 with the positions of one of the SCHEMES; raises ValueError for an unknown scheme.

    Only learned positions are trained. In the paper, sinusoids are as large as word vectors of variance 1; here words
    are drawn with a standard deviation of 0.02, and the sinusoids are scaled by it.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"there is no scheme {scheme!r}; there is {', '.join(SCHEMES)}")
    decoder = GPT2(config, partial(PositionedAttention, scheme=scheme))
    if scheme != "learned":
        waves = 0.02 * sinusoidal(config.block_size, config.n_embd).float()
        decoder.wpe = nn.Embedding.from_pretrained(waves if scheme == "sinusoidal" else torch.zeros_like(waves))
    return decoder


def schemes(decoder: Decoder) -> list[str]:
    """The SCHEMES that the first layer of a model can be run under, its own one first.

    A model without learned position vectors (a Llama) cannot be run with them.
    """
    return ["RoPE", "sinusoidal", "ALiBi", "none"] if decoder.W_pos is None else list(SCHEMES)


def rotation_base(decoder: Decoder) -> float:
    """The base of the angles of RoPE: the model's own, or that of the paper where it has no rotary positions."""
    return getattr(decoder.config, "rope_theta", 10_000.0)


@torch.inference_mode()
def first_attention(decoder: Decoder, idx: Tensor, scheme: str) -> AttentionTrace:
    """The first attention layer's record for idx (B, T), with another scheme of positions and the same weights.

    Sinusoids are scaled to the mean length of the model's position vectors, or of its token vectors where it has none.
    """
    config, block, x = decoder.config, decoder.blocks[0], decoder.W_E[idx]
    if scheme == "learned":
        x = x + decoder.W_pos[: idx.size(1)]
    elif scheme == "sinusoidal":
        learned = decoder.W_E if decoder.W_pos is None else decoder.W_pos
        waves = sinusoidal(idx.size(1), config.n_embd).to(learned)  # all of the same length
        x = x + waves * (learned.norm(dim=-1).mean() / waves.norm(dim=-1).mean())
    options = score_positions(scheme, config.n_head, x, 0, config.head_size, rotation_base(decoder))
    return block.attn(block.ln_1(x), **options)


def order(original: Sequence[str], other: Sequence[str]) -> list[int]:
    """For each word of another text, its index in the original; raises ValueError if they are not the same words.

    >>> order(["dog", "bites", "man"], ["man", "bites", "dog"])
    [2, 1, 0]
    """
    free: dict[str, list[int]] = {}
    for index in reversed(range(len(original))):
        free.setdefault(original[index], []).append(index)
    indices = [free[word].pop() if free.get(word) else None for word in other]
    extra = [word for word, index in zip(other, indices) if index is None] + [word for word in free if free[word]]
    if extra:
        raise ValueError(f"{extra[0]!r} stands in only one of the two, or not as often in both")
    return indices


class Reordered(NamedTuple):
    """Traces of a text and of its tokens in another order, and how far each token's final vector moved (T).

    That is the distance between its two final vectors, divided by the length of the first.
    """

    original: Trace
    other: Trace
    moved: Tensor


@torch.inference_mode()
def reordered(
    decoder: Decoder, ids: Tensor, indices: Sequence[int], interventions: Interventions = NO_INTERVENTIONS
) -> Reordered:
    """Run a model on the ids (T), and on the same ids in the order of `indices`."""
    original, other = decoder.trace(ids[None], interventions), decoder.trace(ids[None, indices], interventions)
    before, after = original.ln_f[0, indices], other.ln_f[0]
    moved = torch.empty(len(ids))
    moved[indices] = (after - before).norm(dim=-1) / before.norm(dim=-1)
    return Reordered(original, other, moved)
