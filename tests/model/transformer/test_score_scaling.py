"""What the width does to a softmax: against closed forms, torch's distributions and autograd."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Categorical

from model.transformer import score_scaling


def test_random_scores_have_the_standard_deviation_of_the_root_of_the_width() -> None:
    for width in score_scaling.WIDTHS:
        found = [score_scaling.random_scores(width, seed) for seed in range(9)]
        assert found[0].shape == (score_scaling.DRAWS, score_scaling.KEYS) and found[0].dtype == torch.double
        assert np.median([of.std() for of in found]) == pytest.approx(math.sqrt(width), rel=0.05)
    squares = score_scaling.random_scores(1, 0).square().mean(1)
    assert squares.std() > squares.mean()  # each row has a query of its own


@pytest.mark.parametrize(("width", "bare"), [(64, 0.116), (256, 0.0059), (1024, 2.2e-5)])
def test_without_division_the_gradient_vanishes_with_the_width(width: int, bare: float) -> None:
    found = [score_scaling.random_scores(width, seed) for seed in range(9)]
    lost = [score_scaling.measure(scores).gradient for scores in found]
    kept = [score_scaling.measure(scores / math.sqrt(width)).gradient for scores in found]
    assert abs(math.log10(np.median(lost) / bare)) < math.log10(max(lost) / min(lost))  # as far as seeds differ
    assert np.median(kept) == pytest.approx(0.304, abs=0.004)
    assert max(kept) / min(kept) < 1.1  # enough queries are drawn for one seed to tell


def test_a_softmax_is_measured_as_torch_measures_it() -> None:
    scores = score_scaling.random_scores(64, 0) / torch.linspace(1, 20, score_scaling.DRAWS)[:, None]
    found = score_scaling.measure(scores)
    assert found.spread == pytest.approx(scores.numpy().std(ddof=1))
    assert found.entropy == pytest.approx(Categorical(logits=scores).entropy().mean().item())
    by_row = [torch.autograd.functional.jacobian(lambda x: x.softmax(-1), row).norm().item() for row in scores]
    assert found.gradient == pytest.approx(sorted(by_row)[(len(by_row) - 1) // 2])
    even = score_scaling.measure(torch.zeros(3, 16))
    assert even.entropy == pytest.approx(math.log(16)) and even.gradient == pytest.approx(math.sqrt(15) / 16)


@pytest.mark.parametrize("seed", [0, 5])
def test_curves_by_width_equal_the_measured_scores(seed: int) -> None:
    divided, bare = (score_scaling.by_width(seed, divided) for divided in (True, False))
    assert score_scaling.WIDTHS[0] == 1 and score_scaling.WIDTHS[-1] == 1024
    assert [of.spread for of in divided] == pytest.approx([1] * 11, rel=0.15)
    for width, with_it, without in zip(score_scaling.WIDTHS, divided, bare, strict=True):
        scores = score_scaling.random_scores(width, seed)
        for found, of in ((without, scores), (with_it, scores / math.sqrt(width))):
            assert found.spread == pytest.approx(of.std().item())
            assert found.entropy == pytest.approx(Categorical(logits=of).entropy().mean().item())
        if width != 16:  # where seeds differ
            assert (without.gradient < with_it.gradient) == (width > 16)
    flat = [(max(of) / min(of)) for of in zip(*divided)]
    lost = [(max(of) / min(of)) for of in zip(*bare)]
    assert max(flat) < 2 and lost[0] > 20 and lost[1] > 10 and lost[2] > 1000


@pytest.mark.parametrize("size", [0.1, 512**-0.5])
def test_an_untrained_layer_equals_torchs_module_with_the_same_weights(size: float) -> None:
    """Of 512 numbers and 8 heads, as the page says, and 10 tokens."""
    random = torch.Generator().manual_seed(4)
    x = torch.randn(2, 10, 512, generator=random)
    q, k = (size * torch.randn(512, 512, generator=random) for _ in range(2))
    module = nn.MultiheadAttention(512, 8, bias=False, batch_first=True)
    with torch.no_grad():
        module.in_proj_weight.copy_(torch.cat([q.T, k.T, torch.eye(512)]))
        weights = module(x, x, x, average_attn_weights=False)[1]
    spread, largest = score_scaling.untrained_layer(size, 4)
    assert largest == pytest.approx(weights.amax(-1).mean().item(), rel=1e-4)
    assert spread == pytest.approx(512 * size**2, rel=0.1)  # each q and k: 512 products of variance size²


def test_weights_of_size_a_tenth_saturate_the_softmax() -> None:
    spread, largest = np.mean([score_scaling.untrained_layer(0.1, seed) for seed in range(5)], 0)
    assert spread == pytest.approx(5.12, rel=0.05) and largest == pytest.approx(0.79, abs=0.03)
    assert score_scaling.untrained_layer(512**-0.5, 0)[1] < 0.4
