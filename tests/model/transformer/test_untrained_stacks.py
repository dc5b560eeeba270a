"""Untrained stacks, against what is proved or published about them."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from model.transformer.gpt2 import GPT2Config, block
from model.transformer.untrained_stacks import STACKS, TOKENS, WIDTH, Stack, apply_part, mean_cosine, measure

SIZE = 1 / math.sqrt(3)  # as PyTorch draws the weights of a linear layer


@pytest.mark.parametrize("stack", STACKS, ids=lambda stack: stack.name)
def test_a_stack_is_measured_at_every_block_and_the_same_again(stack: Stack) -> None:
    found = measure(stack, 5, SIZE, seed=3)
    assert len(found.gradients) == len(found.similarity) == 6
    assert found.gradients[-1] == 1
    assert found == measure(stack, 5, SIZE, seed=3) != measure(stack, 5, SIZE, seed=4)
    assert found.similarity[0] == measure(STACKS[0], 5, SIZE, seed=3).similarity[0]  # the same tokens for all


@pytest.mark.parametrize("seed", range(3))
def test_without_residual_connections_all_tokens_become_one(seed: int) -> None:
    for stack in STACKS:
        found = measure(stack, 12, SIZE, seed).similarity
        assert abs(found[0]) < 0.05
        assert found[-1] < 0.5 if stack.residual else found[-1] > 0.999


@pytest.mark.parametrize("seed", range(3))
def test_a_gradient_vanishes_without_residual_and_norm_and_comes_through_with_them(seed: int) -> None:
    arrives = {stack.name: measure(stack, 12, SIZE, seed).gradients[0] for stack in STACKS}
    assert arrives.pop("no norm, no residual") < 1e-10
    assert all(0.05 < arrived < 20 for arrived in arrives.values())


@pytest.mark.parametrize("residual", [True, False])
def test_behind_post_norm_a_final_norm_changes_nothing(residual: bool) -> None:
    assert measure(Stack("after", residual), 6, SIZE, 0).final_norm < 1e-3
    assert measure(Stack("before", residual), 6, SIZE, 0).final_norm > 0.1


def test_norm_before_is_the_block_of_our_gpt() -> None:
    torch.manual_seed(0)
    layer = block(GPT2Config(1, TOKENS, 1, 4, WIDTH)).double()
    x = torch.randn(1, TOKENS, WIDTH, dtype=torch.float64)
    stack = Stack("before", residual=True)
    assert torch.allclose(apply_part(stack, layer.mlp, apply_part(stack, layer.attn, x)), layer(x).resid_post)


def test_norm_after_is_that_of_torch() -> None:
    torch.manual_seed(0)
    mlp = block(GPT2Config(1, TOKENS, 1, 4, WIDTH)).mlp.double()
    x = torch.randn(1, TOKENS, WIDTH, dtype=torch.float64)
    feed_forward = nn.Sequential(mlp.c_fc, nn.GELU(approximate="tanh"), mlp.c_proj)
    assert torch.allclose(apply_part(Stack("after", True), mlp, x), F.layer_norm(x + feed_forward(x), (WIDTH,)))
    assert torch.allclose(apply_part(Stack("none", False), mlp, x), feed_forward(x))


def test_similarity_is_the_mean_cosine_however_short_the_vectors_are() -> None:
    vectors = torch.randn(5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    cosines = [F.cosine_similarity(vectors[i], vectors[j], dim=0).item() for i in range(5) for j in range(i)]
    assert mean_cosine(vectors) == pytest.approx(sum(cosines) / len(cosines))
    assert mean_cosine(vectors * 1e-20) == pytest.approx(mean_cosine(vectors))
