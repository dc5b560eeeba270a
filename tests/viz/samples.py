"""Random attention patterns, and the data of a chart."""

import numpy as np


def attention_patterns(layers: int, heads: int, tokens: int, sink: float = 0) -> np.ndarray:
    scores = np.random.default_rng(0).normal(size=(layers, heads, tokens, tokens)) * 3
    scores[..., 0] += sink
    weights = np.where(np.tril(np.ones((tokens, tokens), bool)), np.exp(scores), 0)
    return weights / weights.sum(-1, keepdims=True)


def layer_rows(chart: dict) -> list[list[dict]]:
    """The data of each layer of an Altair chart; where layers share them, they are the chart's."""
    return [chart["datasets"][layer.get("data", chart.get("data"))["name"]] for layer in chart["layer"]]
