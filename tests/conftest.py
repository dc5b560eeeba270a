"""What the tests share: a tiny random GPT of odd sizes, so that no swapped axis can hide."""

import pytest
import torch

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
