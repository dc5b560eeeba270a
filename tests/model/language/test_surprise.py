"""Surprise against the cross-entropy of torch."""

import torch
from torch.nn import functional as F

from model.language.surprise import surprises


def test_surprises_are_the_cross_entropy_of_each_token_and_the_first_is_nan() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, idx = 5 * torch.randn(9, 31, generator=generator), torch.randint(31, (9,), generator=generator)
    first, *others = surprises(logits, idx)
    assert first.isnan()
    torch.testing.assert_close(torch.stack(others), F.cross_entropy(logits[:-1], idx[1:], reduction="none"))


def test_a_single_token_has_no_surprise() -> None:
    assert surprises(torch.zeros(1, 5), torch.tensor([3])).isnan().tolist() == [True]
