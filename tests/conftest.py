"""What the tests share: a tiny random GPT of odd sizes, so that no swapped axis can hide."""

from pathlib import Path

import huggingface_hub
import pytest
import torch
from tokenizers import Tokenizer

from model import gpt2
from model.gpt import GPT, GPTConfig

torch.set_num_threads(1)
SIZES = GPTConfig(vocab_size=97, block_size=31, n_layer=3, n_head=5, n_embd=35)


@pytest.fixture(scope="session")
def gpt() -> GPT:
    torch.manual_seed(0)
    model = GPT(SIZES).eval().requires_grad_(False)
    for parameter in model.parameters():  # far from initialisation, where everything is nearly uniform
        torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.fixture(scope="session")
def idx() -> torch.Tensor:
    return torch.randint(SIZES.vocab_size, (2, 17), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="session")
def gpt2_small() -> tuple[GPT, Tokenizer]:
    """GPT-2 small as it was fetched from the hub on this machine; without it the test is skipped."""
    found = [
        huggingface_hub.try_to_load_from_cache("openai-community/gpt2", name)
        for name in ("config.json", "model.safetensors", "tokenizer.json")
    ]
    if not all(isinstance(path, str) for path in found):
        pytest.skip("the weights of GPT-2 are not in this machine's cache of the hub")
    return gpt2.load(Path(found[0]).parent), Tokenizer.from_file(found[2])
