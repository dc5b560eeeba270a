"""Reading the files of a model folder, and pouring their weights into a model; every fault becomes one sentence."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from model.transformer.decoder import Decoder

LARGEST = 10**7  # of any size in a configuration; real ones are far below


def read_file(folder: Path, name: str, reader: Callable[[Path], Any]) -> Any:
    """What a reader makes of a file of the folder.

    Raises FileNotFoundError if the file is missing, and ValueError if it cannot be read.
    """
    if not (folder / name).is_file():
        pickled = name == "model.safetensors" and (folder / "pytorch_model.bin").exists()
        raise FileNotFoundError(f"{name} is missing" + (": a pickle is never opened" if pickled else ""))
    try:
        return reader(folder / name)
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror or 'it is damaged'}") from error
    except Exception as error:  # json, safetensors and tokenizers each have their own
        raise ValueError(f"{name} cannot be read: {error}") from error


def configuration(folder: Path) -> dict[str, Any]:
    """The content of config.json; raises as `read_file` does, and ValueError if it is not an object."""
    content = read_file(folder, "config.json", lambda path: json.loads(path.read_text("utf-8")))
    if not isinstance(content, dict):
        raise ValueError(f"config.json holds a {type(content).__name__}, not an object")
    return content


def weights(folder: Path) -> dict[str, Tensor]:
    """The tensors of model.safetensors; raises as `read_file` does, and if card.json has another checksum."""
    expected = card(folder).get("sha256")
    if expected and expected != read_file(folder, "model.safetensors", sha256):
        raise ValueError("model.safetensors is not the file that card.json describes: it is damaged, or was changed")
    return read_file(folder, "model.safetensors", load_file)


def card(folder: Path) -> dict[str, Any]:
    """The content of card.json; empty if there is none."""
    if not (folder / "card.json").is_file():
        return {}
    return read_file(folder, "card.json", lambda path: dict(json.loads(path.read_text("utf-8"))))


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tokenizer(folder: Path, vocab_size: int) -> Tokenizer:
    """The tokenizer of a folder; raises as `read_file` does, and ValueError if its ids are not below vocab_size."""
    loaded = read_file(folder, "tokenizer.json", lambda path: Tokenizer.from_file(str(path)))
    loaded.no_truncation()  # pages cut long prompts themselves, and say so
    loaded.no_padding()
    ids = max(loaded.get_vocab().values(), default=-1) + 1
    if not 0 < ids <= vocab_size:
        raise ValueError(f"tokenizer.json has ids up to {ids - 1:,}, the model an embedding for {vocab_size:,} tokens")
    return loaded


def check_fixed(content: Mapping[str, Any], fixed: Mapping[str, Any], family: str) -> None:
    """Raises ValueError if a configuration asks for anything that our model of this family does not compute."""
    for key, value in fixed.items():
        given = content.get(key, value)
        if given != value:
            raise ValueError(f"{key} is {str(given)[:60]!r} in this checkpoint; a {family} has {value!r}")


def check_sizes(sizes: Mapping[str, Any]) -> None:
    """Raises ValueError if a size is not a whole number up to LARGEST."""
    for name, size in sizes.items():
        if type(size) is not int or size > LARGEST:
            given = str(size)[:60] if type(size) is int else repr(size)[:60]
            raise ValueError(
                f"{name} is {given} in this checkpoint's configuration; it must be a number up to {LARGEST:,}"
            )


def check_epsilon(name: str, epsilon: Any) -> float:
    """The epsilon of a norm; raises ValueError if it is not a number between 0 and 1."""
    if not (isinstance(epsilon, float) and 0 < epsilon < 1):
        given = repr(epsilon)[:60]
        raise ValueError(f"{name} is {given} in this checkpoint's configuration; it must be between 0 and 1")
    return epsilon


def float_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights in float32; raises ValueError if one does not consist of finite numbers."""
    for name, weight in state.items():
        if not (weight.is_floating_point() and weight.isfinite().all()):
            raise ValueError(f"the weight {name} is not made of finite numbers")
    return {name: weight.float() for name, weight in state.items()}


def check_layers(config_layers: int, norms: int) -> None:
    """Raises ValueError if the configuration and the weights do not have the same number of layers."""
    if norms != config_layers:
        raise ValueError(f"n_layer is {config_layers:,}, but these are the weights of {norms} layers")


def pour(build: Callable[[], Decoder], weights: dict[str, Tensor], transposed: tuple[str, ...], family: str) -> Decoder:
    """The model that `build` makes, with these weights, which it may share; ready for inference.

    `transposed` are the ends of the names of matrices that the checkpoint stores as inputs by outputs.

    Raises ValueError if a weight is missing, unknown, or of another shape than the configuration says.
    """
    with torch.device("meta"):  # sizes without memory: every weight comes from the checkpoint
        decoder = build()
    # Every matrix is laid out in memory as inputs by outputs, and so is wte: a single row times such a matrix, which is
    # a token in generation, then reads it in order and takes a seventh less time.
    for name, weight in weights.items():
        if weight.dim() == 2 and name != "wpe.weight":
            weights[name] = weight.mT if name.endswith(transposed) else weight.mT.contiguous().mT
    expected = {name: tuple(weight.shape) for name, weight in decoder.state_dict().items()}
    given = {name: tuple(weight.shape) for name, weight in weights.items()}
    for name in expected.keys() ^ given.keys():
        raise ValueError(
            f"the weight {name} " + ("is missing" if name in expected else f"is not a weight of a {family}")
        )
    for name, shape in given.items():
        if shape != expected[name]:
            raise ValueError(f"the weight {name} is {shape} where the configuration makes it {expected[name]}")
    decoder.load_state_dict(weights, assign=True)
    return decoder.eval().requires_grad_(False)
