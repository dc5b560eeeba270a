"""The tree of the texts that were tried from one prompt on."""

import pytest
from tokenizers import Tokenizer

from model.decoding.text_tree import MAX_TOKENS, TextTree, Token
from model.loading.folders import BUILT_IN


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(BUILT_IN / "tokenizer.json"))


def id_of(tokenizer: Tokenizer, text: str) -> int:
    (id,) = tokenizer.encode(text).ids
    return id


def tree_of(tokenizer: Tokenizer, root: str, *grown: tuple[int, str]) -> TextTree:
    tree = TextTree(root)
    for parent, text in grown:
        tree, _ = tree.grow(parent, id_of(tokenizer, text), text)
    return tree


def test_another_token_starts_a_branch(tokenizer: Tokenizer) -> None:
    tree = tree_of(tokenizer, "The cat", (0, " is"), (1, " in"), (1, " a"), (0, " sat"))
    assert tree.texts() == ["The cat", "The cat is", "The cat is in", "The cat is a", "The cat sat"]
    again, place = tree.grow(1, id_of(tokenizer, " in"), " in")
    assert again == tree and place == 2
    assert TextTree("a", (Token(0, 5, "b"),)).grow(0, 7, "bc") == (
        TextTree("a", (Token(0, 5, "b"), Token(0, 7, "bc"))),
        2,
    )
    same, place = TextTree("a", (Token(0, 7, "bc"), Token(0, 5, "b"))).grow(2, 9, "c")
    assert place == 1 and len(same.tokens) == 2  # another token, and yet the same text


def test_a_full_tree_is_replaced_by_a_new_one(tokenizer: Tokenizer) -> None:
    a, tree, place = id_of(tokenizer, " a"), TextTree("x"), 0
    for _ in range(MAX_TOKENS):
        tree, place = tree.grow(place, a, " a")
    assert place == len(tree.tokens) == MAX_TOKENS
    assert tree.grow(MAX_TOKENS - 1, a, " a") == (tree, MAX_TOKENS)  # it was there
    assert tree.grow(MAX_TOKENS, a, " a") == (TextTree(tree.texts()[-1], (Token(0, a, " a"),)), 1)
