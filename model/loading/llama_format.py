"""Llama's checkpoints: their configuration and weights into our Llama, and back.

The format is that of transformers: config.json and model.safetensors.
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
from model.transformer.llama import Llama, LlamaConfig

# What our Llama computes; a checkpoint that asks for anything else is refused, not approximated.
FIXED = {"model_type": "llama", "hidden_act": "silu", "attention_bias": False, "mlp_bias": False}
SIZES = {  # in config.json, and in LlamaConfig
    "vocab_size": "vocab_size",
    "max_position_embeddings": "block_size",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "hidden_size": "n_embd",
    "num_key_value_heads": "n_kv_head",
    "intermediate_size": "n_hidden",
}
NAMES = {  # parts of the names of weights in the checkpoint, and in ours
    "model.embed_tokens.": "wte.",
    "model.layers.": "h.",
    "model.norm.": "ln_f.",
    "self_attn.": "attn.",
    "post_attention_layernorm.": "ln_2.",
    "input_layernorm.": "ln_1.",
}
FREQUENCIES = "rotary_emb.inv_freq"  # a buffer in old checkpoints


def config(content: Mapping[str, Any]) -> LlamaConfig:
    """The sizes in the content of a config.json; raises ValueError if ours does not compute such a Llama."""
    check_fixed(content, FIXED, "Llama")
    content = {"num_key_value_heads": content.get("num_attention_heads"), **content}
    sizes = {name: content.get(name) for name in SIZES}
    check_sizes(sizes)
    config = LlamaConfig(
        **{SIZES[name]: size for name, size in sizes.items()},
        layer_norm_epsilon=check_epsilon("rms_norm_eps", content.get("rms_norm_eps", 1e-6)),
        rope_theta=_rope_theta(content),
        tied=bool(content.get("tie_word_embeddings", False)),
    )
    if content.get("head_dim") not in (None, config.head_size):
        raise ValueError(
            f"head_dim is {content['head_dim']!r} in this checkpoint; it must be hidden_size over num_attention_heads, "
            f"{config.head_size}"
        )
    return config


def _rope_theta(content: Mapping[str, Any]) -> float:
    """The base of the rotary angles; raises ValueError if the angles are scaled, which ours does not compute."""
    rope = content.get("rope_parameters") or content.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default")) if isinstance(rope, dict) else rope
    if kind != "default":
        raise ValueError(
            f"rope_type is {str(kind)[:60]!r} in this checkpoint; only 'default' rotary positions are read"
        )
    theta = rope.get("rope_theta", content.get("rope_theta", 10_000.0))
    if not (isinstance(theta, int | float) and 1 < theta < 1e12):
        raise ValueError(f"rope_theta is {repr(theta)[:60]} in this checkpoint; it must be a number above 1")
    return float(theta)


def decoder(config: LlamaConfig, state: Mapping[str, Tensor]) -> Decoder:
    """A Llama with the weights of a checkpoint; raises ValueError if they do not fit."""
    weights = float_weights({_name(name): weight for name, weight in state.items() if not name.endswith(FREQUENCIES)})
    if config.tied:
        head = weights.pop("lm_head.weight", None)
        if head is not None and "wte.weight" in weights and not torch.equal(head, weights["wte.weight"]):
            raise ValueError("lm_head.weight is not the token embedding, but this checkpoint says that they are tied")
    check_layers(config.n_layer, sum(name.endswith(".ln_1.weight") for name in weights))
    return pour(lambda: Llama(config), weights, (), "Llama")


def _name(name: str) -> str:
    for theirs, ours in NAMES.items():
        name = name.replace(theirs, ours)
    return name


def from_hugging_face(hf_model: Any) -> Decoder:
    """Our Llama with the weights of a transformers Llama.

    Raises ValueError if its configuration or its weights are not those of a Llama that ours computes.
    """
    return decoder(config(hf_model.config.to_dict()), hf_model.state_dict())


def save(decoder: Llama, folder: Path) -> None:
    """Write config.json and model.safetensors (float16), which transformers opens too."""
    content = {
        **FIXED,
        "architectures": ["LlamaForCausalLM"],
        **{theirs: getattr(decoder.config, ours) for theirs, ours in SIZES.items()},
        "rms_norm_eps": decoder.config.layer_norm_epsilon,
        "rope_parameters": {"rope_type": "default", "rope_theta": decoder.config.rope_theta},
        "tie_word_embeddings": decoder.config.tied,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    state = {}
    for name, weight in decoder.state_dict().items():
        for theirs, ours in NAMES.items():
            name = name.replace(ours, theirs)
        state[name] = weight.detach().half().contiguous()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
