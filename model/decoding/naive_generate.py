"""A naive generate(), in the smallest form that beginners are often shown, and its failures, case by case.

It is written here to fail as such code fails; each case also runs `model.decoding.generate.generate`.
"""

import copy
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from model.decoding.generate import generate
from model.transformer.decoder import Decoder
from model.transformer.gpt2 import GPT2, GPT2Config

NEW_TOKENS, DRAWS = 3, 200  # tokens generated past the context; draws among equally likely tokens
TINY_CONFIG = GPT2Config(vocab_size=10, block_size=8, n_layer=1, n_head=1, n_embd=4)
Outcome = list[int] | str  # the generated ids, or a sentence on what happened
Generate = Callable[..., Tensor]  # (decoder, idx, count, temperature, top_k, generator) -> ids


@torch.no_grad()
def naive_generate(
    decoder: Decoder,
    idx: Tensor,
    count: int,
    temperature: float = 1.0,
    top_k: int = 50,
    generator: Generator | None = None,
) -> Tensor:
    """Generation without a cache: the ids idx (B, T) and `count` sampled ids. Its faults are those of `CASES`."""
    decoder.eval()
    for _ in range(count):
        x = F.embedding(idx, decoder.W_E)
        if decoder.W_pos is not None:
            x = x + F.embedding(torch.arange(idx.size(1)), decoder.W_pos)
        for block in decoder.walk(x):
            x = block.resid_post
        logits = decoder.unembed(decoder.ln_f(x))[:, -1] / temperature
        smallest = logits.topk(top_k).values[:, -1:]
        probabilities = logits.masked_fill(logits < smallest, -math.inf).softmax(-1)
        idx = torch.cat([idx, torch.multinomial(probabilities, 1, generator=generator)], dim=1)
    return idx


def new_ids_or_error(
    generate_ids: Generate, decoder: Decoder, idx: Tensor, count: int = 1, temperature: float = 1.0, top_k: int = 50
) -> Outcome:
    """The generated ids, or the first line of the error. The generator has the same seed each time."""
    try:
        return generate_ids(decoder, idx, count, temperature, top_k, Generator())[0, idx.size(1) :].tolist()
    except (IndexError, RuntimeError, ValueError) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"


def top_k_with_ties(generate_ids: Generate, decoder: Decoder, idx: Tensor) -> Outcome:
    """Number of different tokens sampled with a top-k of 3 from ten equally likely tokens, as a sentence."""
    uniform = GPT2(TINY_CONFIG).requires_grad_(False)
    uniform.W_E.zero_()
    ids = generate_ids(uniform, torch.zeros(DRAWS, 1, dtype=torch.long), 1, 1.0, 3, Generator())[:, -1]
    return f"{len(ids.unique())} different tokens in {DRAWS} draws"


def training_mode_afterwards(generate_ids: Generate, decoder: Decoder, idx: Tensor) -> Outcome:
    """Mode of a small model in training after it has generated a token, as a sentence."""
    trained = GPT2(TINY_CONFIG).train()
    generate_ids(trained, torch.zeros(1, 1, dtype=torch.long), 1, 1.0, 3, Generator())
    return f"training is {trained.training} afterwards"


def multiply_adds(generate_ids: Generate, decoder: Decoder, idx: Tensor, count: int = 32) -> Outcome:
    """Multiply-adds of generating `count` tokens after idx, by formula, for a context that is long enough."""
    lengths, config = range(idx.size(1), idx.size(1) + count), decoder.config
    if generate_ids is naive_generate:
        total, positions = sum(config.multiply_adds(n, 0, n) for n in lengths), sum(lengths)
    else:
        first, *others = lengths
        total = config.multiply_adds(first) + sum(config.multiply_adds(1, n - 1) for n in others)
        positions = first + len(others)
    return f"{positions:,} positions computed, {total / 1e6:,.0f} million multiply-adds"


class Case(NamedTuple):
    """A request, what goes wrong with it and why, and the function that runs it with either generate()."""

    request: str
    why: str
    run: Callable[[Generate, Decoder, Tensor], Outcome]


CASES = [
    Case(
        "Write past the context",
        "A GPT-2 has no position vector left for the next token. A Llama goes on, at positions that it never saw in "
        "training. Ours reads the last tokens that fit. (Here the model is cut to a context as long as your prompt, so "
        "that it is full at once.)",
        lambda generate_ids, decoder, idx: new_ids_or_error(
            generate_ids, decoder.shortened(idx.size(1)), idx, NEW_TOKENS
        ),
    ),
    Case(
        "Temperature 0",
        "The division by 0 makes the probabilities NaN. Ours takes the likeliest token, which is what 0 stands for.",
        lambda generate_ids, decoder, idx: new_ids_or_error(generate_ids, decoder, idx, temperature=0.0),
    ),
    Case(
        "Temperature −1",
        "It reverses the order: top-k then keeps the unlikeliest tokens, without a warning. Ours refuses it.",
        lambda generate_ids, decoder, idx: new_ids_or_error(generate_ids, decoder, idx, temperature=-1.0),
    ),
    Case(
        "A top-k larger than the vocabulary",
        "The default of 50 is already too large for a small vocabulary of 40. Ours keeps all tokens then.",
        lambda generate_ids, decoder, idx: new_ids_or_error(
            generate_ids, decoder, idx, top_k=decoder.config.vocab_size + 1
        ),
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
    """The outcome of each case with `naive_generate`, and with `generate`.

    Both run on a copy that shares the weights: the former changes the mode of the model, which others may be using.
    """
    own = copy.deepcopy(decoder, {id(weight): weight for weight in decoder.parameters()})
    return [(case.run(naive_generate, own, idx), case.run(generate, own, idx)) for case in CASES]
