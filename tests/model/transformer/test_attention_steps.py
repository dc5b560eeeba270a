"""The steps of attention against torch's own functions and module, and the examples against what is told of them."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.interpretability.attribution import written_by_heads
from model.transformer import attention_steps
from model.transformer.decoder import Decoder

GIVEN = {"causal": True, "none": False}
BLOCK, SHIFT = attention_steps.MASKS[2:]


@pytest.mark.parametrize("kind", GIVEN)
@pytest.mark.parametrize("seed", [0, 1])
def test_steps_equal_torchs_attention(kind: str, seed: int) -> None:
    q, k, v = attention_steps.random_example(5, 3, seed)[4:7]
    found = attention_steps.steps(q, k, v, attention_steps.mask(kind, 5, 5), math.sqrt(3))
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=GIVEN[kind])
    torch.testing.assert_close(found.z, expected, atol=1e-15, rtol=0)
    torch.testing.assert_close(found.weights.sum(-1), torch.ones(5, dtype=torch.double))
    torch.testing.assert_close(found.scaled * math.sqrt(3), found.products)


def test_written_example_gives_the_known_numbers() -> None:
    random = np.random.RandomState(42)
    q, k, v = (torch.from_numpy(random.randn(3, 4)) for _ in range(3))
    weights = attention_steps.steps(q, k, v, attention_steps.mask("none", 3, 3), 2).weights
    expected = torch.tensor([[0.393, 0.168, 0.439], [0.231, 0.283, 0.486], [0.225, 0.559, 0.216]])
    assert (weights - expected).abs().max() < 6e-4


def test_masks_block_the_documented_cells() -> None:
    causal = nn.Transformer.generate_square_subsequent_mask(4, dtype=torch.double)
    kept = causal == 0
    assert torch.equal(attention_steps.mask("causal", 4, 4), causal)
    assert torch.equal(attention_steps.mask(BLOCK, 4, 4), -1e9 * kept)
    assert torch.equal(attention_steps.mask(SHIFT, 4, 4), -1e9 * (~kept | torch.eye(4, dtype=torch.bool)))
    assert {attention_steps.mask(kind, 2, 3).shape for kind in attention_steps.MASKS} == {(2, 3)}


def test_wrong_masks_block_the_documented_cells() -> None:
    q, k, v = attention_steps.random_example(4, 3, 0)[4:7]
    bare, inverted, shifted = (
        attention_steps.steps(q, k, v, attention_steps.mask(kind, 4, 4), 1).weights for kind in ("none", BLOCK, SHIFT)
    )
    assert not inverted[:3].tril().any() and torch.allclose(inverted[3], bare[3], atol=1e-6)
    assert not shifted[1:].triu(1).any() and not shifted[1:].diagonal(1).any()
    assert torch.allclose(shifted[0], bare[0], atol=1e-6)  # nothing is left, and the mask is ignored


@pytest.mark.parametrize(("tokens", "width"), [(6, 4), (2, 1)])
def test_small_numbers_are_drawn_with_a_name_for_each_row_and_column(tokens: int, width: int) -> None:
    drawn = [attention_steps.random_example(tokens, width, seed) for seed in range(40)]
    assert {*torch.cat([of.flatten() for one in drawn for of in one[4:7]]).tolist()} == {-2, -1, 0, 1, 2}
    one, again = drawn[3], attention_steps.random_example(tokens, width, 3)
    assert torch.equal(one.q, again.q) and not torch.equal(one.q, one.k) and not torch.equal(one.k, one.v)
    assert one.q.shape == one.k.shape == one.v.shape == (tokens, width)
    assert one.queries == one.keys == attention_steps.WORDS[:tokens] and one.mask == "causal"
    assert one.features == one.contents == ("d0", "d1", "d2", "d3")[:width]
    assert len(set(attention_steps.WORDS)) == 6


def weights_of(example: attention_steps.Example, times: float) -> Tensor:
    mask = attention_steps.mask(example.mask, len(example.q), len(example.k))
    return attention_steps.steps(times * example.q, example.k, example.v, mask, math.sqrt(3)).weights


def test_the_library_holds_what_its_names_and_its_text_say() -> None:
    book = attention_steps.LIBRARY
    asks = {name: {topic for topic, n in zip(book.features, row) if n} for name, row in zip(book.queries, book.q)}
    assert asks == {"cars?": {"cars"}, "food?": {"food"}, "both?": {"cars", "food"}, "nothing": set()}
    spine, inside = (
        {name: columns[of[n].argmax()] for n, name in enumerate(book.keys)}
        for columns, of in ((book.features, book.k), (book.contents, book.v))
    )
    assert spine == {"Wheel": "cars", "Soups": "food", "Monet": "art", "Steam": "food"}
    assert inside == spine | {"Steam": "cars"}
    assert book.mask == "none"


def test_the_library_shares_between_books_that_fit_equally_well() -> None:
    soft, hard = (weights_of(attention_steps.LIBRARY, times) for times in (1, 20))
    assert hard[0, 0] > 0.999999 > 0.7 > soft[0, 0]
    shared = torch.tensor([[0, 1 / 2, 0, 1 / 2], [1 / 3, 1 / 3, 0, 1 / 3], [1 / 4] * 4], dtype=torch.double)
    torch.testing.assert_close(hard[1:], shared, atol=1e-9, rtol=0)
    torch.testing.assert_close(soft[3], shared[2])  # who asks for nothing gets the mean of all


def test_the_contract_holds_what_its_names_and_its_text_say() -> None:
    """Clause 47 must know when, and finds it in clause 3, which says 30 days; the others find themselves."""
    clauses = attention_steps.CONTRACT
    weights = weights_of(clauses, 20)
    found = {name: clauses.keys[row.argmax()] for name, row in zip(clauses.queries, weights)}
    assert found == {"§1": "§1", "§3": "§3", "§12": "§12", "§47": "§3"} and (weights.amax(-1) > 0.999).all()
    needs = {name: clauses.features[row.argmax()] for name, row in zip(clauses.queries, clauses.q)}
    assert needs == {"§1": "who", "§3": "when", "§12": "cost", "§47": "when"}
    says = {name: clauses.contents[row.argmax()] for name, row in zip(clauses.keys, clauses.v)}
    assert says == {"§1": "names", "§3": "days", "§12": "euro", "§47": "euro"}
    assert dict(zip(clauses.contents, (weights @ clauses.v)[3].tolist())) == pytest.approx(
        {"names": 0, "days": 30, "euro": 0}, abs=0.01
    )
    assert weights_of(clauses, 1)[0].tolist() == [1, 0, 0, 0]  # the first sees none of those after it


def odds(*asked: float) -> float:
    weight = attention_steps.answer_weight(*asked)
    return weight / (1 - weight)


def test_a_contract_has_no_penalty_for_distance_and_one_for_length() -> None:
    weights = [attention_steps.answer_weight(100, n) for n in (1, 10, 46, 99)]
    assert weights == pytest.approx([weights[0]] * 4, rel=1e-12) and 0.15 < weights[0] < 0.35
    taken = [attention_steps.answer_weight(100, n, penalty=1 / 8) for n in (1, 10, 46, 99)]
    assert taken == sorted(taken, reverse=True) and taken[-1] < 1e-3 * taken[0]
    lengths = [
        np.median([attention_steps.answer_weight(n, n - 1, seed=seed) for seed in range(9)])
        for n in (10, 100, 1000, 10_000)
    ]
    fit = math.exp(4)
    expected = [fit / (fit + (n - 1) * math.exp(0.5)) for n in (10, 100, 1000, 10_000)]  # of normal scores
    assert lengths == pytest.approx(expected, rel=0.25)


def test_the_odds_of_a_clause_follow_its_score_and_its_distance() -> None:
    assert odds(100, 40, 6) / odds(100, 40, 4) == pytest.approx(math.exp(2))
    # of two clauses the one that fits is taken off a step, or the other one is
    assert odds(2, 1, 4, 0.5) / odds(2, 1, 4) == pytest.approx(math.exp(-0.5))
    assert odds(2, 0, 4, 0.5) / odds(2, 0, 4) == pytest.approx(math.exp(0.5))
    others = [4 - math.log(odds(2, 0, 4, 0, seed)) for seed in range(400)]
    assert np.var(others) == pytest.approx(1, rel=0.2) and len({*others}) == 400  # 64 products of variance 1, over √64


def test_heads_and_bias_add_up_and_torch_has_a_module_that_does_the_same(gpt: Decoder, idx: Tensor) -> None:
    trace = gpt.trace(idx)
    for layer in range(3):
        attention, block = gpt.h[layer].attn, trace.blocks[layer]
        heads = written_by_heads(gpt, trace, 9, [(layer, head) for head in range(5)])
        assert torch.allclose(heads.sum(0) + attention.c_proj.bias, block.attn.out[0, 9], atol=1e-5)
        assert attention_steps.module_difference(attention, gpt.h[layer].ln_1(block.resid_pre)) < 1e-5


def test_module_difference_detects_other_outputs_and_other_weights(
    gpt: Decoder, idx: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    attention, x = copy.deepcopy(gpt.h[2].attn), gpt.h[2].ln_1(gpt.trace(idx).blocks[2].resid_pre)
    value = slice(2 * 35, None)
    attention.c_attn.weight[value] = 0  # all values are alike: what is put out does not tell where it looks
    for part in (value, slice(0, 35)):  # another value; another query
        wrong = attention_steps.as_module(copy.deepcopy(attention))
        with torch.no_grad():
            wrong.in_proj_weight[part] += 0.5 * torch.eye(35)
        monkeypatch.setattr(attention_steps, "as_module", lambda _: wrong)
        assert attention_steps.module_difference(attention, x) > 1e-3
        monkeypatch.undo()
    assert attention_steps.module_difference(attention, x) < 1e-5


def test_the_module_shares_the_weights_of_ours_and_draws_none(gpt: Decoder) -> None:
    attention, state = gpt.h[1].attn, torch.get_rng_state()
    shared = attention_steps.as_module(attention).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    for theirs, ours in zip(
        ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"), attention.parameters(), strict=True
    ):
        assert shared[theirs].data_ptr() == ours.data_ptr() and not ours.requires_grad


def test_in_double_precision_the_module_is_equal_to_the_last_digits(gpt: Decoder, idx: Tensor) -> None:
    attention, x = copy.deepcopy(gpt.h[1].attn).double(), gpt.h[1].ln_1(gpt.trace(idx).blocks[1].resid_pre).double()
    assert attention_steps.module_difference(attention, x) < 1e-12


def test_steps_of_a_head_are_those_of_the_record(decoder: Decoder, idx: Tensor) -> None:
    attention, length = decoder.trace(idx).blocks[1].attn, idx.size(1)
    for head in range(decoder.config.n_head):
        steps = attention_steps.head_steps(attention, head, slice(length - 5, length), slice(length))
        torch.testing.assert_close(steps.scaled.float(), attention.scores[0, head, -5:], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(steps.weights.float(), attention.pattern[0, head, -5:], atol=1e-5, rtol=0)
        torch.testing.assert_close(steps.z.float(), attention.z[0, head, -5:], atol=1e-4, rtol=1e-4)
        assert steps.z.dtype == torch.double


def test_weights_of_the_answer_are_those_at_each_distance() -> None:
    weights = attention_steps.answer_weights(12, 3.0, 1 / 8)
    assert len(weights) == 11
    assert weights[4] == attention_steps.answer_weight(12, 5, 3.0, 1 / 8) and weights[0] > weights[10]
