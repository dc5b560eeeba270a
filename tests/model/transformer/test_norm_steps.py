"""The norms of a block step by step, for both families."""

import torch

from model.transformer.decoder import Decoder
from model.transformer.norm_steps import norm_steps


def test_each_norm_ends_with_what_the_next_part_reads(decoder: Decoder, idx: torch.Tensor) -> None:
    trace = decoder.trace(idx)
    steps = norm_steps(decoder, trace, 1)
    assert list(steps) == ["L1 ln_1", "L1 ln_2", "ln_f"]
    torch.testing.assert_close(steps["ln_f"].after, trace.ln_f[0])
    torch.testing.assert_close(steps["L1 ln_1"].before, trace.blocks[0].resid_post[0])
    pre = decoder.blocks[1].mlp(steps["L1 ln_2"].after)[0]
    torch.testing.assert_close(pre, trace.blocks[1].mlp_pre[0])
    for step in steps.values():  # without epsilon, which is small, each normalized vector is as long as √C
        length = torch.full((idx.size(1),), decoder.config.n_embd**0.5)
        torch.testing.assert_close(step.normalized.norm(dim=-1), length, rtol=1e-3, atol=0)
