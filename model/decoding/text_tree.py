"""The texts that were tried from one prompt on: a tree that grows by a token at a time, and can stand in a link."""

import re
from typing import NamedTuple

from tokenizers import Tokenizer

from model.language.tokenization import is_typable, pieces

MOST = 200  # tokens in a tree
WRITTEN = re.compile("[0-9]{1,5}(_[0-9]{1,3}-[0-9]{1,6})*")


class Token(NamedTuple):
    """A token, and the place in the tree that it stands after: 0 is the root, 1 the token that was first."""

    parent: int
    id: int
    text: str


class Branches(NamedTuple):
    """A tree of tokens after the text of its root; no two of its places have the same text."""

    root: str
    tokens: tuple[Token, ...] = ()

    def texts(self) -> list[str]:
        """The whole text of each place, the root's first."""
        texts = [self.root]
        for token in self.tokens:
            texts.append(texts[token.parent] + token.text)
        return texts

    def grow(self, parent: int, id: int, text: str) -> tuple["Branches", int]:
        """The tree with a token after one of its places, and the new place.

        A text that is there already is not there twice; a full tree is left for a new one that begins at this place.
        """
        texts = self.texts()
        if texts[parent] + text in texts:
            return self, texts.index(texts[parent] + text)
        if len(self.tokens) == MOST:
            return Branches(texts[parent], (Token(0, id, text),)), 1
        return Branches(self.root, (*self.tokens, Token(parent, id, text))), len(texts)

    def written(self) -> str:
        """The tree for a link: how many characters the root has, then each token as its parent and its id."""
        return "_".join([str(len(self.root)), *(f"{parent}-{id}" for parent, id, _ in self.tokens)])


def read(written: str, text: str, tokenizer: Tokenizer) -> Branches:
    """The tree that was written for a text that is one of its own.

    Raises ValueError where there is no such tree, and for a token that cannot be typed.
    """
    if not WRITTEN.fullmatch(written) or written.count("_") > MOST:
        raise ValueError(f"this is no tree of up to {MOST} tokens: {written[:40]!r}")
    length, *tokens = written.split("_")
    tree = Branches(text[: int(length)])
    for place, token in enumerate(tokens):
        parent, id = map(int, token.split("-"))
        if parent > place or id >= tokenizer.get_vocab_size() or not is_typable(tokenizer, id):
            raise ValueError(f"token {id} cannot stand after place {parent} of {place + 1}")
        tree, _ = tree.grow(parent, id, *pieces(tokenizer, [id]))
    if not tree.root or len(tree.tokens) < len(tokens) or text not in tree.texts():
        raise ValueError("the text is none of the tree's, or one of the tree's texts is there twice")
    return tree
