"""What a token costs: `python -m bench.generate`.

Tokens per second after a prompt of 16 tokens, on one thread, with a KV cache: our `Decoder.generate` (greedy) and
`sampling.sample_tokens` (temperature and top-p) beside transformers' `generate` on the same weights, in turn; once with
the built-in model, once with random weights of GPT-2 small's shape. The ratio is taken pair by pair, in seconds of CPU.
"""

import time
from collections.abc import Callable
from itertools import islice
from statistics import median
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from model.decoding import sampling
from model.loading import checkpoint, gpt2_format
from model.loading.folders import BUILT_IN
from model.transformer.decoder import Decoder

CHAIN = [("temperature", 0.8), ("top-p", 0.9)]


def seconds(call: Callable[[], object]) -> float:
    """CPU time of one call."""
    began = time.process_time()
    call()
    return time.process_time() - began


def compare(name: str, theirs: Any, ours: Decoder, new: int, pairs: int) -> None:
    """Print a line for greedy text and one for drawn text."""
    idx = torch.randint(ours.config.vocab_size, (1, 16), generator=torch.Generator().manual_seed(0))
    settings = {"max_new_tokens": new, "min_new_tokens": new, "eos_token_id": None, "pad_token_id": 0}
    settings |= {"attention_mask": torch.ones_like(idx)}

    def generate(**how: Any) -> torch.Tensor:
        return theirs.generate(idx, **settings, **how)

    assert torch.equal(generate(do_sample=False), ours.generate(idx, new))
    ways = {
        "greedy": (lambda: generate(do_sample=False), lambda: ours.generate(idx, new)),
        "drawn": (
            lambda: generate(do_sample=True, temperature=0.8, top_p=0.9, top_k=0),
            lambda: list(islice(sampling.sample_tokens(ours, idx[0].tolist(), CHAIN, seed=0), new)),
        ),
    }
    for way, (their, our) in ways.items():
        their(), our()
        times = [(seconds(their), seconds(our)) for _ in range(pairs)]
        ratios = [their / our for their, our in times]
        rates = [new / median(column) for column in zip(*times)]
        print(
            f"{name:12} {way:8} {rates[0]:12.1f} {rates[1]:8.1f}"
            f"   {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            flush=True,
        )


def main(pairs: int = 9) -> None:
    """Print the tokens per second of both models."""
    torch.set_num_threads(1)
    print("model        text     transformers     ours   ours / transformers: median (min to max)")
    built_in = AutoModelForCausalLM.from_pretrained(BUILT_IN, dtype=torch.float32).eval()
    compare("Vitrine", built_in, checkpoint.load(BUILT_IN), 100, pairs)
    torch.manual_seed(0)
    random = GPT2LMHeadModel(GPT2Config()).eval()
    compare("random 12x12", random, gpt2_format.from_hugging_face(random), 40, pairs)


if __name__ == "__main__":
    main()
