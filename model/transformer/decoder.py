"""A decoder-only transformer: one walk over its blocks, shared by the families (`gpt2.py`, `llama.py`).

Each block returns a frozen record of its forward pass. `forward` reads one field of it, `trace` keeps all of it, `step`
and `generate` carry its keys and values on. There are no hooks, and nothing is written on the model.

The *weights view* names the weights as the literature does, the same for both families: `W_E`, `W_pos` and `W_U` of the
model, `W_O`, `b_O`, `W_out` and `b_out` of each block, `fold` and `pull` of the final norm. Analyses are written on the
record and on this view; outside this folder and `model/loading` nothing names a parameter of a checkpoint.

Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits". Shapes as in `record.py`.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Annotated, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.transformer.config import DecoderConfig
from model.transformer.intervention import NO_INTERVENTIONS, Interventions
from model.transformer.positions import Rotation
from model.transformer.record import BlockTrace, Cache, Trace, cache_length

Draw = Callable[[Tensor, Tensor], Tensor]  # logits (B, V) and the text so far (B, T) in, the next ids (B, 1) out


def greedy(logits: Tensor, text: Tensor) -> Tensor:
    """The likeliest next ids (B, 1)."""
    return logits.argmax(-1, keepdim=True)


class Pass(NamedTuple):
    """One pass of generation, which ends in one token for each row."""

    first: int  # the first token of the text that the model still sees
    cached: int  # the tokens from there on whose keys and values were cached
    idx: Tensor  # the ids (B, T) that went in
    output: Trace | tuple[Tensor, Cache]  # what `trace` or `step` returned
    ids: Tensor  # the ids (B, 1) that were drawn


class Decoder(nn.Module):
    """A model of any family: embedding, blocks, final norm and unembedding.

    A family's constructor sets `config`, `wte`, `h` and `ln_f`, named as in GPT-2's checkpoint, and calls `add_head`.
    """

    config: DecoderConfig

    def forward(self, idx: Tensor, interventions: Interventions = NO_INTERVENTIONS) -> Tensor:
        """The logits (B, T, V) of the next token after each of the ids idx (B, T).

        Raises ValueError if idx holds no tokens or more than block_size.
        """
        for block in self.walk(self._stream(*self.embed(idx, interventions=interventions)), None, interventions):
            pass  # only the last block's record is needed; each earlier one is freed as soon as the next has read it
        return self.unembed(self.ln_f(block.resid_post))

    @torch.inference_mode()
    def trace(self, idx: Tensor, interventions: Interventions = NO_INTERVENTIONS, cache: Cache | None = None) -> Trace:
        """The forward pass of idx (B, T) with every activation; its logits equal those of `forward` bit for bit.

        With a cache, idx holds the tokens after the cached ones. Raises ValueError if idx holds no tokens, or if cached
        and new tokens together are more than block_size.
        """
        embed, pos_embed = self.embed(idx, cache_length(cache), interventions)
        blocks = tuple(self.walk(self._stream(embed, pos_embed), cache, interventions))
        ln_f = self.ln_f(blocks[-1].resid_post)
        return Trace(idx, embed, pos_embed, blocks, ln_f, self.unembed(ln_f))

    @torch.inference_mode()
    def forward_from(self, resid: Tensor, layer: int, interventions: Interventions = NO_INTERVENTIONS) -> Tensor:
        """The logits (B, V) after the last token, given the residual stream (B, T, C) before a layer.

        Earlier layers are not computed, which saves their time when many streams differ only from this layer on.
        """
        for block in self.walk(resid, None, interventions, layer):
            resid = block.resid_post
        return self.unembed(self.ln_f(resid[:, -1]))

    @torch.inference_mode()
    def step(self, idx: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache]:
        """The logits (B, V) after the new ids idx (B, T), given the cache of those before, and the longer cache.

        Raises ValueError if cached and new tokens together are more than block_size.
        """
        longer = []
        for block in self.walk(self._stream(*self.embed(idx, cache_length(cache))), cache):
            longer.append((block.attn.k, block.attn.v))
        return self.unembed(self.ln_f(block.resid_post[:, -1])), tuple(longer)

    def passes(
        self, idx: Tensor, draw: Draw = greedy, record: bool = False, first: Trace | None = None
    ) -> Iterator[Pass]:
        """The passes that continue the ids idx (B, T), without end; with `record`, each output is a `Trace`.

        The first pass reads the last block_size tokens (or is `first`, if it was made already), later ones the newest
        token and the cache. Once the cache holds block_size tokens it is dropped: without the oldest token each other
        stands one position earlier, where its keys and values differ.
        """
        block_size, cache, output = self.config.block_size, None, first
        while True:
            window, cached = idx[:, -block_size:], cache_length(cache)
            new = window[:, cached:]
            if output is None:
                output = self.trace(new, cache=cache) if record else self.step(new, cache)
            logits, cache = (output.logits[:, -1], output.cache) if isinstance(output, Trace) else output
            drawn = draw(logits, idx)
            yield Pass(idx.size(1) - window.size(1), cached, new, output, drawn)
            idx, output = torch.cat([idx, drawn], dim=1), None
            if window.size(1) == block_size:
                cache = None

    @torch.inference_mode()
    def generate(self, idx: Tensor, max_new_tokens: int, draw: Draw = greedy) -> Tensor:
        """The ids idx (B, T) and max_new_tokens more after them: (B, T + max_new_tokens).

        A text may outgrow block_size; from then on the model reads its last block_size tokens. Raises ValueError for
        an empty idx.
        """
        passes = self.passes(idx, draw)
        return torch.cat([idx, *(next(passes).ids for _ in range(max_new_tokens))], dim=1)

    def embed(
        self, idx: Tensor, start: int = 0, interventions: Interventions = NO_INTERVENTIONS
    ) -> tuple[Tensor, Tensor | None]:
        """The token vectors (B, T, C) of idx and, in GPT-2, the position vectors (T, C) from position `start` on."""
        end = start + idx.size(1)
        if not 0 < end <= self.config.block_size:
            shape, limit = tuple(idx.shape), self.config.block_size
            raise ValueError(f"idx of shape {shape} makes {end} tokens; this model reads 1 to {limit}")
        if self.W_pos is None:
            return self.wte(idx), None
        positions = self.W_pos[start:end]
        return self.wte(idx), positions if interventions.positions else torch.zeros_like(positions)

    def add_head(self) -> None:
        """Give the model an unembedding of its own, unless it is tied to the token embedding."""
        if not self.config.tied:
            self.lm_head = nn.Linear(self.config.n_embd, self.config.vocab_size, bias=False)

    def unembed(self, ln_f: Tensor) -> Tensor:
        """The logits (…, V) of normalized vectors (…, C)."""
        return F.linear(ln_f, self.W_U)

    def rotation(self, start: int, end: int) -> Rotation | None:
        """The rotation of queries and keys at positions start to end - 1; None in a family without rotary positions."""
        return None

    @staticmethod
    def _stream(embed: Tensor, pos_embed: Tensor | None) -> Tensor:
        return embed if pos_embed is None else embed + pos_embed

    def walk(
        self,
        resid: Tensor,
        cache: Cache | None = None,
        interventions: Interventions = NO_INTERVENTIONS,
        start: int = 0,
    ) -> Iterator[BlockTrace]:
        """The records of the blocks from layer `start` on, one after the other, for a residual stream (B, T, C)."""
        cached = cache_length(cache)
        rotation = self.rotation(cached, cached + resid.size(1)) if interventions.positions else None
        for layer in range(start, len(self.h)):
            past = cache[layer] if cache else None
            block = self.h[layer](resid, past, interventions.at(layer), interventions, rotation)
            yield block
            resid = block.resid_post

    @property
    def blocks(self) -> nn.ModuleList:
        """The blocks, from layer 0 on."""
        return self.h

    @property
    def W_E(self) -> Annotated[Tensor, "V C"]:
        """The token embedding."""
        return self.wte.weight

    @property
    def W_pos(self) -> Annotated[Tensor, "T C"] | None:
        """The position vectors that are added to the token embedding; None in a family without them."""
        return None

    @property
    def W_U(self) -> Annotated[Tensor, "V C"]:
        """The unembedding; the token embedding, if the two are tied."""
        return self.wte.weight if self.config.tied else self.lm_head.weight

    def fold(self, end: Tensor, written: Tensor) -> Tensor:
        """Vectors `written` (…, C) to a stream that is `end` (C) at the end, as the final norm passes them on.

        Its scale is held fixed, so that unembed(fold(end, w)) is what w adds to the logits.
        """
        return self.ln_f.fold(end, written)

    def pull(self, end: Tensor, direction: Tensor) -> Tensor:
        """The transpose of `fold`: pull(end, d) @ w = d @ fold(end, w), for a direction d (C)."""
        return self.ln_f.pull(end, direction)

    def shortened(self, block_size: int) -> Self:
        """The same model with a shorter context; the weights are shared."""
        with torch.device("meta"):
            short = type(self)(replace(self.config, block_size=block_size))
        for name, module in self.named_children():
            setattr(short, name, module)
        return short.train(self.training)
