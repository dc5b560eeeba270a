"""Beam search against transformers' `generate`, on the same weights."""

import math
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from model.decoding import beam_search
from model.loading import checkpoint, gpt2_format
from model.loading.folders import BUILT_IN
from model.transformer.decoder import Decoder
from model.transformer.gpt2 import GPT2
from tests.model.loading.test_gpt2_format import random_hugging_face

PROMPTS = [[5], [3, 7, 7, 1], list(range(17))]


@pytest.fixture(scope="module")
def tiny() -> tuple[Any, Decoder]:
    theirs = random_hugging_face()
    return theirs, gpt2_format.from_hugging_face(theirs)


@pytest.fixture(scope="module")
def shipped() -> tuple[Any, Decoder]:
    return AutoModelForCausalLM.from_pretrained(BUILT_IN, dtype=torch.float32).eval(), checkpoint.load(BUILT_IN)


def assert_equal(pair: tuple[Any, Decoder], ids: list[int], width: int, length: int, penalty: float) -> None:
    theirs, ours = pair
    idx = torch.tensor([ids])
    expected = theirs.generate(
        idx,
        attention_mask=torch.ones_like(idx),
        num_beams=width,
        num_return_sequences=width,
        max_new_tokens=length,
        length_penalty=penalty,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
        output_scores=True,
        return_dict_in_generate=True,
    )
    found = beam_search.search(ours, ids, width, length, penalty)
    assert [row for row, _ in found.ranked] == expected.sequences[:, len(ids) :].tolist()
    if width > 1:  # of greedy search transformers has no score
        scores = [score for _, score in found.ranked]
        assert scores == pytest.approx(expected.sequences_scores.tolist(), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("ids", PROMPTS, ids=len)
@pytest.mark.parametrize(
    ("width", "length", "penalty"),
    [(1, 9, 1.0), (2, 1, 1.0), (2, 12, 0.0), (3, 5, 1.0), (5, 12, 2.0), (8, 7, -1.0), (8, 12, 0.5)],
)
def test_beams_equal_those_of_transformers(tiny, ids: list[int], width: int, length: int, penalty: float) -> None:
    assert_equal(tiny, ids, width, length, penalty)


@pytest.mark.parametrize("prompt", ["The capital of France is", "When Anna and Tom went to the shop, Anna gave a", "x"])
@pytest.mark.parametrize(("width", "length", "penalty"), [(1, 12, 1.0), (3, 5, 1.0), (5, 12, 1.0), (8, 12, 0.7)])
def test_beams_equal_those_of_transformers_on_the_shipped_weights(
    shipped, prompt: str, width: int, length: int, penalty: float
) -> None:
    from tokenizers import Tokenizer

    ids = Tokenizer.from_file(str(BUILT_IN / "tokenizer.json")).encode(prompt).ids
    assert_equal(shipped, ids, width, length, penalty)


def test_each_step_keeps_its_most_likely_candidates(decoder: Decoder) -> None:
    """The totals are those of a forward pass over each text, without a cache; nothing likelier was left out."""
    ids, width, length = [4, 1], 3, 6
    found = beam_search.search(decoder, ids, width, length)
    texts, kept = [ids], []
    for step in found.steps:
        assert len(step) == 2 * width
        log_p = decoder(torch.tensor(texts))[:, -1].log_softmax(-1)
        before = [one.total for one in kept] or [0.0]
        everything = (torch.tensor(before)[:, None] + log_p).flatten().sort(descending=True).values
        assert [one.total for one in step] == pytest.approx(everything[: 2 * width].tolist(), abs=1e-4)
        for one in step:
            assert one.log_p == pytest.approx(log_p[one.beam, one.id].item(), abs=1e-4)
            assert one.total == pytest.approx(before[one.beam] + one.log_p, abs=1e-4)
        kept = step[:width]
        texts = [[*texts[one.beam], one.id] for one in kept]
    assert [text[2:] for text in texts] == [row for row, _ in found.ranked]
    assert [one.total / length for one in kept] == pytest.approx([score for _, score in found.ranked])


def test_a_width_of_one_is_greedy_past_the_end_of_the_context_too(decoder: Decoder) -> None:
    ids = list(range(decoder.config.block_size - 3))
    ((found, _),) = beam_search.search(decoder, ids, 1, 12).ranked
    assert found == decoder.generate(torch.tensor([ids]), 12)[0, -12:].tolist()


def test_a_prompt_as_long_as_the_context_and_longer(decoder: Decoder) -> None:
    """Each text is read from its end, as much as the context holds."""
    ids = [*range(40), 3, 7]
    found = beam_search.search(decoder, ids, 3, 4)
    for row, score in found.ranked:
        text, total = [*ids, *row], 0.0
        for at in range(len(ids), len(text)):
            read = torch.tensor([text[:at][-decoder.config.block_size :]])
            total += decoder(read)[0, -1].log_softmax(-1)[text[at]].item()
        assert score == pytest.approx(total / 4, abs=1e-4)


@pytest.mark.parametrize(
    ("width", "length", "said"), [(0, 3, "width is 0"), (9, 3, "1 to 8"), (2, 0, "length is 0"), (2, 13, "1 to 12")]
)
def test_a_width_or_length_out_of_range_is_refused(decoder: Decoder, width: int, length: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        beam_search.search(decoder, [1], width, length)


def test_an_empty_prompt_and_nan_logits_are_rejected(decoder: Decoder) -> None:
    with pytest.raises(ValueError, match="0 tokens"):
        beam_search.search(decoder, [], 2, 2)
    broken = GPT2(decoder.config).eval()
    torch.nn.init.constant_(broken.ln_f.bias, math.nan)
    with pytest.raises(ValueError, match="NaN"):
        beam_search.search(broken, [1], 2, 2)
