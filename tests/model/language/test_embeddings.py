"""Sums of words, their neighbours and their maps, against closed forms and scikit-learn's ways by hand."""

import math

import pytest
import torch
from tokenizers import Tokenizer
from torch.nn import functional as F

from model.language import embeddings
from model.language.embeddings import Embeddings, Term, calculate, parse
from model.language.tokenization import train_bpe
from model.transformer.gpt2 import GPT2, GPT2Config

VECTORS = Embeddings(
    ["man", "woman", "king", "queen", "Paris"],
    torch.tensor([[1.0, 0, 0], [0, 1, 0], [1, 0, 1], [0, 1, 1], [-1, -1, 0.5]]),
)


@pytest.mark.parametrize(
    ("expression", "terms"),
    [
        ("king - man + woman", [(1, "king"), (-1, "man"), (1, "woman")]),
        ("king-man+woman", [(1, "king"), (-1, "man"), (1, "woman")]),
        ("  −king – 0.5 * man ", [(-1, "king"), (-0.5, "man")]),
        ("2*king + 3 × 7", [(2, "king"), (3, "7")]),
        (".5 * king - .25*1.5", [(0.5, "king"), (-0.25, "1.5")]),
        ("1,5 + .5", [(1, "1,5"), (1, ".5")]),
        ("7", [(1, "7")]),
        ("<b> + 王 + d'accord", [(1, "<b>"), (1, "王"), (1, "d'accord")]),
    ],
)
def test_an_expression_is_read(expression: str, terms: list[tuple[float, str]]) -> None:
    assert parse(expression) == [Term(*term) for term in terms]


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "no word in it"),
        ("  ", "no word in it"),
        ("king man", "between 'king' and 'man'"),
        ("king -", "after 'king'"),
        ("king ++ man", "after 'king'"),
        ("+", "at the beginning"),
        ("* king", "at the beginning"),
        ("2 * * king", "after '2'"),
        (" + ".join(["king"] * 13), "12 terms"),
        ("king " * 20_000, "between"),
        (" " * 20_000 + "*", "at the beginning"),
        ("9" * 50 + " * king", "up to 1000"),
        ("0,5 * king", "with a point, 0.5 and not 0,5"),
        ("king + ,5 * man", "with a point, .5 and not ,5"),
        ("9" * 100_000 + " king", "between"),
    ],
)
def test_what_is_no_expression_is_said(expression: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        parse(expression)
    assert len(str(error.value)) < 200


def test_a_sum_is_that_of_its_terms() -> None:
    found, together = calculate(VECTORS, parse("king - man + 0.5 * woman"))
    assert together.tolist() == [0, 0.5, 1]
    assert {word: of for word, (_, of) in found.items()} == {"king": ["king"], "man": ["man"], "woman": ["woman"]}
    with pytest.raises(ValueError, match="cancel out"):
        calculate(VECTORS, parse("king - king"))
    with pytest.raises(ValueError, match="'qeen' is none of the 5 words.*queen"):
        calculate(VECTORS, parse("king + qeen"))
    with pytest.raises(ValueError) as error:
        calculate(VECTORS, parse("x" * 100_000))
    assert len(str(error.value)) < 200


@pytest.mark.parametrize("expression", ["1000*king - 999.9*king - 0.1*king", "0.1*man + 0.2*man - 0.3*man"])
def test_what_rounding_leaves_of_terms_that_cancel_out_has_no_neighbours(expression: str) -> None:
    with pytest.raises(ValueError, match="cancel out"):
        calculate(VECTORS, parse(expression))


def test_short_vectors_and_small_weights_do_not_cancel_out() -> None:
    short = Embeddings(VECTORS.words, VECTORS.vectors * 1e-8)
    small = f"0.{'0' * 15}1"
    for vectors, expression in (
        (short, "queen - woman + man"),
        (VECTORS, f"{small} * queen - {small}*woman + {small}*man"),
    ):
        _, together = calculate(vectors, parse(expression))
        assert vectors.nearest(together) == [("king", pytest.approx(1))]
    with pytest.raises(ValueError, match="cancel out"):
        calculate(VECTORS, parse(f"0.{'0' * 300}1 * king"))


def test_another_case_is_found_and_said() -> None:
    assert VECTORS.find("paris").texts == ["Paris"] and VECTORS.find("KING").texts == ["king"]


def test_the_nearest_is_that_of_the_largest_cosine() -> None:
    query = torch.tensor([0.2, 1.0, 0.9])
    expected = F.cosine_similarity(VECTORS.vectors, query, dim=-1)
    words, cosines = zip(*VECTORS.nearest(query, count=9))
    assert list(words) == [VECTORS.words[n] for n in expected.argsort(descending=True)]
    torch.testing.assert_close(torch.tensor(cosines), expected.sort(descending=True).values)
    assert [word for word, _ in VECTORS.nearest(query, ("queen", "no such word"), count=9)] == [
        word for word in words if word != "queen"
    ]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_bpe(["the king and the queen saw the cat", "the king had a crown"] * 20, 300)


def test_words_of_a_model_are_whole_tokens_and_others_the_mean_of_theirs(tokenizer: Tokenizer) -> None:
    gpt = GPT2(GPT2Config(tokenizer.get_vocab_size(), 8, 1, 1, 6))
    found = embeddings.token_embeddings(gpt, tokenizer)
    assert {"the", "king", "queen"} <= {*found.words}
    for word in filter(None, found.words):
        (id,) = tokenizer.encode(f" {word}").ids
        assert torch.equal(found.find(word).vector, gpt.wte.weight[id])
    ids = tokenizer.encode(" kingfisher").ids
    vector, of = found.find("kingfisher")
    assert len(ids) > 1 and torch.equal(vector, gpt.wte.weight[ids].mean(0))
    assert "".join(of) == " kingfisher"
    assert "".join(found.find("👋").texts).startswith(" ")
    assert "".join(found.find("king" * 10).texts) == " " + "king" * 10
    with pytest.raises(ValueError, match="may have 40 letters, and '(king){10}'… has 41"):
        found.find("king" * 10 + "s")


def test_the_plane_of_pca_keeps_the_most_variance_there_is() -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(30, 7, generator=generator) * torch.tensor([5.0, 3, 1, 1, 1, 1, 1])
    points, shares = embeddings.pca(vectors, vectors)
    values = torch.linalg.eigvalsh(vectors.T.cov()).flip(0)
    torch.testing.assert_close(shares, values[:2] / values.sum())
    torch.testing.assert_close(points.var(0), values[:2])
    assert abs((points - points.mean(0)).T @ (points - points.mean(0)))[0, 1] < 1e-3


def test_the_shares_of_pca_are_those_of_the_mapped_vectors() -> None:
    """Fitted to other vectors: the variance along each axis, as a share of the variance of the vectors on the map."""
    fitted = torch.tensor([[2.0, 0, 0], [-2, 0, 0], [0, 1, 0], [0, -1, 0]])
    vectors = torch.tensor([[1.0, 0, 3], [-1, 0, -3], [0, 2, 0], [0, -2, 0]])
    points, shares = embeddings.pca(vectors, fitted)
    assert points.abs().tolist() == vectors[:, :2].abs().tolist()
    torch.testing.assert_close(shares, torch.tensor([2.0, 8.0]) / (2 + 8 + 18))


def test_a_sum_of_three_words_and_they_are_true_to_scale_in_their_plane() -> None:
    generator = torch.Generator().manual_seed(1)
    a, b, c, other = torch.randn(4, 50, generator=generator)
    every = torch.stack([a, b, c, b - a + c, other])
    points, shares = embeddings.pca(every, every[:3])
    torch.testing.assert_close(torch.cdist(points[:4], points[:4]), torch.cdist(every[:4], every[:4]))
    torch.testing.assert_close(points[1] - points[0], points[3] - points[2])
    assert 0 < shares.sum() < 1
    assert embeddings.lost_neighbors(every[:4], points[:4], 2) == 0


def test_neighbours_that_a_map_loses_are_counted() -> None:
    line = torch.tensor([[0.0], [1], [2.1], [3.3], [4.6]])
    vectors = torch.cat([line, torch.zeros(5, 2)], dim=1)
    assert embeddings.lost_neighbors(vectors, vectors[:, :2], 2) == 0
    # On the map 0 and 1 have changed places with 3 and 4: the nearest of each is another one.
    assert embeddings.lost_neighbors(vectors, vectors[[0, 3, 1, 4, 2], :2], 1) == 1


def test_equal_vectors_are_no_neighbours_that_a_map_keeps() -> None:
    line = torch.tensor([[0.0], [1], [2.1], [3.3], [4.6]]).expand(-1, 3)
    points = line[[0, 3, 1, 4, 2], :2]
    assert (
        embeddings.lost_neighbors(line.repeat(3, 1), points.repeat(3, 1), 1)
        == embeddings.lost_neighbors(line, points, 1)
        == 1
    )


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2]])
def test_of_two_neighbours_that_are_as_near_both_count(order: list[int]) -> None:
    square = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])[order]
    for stretched in ((1, 2), (2, 1)):  # each keeps one of the two
        assert embeddings.lost_neighbors(square, square * torch.tensor(stretched), 1) == 0.5


def test_an_axis_runs_from_one_word_to_another() -> None:
    (_, low), (_, high), _, _ = embeddings.parse_axes(VECTORS, "man woman king queen")
    assert embeddings.project(low, high, torch.stack([low, high, (low + high) / 2])).tolist() == [-1, 1, 0]
    assert embeddings.project(low, high, torch.tensor([[1.0, 0, 9]])).item() == -1  # other directions do not count
    for wrong, said in (("man woman", "has 2 words"), ("man man king queen", "same"), ("a b c d", "none of the 5")):
        with pytest.raises(ValueError, match=said):
            embeddings.parse_axes(VECTORS, wrong)


def test_cosines_are_those_of_each_pair() -> None:
    expected = F.cosine_similarity(VECTORS.vectors[:, None], VECTORS.vectors[None], dim=-1)
    torch.testing.assert_close(embeddings.cosines(VECTORS.vectors), expected)


def test_a_word_in_two_texts_starts_alike_and_parts() -> None:
    torch.manual_seed(0)
    gpt = GPT2(GPT2Config(20, 8, 3, 2, 16))
    a, b = gpt.trace(torch.tensor([[1, 2, 3, 4]])), gpt.trace(torch.tensor([[5, 2, 7]]))
    meet, start, every = embeddings.contextual_similarity(a, 1, b, 1)
    assert meet.shape == start.shape == every.shape == (4,)
    torch.testing.assert_close(meet[0], torch.tensor(1.0))  # the same token at the same position
    torch.testing.assert_close(start[0], torch.tensor(1.0))
    assert meet[1] < 0.9999 and start[1] < 0.9999
    last = F.cosine_similarity(a.blocks[-1].resid_post[0, 1], b.blocks[-1].resid_post[0, 1], dim=0)
    torch.testing.assert_close(meet[-1], last)
    assert math.isclose(embeddings.contextual_similarity(a, 2, a, 2)[0][2].item(), 1, rel_tol=1e-5)
