"""Surprise: how little a model expected each token of a text."""

import torch
from torch import Tensor


def surprises(logits: Tensor, idx: Tensor) -> Tensor:
    """Surprise -ln P (T), in nats, of each token of ids idx (T), from the logits (T, V) after each of them; NaN first.

    Before the first token the model has read nothing, so that it predicts none.

    >>> surprises(torch.tensor([[0.0, 0.0], [0.0, 1.0986]]), torch.tensor([1, 0]))
    tensor([   nan, 0.6931])
    >>> surprises(torch.tensor([[0.0, 1.0986], [0.0, 0.0]]), torch.tensor([1, 0]))
    tensor([   nan, 1.3863])
    """
    log_probabilities = logits[:-1].log_softmax(-1).gather(-1, idx[1:, None])[:, 0]
    return torch.cat([logits.new_full((1,), torch.nan), -log_probabilities])
