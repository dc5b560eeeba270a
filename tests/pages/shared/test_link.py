"""The grammars of the link: each is read as it was written, and what is no such text is refused or left out."""

import re

import pytest
import torch
from hypothesis import given, settings, strategies
from tokenizers import Tokenizer

from model.decoding.sampling import STEPS
from model.decoding.text_tree import MAX_TOKENS, TextTree, Token
from model.language.tokenization import is_typable, pieces
from model.loading.folders import BUILT_IN
from pages.shared import link

TOKENIZER = Tokenizer.from_file(str(BUILT_IN / "tokenizer.json"))
TYPABLE = [id for id in range(TOKENIZER.get_vocab_size()) if is_typable(TOKENIZER, id)]
HERE = settings(deadline=None, derandomize=True, database=None)
SMALL = strategies.integers(0, 99)
ANY = strategies.text(max_size=60) | strategies.text("0123456789._-;:, mean", max_size=60)


def id_of(text: str) -> int:
    (id,) = TOKENIZER.encode(text).ids
    return id


# Heads switched off


@HERE
@given(strategies.sets(strategies.tuples(SMALL, SMALL)))
def test_heads_are_read_as_they_were_written(heads: set[tuple[int, int]]) -> None:
    assert link.read_heads(link.write_heads(heads), 100, 100) == heads


@pytest.mark.parametrize(
    ("text", "heads"),
    [
        ("", set()),
        ("1.2 0.3", {(0, 3), (1, 2)}),
        ("1.2,0.3", {(0, 3), (1, 2)}),
        ("1.9 2.0 <b> -", set()),
        ("٣.1", set()),
    ],
)
def test_heads_that_the_model_does_not_have_are_left_out(text: str, heads: set[tuple[int, int]]) -> None:
    assert link.read_heads(text, 2, 9) == heads


@HERE
@given(ANY, SMALL, SMALL)
def test_any_text_gives_only_heads_that_exist(text: str, layers: int, heads: int) -> None:
    assert all(layer < layers and head < heads for layer, head in link.read_heads(text, layers, heads))


# The picked head


@HERE
@given(strategies.integers(0, 150), strategies.integers(1, 150))
def test_picked_index_is_read_as_it_was_written(index: int, count: int) -> None:
    assert link.read_picked(link.write_picked(index, count), count) == (index if index <= count else None)


@HERE
@given(ANY, strategies.integers(1, 150))
def test_any_text_picks_an_index_the_mean_or_nothing(text: str, count: int) -> None:
    index = link.read_picked(text, count)
    assert index is None or 0 <= index <= count
    assert (index == count) == (text == "mean")


# Chains of sampling steps

CHAIN = strategies.lists(
    strategies.tuples(strategies.sampled_from([*STEPS]), strategies.floats(0, 1e6)), max_size=5
).map(tuple)


@HERE
@given(strategies.integers(-5, 10**9), CHAIN)
def test_a_chain_is_read_as_it_was_written(seed: int, chain: tuple) -> None:
    assert link.read_chains(link.write_chains(seed, {"": chain})) == (seed, {"": chain})


@HERE
@given(strategies.integers(-5, 10**9), CHAIN, CHAIN)
def test_two_chains_are_read_as_they_were_written(seed: int, a: tuple, b: tuple) -> None:
    assert link.read_chains(link.write_chains(seed, {"A": a, "B": b})) == (seed, {"A": a, "B": b})


def test_a_chain_is_written_as_the_browser_writes_it() -> None:
    assert link.write_chains(1, {"": (("top-k", 5.0), ("temperature", 0.7))}) == "1;top-k:5,temperature:0.7"
    assert link.read_chains("3;;top-p:0.9") == (3, {"A": (), "B": (("top-p", 0.9),)})


@pytest.mark.parametrize(
    "text", [None, 5, ["1"], "", "1", "x;", "1;top-k", "1;top-k:", "1;top-k:x", "1;;;", "9" * 9999]
)
def test_what_is_no_chain_is_refused_with_a_sentence(text: object) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        link.read_chains(text)


@HERE
@given(ANY)
def test_any_text_is_a_chain_or_is_refused(text: str) -> None:
    try:
        seed, chains = link.read_chains(text)
    except ValueError:
        return
    assert list(chains) in ([""], ["A", "B"]) and isinstance(seed, int)


# Matrices

NUMBER = strategies.integers(-999_000_000, 999_000_000).map(lambda n: n / 1_000_000)  # 12 digits hold it
SHAPE = strategies.tuples(strategies.integers(1, 4), strategies.integers(1, 4))


@HERE
@given(strategies.lists(SHAPE, min_size=1, max_size=3), strategies.data())
def test_matrices_are_read_as_they_were_written(shapes: list[tuple[int, int]], data: strategies.DataObject) -> None:
    rows = [data.draw(strategies.lists(NUMBER, min_size=a * b, max_size=a * b)) for a, b in shapes]
    matrices = [torch.tensor(row, dtype=torch.double).view(shape) for row, shape in zip(rows, shapes)]
    again = link.read_matrices(link.write_matrices(matrices), matrices)
    assert all(torch.equal(one, other) for one, other in zip(matrices, again, strict=True))


@pytest.mark.parametrize(
    "text", ["", "1 2 3", "1 2 3 4;5", "1 2 3 x", "1 2 3 1000", "1 2 3 nan", "1 2 3 -inf", "1,2,3,4"]
)
def test_what_is_no_such_matrix_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        link.read_matrices(text, [torch.zeros(2, 2)])


# The tree of texts


@HERE
@given(
    strategies.text(min_size=1, max_size=20).filter(lambda text: not re.search("[\ud800-\udfff]", text)),
    strategies.lists(strategies.tuples(strategies.integers(0, 10**6), strategies.sampled_from(TYPABLE)), max_size=12),
)
def test_a_tree_is_read_as_it_was_written_from_each_of_its_texts(root: str, grown: list[tuple[int, int]]) -> None:
    tree = TextTree(root)
    for parent, id in grown:
        tree, _ = tree.grow(parent % (len(tree.tokens) + 1), id, *pieces(TOKENIZER, [id]))
    for text in tree.texts():
        assert link.read_tree(link.write_tree(tree), text, TOKENIZER) == tree
    with pytest.raises(ValueError, match="none of the texts of the tree"):
        link.read_tree(link.write_tree(TextTree(root, tree.tokens[:1])), root + "\0\0", TOKENIZER)


def test_a_full_tree_is_read_as_it_was_written() -> None:
    a, tree, place = id_of(" a"), TextTree("x"), 0
    for _ in range(MAX_TOKENS):
        tree, place = tree.grow(place, a, " a")
    assert link.read_tree(link.write_tree(tree), tree.texts()[-1], TOKENIZER) == tree


def test_a_tree_in_an_old_link_is_still_read() -> None:
    tree = TextTree("The", (Token(0, 70, *pieces(TOKENIZER, [70])),))
    assert link.write_tree(tree) == "3_0-70" and link.read_tree("3_0-70", "The", TOKENIZER) == tree


@pytest.mark.parametrize(
    "text",
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
        "3" + "_0-70" * (MAX_TOKENS + 1),
        "9" * 100,
    ],
)
def test_what_is_no_tree_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        link.read_tree(text, "The", TOKENIZER)


def test_a_token_that_cannot_be_typed_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot stand"):
        link.read_tree(f"3_0-{id_of(chr(10))}", "The", TOKENIZER)
