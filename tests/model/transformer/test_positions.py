"""The schemes of positions against closed forms, and against the code of models that use them."""

import dataclasses
import math

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig
from transformers.models.bloom.modeling_bloom import build_alibi_tensor
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

from model.transformer import position_schemes, positions
from model.transformer.decoder import Decoder
from model.transformer.gpt2 import GPT2, GPT2Config
from model.transformer.intervention import Interventions
from model.transformer.position_schemes import SCHEMES, gpt2_with
from model.transformer.positions import by_distance, first_rise, rotate, sinusoidal

EVEN = GPT2Config(vocab_size=97, block_size=31, n_layer=3, n_head=5, n_embd=40)  # RoPE turns pairs


def far_from_fresh(gpt: Decoder) -> Decoder:
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in gpt.named_parameters():
            if name != "wpe.weight":
                parameter.normal_(std=0.3, generator=generator)
    return gpt.eval().requires_grad_(False)


def test_a_sinusoid_is_that_of_the_formula() -> None:
    waves = sinusoidal(50, 12)
    for p, i in ((0, 0), (3, 4), (49, 11), (17, 7)):
        angle = p / 10_000 ** (i // 2 * 2 / 12)
        assert waves[p, i] == pytest.approx(math.cos(angle) if i % 2 else math.sin(angle), abs=1e-14)


def test_an_odd_width_has_no_sinusoids() -> None:
    with pytest.raises(ValueError, match="5 dimensions do not make pairs"):
        sinusoidal(9, 5)


@pytest.mark.parametrize("C", [16, 64, 512])
def test_sinusoids_are_equally_long_and_turned_by_one_matrix(C: int) -> None:
    waves = sinusoidal(100, C)
    torch.testing.assert_close(waves.norm(dim=-1), torch.full((100,), (C / 2) ** 0.5, dtype=torch.double))
    for k in (1, 7, 40):
        turned = waves[:-k] @ positions.rotation_matrix(k, C).T
        assert (turned - waves[k:]).abs().max() < 5e-14
    assert (waves[:-7] @ positions.rotation_matrix(8, C).T - waves[7:]).abs().max() > 0.1


@pytest.mark.parametrize(("C", "rise", "rises"), [(512, 44, 13), (64, 6, 38), (16, 4, 51)])
def test_dot_products_depend_on_the_distance_alone_and_do_not_only_fall(C: int, rise: int, rises: int) -> None:
    mean, least, most = by_distance(sinusoidal(100, C)).T
    torch.testing.assert_close(least, most)
    closed = [sum(math.cos(n / 10_000 ** (2 * i / C)) for i in range(C // 2)) for n in range(100)]
    torch.testing.assert_close(mean, torch.tensor(closed, dtype=torch.double))
    curve = mean.tolist()
    assert first_rise(curve) == rise
    assert sum(after > before for before, after in zip(curve, curve[1:])) == rises
    if C == 512:
        assert [round(curve[n]) for n in (0, 1, 2, 3, 4, 50, 99)] == [256, 249, 232, 212, 197, 131, 112]


def test_the_first_rise() -> None:
    assert first_rise([3, 2, 2, 1, 4]) == 4
    assert first_rise([3, 2, 1]) is first_rise([1]) is None


def test_the_spread_at_each_distance_is_told() -> None:
    vectors = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    for distance, (mean, least, most) in enumerate(by_distance(vectors).tolist()):
        products = [float(vectors[p] @ vectors[p + distance]) for p in range(7 - distance)]
        assert (mean, least, most) == pytest.approx((sum(products) / len(products), min(products), max(products)))


@pytest.mark.parametrize("base", [10_000, 500])
def test_rope_is_that_of_llama(base: float) -> None:
    q, k = torch.randn(2, 2, 3, 11, 8, generator=torch.Generator().manual_seed(0))
    config = LlamaConfig(
        hidden_size=24, num_attention_heads=3, rope_parameters={"rope_type": "default", "rope_theta": base}
    )
    at = torch.arange(11)
    cos, sin = LlamaRotaryEmbedding(config)(q, at[None])
    for found, expected in zip((rotate(q, at, base), rotate(k, at, base)), apply_rotary_pos_emb(q, k, cos, sin)):
        torch.testing.assert_close(found, expected)


def test_rope_scores_depend_on_the_distance_alone() -> None:
    q, k = torch.randn(2, 1, 64, dtype=torch.double, generator=torch.Generator().manual_seed(0))

    def score(query: int, key: int) -> float:
        return (rotate(q, torch.tensor([query])) @ rotate(k, torch.tensor([key])).T).item()

    near, far, farther = (score(*pair) for pair in ((5, 2), (105, 102), (1005, 1002)))
    assert near == pytest.approx(far, abs=1e-12) and near == pytest.approx(farther, abs=1e-12)
    assert abs(score(5, 3) - near) > 1e-3 and abs(score(2, 5) - near) > 1e-3
    torch.testing.assert_close(rotate(q, torch.tensor([77])).norm(), q.norm())
    assert torch.equal(rotate(q, torch.tensor([0])), q)


def test_an_odd_number_of_dimensions_cannot_be_turned() -> None:
    with pytest.raises(ValueError, match="7 dimensions"):
        rotate(torch.zeros(2, 7), torch.arange(2))


@pytest.mark.parametrize("H", [1, 2, 3, 8, 12, 20])
def test_alibi_is_that_of_bloom(H: int) -> None:
    """Bloom counts from the first token; what it adds in a row differs from ours by a constant."""
    theirs = build_alibi_tensor(torch.ones(1, 9), H, torch.float32).view(H, 1, 9)
    ours = positions.alibi(H, 9)
    for query in range(9):
        row, expected = ours[:, query, : query + 1], theirs[:, 0, : query + 1]
        torch.testing.assert_close(row - row[:, :1], expected - expected[:, :1])
    assert not ours.diagonal(dim1=1, dim2=2).any()


def test_the_slopes_of_8_heads_are_halves_of_halves() -> None:
    assert positions.alibi_slopes(8).tolist() == [2**-n for n in range(1, 9)]


def test_learned_positions_are_those_of_a_gpt() -> None:
    ours, idx = gpt2_with("learned", EVEN), torch.arange(20)[None]
    plain = GPT2(EVEN)
    plain.load_state_dict(far_from_fresh(ours).state_dict())
    assert torch.equal(ours(idx), plain(idx))


def test_the_same_seed_draws_the_same_weights_for_every_scheme() -> None:
    def drawn(scheme: str) -> dict[str, Tensor]:
        torch.manual_seed(3)
        return gpt2_with(scheme, EVEN).state_dict()

    known = drawn("learned")
    for scheme in SCHEMES[1:]:
        found = drawn(scheme)
        assert all(torch.equal(found[name], known[name]) for name in known if name != "wpe.weight")
        assert not torch.equal(found["wpe.weight"], known["wpe.weight"])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_scheme_holds_in_generation_too(scheme: str) -> None:
    gpt, idx = far_from_fresh(gpt2_with(scheme, EVEN)), torch.arange(20)[None]
    cache, found = None, []
    for part in idx.split([6, 1, 13], dim=1):
        logits, cache = gpt.step(part, cache)
        found.append(logits)
    torch.testing.assert_close(torch.cat(found), gpt(idx)[0, [5, 6, 19]], rtol=0, atol=1e-4)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_rope_and_alibi_look_at_distances_the_others_at_places(scheme: str) -> None:
    """The scores of the same tokens, moved five places to the right."""
    gpt = far_from_fresh(gpt2_with(scheme, EVEN))
    idx = torch.arange(12)[None]
    early = gpt.trace(idx).blocks[0].attn.scores
    late = gpt.trace(torch.cat([torch.full((1, 5), 50), idx], dim=1)).blocks[0].attn.scores[..., 5:, 5:]
    same = torch.allclose(early, late, atol=1e-4)
    assert same == (scheme in ("RoPE", "ALiBi", "none"))


def test_a_scheme_that_is_none_of_these_is_refused() -> None:
    with pytest.raises(ValueError, match="no scheme 'rotary'"):
        gpt2_with("rotary", EVEN)


def test_the_first_attention_is_that_of_the_model_in_hand_under_its_own_scheme() -> None:
    torch.manual_seed(0)
    gpt, idx = far_from_fresh(GPT2(EVEN)), torch.arange(20)[None]
    own = gpt.trace(idx).blocks[0].attn
    bare = gpt.trace(idx, Interventions(positions=False)).blocks[0].attn
    found = {scheme: position_schemes.first_attention(gpt, idx, scheme) for scheme in SCHEMES}
    assert torch.equal(found["learned"].scores, own.scores) and torch.equal(found["none"].scores, bare.scores)
    at = torch.arange(20)
    assert torch.equal(found["ALiBi"].q, bare.q) and torch.equal(found["ALiBi"].k, bare.k)
    torch.testing.assert_close(found["RoPE"].q, rotate(bare.q, at))
    torch.testing.assert_close(found["RoPE"].k, rotate(bare.k, at))
    turned = rotate(bare.q, at) @ rotate(bare.k, at).mT / math.sqrt(8)
    torch.testing.assert_close(found["RoPE"].scores, turned)
    torch.testing.assert_close(found["ALiBi"].scores, bare.scores + positions.alibi(5, 20))
    added = sinusoidal(31, 40).float()
    added *= gpt.wpe.weight.norm(dim=-1).mean() / math.sqrt(20)
    ln_1 = gpt.h[0].ln_1(gpt.wte(idx) + added[:20])
    torch.testing.assert_close(found["sinusoidal"].scores, gpt.h[0].attn(ln_1).scores)


def test_nothing_changed_is_the_same_to_the_bit(gpt: Decoder, idx: Tensor) -> None:
    assert torch.equal(gpt.trace(idx, Interventions()).logits, gpt(idx))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Interventions().mask = False


def test_a_dropped_position_is_a_zero_and_a_lifted_mask_shows_the_future(gpt: Decoder, idx: Tensor) -> None:
    bare = gpt.trace(idx, Interventions(positions=False))
    assert not bare.pos_embed.any() and torch.equal(bare.blocks[0].resid_pre, bare.embed)
    assert not bare.blocks[0].attn.pattern.triu(1).any()
    seen = gpt.trace(idx, Interventions(mask=False)).blocks[-1].attn
    torch.testing.assert_close(seen.pattern, seen.scores.softmax(-1))
    assert (seen.pattern.triu(1) > 0).any()


@pytest.mark.parametrize("changes", [Interventions(p, m) for p in (True, False) for m in (True, False)], ids=str)
def test_only_without_positions_and_mask_the_outputs_are_permuted(
    gpt: Decoder, idx: Tensor, changes: Interventions
) -> None:
    places = torch.randperm(17, generator=torch.Generator().manual_seed(0)).tolist()
    one, other, moved = position_schemes.reordered(gpt, idx[0], places, changes)
    for n, place in enumerate(places):
        before, after = one.ln_f[0, place], other.ln_f[0, n]
        assert moved[place] == pytest.approx(((after - before).norm() / before.norm()).item(), abs=1e-6)
    if changes == Interventions(positions=False, mask=False):
        assert moved.max() < 1e-4
        for before, after in zip(one.blocks, other.blocks):
            torch.testing.assert_close(after.attn.pattern, before.attn.pattern[:, :, places][..., places])
        assert not torch.allclose(one.blocks[0].attn.pattern, other.blocks[0].attn.pattern, atol=0.01)
    else:
        assert moved.max() > 0.1


def test_the_places_of_the_same_words_in_another_order() -> None:
    assert position_schemes.order(["dog", "bites", "man"], ["man", "bites", "dog"]) == [2, 1, 0]
    assert position_schemes.order(["a", "b", "a"], ["a", "a", "b"]) == [0, 2, 1]
    assert position_schemes.order([], []) == []
    for other in (["dog"], ["dog", "cat"], ["dog", "dog", "man"], []):
        with pytest.raises(ValueError, match="only one of the two"):
            position_schemes.order(["dog", "man"], other)
