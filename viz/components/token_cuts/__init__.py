"""A text cut into tokens: as chips with their ids, and as rulers of several tokenizers over the same bytes."""

import unicodedata
from collections.abc import Sequence
from typing import Any

from viz.tokens import visible

Cut = tuple[str, Sequence[bytes], Sequence[int]]  # the name of a tokenizer, the bytes of each token, and its id


def data(text: str, cuts: Sequence[Cut], chips: bool = True) -> dict[str, Any]:
    """What is drawn: the characters of a text, and its tokens by each tokenizer; sizes are in bytes.

    Without `chips` only the rulers are drawn. A token that does not consist of whole characters is written as its
    bytes. Raises ValueError if the tokens do not add up to the text.
    """
    for name, tokens, _ in cuts:
        if b"".join(tokens) != text.encode():
            raise ValueError(f"the tokens of {name} do not add up to the text of {len(text)} characters")
    spelled = [character.encode() for character in text]
    rows = [{"name": name, "tokens": _tokens(tokens, ids)} for name, tokens, ids in cuts]
    return {"characters": _tokens(spelled, [None] * len(spelled)), "rows": rows, "chips": chips}


def label(token: bytes) -> str:
    """A token as a label: its characters, all of them visible, or its bytes in angle brackets."""
    return visible([token.decode()])[0] if _is_whole(token) else f"<{token.hex(' ').upper()}>"


def _is_whole(token: bytes) -> bool:
    """Whether a token consists of whole characters."""
    try:
        return bool(token.decode())
    except UnicodeDecodeError:
        return False


def _tokens(tokens: Sequence[bytes], ids: Sequence[int | None]) -> list[dict[str, Any]]:
    return [
        {"label": label(token), "id": id, "size": len(token), "whole": _is_whole(token), "about": _about(token, id)}
        for token, id in zip(tokens, ids, strict=True)
    ]


def _about(token: bytes, id: int | None) -> str:
    """One line on a token: its id, its bytes, and the names of its characters."""
    count = f"{len(token)} byte{'s' * (len(token) != 1)}"
    parts = [f"{count}: {token[:24].hex(' ').upper()}{' …' * (len(token) > 24)}"]
    if id is not None:
        parts.insert(0, f"id {id:,}")
    if _is_whole(token):
        names = [f"U+{ord(c):04X} {unicodedata.name(c, 'control character').lower()}" for c in token.decode()[:3]]
        parts.append(", ".join(names) + ", …" * (len(token.decode()) > 3))
    else:
        parts.append("not whole characters")
    return " · ".join(parts)
