"""A generate() as beginners are often shown it, in its smallest form, and what goes wrong with it, case by case.

It is written here to fail as such code fails; `GPT.generate` is beside it in each case.
"""

import copy
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from model.decoding.kv_cache import multiply_adds, shortened
from model.transformer.gpt2 import GPT, GPTConfig

WRITTEN, DRAWN = 3, 200  # tokens that are written past the context; draws among tokens that are all alike
ALIKE = GPTConfig(vocab_size=10, block_size=8, n_layer=1, n_head=1, n_embd=4)
Outcome = list[int] | str  # the ids that were written, or what happened
Way = Callable[..., Tensor]  # a generate(): model, idx, count, temperature, top_k, generator


@torch.no_grad()
def generate(
    gpt: GPT, idx: Tensor, count: int, temperature: float = 1.0, top_k: int = 50, generator: Generator | None = None
) -> Tensor:
    """The ids idx (B, T), continued by `count` drawn ones; its faults are those of `CASES`."""
    gpt.eval()
    for _ in range(count):
        x = gpt.wte(idx) + gpt.wpe(torch.arange(idx.size(1)))
        for block in gpt.h:
            x = block(x).resid_post
        logits = (gpt.ln_f(x) @ gpt.wte.weight.T)[:, -1] / temperature
        least = logits.topk(top_k).values[:, -1:]
        probabilities = logits.masked_fill(logits < least, -math.inf).softmax(-1)
        idx = torch.cat([idx, torch.multinomial(probabilities, 1, generator=generator)], dim=1)
    return idx


def written(way: Way, gpt: GPT, idx: Tensor, count: int = 1, temperature: float = 1.0, top_k: int = 50) -> Outcome:
    """The new ids, or the error that came instead, in one line. A new generator has always the same seed."""
    try:
        return way(gpt, idx, count, temperature, top_k, Generator())[0, idx.size(1) :].tolist()
    except (IndexError, RuntimeError, ValueError) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"


def alike(way: Way, gpt: GPT, idx: Tensor) -> Outcome:
    """How many of ten tokens that are equally likely are drawn with a top-k of 3."""
    even = GPT(ALIKE).requires_grad_(False)
    even.wte.weight.zero_()
    drawn = way(even, torch.zeros(DRAWN, 1, dtype=torch.long), 1, 1.0, 3, Generator())[:, -1]
    return f"{len(drawn.unique())} different tokens in {DRAWN} draws"


def mode(way: Way, gpt: GPT, idx: Tensor) -> Outcome:
    """In which mode a small model is after it has written, while it was in training."""
    trained = GPT(ALIKE).train()
    way(trained, torch.zeros(1, 1, dtype=torch.long), 1, 1.0, 3, Generator())
    return f"training is {trained.training} afterwards"


def work(way: Way, gpt: GPT, idx: Tensor, count: int = 32) -> Outcome:
    """The multiplications of `count` tokens after idx, by formula; of a model whose context is long enough."""
    lengths = range(idx.size(1), idx.size(1) + count)
    if way is generate:
        found, read = sum(multiply_adds(gpt.config, n, 0, n) for n in lengths), sum(lengths)
    else:
        first, *others = lengths
        found = multiply_adds(gpt.config, first) + sum(multiply_adds(gpt.config, 1, n - 1) for n in others)
        read = first + len(others)
    return f"{read:,} positions computed, {found / 1e6:,.0f} million multiply-adds"


class Case(NamedTuple):
    """What is asked, what goes wrong and why, and what really happens when one way or the other is asked."""

    asked: str
    why: str
    run: Callable[[Way, GPT, Tensor], Outcome]


CASES = [
    Case(
        "Write past the context",
        "There is no row of positions left for the next token. Ours reads the last tokens that fit. (Here the model is "
        "cut to a context as long as your prompt, so that it is full at once.)",
        lambda way, gpt, idx: written(way, shortened(gpt, idx.size(1)), idx, WRITTEN),
    ),
    Case(
        "Temperature 0",
        "Nothing can be divided by 0: the probabilities are NaN. Ours takes the likeliest token, as is meant.",
        lambda way, gpt, idx: written(way, gpt, idx, temperature=0.0),
    ),
    Case(
        "Temperature −1",
        "It turns the order round: top-k then keeps the unlikeliest tokens, and nobody is told. Ours refuses it.",
        lambda way, gpt, idx: written(way, gpt, idx, temperature=-1.0),
    ),
    Case(
        "A top-k larger than the vocabulary",
        "A default of 50 is enough, with a small vocabulary of 40. Ours keeps all tokens then.",
        lambda way, gpt, idx: written(way, gpt, idx, top_k=gpt.config.vocab_size + 1),
    ),
    Case(
        "Top-k 3 among ten equally likely tokens",
        "All that are as large as the third are kept, here ten. Ours does the same, as transformers does: a rule that "
        "should be said.",
        alike,
    ),
    Case(
        "A sample in the middle of training",
        "It switches the model to eval and leaves it there: dropout stays off for the rest of the training. Ours "
        "touches no switch. (Run on a small untrained model.)",
        mode,
    ),
    Case(
        "Write 32 tokens",
        "Every token is computed anew for each that is added, and its logits, too, of which the last alone are used.",
        work,
    ),
]


def tried(gpt: GPT, idx: Tensor) -> list[tuple[Outcome, Outcome]]:
    """What happens in each case when it is asked of `generate` above, and of ours.

    Since the one turns a switch of the model, both run on a copy with the same weights: others may be using it.
    """
    own = copy.deepcopy(gpt, {id(weight): weight for weight in gpt.parameters()})
    return [(case.run(generate, own, idx), case.run(GPT.generate, own, idx)) for case in CASES]
