"""Attention step by step on matrices small enough to write down, and the same by torch's own functions.

Sources: Vaswani et al. 2017, "Attention Is All You Need", equation 1 and section 3.2.2; Press et al. 2022, "Train
Short, Test Long" (a penalty for distance).
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.transformer.gpt2 import CausalSelfAttention
from model.transformer.record import AttentionTrace

WORDS = ("the", "old", "cat", "slept", "all", "day")  # the tokens of the small matrices
MASK_VALUE = -1e9  # added to a score by many programs in place of −∞
MASKS = ("causal", "none", "wrong: 1 = blocked, with tril", "wrong: off by one")


@dataclass(frozen=True)
class Steps:
    """The steps of attention for T queries and S keys and values."""

    q: Annotated[Tensor, "T d"]
    k: Annotated[Tensor, "S d"]
    v: Annotated[Tensor, "S D"]
    products: Annotated[Tensor, "T S"]  # q.k
    scaled: Annotated[Tensor, "T S"]  # divided by the divisor
    masked: Annotated[Tensor, "T S"]
    weights: Annotated[Tensor, "T S"]  # the softmax of each row
    z: Annotated[Tensor, "T D"]  # weighted sums of the values


def steps(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, divisor: float) -> Steps:
    """Steps of attention for queries (T, d), keys (S, d) and values (S, D); the mask (T, S) is added to the scores.

    >>> q, k, v = torch.tensor([[2.0]]), torch.tensor([[0.0], [0.0]]), torch.tensor([[1.0], [3.0]])
    >>> steps(q, k, v, torch.zeros(1, 2), divisor=1).z
    tensor([[2.]])
    """
    products = q @ k.T
    scaled = products / divisor
    masked = scaled + mask
    weights = masked.softmax(-1)
    return Steps(q, k, v, products, scaled, masked, weights, weights @ v)


def head_steps(attention: AttentionTrace, head: int, queries: slice, keys: slice) -> Steps:
    """The steps of one head of a record, in double precision, for some of its queries and the keys that they may see.

    Heads that share their keys and values read those of their group. Rotated queries and keys stay rotated.
    """
    q, k, v = attention.q[0, head, queries], attention.keys[0, head, keys], attention.values[0, head, keys]
    causal = mask("causal", len(k), len(k))[queries]
    return steps(q.double(), k.double(), v.double(), causal, math.sqrt(q.size(1)))


def mask(kind: str, queries: int, keys: int) -> Tensor:
    """Additive mask (T, S), one of MASKS: 0 where a key may be attended to, else −∞.

    The wrong masks add −1e9: one blocks what the causal mask allows, the other also blocks the token itself.
    """
    ones = torch.ones(queries, keys, dtype=torch.bool)
    zeros = torch.zeros(queries, keys, dtype=torch.double)
    match kind:
        case "none":
            return zeros
        case "wrong: 1 = blocked, with tril":
            return zeros.masked_fill(ones.tril(), MASK_VALUE)
        case "wrong: off by one":
            return zeros.masked_fill(ones.triu(), MASK_VALUE)
    return zeros.masked_fill(ones.triu(1), -math.inf)


class Example(NamedTuple):
    """Matrices with the names of their rows and columns, and their mask."""

    queries: tuple[str, ...]
    keys: tuple[str, ...]
    features: tuple[str, ...]  # the columns of Q and K
    contents: tuple[str, ...]  # the columns of V
    q: Tensor
    k: Tensor
    v: Tensor
    mask: str = "causal"


def _example(names: tuple[tuple[str, ...], ...], q: list, k: list, v: list, mask: str) -> Example:
    return Example(*names, *(torch.tensor(rows, dtype=torch.double) for rows in (q, k, v)), mask)


def random_example(tokens: int, width: int, seed: int) -> Example:
    """Example with small random integers for up to six words."""
    random = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randint(-2, 3, (tokens, width), generator=random).double() for _ in range(3))
    columns = tuple(f"d{n}" for n in range(width))
    return Example(WORDS[:tokens], WORDS[:tokens], columns, columns, q, k, v)


TOPICS = ("cars", "food", "art")
LIBRARY = _example(
    (
        ("cars?", "food?", "both?", "nothing"),
        ("Wheel", "Soups", "Monet", "Steam"),
        TOPICS,
        TOPICS,
    ),
    [[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]],
    [[3, 0, 0], [0, 3, 0], [0, 0, 3], [0, 3, 0]],  # the spine of the last says food
    [[90, 0, 10], [0, 80, 0], [0, 10, 90], [80, 0, 20]],  # and inside it is on cars
    "none",
)
CONTRACT = _example(
    (
        ("§1", "§3", "§12", "§47"),
        ("§1", "§3", "§12", "§47"),
        ("who", "when", "cost"),
        ("names", "days", "euro"),
    ),
    [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 3, 0]],  # what each clause must know
    [[2, 0, 0], [0, 2, 0], [0, 0, 2], [0, 0, 1]],  # what each is about
    [[2, 0, 0], [0, 30, 0], [0, 0, 900], [0, 0, 50]],  # and what it says
    "causal",
)
PRESETS = {"Small numbers": None, "The library": LIBRARY, "The contract": CONTRACT}  # None: drawn from a seed


@lru_cache(16)  # one chart needs the same clauses at every distance
def _distractor_scores(clauses: int, seed: int) -> Tensor:
    """Scores (clauses,) of random keys for a random query, 64 numbers each, divided by √64."""
    random = torch.Generator().manual_seed(seed)
    q = torch.randn(64, generator=random, dtype=torch.double)
    return torch.randn(clauses, 64, generator=random, dtype=torch.double) @ q / 8


def answer_weight(clauses: int, distance: int, fit: float = 4, penalty: float = 0, seed: int = 0) -> float:
    """Attention weight from the last of `clauses` clauses to the one that answers it, `distance` clauses before.

    The other clauses have random scores, always in the same order; the answer has a score of `fit`. `penalty` is
    subtracted for each step of distance.
    """
    others, position = _distractor_scores(clauses - 1, seed), clauses - 1 - distance
    scores = torch.cat([others[:position], torch.tensor([fit], dtype=torch.double), others[position:]])
    return (scores - penalty * torch.arange(clauses - 1, -1, -1)).softmax(0)[position].item()


def answer_weights(clauses: int, fit: float, penalty: float = 0) -> list[float]:
    """The weight of the clause that fits at each distance from 1 to clauses - 1."""
    return [answer_weight(clauses, distance, fit, penalty) for distance in range(1, clauses)]


def as_module(attention: CausalSelfAttention) -> nn.MultiheadAttention:
    """torch's multi-head attention module, sharing the weights of one of GPT-2's layers."""
    ours = attention.state_dict()
    with torch.device("meta"):  # draws no weights of its own
        module = nn.MultiheadAttention(attention.output.in_features, attention.n_head, batch_first=True).eval()
    weights = {
        "in_proj_weight": ours["c_attn.weight"],
        "in_proj_bias": ours["c_attn.bias"],
        "out_proj.weight": ours["c_proj.weight"],
        "out_proj.bias": ours["c_proj.bias"],
    }
    module.load_state_dict(weights, assign=True)
    return module


@torch.inference_mode()
def module_difference(attention: CausalSelfAttention, x: Tensor) -> float:
    """Largest absolute difference of outputs and weights from those of torch's module, for x (B, T, C)."""
    future = torch.ones(x.size(1), x.size(1), dtype=torch.bool).triu(1)  # True: blocked
    out, weights = as_module(attention)(x, x, x, attn_mask=future, average_attn_weights=False)
    ours = attention(x)
    return max((out - ours.out).abs().max().item(), (weights - ours.pattern).abs().max().item())


@torch.inference_mode()
def fused_difference(attention: AttentionTrace) -> float:
    """Largest absolute difference of z from torch's fused attention on the q, k and v of a record.

    It serves the families for which torch has no module: heads may be grouped, q and k rotated.
    """
    fused = F.scaled_dot_product_attention(attention.q, attention.k, attention.v, is_causal=True, enable_gqa=True)
    return (fused - attention.z).abs().max().item()
