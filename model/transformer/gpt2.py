"""GPT-2 in one file, and the record of everything it computes on the way.

Each block returns a frozen record of its forward pass. `GPT.forward` reads one field of it,
`GPT.trace` keeps them all, `GPT.generate` carries the keys and values on: one walk, no hooks. What a
visitor switches off (`Changes`) goes down the same walk.

Shapes, in letters bound once: B batch, T tokens, C n_embd, H heads, D head size (C / H),
V vocabulary. Parameters are named as in the GPT-2 checkpoint, activations as in the
residual-stream literature.

Sources: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.3
(architecture, initialisation); Vaswani et al. 2017, "Attention Is All You Need", equation 1;
Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits" (the residual stream).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Cache = tuple[tuple[Tensor, Tensor], ...]  # of each block, the keys and values of the tokens read so far


@dataclass(frozen=True)
class GPTConfig:
    """The sizes of a GPT; raises ValueError where they make none."""

    vocab_size: int
    block_size: int
    n_layer: int
    n_head: int
    n_embd: int
    layer_norm_epsilon: float = 1e-5

    def __post_init__(self) -> None:
        for name in ("vocab_size", "block_size", "n_layer", "n_head", "n_embd"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.n_embd % self.n_head:
            raise ValueError(f"n_embd {self.n_embd} does not divide into n_head {self.n_head} heads")

    @property
    def parameters(self) -> int:
        """How many numbers its weights are; the head is wte, which counts once."""
        block = 12 * self.n_embd**2 + 13 * self.n_embd
        return self.n_layer * block + (self.vocab_size + self.block_size + 2) * self.n_embd

    def kept(self, tokens: int) -> int:
        """The bytes that the trace of so many tokens keeps, in float32."""
        block = 12 * self.n_embd + 2 * self.n_head * tokens  # of each token: see BlockTrace
        ends = 2 * self.n_embd + self.vocab_size  # embed, ln_f, logits
        return 4 * tokens * (self.n_layer * block + ends)


SITES = ("resid_pre", "q", "k", "v", "pattern", "z", "out", "resid_mid", "mlp_pre", "mlp_out")


@dataclass(frozen=True)
class Edit:
    """What takes the place of a value on the walk, in one layer: of all heads and positions, or of one."""

    site: str  # one of SITES, as they are called in the record
    layer: int
    value: Tensor | float  # of the shape of what it replaces, or one that spreads over it
    head: int | None = None
    position: int | None = None

    def __post_init__(self) -> None:
        if self.site not in SITES:
            raise ValueError(f"site is {self.site!r}; it must be one of {', '.join(SITES)}")


@dataclass(frozen=True)
class Changes:
    """What is changed on a walk through a GPT; as it stands, nothing is."""

    positions: bool = True  # a token's vector is added to that of its position
    mask: bool = True  # no token sees those after it
    residual: bool = True  # attention and the MLP add to the stream; else what they compute replaces it
    edits: tuple[Edit, ...] = ()  # made in this order; what comes later on the walk is computed from them

    def edited(self, site: str, layer: int, value: Tensor) -> Tensor:
        """The value of a site, (B, H, T, …) or (B, T, …), with the edits that are meant for it."""
        for edit in self.edits:
            if (edit.site, edit.layer) == (site, layer):
                head = slice(None) if edit.head is None else edit.head
                position = slice(None) if edit.position is None else edit.position
                value = value.clone()
                value[(slice(None), head, position) if value.dim() == 4 else (slice(None), position)] = edit.value
        return value


UNCHANGED = Changes()


@dataclass(frozen=True)
class AttentionTrace:
    """What one attention layer computed; in generation, k and v span the cached tokens too."""

    q: Annotated[Tensor, "B H T D"]
    k: Annotated[Tensor, "B H T D"]
    v: Annotated[Tensor, "B H T D"]
    scores: Annotated[Tensor, "B H T T"]  # q.k / sqrt(D), before the mask
    pattern: Annotated[Tensor, "B H T T"]  # rows sum to 1, zero above the diagonal unless the mask is lifted
    z: Annotated[Tensor, "B H T D"]  # pattern @ v
    out: Annotated[Tensor, "B T C"]


@dataclass(frozen=True)
class BlockTrace:
    """What one block computed: attention adds to the residual stream, then the MLP does."""

    resid_pre: Annotated[Tensor, "B T C"]
    attn: AttentionTrace
    resid_mid: Annotated[Tensor, "B T C"]  # resid_pre + attn.out
    mlp_pre: Annotated[Tensor, "B T 4C"]
    mlp_out: Annotated[Tensor, "B T C"]
    residual: bool = True  # whether the stream goes on past attention and the MLP

    # What one step gives back to the bit is not kept: it would be a quarter of the record.

    @property
    def mlp_post(self) -> Annotated[Tensor, "B T 4C"]:
        """What the MLP's neurons pass on."""
        return gelu(self.mlp_pre)

    @property
    def resid_post(self) -> Annotated[Tensor, "B T C"]:
        """The residual stream that the next block reads."""
        return self.resid_mid + self.mlp_out if self.residual else self.mlp_out


@dataclass(frozen=True)
class Trace:
    """One forward pass, whole: from the ids to the logits of the next token at each position."""

    idx: Annotated[Tensor, "B T"]
    embed: Annotated[Tensor, "B T C"]
    pos_embed: Annotated[Tensor, "T C"]  # zero where positions are dropped
    blocks: tuple[BlockTrace, ...]
    ln_f: Annotated[Tensor, "B T C"]
    logits: Annotated[Tensor, "B T V"]

    @property
    def cache(self) -> Cache:
        """What the tokens to come need of all that were read so far."""
        return tuple((block.attn.k, block.attn.v) for block in self.blocks)


class CausalSelfAttention(nn.Module):
    """Each token asks (q), every token up to it offers (k) and gives (v): softmax(q.k / sqrt(D)) v."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.n_head = config.n_head
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd)

    def forward(
        self, x: Tensor, past: tuple[Tensor, Tensor] | None = None, changes: Changes = UNCHANGED, layer: int = 0
    ) -> AttentionTrace:
        q, k, v = (part.unflatten(-1, (self.n_head, -1)).transpose(1, 2) for part in self.c_attn(x).chunk(3, dim=-1))
        q, k, v = changes.edited("q", layer, q), changes.edited("k", layer, k), changes.edited("v", layer, v)
        if past is not None:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        scores = self.scores(q, k)
        future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).triu(1 + k.size(2) - q.size(2))
        pattern = (scores.masked_fill(future, -math.inf) if changes.mask else scores).softmax(-1)
        pattern = changes.edited("pattern", layer, pattern)
        z = changes.edited("z", layer, pattern @ v)
        out = changes.edited("out", layer, self.c_proj(z.transpose(1, 2).flatten(2)))
        return AttentionTrace(q, k, v, scores, pattern, z, out)

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        """How well each query fits each key: (B, H, T, T). Here other schemes of positions come in."""
        return q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))


Attention = Callable[[GPTConfig], CausalSelfAttention]


def gelu(x: Tensor) -> Tensor:
    """GPT-2's activation: x times the share of a normal distribution below x, by its tanh approximation."""
    return F.gelu(x, approximate="tanh")


class MLP(nn.Module):
    """Four times as wide, a GELU, and back."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd)
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd)

    def forward(self, x: Tensor, changes: Changes = UNCHANGED, layer: int = 0) -> tuple[Tensor, Tensor]:
        pre = changes.edited("mlp_pre", layer, self.c_fc(x))
        return pre, changes.edited("mlp_out", layer, self.c_proj(gelu(pre)))


class Block(nn.Module):
    """Read the residual stream, normalised; add what attention found; again, for the MLP."""

    def __init__(self, config: GPTConfig, attention: Attention = CausalSelfAttention) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.attn = attention(config)
        self.ln_2 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.mlp = MLP(config)

    def forward(
        self,
        resid_pre: Tensor,
        past: tuple[Tensor, Tensor] | None = None,
        changes: Changes = UNCHANGED,
        layer: int = 0,
    ) -> BlockTrace:
        resid_pre = changes.edited("resid_pre", layer, resid_pre)
        attn = self.attn(self.ln_1(resid_pre), past, changes, layer)
        resid_mid = changes.edited("resid_mid", layer, resid_pre + attn.out if changes.residual else attn.out)
        mlp_pre, mlp_out = self.mlp(self.ln_2(resid_mid), changes, layer)
        return BlockTrace(resid_pre, attn, resid_mid, mlp_pre, mlp_out, changes.residual)


def read(cache: Cache | None) -> int:
    """How many tokens' keys and values are in a cache."""
    return cache[0][0].size(2) if cache else 0


class GPT(nn.Module):
    """GPT-2, its weights drawn with std 0.02 (less where they add to the stream); the head is wte, transposed."""

    def __init__(self, config: GPTConfig, attention: Attention = CausalSelfAttention) -> None:
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.block_size, config.n_embd)
        self.h = nn.ModuleList(Block(config, attention) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif "ln_" not in name:
                residual = name.endswith("c_proj.weight")  # what adds to the stream starts smaller
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * config.n_layer) if residual else 0.02)

    def forward(self, idx: Tensor, changes: Changes = UNCHANGED) -> Tensor:
        """The logits (B, T, V) of the next token after each of the ids idx (B, T).

        With `changes` they are those of the same model in which something is switched off, or replaced.
        Raises ValueError where idx holds no tokens or more than block_size.
        """
        x = sum(self._embed(idx, changes=changes))
        for block in self._walk(x, changes=changes):
            pass  # each is forgotten when the next one has read it
        return self._logits(self.ln_f(block.resid_post))

    @torch.inference_mode()
    def trace(self, idx: Tensor, changes: Changes = UNCHANGED, cache: Cache | None = None) -> Trace:
        """The forward pass of idx (B, T) with every value it computed; the logits are `forward`'s, to the bit.

        With `changes` it is the pass of the same model in which something is switched off, or replaced. With the cache
        of the tokens before, idx are the new ones. Raises ValueError where idx holds no tokens, or all more than
        block_size.
        """
        embed, pos_embed = self._embed(idx, read(cache), changes)
        blocks = tuple(self._walk(embed + pos_embed, cache, changes))
        ln_f = self.ln_f(blocks[-1].resid_post)
        return Trace(idx, embed, pos_embed, blocks, ln_f, self._logits(ln_f))

    @torch.inference_mode()
    def onward(self, resid: Tensor, layer: int, changes: Changes = UNCHANGED) -> Tensor:
        """The logits (B, V) after the last token where the residual stream (B, T, C) before a layer is this one.

        The layers before it are not computed: of many streams that differ from some layer on, this is the short way.
        """
        x = resid
        for block in self._walk(x, changes=changes, start=layer):
            x = block.resid_post
        return self._logits(self.ln_f(x[:, -1]))

    @torch.inference_mode()
    def step(self, idx: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache]:
        """The logits (B, V) after the new ids idx (B, T), given the cache of those before, and the longer cache.

        Raises ValueError where old and new tokens together are more than block_size.
        """
        x = sum(self._embed(idx, read(cache)))
        longer = []
        for block in self._walk(x, cache):
            longer.append((block.attn.k, block.attn.v))
        return self._logits(self.ln_f(block.resid_post[:, -1])), tuple(longer)

    @torch.inference_mode()
    def generate(
        self,
        idx: Tensor,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The ids idx (B, T), continued by max_new_tokens drawn ones: (B, T + max_new_tokens).

        Temperature 0 takes the likeliest token. A prompt and its continuation may outgrow
        block_size: from then on the model reads the last block_size tokens, and the cache,
        whose positions no longer fit, is left. Raises ValueError for a temperature below 0 or
        not finite, a top_k below 1, and an empty idx.
        """
        if not 0 <= temperature < math.inf:
            raise ValueError(f"temperature is {temperature}; it must be 0 or more, and finite")
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k is {top_k}; it must be at least 1")
        new, cache = idx, None
        for _ in range(max_new_tokens):
            if idx.size(1) > self.config.block_size:
                new, cache = idx[:, -self.config.block_size :], None
            logits, cache = self.step(new, cache)
            new = _draw(logits, temperature, top_k, generator)
            idx = torch.cat([idx, new], dim=1)
        return idx

    def _embed(self, idx: Tensor, start: int = 0, changes: Changes = UNCHANGED) -> tuple[Tensor, Tensor]:
        end = start + idx.size(1)
        if not 0 < end <= self.config.block_size:
            shape, limit = tuple(idx.shape), self.config.block_size
            raise ValueError(f"idx of shape {shape} makes {end} tokens; this model reads 1 to {limit}")
        positions = self.wpe.weight[start:end]
        return self.wte(idx), positions if changes.positions else torch.zeros_like(positions)

    def _walk(
        self, x: Tensor, cache: Cache | None = None, changes: Changes = UNCHANGED, start: int = 0
    ) -> Iterator[BlockTrace]:
        for layer in range(start, len(self.h)):
            trace = self.h[layer](x, cache[layer] if cache else None, changes, layer)
            yield trace
            x = trace.resid_post

    def _logits(self, ln_f: Tensor) -> Tensor:
        return F.linear(ln_f, self.wte.weight)


def _draw(logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator | None) -> Tensor:
    """One id for each row of logits (B, V): (B, 1)."""
    if temperature == 0:
        return logits.argmax(-1, keepdim=True)
    logits = (logits - logits.amax(-1, keepdim=True)) / temperature  # the largest is 0: no overflow, however cold
    if top_k is not None:
        least = logits.topk(min(top_k, logits.size(-1))).values[:, -1:]
        logits = logits.masked_fill(logits < least, -math.inf)
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)
