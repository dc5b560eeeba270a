"""Five ways to tell a GPT in which order its tokens stand.

Two add a vector to each token's own before the first layer: *learned* (a table trained with the rest,
as in GPT-2) and *sinusoidal* (waves of growing length). Two leave the vectors alone and change the
scores: *RoPE* turns queries and keys by their positions, *ALiBi* takes off something for each token
between them. And *none* does nothing, and leaves it to the mask.

Sources: Vaswani et al. 2017, "Attention Is All You Need", section 3.5 (sinusoidal); Su et al. 2021,
"RoFormer", section 3.2 (RoPE); Press et al. 2022, "Train Short, Test Long", section 3 (ALiBi); Haviv et
al. 2022, "Transformer Language Models without Positional Encodings Still Learn Positional Information",
and Kazemnejad et al. 2023, "The Impact of Positional Encoding on Length Generalization" (none).
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from model.transformer.gpt2 import GPT, UNCHANGED, AttentionTrace, CausalSelfAttention, Changes, GPTConfig, Trace

SCHEMES = ("learned", "sinusoidal", "RoPE", "ALiBi", "none")


def angles(positions: Tensor, pairs: int, base: float = 10_000) -> Tensor:
    """The angle (T, pairs), in radians, to which each pair of dimensions has turned at each of the positions (T).

    The first pair turns by 1 at each step, each other one more slowly, the last almost `base` times so.
    """
    return positions[:, None] * base ** (-torch.arange(pairs, dtype=torch.double) / pairs)


def sinusoidal(T: int, C: int, base: float = 10_000) -> Tensor:
    """Sine and cosine (T, C) of the angles, side by side: Vaswani et al. 2017, section 3.5. In float64.

    Raises ValueError for an odd C, for which the paper gives no formula.
    """
    if C % 2:
        raise ValueError(f"a sine and a cosine share each angle, and {C} dimensions do not make pairs")
    turned = angles(torch.arange(T), C // 2, base)
    return torch.stack([turned.sin(), turned.cos()], dim=-1).flatten(1)


def rotation(k: int, C: int, base: float = 10_000) -> Tensor:
    """The matrix M (C, C) of k steps: sinusoidal(p + k) = M sinusoidal(p), whatever p. C is even."""
    turned = angles(torch.tensor([k]), C // 2, base)[0]
    sin, cos = turned.sin(), turned.cos()
    return torch.block_diag(*torch.stack([cos, sin, -sin, cos], dim=-1).unflatten(-1, (2, 2)))


def rotate(x: Tensor, positions: Tensor, base: float = 10_000) -> Tensor:
    """x (..., T, D), each pair of dimensions i and i + D/2 turned by its angle at the positions (T): RoPE.

    The paper pairs neighbours, most code the two halves; a model that is trained so cannot tell. Raises
    ValueError for an odd D.
    """
    if x.size(-1) % 2:
        raise ValueError(f"x of shape {tuple(x.shape)} has {x.size(-1)} dimensions, which do not make pairs")
    turned = angles(positions, x.size(-1) // 2, base)
    sin, cos = turned.sin().to(x), turned.cos().to(x)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


def alibi_slopes(H: int) -> Tensor:
    """What each of H heads takes off for a step of distance (H): from 1/2 to 1/256 if there are 8.

    Where H is no power of two, the power below it comes first, then every other one of the power above: so
    does the code of Press et al.
    """
    power = 1 << (H.bit_length() - 1)
    whole, finer = (2.0 ** (-8 * torch.arange(1, n + 1) / n) for n in (power, 2 * power))
    return torch.cat([whole, finer[::2][: H - power]])


def alibi(H: int, T: int) -> Tensor:
    """What ALiBi adds to the scores of H heads between any two of T positions: (H, T, T), 0 on the diagonal."""
    positions = torch.arange(T)
    return -alibi_slopes(H)[:, None, None] * (positions[:, None] - positions).abs()


class PositionedAttention(CausalSelfAttention):
    """The attention of a GPT, whose scores come about by one of the SCHEMES."""

    def __init__(self, config: GPTConfig, scheme: str) -> None:
        super().__init__(config)
        self.scheme = scheme

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        """How well each query fits each key at their positions: (B, H, T, T)."""
        positions, new = torch.arange(k.size(2)), q.size(2)
        if self.scheme == "RoPE":
            q, k = rotate(q, positions[-new:]), rotate(k, positions)
        scores = super().scores(q, k)
        return scores + alibi(*k.shape[1:3])[:, -new:].to(scores) if self.scheme == "ALiBi" else scores


def gpt_with(scheme: str, config: GPTConfig) -> GPT:
    """A fresh GPT whose positions are told by one of the SCHEMES; raises ValueError for another one.

    Only learned positions are trained. A sinusoid stands beside the words as large as in the paper, where
    the words are drawn with variance 1; here with a standard deviation of 0.02.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"there is no scheme {scheme!r}; there is {', '.join(SCHEMES)}")
    gpt = GPT(config, partial(PositionedAttention, scheme=scheme))
    if scheme != "learned":
        vectors = torch.zeros(config.block_size, config.n_embd)
        if scheme == "sinusoidal":
            vectors = 0.02 * sinusoidal(*vectors.shape).float()
        gpt.wpe = nn.Embedding.from_pretrained(vectors)
    return gpt


@torch.inference_mode()
def first_attention(gpt: GPT, idx: Tensor, scheme: str) -> AttentionTrace:
    """What the first layer of a GPT with learned positions would compute of idx (B, T) under another scheme.

    The weights stay as they are. Sinusoids are made as long as the position vectors of the GPT are on average.
    """
    learned = gpt.wpe.weight
    if scheme == "sinusoidal":
        waves = sinusoidal(*learned.shape).to(learned)
        added = waves * (learned.norm(dim=-1).mean() / waves.norm(dim=-1).mean())
    else:
        added = learned if scheme == "learned" else torch.zeros_like(learned)
    with torch.device("meta"):  # its weights are those of the GPT, not copies
        attention = PositionedAttention(gpt.config, scheme)
    attention.load_state_dict(gpt.h[0].attn.state_dict(), assign=True)
    return attention(gpt.h[0].ln_1(gpt.wte(idx) + added[: idx.size(1)]))


def by_distance(vectors: Tensor) -> Tensor:
    """The dot products of vectors (T, C) at each distance: (T, 3), their mean, the smallest and the largest."""
    products = vectors @ vectors.T
    some = [products.diagonal(distance) for distance in range(len(vectors))]
    return torch.stack([torch.stack([found.mean(), found.min(), found.max()]) for found in some])


def first_rise(curve: Sequence[float]) -> int | None:
    """The first place of a curve that lies higher than the one before it; None where it only falls."""
    return next((n for n in range(1, len(curve)) if curve[n] > curve[n - 1]), None)


def order(one: Sequence[str], other: Sequence[str]) -> list[int]:
    """For each word of the other text its place in the one; raises ValueError where they are not the same words."""
    places: dict[str, list[int]] = {}
    for place in reversed(range(len(one))):
        places.setdefault(one[place], []).append(place)
    found = [places[word].pop() if places.get(word) else None for word in other]
    strangers = [word for word, place in zip(other, found) if place is None] + [w for w in places if places[w]]
    if strangers:
        raise ValueError(f"{strangers[0]!r} stands in only one of the two, or not as often in both")
    return found


class Reordered(NamedTuple):
    """A text and its tokens in another order, and of each token (T) how far its final vector moved.

    That is the distance between its two final vectors, over the length of the first.
    """

    one: Trace
    other: Trace
    moved: Tensor


@torch.inference_mode()
def reordered(gpt: GPT, ids: Tensor, places: Sequence[int], changes: Changes = UNCHANGED) -> Reordered:
    """What a GPT computes of the ids (T), and of the same ids in the order of `places`."""
    one, other = gpt.trace(ids[None], changes), gpt.trace(ids[None, places], changes)
    before, after = one.ln_f[0, places], other.ln_f[0]
    moved = torch.empty(len(ids))
    moved[places] = (after - before).norm(dim=-1) / before.norm(dim=-1)
    return Reordered(one, other, moved)
