"""A generate() as beginners are often shown it, in its smallest form, and what goes wrong with it, case by case.

It is written here to fail as such code fails; `Decoder.generate` is beside it in each case.
"""

import copy
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from model.decoding.generate import generate as our_generate
from model.transformer.decoder import Decoder
from model.transformer.gpt2 import GPT2, GPT2Config

NEW_TOKENS, DRAWS = 3, 200  # tokens that are written past the context; draws among tokens that are all alike
TINY_CONFIG = GPT2Config(vocab_size=10, block_size=8, n_layer=1, n_head=1, n_embd=4)
Outcome = list[int] | str  # the ids that were written, or what happened
Generate = Callable[..., Tensor]  # a generate(): model, idx, count, temperature, top_k, generator


@torch.no_grad()
def naive_generate(
    decoder: Decoder,
    idx: Tensor,
    count: int,
    temperature: float = 1.0,
    top_k: int = 50,
    generator: Generator | None = None,
) -> Tensor:
    """The ids idx (B, T), continued by `count` drawn ones; its faults are those of `CASES`."""
    decoder.eval()
    for _ in range(count):
        x = F.embedding(idx, decoder.W_E)
        if decoder.W_pos is not None:
            x = x + F.embedding(torch.arange(idx.size(1)), decoder.W_pos)
        for block in decoder.walk(x):
            x = block.resid_post
        logits = decoder.unembed(decoder.ln_f(x))[:, -1] / temperature
        least = logits.topk(top_k).values[:, -1:]
        probabilities = logits.masked_fill(logits < least, -math.inf).softmax(-1)
        idx = torch.cat([idx, torch.multinomial(probabilities, 1, generator=generator)], dim=1)
    return idx


def new_ids_or_error(
    way: Generate, decoder: Decoder, idx: Tensor, count: int = 1, temperature: float = 1.0, top_k: int = 50
) -> Outcome:
    """The new ids, or the error that came instead, in one line. A new generator has always the same seed."""
    try:
        return way(decoder, idx, count, temperature, top_k, Generator())[0, idx.size(1) :].tolist()
    except (IndexError, RuntimeError, ValueError) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"


def top_k_with_ties(way: Generate, decoder: Decoder, idx: Tensor) -> Outcome:
    """How many of ten tokens that are equally likely are drawn with a top-k of 3."""
    even = GPT2(TINY_CONFIG).requires_grad_(False)
    even.W_E.zero_()
    drawn = way(even, torch.zeros(DRAWS, 1, dtype=torch.long), 1, 1.0, 3, Generator())[:, -1]
    return f"{len(drawn.unique())} different tokens in {DRAWS} draws"


def training_mode_afterwards(way: Generate, decoder: Decoder, idx: Tensor) -> Outcome:
    """In which mode a small model is after it has written, while it was in training."""
    trained = GPT2(TINY_CONFIG).train()
    way(trained, torch.zeros(1, 1, dtype=torch.long), 1, 1.0, 3, Generator())
    return f"training is {trained.training} afterwards"


def multiply_adds(way: Generate, decoder: Decoder, idx: Tensor, count: int = 32) -> Outcome:
    """The multiplications of `count` tokens after idx, by formula; of a model whose context is long enough."""
    lengths = range(idx.size(1), idx.size(1) + count)
    if way is naive_generate:
        found, read = sum(decoder.config.multiply_adds(n, 0, n) for n in lengths), sum(lengths)
    else:
        first, *others = lengths
        found = decoder.config.multiply_adds(first) + sum(decoder.config.multiply_adds(1, n - 1) for n in others)
        read = first + len(others)
    return f"{read:,} positions computed, {found / 1e6:,.0f} million multiply-adds"


class Case(NamedTuple):
    """What is asked, what goes wrong and why, and what really happens when one way or the other is asked."""

    asked: str
    why: str
    run: Callable[[Generate, Decoder, Tensor], Outcome]


CASES = [
    Case(
        "Write past the context",
        "A GPT-2 has no position vector left for the next token. A Llama goes on, at positions that it never saw in "
        "training. Ours reads the last tokens that fit. (Here the model is cut to a context as long as your prompt, so "
        "that it is full at once.)",
        lambda way, decoder, idx: new_ids_or_error(way, decoder.shortened(idx.size(1)), idx, NEW_TOKENS),
    ),
    Case(
        "Temperature 0",
        "The division by 0 makes the probabilities NaN. Ours takes the likeliest token, which is what 0 stands for.",
        lambda way, decoder, idx: new_ids_or_error(way, decoder, idx, temperature=0.0),
    ),
    Case(
        "Temperature −1",
        "It reverses the order: top-k then keeps the unlikeliest tokens, without a warning. Ours refuses it.",
        lambda way, decoder, idx: new_ids_or_error(way, decoder, idx, temperature=-1.0),
    ),
    Case(
        "A top-k larger than the vocabulary",
        "The default of 50 is already too large for a small vocabulary of 40. Ours keeps all tokens then.",
        lambda way, decoder, idx: new_ids_or_error(way, decoder, idx, top_k=decoder.config.vocab_size + 1),
    ),
    Case(
        "Top-k 3 among ten equally likely tokens",
        "All tokens that are tied with the third are kept, here ten. Ours does the same, as transformers does: "
        "a top-k of 3 may keep more than 3 tokens.",
        top_k_with_ties,
    ),
    Case(
        "A sample in the middle of training",
        "It switches the model to eval mode and leaves it there: dropout stays off for the rest of the training. Ours "
        "does not change the mode. (Run on a small untrained model.)",
        training_mode_afterwards,
    ),
    Case(
        "Write 32 tokens",
        "For each new token it computes all earlier tokens again, and their logits, too, but only uses the last ones.",
        multiply_adds,
    ),
]


def run_cases(decoder: Decoder, idx: Tensor) -> list[tuple[Outcome, Outcome]]:
    """What happens in each case when it is asked of `generate` above, and of ours.

    Since the one turns a switch of the model, both run on a copy with the same weights: others may be using it.
    """
    own = copy.deepcopy(decoder, {id(weight): weight for weight in decoder.parameters()})
    return [(case.run(naive_generate, own, idx), case.run(our_generate, own, idx)) for case in CASES]
