"""The texts tried from one prompt on: a tree that grows by a token at a time (pages/shared/link.py writes it)."""

from typing import NamedTuple

MAX_TOKENS = 200  # tokens in a tree


class Token(NamedTuple):
    """A token, and the place in the tree that it stands after: 0 is the root, 1 the token that was first."""

    parent: int
    id: int
    text: str


class TextTree(NamedTuple):
    """A tree of tokens after the text of its root; no two of its places have the same text."""

    root: str
    tokens: tuple[Token, ...] = ()

    def texts(self) -> list[str]:
        """The whole text of each place, the root's first."""
        texts = [self.root]
        for token in self.tokens:
            texts.append(texts[token.parent] + token.text)
        return texts

    def grow(self, parent: int, id: int, text: str) -> tuple["TextTree", int]:
        """The tree with a token after one of its places, and the new place.

        A text that is there already is not there twice; a full tree is left for a new one that begins at this place.
        """
        texts = self.texts()
        if texts[parent] + text in texts:
            return self, texts.index(texts[parent] + text)
        if len(self.tokens) == MAX_TOKENS:
            return TextTree(texts[parent], (Token(0, id, text),)), 1
        return TextTree(self.root, (*self.tokens, Token(parent, id, text))), len(texts)
