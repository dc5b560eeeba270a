"""Layer norm and RMS norm, and the linear map that each is once its scale is held fixed.

A norm divides by a scale that depends on the whole stream. With the scale of one stream held fixed, the rest is linear:
so the logits become a sum over everything that was written to that stream (direct logit attribution).

Sources: Ba et al. 2016, "Layer Normalization"; Zhang and Sennrich 2019, "Root Mean Square Layer Normalization".
"""

import torch
from torch import Tensor, nn


class _Foldable(nn.Module):
    """What both norms share; `_center` and `_scale` tell them apart."""

    def standardize(self, x: Tensor) -> Tensor:
        """The vectors x (…, C) before the learned weight and bias."""
        return self._center(x) / self._scale(x)

    def weigh(self, written: Tensor) -> Tensor:
        """Vectors (…, C) centered and multiplied by the learned weight, without any scale."""
        return self._center(written) * self.weight

    def fold(self, stream: Tensor, written: Tensor) -> Tensor:
        """What vectors `written` (…, C) to a stream (C) become behind the norm, the stream's scale held fixed.

        The fold of the stream itself, plus the bias, is the norm's output.
        """
        return self.weigh(written) / self._scale(stream)

    def pull(self, stream: Tensor, direction: Tensor) -> Tensor:
        """The transpose of `fold`: pull(stream, d) @ w = d @ fold(stream, w), for a direction d (C)."""
        return self._center(direction * self.weight / self._scale(stream))


class LayerNorm(_Foldable, nn.LayerNorm):
    """GPT-2's norm: mean 0, standard deviation 1, times a weight, plus a bias."""

    def _center(self, x: Tensor) -> Tensor:
        return x - x.mean(-1, keepdim=True)

    def _scale(self, x: Tensor) -> Tensor:
        return (x.var(-1, unbiased=False, keepdim=True) + self.eps).sqrt()


class RMSNorm(_Foldable, nn.RMSNorm):
    """Llama's norm: root mean square 1, times a weight; no mean is subtracted and nothing is added."""

    @property
    def bias(self) -> Tensor:
        """Zeros (C): this norm adds nothing."""
        return torch.zeros_like(self.weight)

    def _center(self, x: Tensor) -> Tensor:
        return x

    def _scale(self, x: Tensor) -> Tensor:
        return (x.square().mean(-1, keepdim=True) + self.eps).sqrt()
