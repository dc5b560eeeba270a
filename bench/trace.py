"""What the record costs: `python -m bench.trace`.

GPT-2 small's shape with random weights, one thread: our `trace`, which keeps everything, beside the
bare forward pass of transformers on the same weights, which keeps nothing. The runs alternate, and
the ratio is taken pair by pair.
"""

import time
from collections.abc import Callable
from statistics import median

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from model.loading import gpt2_format


def seconds(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def main(pairs: int = 15) -> None:
    """Print a line for each length."""
    torch.set_num_threads(1)
    theirs = GPT2LMHeadModel(GPT2Config()).eval()
    ours = gpt2_format.from_hugging_face(theirs)
    print("tokens   transformers (ms)   trace (ms)   trace / transformers: median (min to max)   kept (MB)")
    for tokens in (16, 64, 256):
        idx = torch.randint(50257, (1, tokens))

        def bare() -> None:
            with torch.inference_mode():
                theirs(idx, use_cache=False)

        bare(), ours.trace(idx)
        times = [(seconds(bare), seconds(lambda: ours.trace(idx))) for _ in range(pairs)]
        ratios = [trace / plain for plain, trace in times]
        trace = ours.trace(idx)
        records = [record for block in trace.blocks for record in (block, block.attn)]
        values = [value for record in records for value in vars(record).values() if isinstance(value, torch.Tensor)]
        kept = sum({value.data_ptr(): value.nbytes for value in values}.values())
        print(
            f"{tokens:6}   {1e3 * median(plain for plain, _ in times):17.0f}"
            f"   {1e3 * median(kept_all for _, kept_all in times):10.0f}"
            f"   {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})   {kept / 1e6:.1f}"
        )


if __name__ == "__main__":
    main()
