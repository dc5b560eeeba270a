"""A tiny random Llama that the pages offer, and its activations as transformers computes them."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from model.language import tokenization
from model.loading import checkpoint, llama_format
from model.transformer.llama import Llama, LlamaConfig
from pages.shared import models
from pages.shared.compute import readings
from pages.shared.runtime.catalog import Entry

NAME = "owner/a-llama"
PROMPT = "the king and the queen went to the sea"
TEXT = "The king and the queen of the land went to the sea, and the man said no"


def offer(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Put the model into the catalog under NAME; returns its folder. It has 6 heads in 2 groups, and no tied head."""
    torch.manual_seed(1)
    tokenizer = tokenization.train_bpe([TEXT] * 9, 330)
    config = LlamaConfig(
        tokenizer.get_vocab_size(), 96, 3, 6, 48, n_kv_head=2, n_hidden=67, rope_theta=700.0, tied=False
    )
    llama = Llama(config)
    for parameter in llama.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    llama_format.save(llama, folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    monkeypatch.setitem(models.CATALOG, NAME, Entry(NAME, folder))
    models.load.cache_clear()
    readings.forward_pass.cache_clear()
    return folder


def transformers_model(folder: Path) -> LlamaForCausalLM:
    """The same model in transformers, in float32."""
    hf_model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    return hf_model.eval().requires_grad_(False)


@torch.inference_mode()
def activations(model: LlamaForCausalLM, ids: list[int]) -> Mapping[str, Tensor]:
    """What each module reads and writes, such as "layers.0.mlp.down_proj in", and "patterns" (L, H, T, T)."""
    record: dict[str, Tensor] = {}

    def keep(name: str, module: object, inputs: tuple, output: object) -> None:
        if inputs:
            record[f"{name} in"] = inputs[0][0].detach()
        record[f"{name} out"] = (output[0][0] if isinstance(output, tuple) else output[0]).detach()

    named = [(name, module) for name, module in model.model.named_modules() if name and "rotary" not in name]
    hooks = [module.register_forward_hook(partial(keep, name)) for name, module in named if name != "layers"]
    output = model(torch.tensor([ids]), output_attentions=True)
    for hook in hooks:
        hook.remove()
    return record | {"logits": output.logits[0], "patterns": torch.cat(output.attentions)}


class TinyLlama(NamedTuple):
    """The model by its name in the catalog, its sizes, and the same weights in transformers."""

    name: str
    config: LlamaConfig
    peer: LlamaForCausalLM

    def ids(self, text: str) -> Tensor:
        """The ids (1, T) of a text."""
        return torch.tensor([models.load(self.name).tokenizer.encode(text).ids])


def offer_with_peer(monkeypatch: pytest.MonkeyPatch, folder: Path) -> TinyLlama:
    """Put the model into the catalog, and open it in transformers, too."""
    offer(monkeypatch, folder)
    return TinyLlama(NAME, checkpoint.sizes(folder), transformers_model(folder))
