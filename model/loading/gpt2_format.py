"""GPT-2's checkpoints: their configuration and weights into our GPT-2, and back.

The format is that of transformers: config.json and model.safetensors, whose four projection weights in each block are
stored transposed (its Conv1D computes x W, a Linear x W^T).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from model.loading.files import check_epsilon, check_fixed, check_layers, check_sizes, float_weights, pour
from model.transformer.decoder import Decoder
from model.transformer.gpt2 import GPT2, GPT2Config

TRANSPOSED = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
MASKS = (".attn.bias", ".attn.masked_bias")  # old checkpoints carry the causal mask as a buffer
# What our GPT-2 computes; a checkpoint that asks for anything else is refused, not approximated.
FIXED = {
    "model_type": "gpt2",
    "activation_function": "gelu_new",
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "tie_word_embeddings": True,
}


def config(content: Mapping[str, Any]) -> GPT2Config:
    """The sizes in the content of a config.json; raises ValueError if it does not describe a GPT-2."""
    check_fixed(content, FIXED, "GPT-2")
    sizes = {name: content.get(name) for name in ("vocab_size", "n_positions", "n_layer", "n_head", "n_embd")}
    check_sizes(sizes)
    if content.get("n_inner") not in (None, 4 * sizes["n_embd"]):
        raise ValueError(f"n_inner is {content['n_inner']!r} in this checkpoint; a GPT-2 has four times its n_embd")
    epsilon = check_epsilon("layer_norm_epsilon", content.get("layer_norm_epsilon", 1e-5))
    return GPT2Config(block_size=sizes.pop("n_positions"), layer_norm_epsilon=epsilon, **sizes)


def decoder(config: GPT2Config, state: Mapping[str, Tensor]) -> Decoder:
    """A GPT-2 with the weights of a checkpoint (`lm_head` may be missing); raises ValueError if they do not fit."""
    weights = float_weights(
        {name.removeprefix("transformer."): weight for name, weight in state.items() if not name.endswith(MASKS)}
    )
    head = weights.pop("lm_head.weight", None)
    if head is not None and "wte.weight" in weights and not torch.equal(head, weights["wte.weight"]):
        raise ValueError("lm_head.weight is not wte.weight in this checkpoint; a GPT-2 ties them")
    check_layers(config.n_layer, sum(name.endswith(".ln_1.weight") for name in weights))
    return pour(lambda: GPT2(config), weights, TRANSPOSED, "GPT-2")


def from_hugging_face(hf_model: Any) -> Decoder:
    """Our GPT-2 with the weights of a transformers GPT-2; where possible, both share the memory.

    Raises ValueError if its configuration or its weights are not those of a GPT-2.
    """
    return decoder(config(hf_model.config.to_dict()), hf_model.state_dict())


def save(decoder: GPT2, folder: Path) -> None:
    """Write config.json and model.safetensors (float16), which transformers opens too."""
    content = {
        **FIXED,
        "n_inner": None,
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": decoder.config.vocab_size,
        "n_positions": decoder.config.block_size,
        "n_layer": decoder.config.n_layer,
        "n_head": decoder.config.n_head,
        "n_embd": decoder.config.n_embd,
        "layer_norm_epsilon": decoder.config.layer_norm_epsilon,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    state = {f"transformer.{name}": weight.detach() for name, weight in decoder.state_dict().items()}
    state = {name: weight.t() if name.endswith(TRANSPOSED) else weight for name, weight in state.items()}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    save_file(
        {name: weight.half().contiguous() for name, weight in state.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
