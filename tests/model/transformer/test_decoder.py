"""Both families against identities: what must hold whatever the weights are."""

import dataclasses
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, get_args, get_origin, get_type_hints

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from model.decoding.generate import generate
from model.transformer.decoder import Decoder
from model.transformer.gpt2 import GPT2, GPT2Config
from model.transformer.intervention import SITES, Edit, Interventions
from model.transformer.record import Trace


def annotated(record: object) -> list[tuple[str, Tensor, str]]:
    """Each tensor of a record and of the records in it, with its name and its shape in letters."""
    found = []
    hints = get_type_hints(type(record), include_extras=True)
    for name, given in vars(type(record)).items():
        if isinstance(given, property):
            hints[name] = get_type_hints(given.fget, include_extras=True)["return"]
    for name, hint in hints.items():
        value = getattr(record, name)
        if isinstance(value, Tensor):
            annotation = next(part for part in (hint, *get_args(hint)) if get_origin(part) is Annotated)
            found.append((name, value, get_args(annotation)[1]))
        else:
            for part in value if isinstance(value, tuple) else [value]:
                found += annotated(part) if dataclasses.is_dataclass(part) else []
    return found


def test_every_shape_is_as_annotated(decoder: Decoder, idx: Tensor) -> None:
    config = decoder.config
    sizes = {"B": 2, "T": 17, "C": config.n_embd, "M": config.n_hidden, "H": config.n_head, "D": config.head_size}
    sizes |= {"V": 97, "L": 3}
    assert len(set(sizes.values())) == len(sizes)
    sizes |= {"G": config.n_kv_head}
    found = annotated(decoder.trace(idx))
    gpt2 = decoder.W_pos is not None  # it has position vectors, a Llama a second factor in its MLP
    assert len(found) == 5 + gpt2 + config.n_layer * (6 + (not gpt2) + 9)
    for name, value, letters in found:
        assert tuple(value.shape) == tuple(sizes[letter] for letter in letters.split()), name


def test_initial_weights_have_the_standard_deviations_of_gpt2() -> None:
    """0.02, and 0.02 / sqrt(2 L) for the matrices that write into the residual stream of L layers."""
    torch.manual_seed(0)
    fresh = GPT2(GPT2Config(vocab_size=300, block_size=200, n_layer=3, n_head=5, n_embd=160))
    for name, parameter in fresh.named_parameters():
        if parameter.dim() == 2:
            expected = 0.02 / math.sqrt(2 * 3) if name.endswith("c_proj.weight") else 0.02
            assert parameter.std().item() == pytest.approx(expected, rel=0.03), name
            assert abs(parameter.mean().item()) < 0.02 * expected, name
        else:
            assert torch.equal(parameter, torch.full_like(parameter, float(name.endswith("weight")))), name


def test_the_record_cannot_be_changed(decoder: Decoder, idx: Tensor) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        decoder.trace(idx).logits = None


@pytest.mark.parametrize("tokens", [1, 17])
def test_what_a_trace_keeps_is_known_before(decoder: Decoder, idx: Tensor, tokens: int) -> None:
    trace = decoder.trace(idx[:1, :tokens])
    records = [trace, *trace.blocks, *(block.attn for block in trace.blocks)]
    kept = {
        value.data_ptr(): value for record in records for value in vars(record).values() if hasattr(value, "nbytes")
    }
    own = [value for value in kept.values() if value.is_floating_point() and value is not trace.pos_embed]
    assert sum(value.nbytes for value in own) == decoder.config.trace_bytes(tokens)


def test_trace_is_forward_to_the_bit(decoder: Decoder, idx: Tensor) -> None:
    assert torch.equal(decoder.trace(idx).logits, decoder(idx))


def test_patterns_are_causal_and_sum_to_one(decoder: Decoder, idx: Tensor) -> None:
    for block in decoder.trace(idx).blocks:
        pattern = block.attn.pattern
        assert not pattern.triu(1).any()
        torch.testing.assert_close(pattern.sum(-1), torch.ones(pattern.shape[:-1]))


def test_the_residual_stream_adds_up(decoder: Decoder, idx: Tensor) -> None:
    trace = decoder.trace(idx)
    stream = trace.embed if trace.pos_embed is None else trace.embed + trace.pos_embed
    for block in trace.blocks:
        assert torch.equal(block.resid_pre, stream)
        assert torch.equal(block.resid_mid, block.resid_pre + block.attn.out)
        assert torch.equal(block.resid_post, block.resid_mid + block.mlp_out)
        stream = block.resid_post
    assert torch.equal(trace.ln_f, decoder.ln_f(stream))
    assert torch.equal(trace.logits, trace.ln_f @ decoder.W_U.T)


def test_the_mlp_reads_the_stream_and_writes_to_it(decoder: Decoder, idx: Tensor) -> None:
    for module, block in zip(decoder.h, decoder.trace(idx).blocks):
        x, mlp = module.ln_2(block.resid_mid), module.mlp
        if decoder.W_pos is not None:
            assert torch.equal(block.mlp_pre, mlp.c_fc(x)) and block.mlp_up is None
            assert torch.equal(block.mlp_post, F.gelu(block.mlp_pre, approximate="tanh"))
        else:
            assert torch.equal(block.mlp_pre, mlp.gate_proj(x)) and torch.equal(block.mlp_up, mlp.up_proj(x))
            assert torch.equal(block.mlp_post, F.silu(block.mlp_pre) * block.mlp_up)
        assert torch.equal(block.mlp_out, mlp.output(block.mlp_post))


def test_attention_equals_torch(decoder: Decoder, idx: Tensor) -> None:
    for block in decoder.trace(idx).blocks:
        attn = block.attn
        keys = attn.k.repeat_interleave(attn.q.size(1) // attn.k.size(1), dim=1)
        torch.testing.assert_close(
            attn.z, F.scaled_dot_product_attention(attn.q, attn.k, attn.v, is_causal=True, enable_gqa=True)
        )
        torch.testing.assert_close(attn.scores, attn.q @ keys.mT / math.sqrt(decoder.config.head_size))


def test_a_later_token_changes_no_earlier_logits(decoder: Decoder, idx: Tensor) -> None:
    edited = idx.clone()
    edited[:, 11] = (edited[:, 11] + 1) % 97
    before, after = decoder(idx), decoder(edited)
    assert torch.equal(before[:, :11], after[:, :11])
    assert not torch.allclose(before[:, 11:], after[:, 11:])


@pytest.mark.parametrize("parts", [[17], [1] * 17, [5, 1, 11]])
def test_with_and_without_the_cache(decoder: Decoder, idx: Tensor, parts: list[int]) -> None:
    cache, whole, read = None, decoder(idx), 0
    for part in idx.split(parts, dim=1):
        logits, cache = decoder.step(part, cache)
        read += part.size(1)
        torch.testing.assert_close(logits, whole[:, read - 1], rtol=0, atol=1e-5)
    assert cache[0][0].shape == (2, decoder.config.n_kv_head, 17, decoder.config.head_size)


def test_greedy_generation_is_argmax_of_forward_past_the_context_too(decoder: Decoder, idx: Tensor) -> None:
    expected = idx
    for _ in range(20):
        expected = torch.cat([expected, decoder(expected[:, -31:])[:, -1:].argmax(-1)], dim=1)
    assert expected.size(1) > decoder.config.block_size
    assert torch.equal(decoder.generate(idx, 20), expected)


def test_drawn_tokens_follow_the_probabilities(decoder: Decoder, idx: Tensor) -> None:
    draws = generate(decoder, idx[:1].expand(4000, -1), 1, generator=torch.Generator().manual_seed(2))[:, -1]
    probabilities = decoder(idx[:1])[0, -1].softmax(-1)
    shares = torch.bincount(draws, minlength=97) / 4000
    deviation = (probabilities * (1 - probabilities) / 4000).sqrt()
    assert ((shares - probabilities).abs() < 5 * deviation + 1e-3).all()
    assert set(generate(decoder, idx[:1].expand(500, -1), 1, top_k=3)[:, -1].tolist()) <= set(
        probabilities.topk(3).indices.tolist()
    )


def test_a_generator_makes_the_same_draws_again(decoder: Decoder, idx: Tensor) -> None:
    once, again = (generate(decoder, idx, 9, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(once, again)


@pytest.mark.parametrize("temperature", [1e-40, 1e-3])
def test_the_coldest_draw_is_the_greedy_one(decoder: Decoder, idx: Tensor, temperature: float) -> None:
    assert torch.equal(generate(decoder, idx, 5, temperature), decoder.generate(idx, 5))


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1}, {"temperature": math.nan}, {"temperature": math.inf}, {"top_k": 0}]
)
def test_generate_refuses_what_it_cannot_do(decoder: Decoder, idx: Tensor, wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)).replace("_", "-")):
        generate(decoder, idx, 1, **wrong)


@pytest.mark.parametrize("tokens", [0, 32])
def test_too_few_and_too_many_tokens_are_refused(decoder: Decoder, tokens: int) -> None:
    for call in (decoder, decoder.trace, decoder.step):
        with pytest.raises(ValueError, match="1 to 31"):
            call(torch.zeros(1, tokens, dtype=torch.long))


@pytest.mark.parametrize("wrong", [{"n_head": 4, "n_embd": 42}, {"n_layer": 0}, {"vocab_size": -1}])
def test_sizes_that_make_no_gpt_are_refused(decoder: Decoder, wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        dataclasses.replace(decoder.config, **wrong)


def test_the_first_loss_is_that_of_a_guess() -> None:
    torch.manual_seed(4)
    fresh = GPT2(GPT2Config(vocab_size=3072, block_size=128, n_layer=4, n_head=6, n_embd=192))
    idx = torch.randint(3072, (4, 129))
    loss = F.cross_entropy(fresh(idx[:, :-1]).flatten(0, 1), idx[:, 1:].flatten())
    assert abs(loss.item() - math.log(3072)) < 0.1


def test_the_parameters_are_those_of_gpt_2_small() -> None:
    with torch.device("meta"):
        small = GPT2(GPT2Config(vocab_size=50257, block_size=1024, n_layer=12, n_head=12, n_embd=768))
    assert sum(parameter.numel() for parameter in small.parameters()) == 124_439_808


def test_three_threads_on_one_model_get_their_own_answers(decoder: Decoder) -> None:
    prompts = [torch.randint(97, (1, 5 + n % 20), generator=torch.Generator().manual_seed(n)) for n in range(30)]
    alone = [decoder.trace(prompt) for prompt in prompts]

    def right(n: int) -> bool:
        found: Trace = decoder.trace(prompts[n % 30])
        expected = annotated(alone[n % 30])
        return all(torch.equal(value, known) for (_, value, _), (_, known, _) in zip(annotated(found), expected))

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(right, range(900))) == 900


def value(trace: Trace, site: str, layer: int) -> Tensor:
    block = trace.blocks[layer]
    return getattr(block.attn if hasattr(block.attn, site) else block, site)


def test_a_site_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="site is 'resid_post'; it must be one of resid_pre, q"):
        Edit("resid_post", 0, 0.0)


@pytest.mark.parametrize("site", SITES)
def test_a_value_put_in_its_own_place_changes_nothing(decoder: Decoder, idx: Tensor, site: str) -> None:
    plain = decoder.trace(idx)
    for layer in range(3):
        same = decoder.trace(idx, Interventions(edits=(Edit(site, layer, value(plain, site, layer)),)))
        torch.testing.assert_close(same.logits, plain.logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize(("head", "position"), [(None, None), (1, None), (None, 11), (1, 11)])
def test_an_edit_is_recorded_where_it_was_made_and_changes_what_comes_after(
    decoder: Decoder, idx: Tensor, site: str, head: int | None, position: int | None
) -> None:
    plain = decoder.trace(idx)
    edited = decoder.trace(idx, Interventions(edits=(Edit(site, 1, 0.25, head, position),)))
    before, after = value(plain, site, 1), value(edited, site, 1)
    where = torch.zeros_like(before, dtype=torch.bool)
    at = slice(None) if position is None else position
    where[(slice(None), slice(None) if head is None else head, at) if before.dim() == 4 else (slice(None), at)] = True
    assert (after[where] == 0.25).all() and torch.equal(after[~where], before[~where])
    assert torch.equal(edited.blocks[0].resid_post, plain.blocks[0].resid_post)
    if position is not None:  # no token sees those after it
        assert torch.equal(edited.logits[:, :11], plain.logits[:, :11])
    assert not torch.allclose(edited.logits[:, 11:], plain.logits[:, 11:])


def test_another_streams_place_taken_is_the_other_run(decoder: Decoder, idx: Tensor) -> None:
    one, other = decoder.trace(idx[:1]), decoder.trace(idx[1:])
    for layer in range(3):
        patched = decoder.trace(
            idx[:1], Interventions(edits=(Edit("resid_pre", layer, other.blocks[layer].resid_pre),))
        )
        assert torch.equal(patched.logits, other.logits) and not torch.equal(one.logits, other.logits)


def test_a_head_without_output_is_its_columns_of_the_output_matrix_left_out(decoder: Decoder, idx: Tensor) -> None:
    off = decoder.trace(idx, Interventions(edits=(Edit("z", 2, 0.0, head=3),)))
    plain, size = decoder.trace(idx).blocks[2], decoder.config.head_size
    lost = plain.attn.z[:, 3] @ decoder.h[2].attn.output.weight[:, 3 * size : 4 * size].T
    torch.testing.assert_close(off.blocks[2].attn.out, plain.attn.out - lost, rtol=0, atol=1e-4)


def test_without_the_residual_stream_each_layer_replaces_it(decoder: Decoder, idx: Tensor) -> None:
    trace = decoder.trace(idx, Interventions(residual=False))
    stream = trace.embed if trace.pos_embed is None else trace.embed + trace.pos_embed
    for block in trace.blocks:
        assert torch.equal(block.resid_pre, stream)
        assert torch.equal(block.resid_mid, block.attn.out) and torch.equal(block.resid_post, block.mlp_out)
        stream = block.resid_post
    assert torch.equal(trace.ln_f, decoder.ln_f(stream))


@pytest.mark.parametrize("layer", [0, 1, 2, 3])
def test_from_a_layer_onward(decoder: Decoder, idx: Tensor, layer: int) -> None:
    trace = decoder.trace(idx)
    stream = trace.blocks[layer].resid_pre if layer < 3 else trace.blocks[2].resid_post
    torch.testing.assert_close(decoder.forward_from(stream, layer), trace.logits[:, -1], rtol=0, atol=1e-5)


def test_the_short_pass_with_changes_is_the_recorded_one(decoder: Decoder, idx: Tensor) -> None:
    for changes in (
        Interventions(positions=False),
        Interventions(mask=False),
        Interventions(edits=(Edit("z", 1, 0.0, head=2),)),
    ):
        assert torch.equal(decoder(idx, changes), decoder.trace(idx, changes).logits)
        assert not torch.allclose(decoder(idx, changes), decoder(idx))
