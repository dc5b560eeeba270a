"""Between text and ids: the byte-level BPE of GPT-2, through the `tokenizers` library.

A token is a string of bytes, not of characters: `pieces` gives each token as text where it is
whole characters, and as its bytes where it is not.

Source: Radford et al. 2019, section 2.2; the byte alphabet is that of `tokenizers`' ByteLevel.
"""

from collections.abc import Iterable
from functools import cache

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers


def train_bpe(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """A byte-level BPE whose merges are learned from the texts; any text goes through it and back unchanged."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    )
    return tokenizer


@cache
def _byte_of() -> dict[str, int]:
    """The byte that each character of a byte-level vocabulary stands for.

    Printable Latin-1 characters stand for themselves; the other bytes, in order, are
    written as the characters from U+0100 on (a space is U+0120).
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


def token_bytes(tokenizer: Tokenizer, id: int) -> bytes:
    """The bytes of one token; a special token's are those of its name. Raises ValueError for an unknown id."""
    token = tokenizer.id_to_token(id)
    if token is None:
        raise ValueError(f"id {id} is not in this vocabulary of {tokenizer.get_vocab_size()}")
    byte_of = _byte_of()
    return bytes(byte_of[c] for c in token) if all(c in byte_of for c in token) else token.encode()


def is_text(tokenizer: Tokenizer, id: int) -> bool:
    """Whether a token is whole characters: one of the others is a part of a character."""
    try:
        return bool(token_bytes(tokenizer, id).decode())
    except UnicodeDecodeError:
        return False


def pieces(tokenizer: Tokenizer, ids: Iterable[int]) -> list[str]:
    """The text of each token; one that is no whole characters is written as its bytes, like <E2 80>."""

    def piece(id: int) -> str:
        token = token_bytes(tokenizer, id)
        return token.decode() if is_text(tokenizer, id) else f"<{token.hex(' ').upper()}>"

    return [piece(id) for id in ids]
