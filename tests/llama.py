"""A tiny random Llama that can be picked on pages, and the same weights opened by transformers, which is the authority.

Its weights are far from initialization, where everything is nearly uniform; no two sizes are alike, and two query heads
share each head of keys and values.
"""

from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM

from model.language import tokenization
from model.loading import llama_format
from model.transformer.llama import Llama, LlamaConfig
from pages.shared import models
from pages.shared.runtime.catalog import Entry

LLAMA = "owner/shared-keys-llama"
TEXT = ["The king and the queen of the land went to the sea, and the man said no"] * 9


def offer(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str = LLAMA, block_size: int = 96) -> str:
    """Put the Llama into the catalog; returns its name. Another context needs another name: caches go by names."""
    tokenizer = tokenization.train_bpe(TEXT, 330)
    config = LlamaConfig(
        tokenizer.get_vocab_size(), block_size, n_layer=3, n_head=4, n_embd=48, n_kv_head=2, n_hidden=70, tied=False
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        llama = Llama(config)
        for parameter in llama.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    llama_format.save(llama, folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    monkeypatch.setitem(models.CATALOG, name, Entry(name, folder))
    return name


def reference(name: str = LLAMA) -> LlamaForCausalLM:
    """The offered Llama in transformers, in float32, with attention that returns its patterns."""
    folder = models.CATALOG[name].source
    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def token_ids(prompt: str, name: str = LLAMA) -> torch.Tensor:
    """The ids (1, T) of a prompt."""
    return torch.tensor([models.load(name).tokenizer.encode(prompt).ids])
