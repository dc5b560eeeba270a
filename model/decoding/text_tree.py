"""A tree of the texts that were tried from one prompt on; it grows by one token at a time (written into the link)."""

from typing import NamedTuple

MAX_TOKENS = 200  # tokens in a tree


class Token(NamedTuple):
    """A token and its parent node: 0 is the root, n the n-th token of the tree."""

    parent: int
    id: int
    text: str


class TextTree(NamedTuple):
    """A tree of tokens after the text of its root; no two nodes have the same text."""

    root: str
    tokens: tuple[Token, ...] = ()

    def texts(self) -> list[str]:
        """The whole text of each node, the root first."""
        texts = [self.root]
        for token in self.tokens:
            texts.append(texts[token.parent] + token.text)
        return texts

    def grow(self, parent: int, id: int, text: str) -> tuple["TextTree", int]:
        """The tree with a token added after the node `parent`, and the node of that token.

        A text that the tree already contains is not added again. A full tree is replaced by a new one whose root is the
        text of `parent`.
        """
        texts = self.texts()
        if texts[parent] + text in texts:
            return self, texts.index(texts[parent] + text)
        if len(self.tokens) == MAX_TOKENS:
            return TextTree(texts[parent], (Token(0, id, text),)), 1
        return TextTree(self.root, (*self.tokens, Token(parent, id, text))), len(texts)
