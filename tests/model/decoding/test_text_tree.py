"""The tree of what was tried, and its form in a link."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from model.decoding import text_tree as branches
from model.decoding.text_tree import MOST, Branches, Token
from tests.model.loading.test_gpt2_format import SHIPPED


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(Path(SHIPPED) / "tokenizer.json"))


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


@pytest.mark.parametrize("root", ["The cat", "é👩‍👩‍👧‍👦 ", "1_2-3"])
def test_a_tree_is_read_as_it_was_written(tokenizer: Tokenizer, root: str) -> None:
    tree = tree_of(tokenizer, root, (0, " is"), (1, " in"), (1, " a"), (0, " sat"))
    for text in tree.texts():
        assert branches.read(tree.written(), text, tokenizer) == tree
    with pytest.raises(ValueError, match="none of the tree's"):
        branches.read(tree.written(), root + " was", tokenizer)


def test_a_full_tree_is_left_for_a_new_one(tokenizer: Tokenizer) -> None:
    a, tree, place = id_of(tokenizer, " a"), Branches("x"), 0
    for _ in range(MOST):
        tree, place = tree.grow(place, a, " a")
    assert place == len(tree.tokens) == MOST
    assert branches.read(tree.written(), tree.texts()[-1], tokenizer) == tree
    assert tree.grow(MOST - 1, a, " a") == (tree, MOST)  # it was there
    assert tree.grow(MOST, a, " a") == (Branches(tree.texts()[-1], (Token(0, a, " a"),)), 1)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "x",
        "3_0",
        "3_1-70",  # after itself
        "3_0-999999",  # no such token
        "3_0--1",
        "3_0-70_0-70",  # twice
        "0_0-70",  # no root
        "٣_0-70",
        "<b>",
        "3" + "_0-70" * (MOST + 1),
        "9" * 100,
    ],
)
def test_what_is_no_tree_is_refused(tokenizer: Tokenizer, written: str) -> None:
    with pytest.raises(ValueError):
        branches.read(written, "The", tokenizer)
    assert branches.read("3_0-70", "The", tokenizer).root == "The"  # the one that the others are bent from


def test_a_token_that_cannot_be_typed_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="cannot stand"):
        branches.read(f"3_0-{id_of(tokenizer, chr(10))}", "The", tokenizer)
