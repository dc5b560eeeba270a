"""Generation, pass by pass: what goes into the model, what it keeps for the next pass, and what that saves.

Each token asks with its query what the keys of the tokens before it hold, and takes from their values. Keys and values
do not change when tokens are added, since no token sees those after it: so they are kept, and a pass reads the newest
token alone.

Sources: Pope et al. 2022, "Efficiently Scaling Transformer Inference" (what the cache costs); Ainslie et al. 2023,
"GQA: Training Generalized Multi-Query Transformer Models" (heads that share keys and values).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from time import thread_time
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn

from model.decoding import sampling
from model.transformer.gpt2 import GPT, GPTConfig, Trace, read
from model.transformer.parameter_count import Sizes


class Step(NamedTuple):
    """One pass of a model, which ends in one token."""

    first: int  # of the text so far, the first token that the model still sees
    cached: int  # tokens from there on whose keys and values were kept
    new: int  # tokens after those, which went in
    looks: Annotated[Tensor, "L H T"]  # where the last of them looks: T = cached + new
    logits: Annotated[Tensor, "V"]
    id: int  # of the token that is taken

    @property
    def bytes(self) -> int:
        """What it takes of the memory."""
        return self.looks.nbytes + self.logits.nbytes


def steps(gpt: GPT, ids: Sequence[int], chain: sampling.Chain, seed: int, begun: Trace | None = None) -> Iterator[Step]:
    """The passes that write tokens after `ids`, without end, each drawn by the chain: those of `sampling.write`.

    The first one reads the whole prompt, or is `begun`, where it was made already. When the cache holds as many tokens
    as the context, it is left: without the oldest token, each of the others stands one position earlier, where its key
    and its value are others. Raises ValueError as `sampling.apply` does, and for no ids.
    """
    generator = torch.Generator().manual_seed(seed)
    told, cached, block_size = list(ids), 0, gpt.config.block_size
    trace = begun or gpt.trace(torch.tensor([told[-block_size:]], dtype=torch.long))
    while True:
        new, logits = trace.idx.size(1), trace.logits[0, -1].clone()
        looks = torch.stack([block.attn.pattern[0, :, -1] for block in trace.blocks])
        probabilities = sampling.apply(chain, logits, told).softmax(-1)
        id = int(torch.multinomial(probabilities, 1, generator=generator))
        yield Step(len(told) - cached - new, cached, new, looks, logits, id)
        told.append(id)
        cache = trace.cache if cached + new < block_size else None
        cached = read(cache)
        trace = gpt.trace(torch.tensor([told[-block_size:][cached:]]), cache=cache)


class Timed(NamedTuple):
    """One pass with the cache and without: seconds of CPU, and how far the logits are apart."""

    kept: float
    anew: float
    apart: float  # the largest difference of any logit
    same: bool  # whether the likeliest token is the same


def timed(gpt: GPT, ids: Sequence[int], begin: int) -> Iterator[Timed]:
    """The passes over the first `begin` tokens of a text, then one more each time, up to all but the last."""
    idx, cache, block_size = torch.tensor([list(ids)]), None, gpt.config.block_size
    for end in range(begin, len(ids)):
        window = idx[:, max(0, end - block_size) : end]
        if end > block_size:
            cache = None
        began = thread_time()
        kept, cache = gpt.step(idx[:, end - 1 : end] if cache else window, cache)
        between = thread_time()
        anew, _ = gpt.step(window)
        done = thread_time()
        apart = (kept - anew).abs().max().item()
        yield Timed(between - began, done - between, apart, torch.equal(kept.argmax(-1), anew.argmax(-1)))


def multiply_adds(config: GPTConfig, new: int, cached: int = 0, read_off: int = 1) -> int:
    """The multiplications of a pass, each with its addition: of `new` tokens after the cached ones.

    Of each block 12 C² for a new token (its four matrices), and 2 C for it and each token that it looks at (query times
    key, weight times value; what the mask hides is computed, too). C V for each position at which the logits are read
    off. What is done to each number alone (norms, softmax, GELU, sums) is left out.
    """
    c = config.n_embd
    block = 12 * c * c * new + 2 * c * new * (cached + new)
    return config.n_layer * block + c * config.vocab_size * read_off


def kept(sizes: Sizes, tokens: int, each: int = 4) -> int:
    """The bytes of the keys and values of so many tokens; a number takes `each` of them."""
    width = sizes.width // sizes.heads * (sizes.key_heads or sizes.heads)
    return 2 * sizes.layers * tokens * width * each


def shortened(gpt: GPT, block_size: int) -> GPT:
    """The same model, its weights shared, with no positions beyond the first block_size."""
    with torch.device("meta"):
        short = GPT(replace(gpt.config, block_size=block_size))
    short.wte, short.h, short.ln_f = gpt.wte, gpt.h, gpt.ln_f
    short.wpe = nn.Embedding.from_pretrained(gpt.wpe.weight[:block_size])
    return short
