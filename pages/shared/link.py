"""The grammars of the link: what stands behind the keys of an address, read and written.

Every `read_…` is the inverse of its `write_…`. Components in the browser write the same texts (viz/components): the
picked head (attention), the chains of steps (sampling_chain) and the tree (text_tree, which receives it written).
A link may hold anything: what fits no grammar is left out or raises ValueError with a sentence, as each function says.
"""

import re
from collections.abc import Collection, Mapping, Sequence

import torch
from tokenizers import Tokenizer
from torch import Tensor

from model.decoding import text_tree
from model.decoding.sampling import Chain
from model.decoding.text_tree import TextTree
from model.language.tokenization import is_typable, pieces

MEAN = "mean"  # in place of a layer or a head: the mean of all of them
LARGEST = 999  # number in a cell of a matrix
TREE = re.compile("[0-9]{1,5}(_[0-9]{1,3}-[0-9]{1,6})*")
HEAD = re.compile("(?<![0-9])([0-9]{1,3})[.]([0-9]{1,3})(?![0-9])")

Head = tuple[int, int]


def read_heads(text: str, layers: int, heads: int) -> set[Head]:
    """The heads (layer, head) in a list such as "0.3 2.1", without those that a model of that size does not have."""
    pairs = [(int(layer), int(head)) for layer, head in HEAD.findall(text)]
    return {(layer, head) for layer, head in pairs if layer < layers and head < heads}


def write_heads(heads: Collection[Head]) -> str:
    """A list of heads, in order: "0.3 2.1"."""
    return " ".join(f"{layer}.{head}" for layer, head in sorted(heads))


def read_picked(text: str, count: int) -> int | None:
    """The index of a layer, or a head, of `count`; `count` itself for "mean", and None for any other text."""
    if text == MEAN:
        return count
    return int(text) if re.fullmatch("[0-9]{1,3}", text) and int(text) < count else None


def write_picked(index: int, count: int) -> str:
    """The index of a layer, or a head, of `count`; "mean" for `count` itself."""
    return MEAN if index == count else str(index)


def read_chains(text: str) -> tuple[int, dict[str, Chain]]:
    """The seed and the chain of sampling steps in "1;top-k:5,temperature:0.7", under the label "".

    Two chains, with a semicolon between, have the labels A and B. Raises ValueError for any other text.
    """
    if not isinstance(text, str):
        raise ValueError("a chain of steps is a text such as 1;top-k:5,temperature:0.7")
    seed, *chains = text.split(";")
    if len(chains) not in (1, 2):
        raise ValueError(f"one chain of steps can be written, or two; these are {len(chains)}")
    steps = [[step.partition(":") for step in chain.split(",") if step] for chain in chains]
    read = [tuple((name, float(value)) for name, _, value in chain) for chain in steps]
    return int(seed), dict(zip("AB" if len(read) == 2 else [""], read, strict=True))


def write_chains(seed: int, chains: Mapping[str, Chain]) -> str:
    """A seed and one or two chains of sampling steps: "1;top-k:5,temperature:0.7"."""
    steps = [",".join(f"{name}:{repr(value).removesuffix('.0')}" for name, value in chain) for chain in chains.values()]
    return ";".join([str(seed), *steps])


def read_matrices(text: str, like: Sequence[Tensor]) -> list[Tensor]:
    """Matrices of the same shapes as those, from their numbers row by row: "1 0 0.5 -2;3 1".

    Raises ValueError for other sizes, for what is no number, and for a number beyond ±LARGEST.
    """
    parts = [[float(number) for number in part.split()] for part in text[:2000].split(";")]
    if [len(part) for part in parts] != [matrix.numel() for matrix in like]:
        raise ValueError("these are other sizes")
    if not all(abs(number) <= LARGEST for part in parts for number in part):  # false for NaN, too
        raise ValueError(f"a number may be from -{LARGEST} to {LARGEST}")
    return [torch.tensor(part, dtype=torch.double).view_as(matrix) for part, matrix in zip(parts, like)]


def write_matrices(matrices: Sequence[Tensor]) -> str:
    """The numbers of matrices row by row, to 12 digits, with a semicolon between two matrices."""
    return ";".join(" ".join(f"{value:.12g}" for value in matrix.flatten().tolist()) for matrix in matrices)


def read_tree(text: str, prompt: str, tokenizer: Tokenizer) -> TextTree:
    """The tree of texts in "24_0-17_1-5": the length of its root in characters, then each token as parent and id.

    The root is the beginning of the prompt. Raises ValueError if the text has another form, if a token does not exist
    or cannot be typed, if a text stands in the tree twice, and if the prompt is none of its texts.
    """
    if not TREE.fullmatch(text) or text.count("_") > text_tree.MAX_TOKENS:
        raise ValueError(f"this is no tree of up to {text_tree.MAX_TOKENS} tokens: {text[:40]!r}")
    length, *tokens = text.split("_")
    tree = TextTree(prompt[: int(length)])
    for place, token in enumerate(tokens):
        parent, id = map(int, token.split("-"))
        if parent > place or id >= tokenizer.get_vocab_size() or not is_typable(tokenizer, id):
            raise ValueError(f"token {id} cannot stand after place {parent} of {place + 1}")
        tree, _ = tree.grow(parent, id, *pieces(tokenizer, [id]))
    if not tree.root or len(tree.tokens) < len(tokens) or prompt not in tree.texts():
        raise ValueError("the prompt is none of the texts of the tree, or one of its texts is there twice")
    return tree


def write_tree(tree: TextTree) -> str:
    """A tree of texts: the length of its root in characters, then each token as parent and id."""
    return "_".join([str(len(tree.root)), *(f"{parent}-{id}" for parent, id, _ in tree.tokens)])
