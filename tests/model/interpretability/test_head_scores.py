"""The head zoo: scores in closed form, and what the built-in model loses with its heads."""

import pytest
import torch
from tokenizers import Tokenizer

from model.interpretability import attention_pairs, head_scores, patching
from model.loading import checkpoint
from model.loading.folders import BUILT_IN
from model.transformer.decoder import Decoder
from model.transformer.intervention import Interventions


@pytest.fixture(scope="module")
def built_in() -> tuple[Decoder, Tokenizer]:
    return checkpoint.load(BUILT_IN), Tokenizer.from_file(str(BUILT_IN / "tokenizer.json"))


def right(decoder: Decoder, tokenizer: Tokenizer, kind: str, heads: list[head_scores.Head], count: int = 20) -> float:
    """The share of questions that are answered while these heads are cut."""
    instead = patching.zero_replacements(decoder.config)
    said = [
        one
        for batch in head_scores.question_batches(tokenizer, kind, count)
        for one in head_scores.predict(decoder, batch, heads, instead)
    ]
    assert len(said) == count
    return sum(prediction.correct for prediction in said) / count


@pytest.mark.parametrize("kind", head_scores.KINDS)
def test_each_kind_attends_to_the_intended_words(built_in: tuple[Decoder, Tokenizer], kind: str) -> None:
    gpt, tokenizer = built_in
    for text, word in head_scores.texts(kind):
        seen = attention_pairs.trace_text(gpt, tokenizer, text)
        ids = seen.trace.idx[0].tolist()
        pairs = head_scores.KINDS[kind].pairs(seen, word)
        assert pairs and all(0 <= key < query < len(ids) for query, key in pairs)
        if word:
            ((query, key),) = pairs
            assert query == len(ids) - 1
            begun = tokenizer.decode(ids[: key + 1]).split()  # up to the end of the word where it stands first
            assert begun[-1] == word and word not in begun[:-1]
        else:
            assert text.split()[: head_scores.WORDS] == text.split()[head_scores.WORDS :]
    assert len({text for text, _ in head_scores.texts(kind)}) == head_scores.TEXTS == len(head_scores.texts(kind))
    assert head_scores.texts(kind, seed=1) != head_scores.texts(kind)


def test_a_score_is_the_mean_attention_to_the_pairs_of_its_kind(built_in: tuple[Decoder, Tokenizer]) -> None:
    gpt, tokenizer = built_in
    expected = torch.zeros(gpt.config.n_layer, gpt.config.n_head)
    for text, word in head_scores.texts("agreement"):
        ids = tokenizer.encode(text).ids
        at = len(tokenizer.encode(text[: text.index(word) + len(word)]).ids) - 1
        for layer, block in enumerate(gpt.trace(torch.tensor([ids])).blocks):
            expected[layer] += block.attn.pattern[0, :, -1, at] / head_scores.TEXTS
    torch.testing.assert_close(head_scores.scores(gpt, tokenizer, "agreement"), expected, atol=1e-5, rtol=0)


def test_top_heads_come_in_descending_order() -> None:
    scores = torch.tensor([[0.1, 0.9, 0.3], [0.5, 0.2, 0.8]])
    assert head_scores.top_heads(scores, 3) == [(0, 1), (1, 2), (1, 0)]
    assert len(head_scores.top_heads(scores, 99)) == 6


@pytest.mark.parametrize("kind", head_scores.ASKED)
def test_predictions_equal_those_of_a_full_ablated_forward_pass(built_in: tuple[Decoder, Tokenizer], kind: str) -> None:
    gpt, tokenizer = built_in
    heads = [(0, 1), (2, 3)]
    changes = Interventions(edits=patching.ablation_edits(heads, (), patching.zero_replacements(gpt.config)))
    for batch in head_scores.question_batches(tokenizer, kind, 5):
        for said in head_scores.predict(gpt, batch, heads, patching.zero_replacements(gpt.config)):
            shares = gpt.trace(torch.tensor([tokenizer.encode(said.prompt).ids]), changes).logits[0, -1].softmax(-1)
            id = tokenizer.encode(f" {said.answer}").ids[0]
            assert said.token_id == shares.argmax() and said.correct == (said.token_id == id)
            assert said.probability == pytest.approx(shares[id].item(), abs=1e-5)


def test_ablate_each_head_equals_predict_for_each_head(built_in: tuple[Decoder, Tokenizer]) -> None:
    gpt, tokenizer = built_in
    instead = patching.zero_replacements(gpt.config)
    batches = head_scores.question_batches(tokenizer, "indirect object", 4)
    probability, hits = torch.zeros(2, gpt.config.n_layer, gpt.config.n_head)
    for layer, heads, some, right_ones in head_scores.ablate_each_head(gpt, batches, instead):
        probability[layer, heads] += some
        hits[layer, heads] += right_ones
    for head in ((0, 1), (1, 4), (3, 7)):
        said = [one for batch in batches for one in head_scores.predict(gpt, batch, [head], instead)]
        assert probability[head].item() == pytest.approx(sum(one.probability for one in said), abs=1e-4)
        assert hits[head] == sum(prediction.correct for prediction in said)


def test_without_its_induction_heads_the_built_in_model_cannot_copy(built_in: tuple[Decoder, Tokenizer]) -> None:
    """And it still knows the number of a subject: not everything breaks."""
    gpt, tokenizer = built_in
    scores = head_scores.scores(gpt, tokenizer, "induction")
    heads = [
        (layer, head) for layer, head in head_scores.top_heads(scores, scores.numel()) if scores[layer, head] > 0.3
    ]
    assert heads and all(layer > 0 for layer, _ in heads)
    assert right(gpt, tokenizer, head_scores.COPY, []) >= 0.9
    assert right(gpt, tokenizer, head_scores.COPY, heads) <= 0.3
    assert right(gpt, tokenizer, head_scores.AGREEMENT, heads) >= 0.7


@pytest.mark.parametrize(("kind", "least"), [(head_scores.AGREEMENT, 0.1), (head_scores.RECEIVER, 0.3)])
def test_ablating_the_most_important_head_lowers_the_accuracy(
    built_in: tuple[Decoder, Tokenizer], kind: str, least: float
) -> None:
    gpt, tokenizer = built_in
    probability = torch.zeros(gpt.config.n_layer, gpt.config.n_head)
    for layer, heads, some, _ in head_scores.ablate_each_head(
        gpt, head_scores.question_batches(tokenizer, kind, 10), patching.zero_replacements(gpt.config)
    ):
        probability[layer, heads] += some
    worst = head_scores.top_heads(-probability, 1)
    assert right(gpt, tokenizer, kind, []) - right(gpt, tokenizer, kind, worst) >= least
