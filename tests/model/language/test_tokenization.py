"""Tokens: any text goes through and back, and each token is shown for what it is."""

import pytest
from tokenizers import pre_tokenizers

from model.language.tokenization import (
    _byte_alphabet,
    from_merges,
    is_text,
    learn_merges,
    merge_ranks,
    merge_steps,
    pieces,
    pre_tokenize,
    token_bytes,
    train_bpe,
)
from model.training import evaluation
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
    assert set(_byte_alphabet()) == set(pre_tokenizers.ByteLevel.alphabet())
    assert sorted(_byte_alphabet().values()) == list(range(256))
    assert chr(_byte_alphabet()["Ġ"]) == " "


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


@pytest.fixture(scope="module")
def told() -> list[str]:
    return evaluation.held_out_documents(3000, "tokens")


@pytest.fixture(scope="module")
def trained(told: list[str]):
    return train_bpe(told, vocab_size=900)


def test_a_word_merged_step_by_step_has_the_tokens_of_the_library(told: list[str], trained) -> None:
    known = merge_ranks(trained)
    some = {word for text in [*told[:500], *TEXTS, "aaaaaaa nananana"] for word in pre_tokenize(trained, text)}
    assert len(some) > 500
    for word in some:
        steps = merge_steps(trained, known, word)
        symbols = steps[-1].symbols if steps else [bytes([byte]) for byte in word.encode()]
        assert list(symbols) == [token_bytes(trained, id) for id in trained.encode(word).ids], word
        for step in steps:
            assert known[step.pair] == step.rank and token_bytes(trained, step.id) == b"".join(step.pair)


def test_in_a_vocabulary_of_bytes_and_merges_an_id_is_256_and_the_rank(trained) -> None:
    """As in GPT-2, whose " transform" has rank 5865 and id 6121."""
    steps = merge_steps(trained, merge_ranks(trained), " keys")
    assert steps and all(step.id == 256 + step.rank for step in steps)


def test_words_lose_nothing(trained) -> None:
    for text in TEXTS:
        assert "".join(pre_tokenize(trained, text)) == text


def test_merges_are_learned_as_the_library_learns_them(told: list[str], trained) -> None:
    """Until the first tie, which the two may break in different ways."""
    known = list(merge_ranks(trained))
    learned = list(learn_merges((word for text in told for word in pre_tokenize(trained, text)), 200))
    counts = [count for _, count in learned]
    assert counts == sorted(counts, reverse=True)
    tie = next(n for n, (one, next_) in enumerate(zip(counts, counts[1:])) if one == next_)
    assert tie >= 10
    assert [pair for pair, _ in learned[:tie]] == known[:tie]


@pytest.mark.parametrize(
    ("text", "count", "expected"),
    [
        ("", 9, []),
        ("ab", 9, []),  # no pair occurs twice
        ("ab ab", 0, []),
        ("ababab", 1, [((b"a", b"b"), 3)]),
        ("aaaa", 9, [((b"a", b"a"), 3)]),  # then aa aa: one pair, once
        ("ba ba ca ca ca", 1, [((b" ", b"c"), 3)]),  # as often as c + a; a space comes first
    ],
)
def test_what_is_learned_from_little(tokenizer, text: str, count: int, expected: list) -> None:
    assert [tuple(step) for step in learn_merges(pre_tokenize(tokenizer, text), count)] == expected


def test_a_tokenizer_of_the_same_merges_cuts_the_same(told: list[str], trained) -> None:
    again = from_merges(list(merge_ranks(trained)))
    for text in [*told[:200], *TEXTS]:
        one, other = trained.encode(text).ids, again.encode(text).ids
        assert [token_bytes(trained, id) for id in one] == [token_bytes(again, id) for id in other]
        assert again.decode(other) == text
    assert from_merges([]).encode("dog").ids == [100, 111, 103]
