"""The scalpel: what is put in place of what, against the whole run with the same edit; and the leak."""

import math

import pytest
import torch
from torch import Tensor

from model.interpretability import patching
from model.training import mask_leak
from model.transformer.decoder import Decoder
from model.transformer.gpt2 import GPT2Config
from model.transformer.intervention import Edit, Interventions


def test_no_ablation_is_bitwise_the_clean_run(decoder: Decoder, idx: Tensor) -> None:
    instead = patching.zero_replacements(decoder.config)
    changes = Interventions(edits=patching.ablation_edits((), (), instead))
    assert changes == Interventions()
    assert torch.equal(decoder.trace(idx, changes).logits, decoder.trace(idx).logits)


def test_ablated_parts_output_zero_or_their_mean(decoder: Decoder, idx: Tensor) -> None:
    plain = decoder.trace(idx)
    mean = patching.mean_replacements([plain])
    for instead in (patching.zero_replacements(decoder.config), mean):
        edited = decoder.trace(idx, Interventions(edits=patching.ablation_edits({(1, 2), (0, 4)}, {2}, instead)))
        for layer, head in ((1, 2), (0, 4)):
            assert (edited.blocks[layer].attn.z[:, head] == instead.z[layer, head]).all()
        assert (edited.blocks[2].mlp_out == instead.mlp_out[2]).all()
        assert torch.equal(edited.blocks[0].attn.z[:, 0], plain.blocks[0].attn.z[:, 0])
    everyone = plain.blocks[1].attn.z[:, 3].reshape(-1, decoder.config.head_size)
    torch.testing.assert_close(mean.z[1, 3], everyone.mean(0))
    torch.testing.assert_close(mean.mlp_out[1], plain.blocks[1].mlp_out.reshape(-1, decoder.config.n_embd).mean(0))


def test_mean_replacements_count_each_token_of_runs_of_any_length_once(decoder: Decoder, idx: Tensor) -> None:
    long, short = decoder.trace(idx[:1]), decoder.trace(idx[1:, :3])
    mean = patching.mean_replacements([long, short]).mlp_out[1]
    expected = (long.blocks[1].mlp_out[0].sum(0) + short.blocks[1].mlp_out[0].sum(0)) / 20
    torch.testing.assert_close(mean, expected)


def test_ablating_all_heads_and_mlps_leaves_embeddings_and_biases(decoder: Decoder, idx: Tensor) -> None:
    every = {(layer, head) for layer in range(3) for head in range(decoder.config.n_head)}
    edited = decoder.trace(
        idx, Interventions(edits=patching.ablation_edits(every, range(3), patching.zero_replacements(decoder.config)))
    )
    positions = 0 if edited.pos_embed is None else edited.pos_embed
    stream = edited.embed + positions + sum(block.b_O for block in decoder.blocks)
    torch.testing.assert_close(edited.ln_f, decoder.ln_f(stream))


@pytest.mark.parametrize("at_once", [1, 40, 2_000])
def test_patch_each_head_equals_a_full_run_for_each_head(
    decoder: Decoder, idx: Tensor, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patching, "TOKENS_PER_BATCH", at_once)
    trace = decoder.trace(idx)
    instead = patching.mean_replacements([trace])
    seen = []
    for layer, heads, logits in patching.patch_each_head(decoder, trace, instead.z[:, :, None]):
        for head, row in zip(heads, logits, strict=True):
            whole = decoder.trace(idx, Interventions(edits=patching.ablation_edits({(layer, head)}, (), instead)))
            torch.testing.assert_close(row, whole.logits[:, -1], rtol=0, atol=1e-4)
            seen.append((layer, head))
    assert seen == [(layer, head) for layer in range(3) for head in range(decoder.config.n_head)]


@pytest.mark.parametrize("start", [0, 11])
def test_patch_each_position_equals_a_full_run_for_each_position(decoder: Decoder, idx: Tensor, start: int) -> None:
    corrupted, clean = decoder.trace(idx[:1]), decoder.trace(idx[1:])
    seen = []
    for layer, positions, logits in patching.patch_each_position(decoder, corrupted, clean, start):
        for position, row in zip(positions, logits, strict=True):
            value = clean.blocks[layer].resid_pre[:, position]
            whole = decoder.trace(idx[:1], Interventions(edits=(Edit("resid_pre", layer, value, position=position),)))
            torch.testing.assert_close(row, whole.logits[0, -1], rtol=0, atol=1e-4)
            seen.append((layer, position))
    assert seen == [(layer, position) for layer in range(3) for position in range(start, 17)]


def test_patching_a_heads_own_output_restores_nothing_and_patching_everything_restores_all(
    decoder: Decoder, idx: Tensor
) -> None:
    clean, corrupted = decoder.trace(idx[1:]), decoder.trace(idx[:1])
    ends = [patching.metrics(run.logits[0, -1], 5, 7) for run in (corrupted, clean)]
    for _, heads, logits in patching.patch_each_head(
        decoder, corrupted, [block.attn.z[0] for block in corrupted.blocks]
    ):
        shares = patching.restored_share(patching.metrics(logits[:, 0], 5, 7), *ends)
        torch.testing.assert_close(shares, torch.zeros(len(heads), 2), rtol=0, atol=1e-3)
    all_of_it = decoder.forward_from(clean.blocks[1].resid_pre, 1)
    share = patching.restored_share(patching.metrics(all_of_it[0], 5, 7), *ends)
    torch.testing.assert_close(share, torch.ones(2), rtol=0, atol=1e-3)
    whole = decoder.trace(corrupted.idx, Interventions(edits=(Edit("resid_pre", 0, clean.blocks[0].resid_pre),)))
    assert torch.equal(whole.logits, clean.logits)


def test_patching_before_the_first_difference_restores_nothing(decoder: Decoder, idx: Tensor) -> None:
    one = idx[:1]
    other = one.clone()
    other[0, 9] = (one[0, 9] + 1) % 97
    assert patching.first_difference(one, other) == 9
    runs = decoder.trace(one), decoder.trace(other)
    for _, positions, logits in patching.patch_each_position(decoder, *runs):
        for position, row in zip(positions, logits):
            assert torch.allclose(row, runs[0].logits[0, -1], atol=1e-4) or position >= 9


def test_first_difference_rejects_prompts_that_cannot_be_patched(decoder: Decoder, idx: Tensor) -> None:
    with pytest.raises(ValueError, match="17 tokens, the second 3"):
        patching.first_difference(idx[:1], idx[1:, :3])
    with pytest.raises(ValueError, match="are the same"):
        patching.first_difference(idx[:1], idx[:1])
    with pytest.raises(ValueError, match="nothing to bring back"):
        patching.restored_share(torch.rand(4, 2), torch.tensor([1.0, 0.5]), torch.tensor([2.0, 0.5]))


def test_the_metrics_in_closed_form() -> None:
    logits = torch.tensor([[0.0, math.log(2), math.log(5)]])
    torch.testing.assert_close(patching.metrics(logits, 1, 2), torch.tensor([[math.log(2 / 5), 0.25]]))
    shares = patching.restored_share(torch.tensor([[1.0], [3.0], [-1.0]]), torch.tensor([1.0]), torch.tensor([3.0]))
    assert shares.flatten().tolist() == [0, 1, -1]


def test_sweep_multiply_adds_grow_with_rows_and_width() -> None:
    small, wide = GPT2Config(97, 31, 3, 5, 35), GPT2Config(97, 31, 3, 5, 350)
    assert patching.sweep_multiply_adds(small, 8, 10) == 2 * patching.sweep_multiply_adds(small, 4, 10)
    assert 60 < patching.sweep_multiply_adds(wide, 4, 10) / patching.sweep_multiply_adds(small, 4, 10) < 100
    one = GPT2Config(vocab_size=1, block_size=1, n_layer=1, n_head=1, n_embd=2)
    assert (
        patching.sweep_multiply_adds(one, 1, 1) == 12 * 4 + 2 * 2 + 2
    )  # a block's matrices, scores and mixture, and the logits


def test_without_the_mask_only_the_last_prediction_has_a_loss() -> None:
    """Of 12 guesses 11 are seen: ln 16 / 12 nats. With the mask nothing can be known: ln 16."""
    leaked, honest = (list(mask_leak.train(mask))[-20:] for mask in (False, True))
    mean = {name: sum(step.loss for step in steps) / 20 for name, steps in {"off": leaked, "on": honest}.items()}
    assert mask_leak.LEAKED_LOSS == pytest.approx(math.log(16) / 12) and mean["off"] == pytest.approx(
        mask_leak.LEAKED_LOSS, abs=0.03
    )
    assert mask_leak.HONEST_LOSS == pytest.approx(math.log(16)) and mean["on"] == pytest.approx(
        mask_leak.HONEST_LOSS, abs=0.03
    )
    assert (
        leaked[-1].writing > 1.5 * mask_leak.HONEST_LOSS
    )  # what it learned is of no use where the next word is not there yet
    assert honest[-1].writing == honest[-1].loss
