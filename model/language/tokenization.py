"""Between text and ids: the byte-level BPE of GPT-2, through the `tokenizers` library, and step by step.

A token is a string of bytes, not of characters: `pieces` gives each token as text where it is
whole characters, and as its bytes where it is not.

Sources: Radford et al. 2019, section 2.2; Sennrich et al. 2016, "Neural Machine Translation of Rare
Words with Subword Units", algorithm 1 (`learn_merges`); the byte alphabet is that of `tokenizers`' ByteLevel.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

Pair = tuple[bytes, bytes]


class Merge(NamedTuple):
    """One step of the encoding of a word: everywhere in it, a pair of neighbours becomes one symbol."""

    pair: Pair
    rank: int  # of the pair: the pair of the lowest rank is merged first
    id: int  # of the symbol it becomes
    symbols: tuple[bytes, ...]  # the word afterwards


class LearnedMerge(NamedTuple):
    """One step of the training: the most frequent pair of neighbours becomes a symbol."""

    pair: Pair
    count: int


def train_bpe(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """A byte-level BPE whose merges are learned from the texts; any text goes through it and back unchanged."""
    tokenizer = from_merges([])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    )
    return tokenizer


def from_merges(pairs: Sequence[Pair]) -> Tokenizer:
    """A byte-level BPE that makes these merges, in this order."""
    alphabet = sorted(_byte_alphabet(), key=_byte_alphabet().__getitem__)
    merges = [(_to_characters(left), _to_characters(right)) for left, right in pairs]
    symbols = dict.fromkeys([*alphabet, *(left + right for left, right in merges)])
    tokenizer = Tokenizer(models.BPE(vocab={symbol: id for id, symbol in enumerate(symbols)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


@cache
def _byte_alphabet() -> dict[str, int]:
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
    byte_of = _byte_alphabet()
    return bytes(byte_of[c] for c in token) if all(c in byte_of for c in token) else token.encode()


def is_text(tokenizer: Tokenizer, id: int) -> bool:
    """Whether a token is whole characters: one of the others is a part of a character."""
    try:
        return bool(token_bytes(tokenizer, id).decode())
    except UnicodeDecodeError:
        return False


def is_typable(tokenizer: Tokenizer, id: int) -> bool:
    """Whether a token can stand in a line of text that is typed: no part of a character, no line break."""
    return is_text(tokenizer, id) and token_bytes(tokenizer, id).decode().isprintable()


def pieces(tokenizer: Tokenizer, ids: Iterable[int]) -> list[str]:
    """The text of each token; one that is no whole characters is written as its bytes, like <E2 80>."""

    def piece(id: int) -> str:
        token = token_bytes(tokenizer, id)
        return token.decode() if is_text(tokenizer, id) else f"<{token.hex(' ').upper()}>"

    return [piece(id) for id in ids]


def single_token_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of the tokens that this text is, as it stands and with a space before it; raises ValueError for none."""
    encodings = [tokenizer.encode(written).ids for written in (text, f" {text}")]
    if not (single := [ids[0] for ids in encodings if len(ids) == 1]):
        raise ValueError(f"{text[:20]!r} is no token of this model but {len(encodings[0])} of them")
    return single


def pre_tokenize(tokenizer: Tokenizer, text: str) -> list[str]:
    """A text as the tokenizer cuts it before anything is merged; no token crosses these borders."""
    return [text[start:end] for _, (start, end) in tokenizer.pre_tokenizer.pre_tokenize_str(text)]


def merge_ranks(tokenizer: Tokenizer) -> dict[Pair, int]:
    """The pairs that a byte-level BPE merges, each with its rank: the order in which they were learned."""
    byte_of = _byte_alphabet()
    pairs = json.loads(tokenizer.to_str())["model"]["merges"]
    return {(_to_bytes(byte_of, left), _to_bytes(byte_of, right)): rank for rank, (left, right) in enumerate(pairs)}


def _to_bytes(byte_of: Mapping[str, int], symbol: str) -> bytes:
    return bytes(byte_of[character] for character in symbol)


def merge_steps(tokenizer: Tokenizer, ranks: Mapping[Pair, int], word: str) -> list[Merge]:
    """The merges that turn the bytes of one word into tokens: each time the pair of the lowest rank.

    >>> tokenizer = from_merges([(b"l", b"o"), (b"lo", b"w")])
    >>> [(merge.rank, merge.symbols) for merge in merge_steps(tokenizer, merge_ranks(tokenizer), "lower")]
    [(0, (b'lo', b'w', b'e', b'r')), (1, (b'low', b'e', b'r'))]
    """
    symbols, steps = _bytes(word), []
    while known := {pair for pair in zip(symbols, symbols[1:]) if pair in ranks}:
        pair = min(known, key=ranks.__getitem__)
        symbols = _merged(symbols, pair)
        steps.append(Merge(pair, ranks[pair], tokenizer.token_to_id(_to_characters(b"".join(pair))), symbols))
    return steps


def learn_merges(words: Iterable[str], count: int) -> Iterator[LearnedMerge]:
    """The first `count` merges that a BPE learns from words; fewer if no remaining pair occurs twice.

    Of equally frequent pairs, the first in the order of bytes is merged.

    >>> [(merge.pair, merge.count) for merge in learn_merges(["low", "low", "lower"], 2)]
    [((b'l', b'o'), 3), ((b'lo', b'w'), 3)]
    """
    occurrences = Counter(words)
    spelled = {word: _bytes(word) for word in occurrences}
    counts: dict[Pair, int] = defaultdict(int)
    holders: dict[Pair, set[str]] = defaultdict(set)

    def tally(word: str, sign: int) -> None:
        for pair in zip(spelled[word], spelled[word][1:]):
            counts[pair] += sign * occurrences[word]
            holders[pair].add(word)

    for word in spelled:
        tally(word, 1)
    for _ in range(count):
        pair = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
        if pair is None or counts[pair] < 2:
            return
        yield LearnedMerge(pair, counts[pair])
        for word in holders.pop(pair):
            tally(word, -1)
            spelled[word] = _merged(spelled[word], pair)
            tally(word, 1)
        del counts[pair]


def _bytes(word: str) -> tuple[bytes, ...]:
    return tuple(bytes([byte]) for byte in word.encode())


def _merged(symbols: Sequence[bytes], pair: Pair) -> tuple[bytes, ...]:
    """The symbols, and the two of the pair as one wherever they are neighbours, from the left."""
    merged: list[bytes] = []
    for symbol in symbols:
        if merged and (merged[-1], symbol) == pair:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return tuple(merged)


def _to_characters(symbol: bytes) -> str:
    """A symbol in the characters of a byte-level vocabulary."""
    character_of = {byte: character for character, byte in _byte_alphabet().items()}
    return "".join(character_of[byte] for byte in symbol)
