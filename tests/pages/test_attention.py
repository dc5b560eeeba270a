"""The lesson on attention: the numbers of the opened head, against queries and keys of the same prompt."""

import math

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages.shared import models
from tests.driver import heat_maps, page, read_prompt

ATTENTION, PROMPT = "transformer/attention", "The keys near the box"
NAME = models.NAMES[0]


def opened(layer: int, head: int, prompt: str = PROMPT) -> AppTest:
    return page(ATTENTION, steps="true", layer=str(layer), head=str(head), prompt=prompt)


@pytest.mark.parametrize(("layer", "head"), [(0, 5), (2, 1), (3, 7)])
def test_the_three_matrices_are_products_scores_and_weights(layer: int, head: int) -> None:
    app = opened(layer, head)
    assert not app.exception
    attention = read_prompt(NAME, PROMPT).trace.blocks[layer].attn
    q, k = attention.q[0, head].double().numpy(), attention.k[0, head].double().numpy()
    width = q.shape[-1]
    future = np.triu(np.ones((len(q), len(q)), bool), 1)
    products = q @ k.T
    scores = np.where(future, np.nan, products / math.sqrt(width))
    weights = np.exp(scores - np.nanmax(scores, axis=-1, keepdims=True))
    weights /= np.nansum(weights, axis=-1, keepdims=True)
    for shown, expected in zip(heat_maps(app).values(), (products, scores, weights), strict=True):
        np.testing.assert_allclose(shown, expected, rtol=1e-4, atol=1e-4)
    assert any(f"√D = √{width} = {math.sqrt(width):.2f}" in element.value for element in app.markdown)


def test_the_table_has_the_row_of_the_chosen_query() -> None:
    app = opened(2, 1)
    attention = read_prompt(NAME, PROMPT).trace.blocks[2].attn
    tokens = read_prompt(NAME, PROMPT).tokens
    for query in (len(tokens) - 1, 2):
        (choice,) = [box for box in app.selectbox if box.label == "Numbers of one row: the query of"]
        choice.set_value(choice.options[query]).run()
        (table,) = app.dataframe
        products = (attention.q[0, 1, query] @ attention.k[0, 1].T).tolist()
        numbers = table.value.select_dtypes("number").to_numpy().T
        np.testing.assert_allclose(numbers[0], products, atol=6e-3)
        np.testing.assert_allclose(numbers[1][: query + 1], attention.scores[0, 1, query, : query + 1], atol=6e-3)
        np.testing.assert_allclose(numbers[2][: query + 1], attention.pattern[0, 1, query, : query + 1], atol=6e-5)
        assert np.isnan(numbers[1:, query + 1 :]).all()


def test_the_matrices_are_cut_at_32_tokens_and_the_row_is_whole() -> None:
    app = opened(1, 1, "cat " * 40)
    tokens = len(read_prompt(NAME, "cat " * 40).tokens)
    assert tokens > 32
    assert {shown.shape for shown in heat_maps(app).values()} == {(32, 32)}
    assert len(app.dataframe[0].value) == tokens
    assert any(f"the first 32 of {tokens} tokens" in element.value for element in app.caption)
