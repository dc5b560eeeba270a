"""Opening a model folder of any family, by the model_type in its config.json."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from model.loading import files, gpt2_format, llama_format
from model.transformer.config import DecoderConfig
from model.transformer.decoder import Decoder

tokenizer = files.tokenizer
FORMATS = {"gpt2": gpt2_format, "llama": llama_format}


def _format(content: Mapping[str, Any]) -> ModuleType:
    family = content.get("model_type", "gpt2")
    if family not in FORMATS:
        raise ValueError(
            f"model_type is {str(family)[:60]!r} in this checkpoint; it must be {' or '.join(map(repr, FORMATS))}"
        )
    return FORMATS[family]


def config(content: Mapping[str, Any]) -> DecoderConfig:
    """The sizes in the content of a config.json; raises ValueError if we do not compute such a model."""
    return _format(content).config(content)


def sizes(folder: Path) -> DecoderConfig:
    """The sizes of the model in a folder; raises as `load` does."""
    return config(files.configuration(folder))


def load(folder: Path) -> Decoder:
    """The model of a folder, in float32.

    Raises FileNotFoundError if config.json or model.safetensors is missing, and ValueError if one of them cannot be
    read, does not belong to a family that we compute, or is not the file that a card beside it describes.
    """
    content = files.configuration(folder)
    family = _format(content)
    return family.decoder(family.config(content), files.weights(folder))
