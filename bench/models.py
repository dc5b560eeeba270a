"""What many models cost: `python -m bench.models`.

One folder of GPT-2 small's shape, with random weights, is offered under ten names; each is picked in turn, and reads a
prompt. Printed is the memory of the process: it must not grow with the models that were let go.
"""

import sys
import tempfile
import time
from pathlib import Path

import torch

from bench.server import resident
from model.interpretability.published_heads import GPT2_SMALL
from model.language.tokenization import train_bpe
from model.loading import gpt2_format
from model.transformer.gpt2 import GPT2
from pages.shared import models
from pages.shared.compute import readings
from pages.shared.runtime.catalog import Entry


def main(names: int = 10) -> None:
    """Print a line for each model."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        gpt2_format.save(GPT2(GPT2_SMALL), folder)
        train_bpe(["the cat sat on the mat"], 270).save(str(folder / "tokenizer.json"))
        print(f"models may take {models.MODELS / 1e6:,.0f} MB, readings {readings.READINGS / 1e6:,.0f} MB")
        print(f"{'':10}   opened in (s)   read in (s)   models kept (MB)   readings kept (MB)   in memory (MB)")
        print(f"{'none':10}   {'':13}   {'':11}   {0:16,.0f}   {0:18,.0f}   {resident():14,.0f}")
        for number in range(names):
            name = f"model {number}"
            models.CATALOG[name] = Entry(name, folder)
            began = time.perf_counter()
            models.load(name)
            opened = time.perf_counter()
            readings.read(models.load(name), "the cat sat on the mat " * 20)
            print(
                f"{name:10}   {opened - began:13.1f}   {time.perf_counter() - opened:11.2f}"
                f"   {models.load.cache.currsize / 1e6:16,.0f}   {readings.forward_pass.cache.currsize / 1e6:18,.0f}"
                f"   {resident():14,.0f}"
            )


if __name__ == "__main__":
    sys.exit(main())
