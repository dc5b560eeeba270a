"""GPT-2-format checkpoints: a folder, or a loaded transformers model, poured into our GPT; and back.

The format is transformers': config.json and model.safetensors, whose four projection weights
per block are stored transposed (its Conv1D computes x W, a Linear x W^T).
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from model.transformer.gpt2 import GPT, GPTConfig

TRANSPOSED = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
LARGEST = 10**7  # of any size; GPT-2 XL's are far below
MASKS = (".attn.bias", ".attn.masked_bias")  # old checkpoints carry the causal mask as a buffer
# What our GPT computes; a checkpoint that asks for anything else is refused, not approximated.
FIXED = {
    "model_type": "gpt2",
    "activation_function": "gelu_new",
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "tie_word_embeddings": True,
}


def from_hugging_face(hf_model: Any) -> GPT:
    """Our GPT with the weights of a transformers GPT-2, with or without its head; where it can it shares their memory.

    Raises ValueError where its configuration or its weights are not those of a GPT-2.
    """
    return _pour(config(hf_model.config.to_dict()), hf_model.state_dict())


def load(folder: Path) -> GPT:
    """Our GPT with the weights of a GPT-2-format folder, in float32.

    Raises FileNotFoundError where config.json or model.safetensors is missing, and ValueError
    where one of them cannot be read, is not that of a GPT-2, or not the one that a card beside it tells of.
    """
    expected = _card(folder).get("sha256")
    if expected and expected != _opened(folder, "model.safetensors", sha256):
        raise ValueError("model.safetensors is not the file that card.json tells of: it is damaged, or was changed")
    return _pour(sizes(folder), _opened(folder, "model.safetensors", load_file))


def sha256(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sizes(folder: Path) -> GPTConfig:
    """The sizes of the GPT-2 in a folder; raises as `load` does."""
    return config(_opened(folder, "config.json", lambda path: json.loads(path.read_text("utf-8"))))


def tokenizer(folder: Path, vocab_size: int) -> Tokenizer:
    """The tokenizer of a folder; raises as `load` does, and where its ids are not below vocab_size."""
    found = _opened(folder, "tokenizer.json", lambda path: Tokenizer.from_file(str(path)))
    found.no_truncation()  # what is cut is cut by the page, which says so
    found.no_padding()
    ids = max(found.get_vocab().values(), default=-1) + 1
    if not 0 < ids <= vocab_size:
        raise ValueError(f"tokenizer.json has ids up to {ids - 1:,}, the model an embedding for {vocab_size:,} tokens")
    return found


def _card(folder: Path) -> dict[str, Any]:
    there = (folder / "card.json").is_file()
    return _opened(folder, "card.json", lambda path: dict(json.loads(path.read_text("utf-8")))) if there else {}


def _opened(folder: Path, name: str, reader: Callable[[Path], Any]) -> Any:
    if not (folder / name).is_file():
        pickled = name == "model.safetensors" and (folder / "pytorch_model.bin").exists()
        raise FileNotFoundError(f"{name} is missing" + (": a pickle is never opened" if pickled else ""))
    try:
        return reader(folder / name)
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror or 'it is damaged'}") from error
    except Exception as error:  # json, safetensors and tokenizers each have their own
        raise ValueError(f"{name} cannot be read: {error}") from error


def save(gpt: GPT, folder: Path) -> None:
    """Write config.json and model.safetensors (float16) so that transformers opens the folder too."""
    described = {
        **FIXED,
        "n_inner": None,
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
    (folder / "config.json").write_text(json.dumps(described, indent=2) + "\n", "utf-8")
    save_file(
        {name: weight.half().contiguous() for name, weight in state.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )


def config(found: Any) -> GPTConfig:
    """The sizes that the content of a config.json gives; raises ValueError where they are not those of a GPT-2."""
    if not isinstance(found, dict):
        raise ValueError(f"config.json holds a {type(found).__name__}, not an object")
    for key, value in FIXED.items():
        given = found.get(key, value)
        if given != value:
            raise ValueError(f"{key} is {str(given)[:60]!r} in this checkpoint; a GPT-2 has {value!r}")
    sizes = {name: found.get(name) for name in ("vocab_size", "n_positions", "n_layer", "n_head", "n_embd")}
    for name, size in sizes.items():
        if type(size) is not int or size > LARGEST:
            given = str(size)[:60] if type(size) is int else repr(size)[:60]
            raise ValueError(
                f"{name} is {given} in this checkpoint's configuration; it must be a number up to {LARGEST:,}"
            )
    if found.get("n_inner") not in (None, 4 * sizes["n_embd"]):
        raise ValueError(f"n_inner is {found['n_inner']!r} in this checkpoint; a GPT-2 has four times its n_embd")
    epsilon = found.get("layer_norm_epsilon", 1e-5)
    if not (isinstance(epsilon, float) and 0 < epsilon < 1):
        given = repr(epsilon)[:60]
        raise ValueError(
            f"layer_norm_epsilon is {given} in this checkpoint's configuration; it must be between 0 and 1"
        )
    return GPTConfig(block_size=sizes.pop("n_positions"), layer_norm_epsilon=epsilon, **sizes)


def _pour(config: GPTConfig, state: Mapping[str, Tensor]) -> GPT:
    weights = {name.removeprefix("transformer."): weight for name, weight in state.items() if not name.endswith(MASKS)}
    for name, weight in weights.items():
        if not (weight.is_floating_point() and weight.isfinite().all()):
            raise ValueError(f"the weight {name} is not made of finite numbers")
    weights = {name: weight.float() for name, weight in weights.items()}
    head = weights.pop("lm_head.weight", None)
    if head is not None and "wte.weight" in weights and not torch.equal(head, weights["wte.weight"]):
        raise ValueError("lm_head.weight is not wte.weight in this checkpoint; a GPT-2 ties them")
    layers = sum(name.endswith(".ln_1.weight") for name in weights)
    if layers != config.n_layer:
        raise ValueError(f"n_layer is {config.n_layer:,}, but these are the weights of {layers} layers")
    with torch.device("meta"):  # sizes without memory: every weight comes from the checkpoint
        gpt = GPT(config)
    # Every matrix keeps the layout that the checkpoint gives it in memory, inputs by outputs, and wte gets it: one row
    # times such a matrix, which is a token in generation, is read in order, and takes a seventh less time.
    for name, weight in weights.items():
        if weight.dim() == 2 and name.endswith(TRANSPOSED):
            weights[name] = weight.mT
        elif weight.dim() == 2 and name == "wte.weight":
            weights[name] = weight.mT.contiguous().mT
    expected = {name: tuple(weight.shape) for name, weight in gpt.state_dict().items()}
    given = {name: tuple(weight.shape) for name, weight in weights.items()}
    for name in expected.keys() ^ given.keys():
        raise ValueError(f"the weight {name} " + ("is missing" if name in expected else "is none of a GPT-2's"))
    for name, shape in given.items():
        if shape != expected[name]:
            raise ValueError(f"the weight {name} is {shape} where the configuration makes it {expected[name]}")
    gpt.load_state_dict(weights, assign=True)
    return gpt.eval().requires_grad_(False)
