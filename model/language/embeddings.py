"""Words as vectors, to calculate with: king - man + woman.

Sources: Mikolov, Yih and Zweig 2013, "Linguistic Regularities in Continuous Space Word Representations"
(the arithmetic, and that the nearest is that of the largest cosine); Mu and Viswanath 2018, "All-but-the-Top"
(why the words of a model's wte all seem alike).
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Annotated, NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from model.language.tokenization import is_text, pieces
from model.transformer.decoder import Decoder
from model.transformer.record import Trace

MAX_TERMS, MAX_LETTERS, MAX_WEIGHT = 12, 40, 1000  # terms of an expression, letters of a word, and the largest weight
ROUNDING = 1e-12  # what is left of terms that cancel out, of their lengths together, is no more than this
# Spaces are never given back (*+), so that a line of them takes no longer than it is long.
TERM = re.compile(
    r"\s*+(?P<sign>[-+−–])?\s*+(?:(?P<weight>\d++(?:[.,]\d++)?|[.,]\d++)\s*+[*×])?\s*+(?P<word>[^\s+\-−–*×]+)\s*+"
)


class Term(NamedTuple):
    """A word of an expression, and how often it is added."""

    weight: float
    word: str


class WordVector(NamedTuple):
    """The vector (C) of a word, and the texts that it is the mean of: the word itself, or its tokens."""

    vector: Tensor
    texts: Sequence[str]


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Vectors, and the word that each of them is of, if it is one."""

    words: Sequence[str | None]
    vectors: Annotated[Tensor, "N C"]

    def __contains__(self, word: object) -> bool:
        return word in self._row

    def __getitem__(self, word: str) -> Tensor:
        """The vector (C) of a word; raises KeyError where it has none."""
        return self.vectors[self._row[word]]

    @cached_property
    def _row(self) -> dict[str, int]:
        return {word: row for row, word in enumerate(self.words) if word is not None}

    @cached_property
    def _no_words(self) -> list[int]:
        return [row for row, word in enumerate(self.words) if word is None]

    @cached_property
    def _lengths(self) -> Tensor:
        return self.vectors.norm(dim=-1)

    def find(self, word: str) -> WordVector:
        """The vector of a word, or of the same word in other letters, small or large.

        Raises ValueError where there is none.
        """
        for other in (word, word.lower(), word.capitalize()):
            if other in self:
                return WordVector(self[other], [other])
        close = get_close_matches(word[:MAX_LETTERS], self._row, n=3)
        like = f"; spelled like it: {', '.join(close)}" if close else ""
        raise ValueError(f"{word[:MAX_LETTERS]!r} is none of the {len(self._row):,} words that have a vector{like}")

    def nearest(self, query: Tensor, leave_out: Collection[str] = (), count: int = 1) -> list[tuple[str, float]]:
        """The `count` words whose vectors have the largest cosine with the query (C), and it, the largest first."""
        cosines = self.vectors @ (query / query.norm()) / self._lengths.clamp(min=1e-12)
        left_out = {self._row[word] for word in leave_out if word in self}
        cosines[[*self._no_words, *left_out]] = -torch.inf
        best = cosines.topk(min(count, len(self._row) - len(left_out)))
        return [(self.words[row], cosine) for cosine, row in zip(*map(Tensor.tolist, best))]


@dataclass(frozen=True, eq=False)
class TokenEmbeddings(Embeddings):
    """The rows of a GPT's wte, not copied; those of tokens that are a word with a space before it are of that word."""

    tokenizer: Tokenizer

    def find(self, word: str) -> WordVector:
        """As for any embeddings; a word that is not one token is the mean of its tokens.

        Raises ValueError for a word of more than 40 letters.
        """
        try:
            return super().find(word)
        except ValueError:
            if len(word) > MAX_LETTERS:
                raise ValueError(
                    f"a word may have {MAX_LETTERS} letters, and {word[:MAX_LETTERS]!r}… has {len(word):,}"
                ) from None
            ids = self.tokenizer.encode(f" {word}").ids
            texts = pieces(self.tokenizer, ids)
            return WordVector(self.vectors[ids].mean(0), [word] if texts == [f" {word}"] else texts)


def token_words(tokenizer: Tokenizer, count: int) -> list[str | None]:
    """Of each of so many ids the word that it is, with a space before it, and None where it is none."""
    ids = range(min(count, tokenizer.get_vocab_size()))
    texts = [text if is_text(tokenizer, id) else "" for text, id in zip(pieces(tokenizer, ids), ids)]
    words = [text[1:] if text.startswith(" ") and text[1:].isalpha() else None for text in texts]
    return [*words, *[None] * (count - len(ids))]  # some models have spare ids


def token_embeddings(decoder: Decoder, tokenizer: Tokenizer) -> TokenEmbeddings:
    """The words that are one token of a model."""
    return TokenEmbeddings(token_words(tokenizer, decoder.config.vocab_size), decoder.W_E, tokenizer)


def parse(expression: str) -> list[Term]:
    """Parse an expression into its terms, each a weight and a word.

    Raises ValueError if it is not an expression, or has more than 12 terms.

    >>> parse("king - man + 0.5 * woman")
    [Term(weight=1.0, word='king'), Term(weight=-1.0, word='man'), Term(weight=0.5, word='woman')]
    """
    terms, read = [], 0
    while read < len(expression.rstrip()):
        term = TERM.match(expression, read)
        if not term:
            where = f"after {expression[:read].strip()[-40:]!r}" if terms else "at the beginning"
            raise ValueError(f"{where} a word must stand")
        if terms and not term["sign"]:
            raise ValueError(f"between {terms[-1].word[-40:]!r} and {term['word'][:40]!r} a + or - must stand")
        if len(terms) == MAX_TERMS:
            raise ValueError(f"an expression may have {MAX_TERMS} terms, not more")
        weight = term["weight"] or "1"
        if "," in weight:
            raise ValueError(f"a weight is written with a point, {weight[:20].replace(',', '.')} and not {weight[:20]}")
        if float(weight) > MAX_WEIGHT:
            raise ValueError(f"a weight may be up to {MAX_WEIGHT}, not {weight[:20]}")
        sign = 1.0 if term["sign"] in (None, "+") else -1.0
        terms.append(Term(sign * float(weight), term["word"]))
        read = term.end()
    if not terms:
        raise ValueError("there is no word in it")
    return terms


def calculate(embeddings: Embeddings, terms: Sequence[Term]) -> tuple[dict[str, WordVector], Tensor]:
    """What was found of the word of each term, and what the terms come to together (C).

    Raises ValueError for a word without a vector, and where the terms cancel out.
    """
    vectors_by_word = {word: embeddings.find(word) for _, word in terms}
    each = torch.stack([weight * vectors_by_word[word].vector.double() for weight, word in terms])
    together = each.sum(0).float()
    if together.norm() <= ROUNDING * each.norm(dim=-1).sum():
        raise ValueError("the terms cancel out, and nothing is left that could have neighbours")
    return vectors_by_word, together


def cosines(vectors: Tensor) -> Tensor:
    """Cosine similarity (N, N) of each two of the vectors (N, C).

    >>> cosines(torch.tensor([[1.0, 0.0], [3.0, 4.0]]))
    tensor([[1.0000, 0.6000],
            [0.6000, 1.0000]])
    """
    units = F.normalize(vectors, dim=-1)
    return units @ units.T


def pca(vectors: Tensor, fitted: Tensor) -> tuple[Tensor, Tensor]:
    """Principal component analysis: the coordinates (N, 2) of vectors (N, C) on the first two components of `fitted`.

    The components are those of `fitted` (M, C). Also returned is the share (2) of the variance of `vectors` along each.
    The vector that is farthest along a component lies in its positive direction.

    Source: Pearson 1901, "On Lines and Planes of Closest Fit to Systems of Points in Space".

    >>> vectors = torch.tensor([[3.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, -1.0, 0.0]])
    >>> points, shares = pca(vectors, vectors)
    >>> points[0].abs()
    tensor([2., 0.])
    >>> shares
    tensor([0.8000, 0.2000])
    """
    middle = fitted.mean(0)
    axes = torch.linalg.svd(fitted - middle, full_matrices=False).Vh[:2]  # (2, C)
    points = (vectors - middle) @ axes.T
    points = points * points.gather(0, points.abs().argmax(0, keepdim=True)).sign()  # the farthest one at the right
    return points, points.var(0) / vectors.var(0).sum().clamp(min=1e-12)


def parse_axes(embeddings: Embeddings, text: str) -> list[tuple[str, Tensor]]:
    """The four words of a text, the ends of two axes, and their vectors.

    Raises ValueError where it has not four words, for one without a vector, and for an axis with one end.
    """
    words = text.split()
    if len(words) != 4:
        raise ValueError(f"two axes have four ends, and {text[:MAX_LETTERS]!r} has {len(words)} words")
    vectors = [embeddings.find(word).vector for word in words]
    if vectors[0].equal(vectors[1]) or vectors[2].equal(vectors[3]):
        raise ValueError("both ends of an axis are the same word")
    return [*zip(words, vectors)]


def project(a: Tensor, b: Tensor, vectors: Tensor) -> Tensor:
    """Projection (N) of vectors (N, C) on the line from a to another b (C): a is at -1, b at 1, their middle at 0.

    >>> project(torch.zeros(2), torch.tensor([4.0, 0.0]), torch.tensor([[3.0, 7.0]]))
    tensor([0.5000])
    """
    half = (b - a) / 2
    return (vectors - (a + b) / 2) @ half / (half @ half)


def lost_neighbors(vectors: Tensor, points: Tensor, neighbours: int) -> float:
    """The share of the nearest neighbours among the vectors (N, C) that are none among the points (N, 2).

    Equal vectors are one, or no map could part them; and who is as near as the last neighbour is one, too. There must
    be more different vectors than neighbours.
    """
    first = [n for n, vector in enumerate(vectors) if not (vectors[:n] == vector).all(-1).any()]

    def near(places: Tensor) -> Tensor:
        apart = torch.cdist(places, places).fill_diagonal_(torch.inf)
        return apart <= apart.kthvalue(neighbours, keepdim=True).values

    before, after = near(vectors[first]), near(points[first])
    return (before & ~after).sum().item() / before.sum().item()


def contextual_similarity(a: Trace, here: int, b: Trace, there: int) -> tuple[Tensor, Tensor, Tensor]:
    """How alike the residual stream is at two positions of two texts, at the start and after each block: 3 x (L + 1).

    The cosine of the two; that of the first with what it was at the start; and, to hold them against, the mean cosine
    of each position of one text with each of the other.

    Source: Ethayarajh 2019, "How Contextual are Contextualized Word Representations?", section 3.
    """
    streams = [torch.cat([text.blocks[0].resid_pre, *(block.resid_post for block in text.blocks)]) for text in (a, b)]
    first, second = (F.normalize(stream, dim=-1) for stream in streams)  # each (L + 1, T, C)
    every = first @ second.transpose(1, 2)
    return every[:, here, there], first[:, here] @ first[0, here], every.mean((1, 2))
