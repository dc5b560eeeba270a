"""The norms of a block, and the final norm, step by step: what each reads, and what becomes of it."""

from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from model.transformer.decoder import Decoder
from model.transformer.record import Trace


class NormSteps(NamedTuple):
    """A norm at each of T tokens. Shapes as in `record.py`."""

    before: Annotated[Tensor, "T C"]  # the residual stream
    normalized: Annotated[Tensor, "T C"]  # before the learned weight and bias
    after: Annotated[Tensor, "T C"]  # what attention, the MLP or the unembedding reads


@torch.inference_mode()
def norm_steps(decoder: Decoder, trace: Trace, layer: int) -> dict[str, NormSteps]:
    """The two norms of a layer and the final norm, by name, in the first row of a trace."""
    block, record = decoder.blocks[layer], trace.blocks[layer]
    norms = {
        f"L{layer} ln_1": (block.ln_1, record.resid_pre[0]),
        f"L{layer} ln_2": (block.ln_2, record.resid_mid[0]),
        "ln_f": (decoder.ln_f, trace.blocks[-1].resid_post[0]),
    }
    return {name: NormSteps(stream, norm.standardize(stream), norm(stream)) for name, (norm, stream) in norms.items()}
