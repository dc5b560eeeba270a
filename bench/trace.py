"""What the record costs: `python -m bench.trace`.

Random weights in the shape of GPT-2 small and of SmolLM2 135M, one thread: our `trace`, which keeps every activation,
beside the bare forward pass of transformers on the same weights, which keeps none. The runs alternate, and the ratio is
taken pair by pair.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from model.loading import gpt2_format, llama_format
from model.transformer.decoder import Decoder
from model.transformer.record import Trace

LENGTHS = (16, 64, 256)  # tokens
SMOLLM2 = LlamaConfig(
    vocab_size=49_152,
    max_position_embeddings=8192,
    hidden_size=576,
    intermediate_size=1536,
    num_hidden_layers=30,
    num_attention_heads=9,
    num_key_value_heads=3,
    rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
    tie_word_embeddings=True,
)


def seconds(call: Callable[[], object]) -> float:
    """The wall time of one call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def trace_bytes(trace: Trace) -> int:
    """The bytes of the activations of all blocks; memory that two of them share counts once."""
    records = [record for block in trace.blocks for record in (block, block.attn)]
    values = [value for record in records for value in vars(record).values() if isinstance(value, torch.Tensor)]
    return sum({value.data_ptr(): value.nbytes for value in values}.values())


def compare(name: str, theirs: Any, ours: Decoder, pairs: int) -> None:
    """Print a line for each length."""
    for tokens in LENGTHS:
        idx = torch.randint(theirs.config.vocab_size, (1, tokens))

        def bare() -> None:
            with torch.inference_mode():
                theirs(idx, use_cache=False)

        bare(), ours.trace(idx)
        times = [(seconds(bare), seconds(lambda: ours.trace(idx))) for _ in range(pairs)]
        ratios = [recorded / plain for plain, recorded in times]
        print(
            f"{name:12}   {tokens:6}   {1e3 * median(plain for plain, _ in times):17.0f}"
            f"   {1e3 * median(recorded for _, recorded in times):10.0f}"
            f"   {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            f"   {trace_bytes(ours.trace(idx)) / 1e6:.1f}"
        )


def main(pairs: int = 15) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print("shape          tokens   transformers (ms)   trace (ms)   trace / transformers: median (min to max)   MB")
    gpt2 = GPT2LMHeadModel(GPT2Config()).eval()
    compare("GPT-2 small", gpt2, gpt2_format.from_hugging_face(gpt2), pairs)
    llama = LlamaForCausalLM(SMOLLM2).eval()
    compare("SmolLM2 135M", llama, llama_format.from_hugging_face(llama), pairs)


if __name__ == "__main__":
    main()
