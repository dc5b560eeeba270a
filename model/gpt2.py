"""GPT-2-format checkpoints: a folder, or a loaded transformers model, poured into our GPT; and back.

The format is transformers': config.json and model.safetensors, whose four projection weights
per block are stored transposed (its Conv1D computes x W, a Linear x W^T).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from model.gpt import GPT, GPTConfig

TOKENIZER = ("openai-community/gpt2", "tokenizer.json")  # on the hub
TRANSPOSED = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
MASKS = (".attn.bias", ".attn.masked_bias")  # old checkpoints carry the causal mask as a buffer
# What our GPT computes; a checkpoint that asks for anything else is refused, not approximated.
FIXED = {
    "model_type": "gpt2",
    "activation_function": "gelu_new",
    "n_inner": None,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "tie_word_embeddings": True,
}


def from_hugging_face(hf_model: Any) -> GPT:
    """Our GPT with the weights of a transformers GPT-2, with or without its head; where it can it shares their memory.

    Raises ValueError where its configuration or its weights are not those of a GPT-2.
    """
    return _pour(hf_model.config.to_dict(), hf_model.state_dict())


def load(folder: Path) -> GPT:
    """Our GPT with the weights of a GPT-2-format folder, in float32.

    Raises FileNotFoundError where config.json or model.safetensors is missing, and ValueError
    where one of them cannot be read or is not that of a GPT-2.
    """
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        state = load_file(folder / "model.safetensors")
    except FileNotFoundError:
        raise
    except Exception as error:  # json and safetensors each have their own
        raise ValueError(f"{folder.name} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"config.json of {folder.name} holds a {type(config).__name__}, not an object")
    return _pour(config, state)


def save(gpt: GPT, folder: Path) -> None:
    """Write config.json and model.safetensors (float16) so that transformers opens the folder too."""
    config = {
        **FIXED,
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": gpt.config.vocab_size,
        "n_positions": gpt.config.block_size,
        "n_layer": gpt.config.n_layer,
        "n_head": gpt.config.n_head,
        "n_embd": gpt.config.n_embd,
        "layer_norm_epsilon": gpt.config.layer_norm_epsilon,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    state = {f"transformer.{name}": weight.detach() for name, weight in gpt.state_dict().items()}
    state = {name: weight.t() if name.endswith(TRANSPOSED) else weight for name, weight in state.items()}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    save_file(
        {name: weight.half().contiguous() for name, weight in state.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )


def tokenizer() -> Tokenizer:
    """GPT-2's own tokenizer, as it was fetched from the hub; raises FileNotFoundError where it was not yet."""
    found = huggingface_hub.try_to_load_from_cache(*TOKENIZER)
    if not isinstance(found, str):
        raise FileNotFoundError("the tokenizer of GPT-2 is not on this machine")
    try:
        return Tokenizer.from_file(found)
    except Exception as error:  # the library's own; a bare one
        raise FileNotFoundError(f"the tokenizer of GPT-2 on this machine cannot be read: {error}") from error


def fetch_tokenizer() -> None:
    """Fetch GPT-2's tokenizer from the hub; raises OSError, with a sentence, where that cannot be done."""
    if huggingface_hub.is_offline_mode():
        raise OSError("This server is set to work offline (HF_HUB_OFFLINE), so nothing is fetched from the hub.")
    try:  # asked once, before the client, which asks a hub that does not answer for half a minute
        answer = huggingface_hub.get_session().head(huggingface_hub.hf_hub_url(*TOKENIZER), timeout=5)
        if answer.status_code < 400:
            huggingface_hub.hf_hub_download(*TOKENIZER, etag_timeout=5)
            return
    except Exception as error:  # the client's own, those of its library, and those of the disk
        raise OSError(f"The hub could not be reached ({type(error).__name__}).") from error
    raise OSError(f"The hub has no tokenizer of GPT-2 for this server: it answered {answer.status_code}.")


def _pour(config: Mapping[str, Any], state: Mapping[str, Tensor]) -> GPT:
    n_embd = config.get("n_embd")
    for key, value in FIXED.items():
        found = config.get(key, value)
        if found != value and not (key == "n_inner" and found == 4 * n_embd):
            raise ValueError(f"{key} is {found!r} in this checkpoint; a GPT-2 has {value!r}")
    sizes = {name: config.get(name) for name in ("vocab_size", "n_positions", "n_layer", "n_head", "n_embd")}
    for name, size in sizes.items():
        if type(size) is not int:
            raise ValueError(f"{name} is {size!r} in this checkpoint's configuration; it must be a whole number")
    epsilon = config.get("layer_norm_epsilon", 1e-5)
    if not isinstance(epsilon, float):
        raise ValueError(f"layer_norm_epsilon is {epsilon!r} in this checkpoint's configuration; it must be a number")
    gpt = GPT(GPTConfig(block_size=sizes.pop("n_positions"), layer_norm_epsilon=epsilon, **sizes))
    weights = {name.removeprefix("transformer."): weight for name, weight in state.items() if not name.endswith(MASKS)}
    weights = {name: weight.float() for name, weight in weights.items()}
    head = weights.pop("lm_head.weight", None)
    if head is not None and "wte.weight" in weights and not torch.equal(head, weights["wte.weight"]):
        raise ValueError("lm_head.weight is not wte.weight in this checkpoint; a GPT-2 ties them")
    # Every matrix keeps the layout that the checkpoint gives it in memory, inputs by outputs, and wte gets it: one row
    # times such a matrix, which is a token in generation, is read in order, and takes a seventh less time.
    try:
        for name, weight in weights.items():
            if name.endswith(TRANSPOSED):
                weights[name] = weight.t()
            elif name == "wte.weight":
                weights[name] = weight.t().contiguous().t()
        gpt.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise ValueError(f"the weights do not fit this configuration: {error}") from error
    return gpt.eval().requires_grad_(False)
