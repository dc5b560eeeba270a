"""Tokens: any text goes through and back, and each token is shown for what it is."""

import pytest
from tokenizers import pre_tokenizers

from model.tokens import _byte_of, is_text, pieces, token_bytes, train_bpe
from viz.tokens import visible

TEXTS = [
    "The cat sat on the mat.",
    "  two  spaces, a tab\tand a line\nbreak ",
    "naïve café, Straße, Ελλάδα, Россия, 日本語, हिन्दी",
    "שלום עולם ‏مرحبا بالعالم",
    "👩‍👩‍👧‍👦 👋🏽 🇺🇦 e\u0301",
    "\x00\x01\x1b[31m\x7f\u200b\ufeff",
    "</script><img src=x onerror=alert(1)>",
    "<|endoftext|> 1234567 != 12.34",
]


@pytest.fixture(scope="module")
def tokenizer():
    return train_bpe(["the cat sat on the mat because the cat was tired"] * 9, vocab_size=300)


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_goes_through_and_back(tokenizer, text: str) -> None:
    ids = tokenizer.encode(text).ids
    assert tokenizer.decode(ids) == text
    assert b"".join(token_bytes(tokenizer, id) for id in ids) == text.encode()


def test_the_byte_alphabet_is_the_librarys() -> None:
    assert set(_byte_of()) == set(pre_tokenizers.ByteLevel.alphabet())
    assert sorted(_byte_of().values()) == list(range(256))
    assert chr(_byte_of()["Ġ"]) == " "


def test_a_token_that_is_no_whole_character_is_shown_as_bytes(tokenizer) -> None:
    shown = pieces(tokenizer, tokenizer.encode("the é").ids)
    assert shown == ["the", " ", "<C3>", "<A9>"]
    assert [is_text(tokenizer, id) for id in tokenizer.encode("the é").ids] == [True, True, False, False]


def test_an_unknown_id_is_refused(tokenizer) -> None:
    with pytest.raises(ValueError, match="300"):
        pieces(tokenizer, [300])


def test_what_cannot_be_seen_is_made_visible() -> None:
    assert visible([" cat", "\n", "\t", "\x00", "\x1b", "\x7f"]) == ["·cat", "⏎", "⇥", "␀", "␛", "␡"]
    assert "\u202e" not in visible(["\u202eevil"])[0]
    assert visible(["<b>", "日本"]) == ["<b>", "日本"]
