"""What is known of heads: the measures in closed form, and the claims on the models that are here."""

from types import SimpleNamespace

import pytest
import torch
from tokenizers import Tokenizer

from model.interpretability import attention_pairs, attribution, published_heads
from model.interpretability.published_heads import CLAIMS, GPT2_SMALL, Claim, Measurement
from model.loading import checkpoint
from model.loading.folders import BUILT_IN
from model.training import evaluation
from model.transformer.decoder import Decoder
from model.transformer.gpt2 import GPT2

SEED = 1  # of random tokens, none of which is drawn twice
BY_NAME = {claim.name: claim for claim in CLAIMS}


@pytest.fixture(scope="module")
def built_in() -> tuple[Decoder, Tokenizer]:
    return checkpoint.load(BUILT_IN), Tokenizer.from_file(str(BUILT_IN / "tokenizer.json"))


def traced(pattern: torch.Tensor) -> SimpleNamespace:
    """A trace of one layer, whose heads have these patterns (H, T, T)."""
    return SimpleNamespace(patterns=pattern[None])


def uniform(count: int) -> torch.Tensor:
    return torch.ones(count, count).tril() / torch.arange(1, count + 1)[:, None]


def test_mean_attention_of_a_perfect_head_is_1_and_of_a_uniform_head_its_closed_form() -> None:
    ids = [7, 1, 2, 3, 1, 2, 3]
    count = len(ids)
    perfect = torch.zeros(4, count, count)
    for head, pairs in enumerate(
        (
            attention_pairs.previous_token_pairs,
            attention_pairs.first_token_pairs,
            attention_pairs.duplicate_token_pairs,
            attention_pairs.induction_pairs,
        )
    ):
        for query, key in pairs(ids):
            perfect[head, query, key] = 1
        scores = attention_pairs.mean_attention(traced(torch.stack([perfect[head], uniform(count)])), pairs(ids))
        assert scores.shape == (1, 2) and scores[0, 0] == 1
        even = sum(1 / (query + 1) for query, _ in pairs(ids)) / len(pairs(ids))
        assert scores[0, 1].item() == pytest.approx(even, abs=1e-6)
    assert attention_pairs.mean_attention(traced(perfect), attention_pairs.previous_token_pairs(ids))[
        0
    ].tolist() == pytest.approx([1, 0, 0, 1 / 6 * 0])


def test_pairs_of_each_kind_on_written_ids() -> None:
    assert attention_pairs.previous_token_pairs([5, 5, 6]) == [(1, 0), (2, 1)]
    assert attention_pairs.first_token_pairs([5, 5, 6, 7]) == [(2, 0), (3, 0)]
    assert attention_pairs.duplicate_token_pairs([1, 2, 1, 3, 1]) == [(2, 0), (4, 2)]
    assert attention_pairs.induction_pairs([1, 2, 1, 3, 1]) == [(2, 1), (4, 3)]
    assert attention_pairs.induction_pairs([1, 1, 2]) == []  # what came after it is itself
    assert (
        attention_pairs.previous_token_pairs([1])
        == attention_pairs.first_token_pairs([1, 2])
        == attention_pairs.duplicate_token_pairs([1, 2])
        == []
    )


def test_mean_attention_equals_the_repeated_token_scores_of_evaluation(built_in: tuple[Decoder, Tokenizer]) -> None:
    gpt, tokenizer = built_in
    scores = evaluation.repeated_token_scores(gpt, tokenizer, seed=SEED, length=25)
    once = torch.randint(tokenizer.get_vocab_size(), (8, 25), generator=torch.Generator().manual_seed(SEED))
    ids = torch.cat([once, once], dim=1)
    assert all(len(set(row.tolist())) == 25 for row in once)  # else a token stands there more often than twice
    for kind, pairs in (
        ("previous-token head", attention_pairs.previous_token_pairs),
        ("induction head", attention_pairs.induction_pairs),
    ):
        found = torch.stack(
            [attention_pairs.mean_attention(gpt.trace(row[None]), pairs(row.tolist())) for row in ids]
        ).mean(0)
        expected = torch.tensor([score for _, _, score in scores[kind]]).view_as(found)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_the_first_token_of_the_built_in_model(built_in: tuple[Decoder, Tokenizer]) -> None:
    gpt, tokenizer = built_in
    seen = attention_pairs.trace_text(gpt, tokenizer, published_heads.STORY)
    patterns = torch.stack([block.attn.pattern[0] for block in seen.trace.blocks])
    found = BY_NAME["First token"].measure(seen)
    torch.testing.assert_close(found.heads, patterns[:, :, 2:, 0].mean(-1))
    assert BY_NAME["First token"].value(found, gpt.config) == pytest.approx(patterns[:, :, 2:, 0].mean().item())


def test_head_attributions_and_the_rest_sum_to_the_logit_difference(decoder: Decoder, idx: torch.Tensor) -> None:
    trace = decoder.trace(idx[:1])
    seen = attention_pairs.TracedText(decoder, None, "", trace)
    toward, against = 11, 42
    heads = published_heads.head_attribution(seen, toward, against)
    assert heads.shape == (decoder.config.n_layer, decoder.config.n_head)
    last = trace.blocks[-1].resid_post[0, -1]
    direction = decoder.W_U[toward] - decoder.W_U[against]
    others = trace.embed[0, -1] + (0 if trace.pos_embed is None else trace.pos_embed[-1])
    others = others + sum(block.b_O for block in decoder.blocks) + sum(b.mlp_out[0, -1] for b in trace.blocks)
    variance = last.square().mean() if decoder.W_pos is None else last.var(unbiased=False)
    centered = others if decoder.W_pos is None else others - others.mean()
    scale = (variance + decoder.config.layer_norm_epsilon).sqrt()
    rest = (centered / scale * decoder.ln_f.weight + decoder.ln_f.bias) @ direction
    logits = trace.logits[0, -1]
    assert (heads.sum() + rest).item() == pytest.approx((logits[toward] - logits[against]).item(), abs=1e-3)
    torch.testing.assert_close(published_heads.head_attribution(seen, against, toward), -heads)


def test_find_names_returns_ids_and_positions(built_in: tuple[Decoder, Tokenizer]) -> None:
    gpt, tokenizer = built_in
    found = published_heads.find_names(attention_pairs.trace_text(gpt, tokenizer, published_heads.TWO_NAMES))
    tokens = tokenizer.encode(published_heads.TWO_NAMES).tokens
    assert (tokenizer.id_to_token(found.indirect_object), tokenizer.id_to_token(found.subject)) == ("ĠMary", "ĠJohn")
    assert (found.indirect_object_position, found.second_subject_position) == (
        tokens.index("ĠMary"),
        len(tokens) - 1 - tokens[::-1].index("ĠJohn"),
    )


@pytest.mark.parametrize(
    "text", ["Mary gave it to", "When Mary and John went", "When Mary, John and Anna met Mary", "x", "A B A B C A B C"]
)
def test_find_names_rejects_a_text_without_two_such_names(built_in: tuple[Decoder, Tokenizer], text: str) -> None:
    with pytest.raises(ValueError, match="two names"):
        published_heads.find_names(attention_pairs.trace_text(*built_in, text))


@pytest.mark.parametrize(("text", "said"), [("", "^it is empty$"), (" cat" * 500, "it has .* reads 128 at most")])
def test_trace_text_rejects_an_empty_or_too_long_text(
    built_in: tuple[Decoder, Tokenizer], text: str, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        attention_pairs.trace_text(*built_in, text)


@pytest.mark.parametrize("text", ["The war", "From 1732 to 18", "1732 17 x", "In 1732 to 17 "])
def test_greater_than_rejects_a_text_without_such_years(built_in: tuple[Decoder, Tokenizer], text: str) -> None:
    with pytest.raises(ValueError, match="a year of four digits"):
        published_heads.greater_than(attention_pairs.trace_text(*built_in, text))


@pytest.mark.parametrize("name", ["Duplicate token", "Induction", "First token", "Previous token"])
def test_a_claim_rejects_a_text_without_such_pairs(built_in: tuple[Decoder, Tokenizer], name: str) -> None:
    with pytest.raises(ValueError, match="token"):
        BY_NAME[name].measure(attention_pairs.trace_text(*built_in, " cat"))


def test_two_digit_probabilities_are_products_of_next_token_probabilities(built_in: tuple[Decoder, Tokenizer]) -> None:
    """Digit by digit, through the cache of `step`."""
    gpt, tokenizer = built_in
    seen = attention_pairs.trace_text(gpt, tokenizer, published_heads.YEARS)
    likely = published_heads.two_digit_probabilities(seen)
    for number in (0, 7, 33, 99):
        read, expected = seen.trace.idx, 1.0
        for id in tokenizer.encode(f"{number:02d}").ids:
            logits, _ = gpt.step(read)
            expected *= logits[0].softmax(-1)[id].item()
            read = torch.cat([read, torch.tensor([[id]])], dim=1)
        assert likely[number].item() == pytest.approx(expected, rel=1e-3)
    assert 0 < likely.sum() <= 1
    found = published_heads.greater_than(seen)
    assert found.output == pytest.approx((likely[33:].sum() - likely[:33].sum()).item())
    pattern = seen.trace.blocks[0].attn.pattern[0]
    torch.testing.assert_close(
        found.heads[0], pattern[:, -1, tokenizer.encode(published_heads.YEARS).tokens.index("2")]
    )


@pytest.mark.parametrize("name", ["Mary", "John"])
def test_indirect_object_measure_is_the_logit_difference(built_in: tuple[Decoder, Tokenizer], name: str) -> None:
    gpt, tokenizer = built_in
    text = published_heads.TWO_NAMES.replace("John gave", f"{name} gave")
    seen = attention_pairs.trace_text(gpt, tokenizer, text)
    mary, john = (seen.trace.logits[0, -1, tokenizer.encode(f" {who}").ids[0]].item() for who in ("Mary", "John"))
    expected = john - mary if name == "Mary" else mary - john
    assert BY_NAME["Indirect object"].measure(seen).output == pytest.approx(expected)
    found = published_heads.find_names(seen)
    looks = [
        attribution.attribute_source(gpt, seen.trace, -1, at, found.subject, found.indirect_object)
        for at in range(len(seen.trace.idx[0]))
    ]
    added = BY_NAME["Indirect object"].measure(seen).heads
    torch.testing.assert_close(sum(looks), -added, rtol=1e-4, atol=1e-5)  # what all looks take off is what is written
    torch.testing.assert_close(
        BY_NAME["Negative name mover"].measure(seen).heads, looks[found.indirect_object_position]
    )


def test_value_of_a_claim_for_gpt2_small_and_for_another_model() -> None:
    heads = torch.rand(12, 12)
    claim, other = BY_NAME["Previous token"], torch.tensor([[0.1, 0.9], [0.2, 0.3]])
    assert claim.value(Measurement(heads), GPT2_SMALL) == pytest.approx((heads[2, 2] + heads[4, 11]).item() / 2)
    assert claim.value(Measurement(other), checkpoint.load(BUILT_IN).config) == pytest.approx(0.9)
    assert BY_NAME["First token"].value(Measurement(heads), GPT2_SMALL) == pytest.approx(heads.mean().item())
    assert claim.value(Measurement(heads, -3.0), GPT2_SMALL) == -3


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_a_claim_names_its_papers(claim: Claim) -> None:
    assert claim.papers and all(len(paper.arxiv) == 10 for paper in claim.papers)
    assert all(0 <= layer < 12 and 0 <= head < 12 for layer, head in claim.heads)


def test_what_the_built_in_model_learned_and_what_it_did_not(built_in: tuple[Decoder, Tokenizer]) -> None:
    gpt, tokenizer = built_in
    holds = {
        claim.name: claim.value(claim.measure(attention_pairs.trace_text(gpt, tokenizer, claim.text)), gpt.config)
        >= claim.threshold
        for claim in CLAIMS
    }
    assert holds["Previous token"] and holds["Induction"] and holds["Indirect object"]
    assert not holds["Greater than"]  # its world has no such years


def test_no_attention_claim_holds_for_an_untrained_model(decoder: Decoder, built_in: tuple[Decoder, Tokenizer]) -> None:
    torch.manual_seed(0)
    untrained = GPT2(built_in[0].config).eval().requires_grad_(False)
    for claim in CLAIMS:
        found = claim.measure(attention_pairs.trace_text(untrained, built_in[1], claim.text))
        assert claim.value(found, untrained.config) < claim.threshold, claim.name


@pytest.mark.weights
@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_a_claim_holds_in_gpt2(gpt2_small: tuple[Decoder, Tokenizer], claim: Claim) -> None:
    gpt, tokenizer = gpt2_small
    found = claim.measure(attention_pairs.trace_text(gpt, tokenizer, claim.text))
    assert claim.value(found, gpt.config) >= claim.threshold
