"""generate() with temperature and top-k, as it is usually called."""

import torch
from torch import Tensor

from model.decoding import sampling
from model.transformer.decoder import Decoder


def generate(
    decoder: Decoder,
    idx: Tensor,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Generation with a KV cache: the ids idx (B, T) and max_new_tokens sampled ids, (B, T + max_new_tokens).

    Temperature 0 takes the most likely token. Raises ValueError for a temperature below 0 or not finite, a top_k below
    1, and an empty idx.
    """
    chain = [("temperature", temperature), *([("top-k", top_k)] if top_k is not None else [])]
    return decoder.generate(idx, max_new_tokens, sampling.draw(chain, generator))
