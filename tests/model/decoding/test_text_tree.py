"""The tree of the texts that were tried from one prompt on."""

import pytest
from tokenizers import Tokenizer

from model.decoding.text_tree import MOST, Branches, Token
from model.loading.folders import BUILT_IN


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(BUILT_IN / "tokenizer.json"))


def id_of(tokenizer: Tokenizer, text: str) -> int:
    (id,) = tokenizer.encode(text).ids
    return id


def tree_of(tokenizer: Tokenizer, root: str, *grown: tuple[int, str]) -> Branches:
    tree = Branches(root)
    for parent, text in grown:
        tree, _ = tree.grow(parent, id_of(tokenizer, text), text)
    return tree


def test_a_branch_begins_where_another_token_was_taken(tokenizer: Tokenizer) -> None:
    tree = tree_of(tokenizer, "The cat", (0, " is"), (1, " in"), (1, " a"), (0, " sat"))
    assert tree.texts() == ["The cat", "The cat is", "The cat is in", "The cat is a", "The cat sat"]
    again, place = tree.grow(1, id_of(tokenizer, " in"), " in")
    assert again == tree and place == 2
    assert Branches("a", (Token(0, 5, "b"),)).grow(0, 7, "bc") == (
        Branches("a", (Token(0, 5, "b"), Token(0, 7, "bc"))),
        2,
    )
    same, place = Branches("a", (Token(0, 7, "bc"), Token(0, 5, "b"))).grow(2, 9, "c")
    assert place == 1 and len(same.tokens) == 2  # another token, and yet the same text


def test_a_full_tree_is_left_for_a_new_one(tokenizer: Tokenizer) -> None:
    a, tree, place = id_of(tokenizer, " a"), Branches("x"), 0
    for _ in range(MOST):
        tree, place = tree.grow(place, a, " a")
    assert place == len(tree.tokens) == MOST
    assert tree.grow(MOST - 1, a, " a") == (tree, MOST)  # it was there
    assert tree.grow(MOST, a, " a") == (Branches(tree.texts()[-1], (Token(0, a, " a"),)), 1)
