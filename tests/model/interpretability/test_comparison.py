"""Two readings side by side: against closed forms, PyTorch's own losses, and a search through all alignments."""

import math
import random
from functools import cache
from itertools import islice

import pytest
import torch
from tokenizers import Tokenizer
from torch.distributions import Categorical

from model.interpretability import comparison
from model.language.tokenization import pieces, token_bytes, train_bpe
from model.toy_world import grammar
from model.transformer.decoder import Decoder
from pages.shared import models

TEXTS = ["apple lamp", "The woodchuck said: 1, 2, 3!", "Straße 👋🏽 end", "x", " mammals, mammals", "Every violin"]


def patterns(decoder: Decoder, idx: torch.Tensor) -> torch.Tensor:
    """(L, H, T, T)."""
    return torch.stack([block.attn.pattern[0] for block in decoder.trace(idx).blocks])


def random_patterns(rows: int, seed: int) -> torch.Tensor:
    scores = torch.randn(2, 3, rows, rows, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    return scores.masked_fill(torch.ones(rows, rows).triu(1).bool(), -math.inf).softmax(-1)


def test_common_suffix_starts_a_token_in_both_tokenizations() -> None:
    assert comparison.common_suffix([b"ab", b"c", b"de"], [b"a", b"bc", b"d", b"e"]) == (2, 2, 2)
    assert comparison.common_suffix([b"ab", b"c"], [b"ab", b"c"]) == (1, 1, 1)
    assert comparison.common_suffix([b"ab", b"cd"], [b"a", b"bc", b"d"]) == (0, 2, 3)  # no border in common
    assert comparison.common_suffix([b"abc"], [b"a", b"bc"]) == (0, 1, 2)  # the one guesses nothing
    assert comparison.common_suffix([b"cd", b"e"], [b"ab", b"cd", b"e"]) == (
        1,
        1,
        2,
    )  # of the one the beginning was not read


@pytest.mark.parametrize("text", TEXTS)
def test_common_suffix_is_the_same_text_and_the_longest(text: str) -> None:
    cuts = []
    for name in models.NAMES:
        tokenizer = models.load(name).tokenizer
        cuts.append([token_bytes(tokenizer, id) for id in tokenizer.encode(text).ids])
    size, *firsts = comparison.common_suffix(*cuts)
    assert [b"".join(cut[first:]) for cut, first in zip(cuts, firsts)] == 2 * [
        text.encode()[len(text.encode()) - size :]
    ]
    assert all(first > 0 for first in firsts)
    ends = [{sum(map(len, cut[n:])) for n in range(1, len(cut) + 1)} for cut in cuts]
    assert size == max(ends[0] & ends[1])


def test_the_entropy_is_that_of_torch_distributions() -> None:
    logits = torch.randn(50, generator=torch.Generator().manual_seed(0))
    assert comparison.entropy(logits.log_softmax(-1)) == pytest.approx(
        Categorical(logits=logits).entropy().item(), rel=1e-5
    )
    assert comparison.entropy(torch.zeros(32).log_softmax(-1)) == pytest.approx(math.log(32), rel=1e-6)
    assert comparison.entropy(torch.tensor([0.0, -math.inf])) == 0


@pytest.fixture(scope="module")
def two() -> tuple[Tokenizer, Tokenizer]:
    """The built-in tokenizer, and a smaller one."""
    return models.load(models.NAMES[0]).tokenizer, train_bpe(islice(grammar.documents("other"), 500), 1000)


def test_counterpart_has_the_same_bytes_and_exists_where_the_vocabulary_has_it(
    two: tuple[Tokenizer, Tokenizer],
) -> None:
    one, other = two
    of_bytes = {token_bytes(other, id): id for id in range(other.get_vocab_size())}
    found = [comparison.counterpart(id, one, other) for id in range(one.get_vocab_size())]
    assert found == [of_bytes.get(token_bytes(one, id)) for id in range(one.get_vocab_size())]
    assert None in found and found != [*range(len(found))]
    assert comparison.counterpart(one.get_vocab_size(), one, other) is None  # an id that is spare


def test_tokens_are_matched_by_their_bytes_once_each(two: tuple[Tokenizer, Tokenizer]) -> None:
    one, other = two
    ids, others = one.encode(" Anna said apple").ids, other.encode(" the garden said Anna").ids
    pairs = comparison.match_tokens(one, other, ids, others)
    assert [id for id, _ in pairs][: len(ids)] == ids and {*others} <= {id for _, id in pairs}
    assert len(pairs) == len({*pairs}) == len({*pieces(one, ids), *pieces(other, others)})
    for id, another in pairs:
        assert None in (id, another) or pieces(one, [id]) == pieces(other, [another])
    assert comparison.match_tokens(one, one, ids, ids) == [(id, id) for id in ids]


def least(one: tuple, other: tuple) -> int:
    """The fewest tokens that must be replaced, left out and put in, by trying all ways."""

    @cache
    def cost(n: int, m: int) -> int:
        if n == len(one) or m == len(other):
            return len(one) - n + len(other) - m
        return min(cost(n + 1, m + 1) + (one[n] != other[m]), cost(n + 1, m) + 1, cost(n, m + 1) + 1)

    return cost(0, 0)


@pytest.mark.parametrize("seed", range(40))
def test_an_alignment_is_one_of_the_shortest(seed: int) -> None:
    draw = random.Random(seed)
    one, other = (tuple(draw.choices("abc", k=draw.randint(0, 9))) for _ in range(2))
    columns = comparison.align(one, other)
    assert [n for n, _ in columns if n is not None] == [*range(len(one))]
    assert [m for _, m in columns if m is not None] == [*range(len(other))]
    assert (None, None) not in columns
    assert sum(None in pair or one[pair[0]] != other[pair[1]] for pair in columns) == least(one, other)
    assert all(None not in pair for pair in columns) or one != other
    assert not (one and other) or any(None not in pair for pair in columns)  # there is always something to compare


def test_alignment_of_written_examples() -> None:
    assert comparison.align([1, 2, 3], [1, 2, 3]) == [(0, 0), (1, 1), (2, 2)]
    assert comparison.align([7, 1, 8], [8, 1, 7]) == [(0, 0), (1, 1), (2, 2)]  # two names in each other's place
    assert comparison.align([1, 2, 3], [1, 9, 2, 3]) == [(0, 0), (None, 1), (1, 2), (2, 3)]
    assert comparison.align([1, 5, 3], [1, 6, 7, 3]) == [(0, 0), (None, 1), (1, 2), (2, 3)]  # the last of two pieces
    assert comparison.align([], [4]) == [(None, 0)]


def test_common_prefix_ends_before_the_first_difference() -> None:
    for one, other, count in [
        ([1, 2, 3], [1, 2, 3], 3),
        ([1, 2, 3], [1, 9, 3], 1),
        ([1, 2], [1, 2, 3], 2),
        ([2, 3], [1, 2, 3], 0),
        ([1], [2], 0),
    ]:
        assert comparison.common_prefix_length(comparison.align(one, other), one, other) == count


def test_equal_patterns_move_no_attention() -> None:
    one = random_patterns(6, 0)
    pairs = [(n, n) for n in range(6)]
    assert comparison.moved_attention(one, one.clone(), pairs).eq(0).all()  # exactly
    assert comparison.attention_difference(one, one.clone(), pairs).eq(0).all()


def test_patterns_without_a_common_token_move_all_attention() -> None:
    one, other = torch.eye(3)[None], torch.zeros(1, 3, 3)
    other[:, :, 0] = 1
    assert comparison.moved_attention(one, other, [(0, 0), (1, 1), (2, 2)]).tolist() == [[0, 1, 1]]
    assert comparison.moved_attention(one, one, [(1, 0), (2, 2)]).tolist() == [[0, 0]]  # looked at by itself in both
    assert comparison.moved_attention(other, other, [(1, 1), (2, 2)]).tolist() == [
        [1, 1]
    ]  # the first has no counterpart


@pytest.mark.parametrize("seed", range(5))
def test_moved_attention_is_one_minus_the_shared_attention(seed: int) -> None:
    one, other = random_patterns(7, seed), random_patterns(5, 100 + seed)
    pairs = [(0, 0), (2, 1), (3, 3), (6, 4)]
    moved = comparison.moved_attention(one, other, pairs)
    for n, (row, another) in enumerate(pairs):
        shared = sum(torch.minimum(one[..., row, i], other[..., another, j]) for i, j in pairs)
        torch.testing.assert_close(moved[..., n], 1 - shared)
    torch.testing.assert_close(comparison.moved_attention(other, one, [(j, i) for i, j in pairs]), moved)
    back = comparison.attention_difference(other, one, [(j, i) for i, j in pairs])
    torch.testing.assert_close(back, -comparison.attention_difference(one, other, pairs))
    assert comparison.attention_difference(one, other, pairs)[1, 2, 3, 1] == other[1, 2, 4, 1] - one[1, 2, 6, 2]


def test_a_causal_model_moves_nothing_before_the_first_difference(decoder: Decoder, idx: torch.Tensor) -> None:
    one, other = idx[0, :9].tolist(), [*idx[0, :5].tolist(), *idx[1, 5:12].tolist()]
    columns = comparison.align(one, other)
    pairs = [pair for pair in columns if None not in pair]
    first = comparison.common_prefix_length(columns, one, other)
    assert first == 5
    moved = comparison.moved_attention(*(patterns(decoder, torch.tensor([ids])) for ids in (one, other)), pairs)
    assert moved[..., :first].max() < 1e-5 < moved[..., first:].min()
    assert moved.max() <= 1


def test_total_variation_of_two_distributions() -> None:
    p, q = (torch.randn(40, generator=torch.Generator().manual_seed(n)).softmax(-1) for n in range(2))
    assert comparison.total_variation(p, p.clone()) == 0
    assert comparison.total_variation(p, q) == pytest.approx(1 - torch.minimum(p, q).sum().item(), abs=1e-6)
    assert comparison.total_variation(torch.eye(3)[0], torch.eye(3)[2]) == 1
    assert comparison.total_variation(q, p) == comparison.total_variation(p, q)
