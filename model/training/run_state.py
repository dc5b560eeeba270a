"""The state of a training run on disk, so that an interrupted run continues where it was."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from model.transformer.decoder import Decoder


def save_run(
    decoder: Decoder, optimizers: Sequence[torch.optim.Optimizer], step: int, settings: str, path: Path
) -> None:
    """Save the state of a run: weights, the state of the optimizers, the number of steps done, and the settings."""
    names = {parameter: name for name, parameter in decoder.named_parameters()}
    state = {f"weight.{name}": parameter.detach() for parameter, name in names.items()}
    for optimizer in optimizers:
        for parameter, moments in optimizer.state.items():
            state |= {f"{key}.{names[parameter]}": moment for key, moment in moments.items()}
    new = path.with_suffix(".new")
    save_file(state, new, metadata={"step": str(step), "settings": settings})
    new.replace(path)  # a run that is killed while it saves keeps its last state


def load_run(decoder: Decoder, optimizers: Sequence[torch.optim.Optimizer], settings: str, path: Path) -> int:
    """Load the state of a run into the model and the optimizers; returns the number of steps done.

    Raises ValueError if the file cannot be read or belongs to a run with other settings.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata()
        state = load_file(path, str(decoder.W_E.device))
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} cannot be read ({error}); delete it to begin anew") from error
    if metadata["settings"] != settings:
        raise ValueError(f"{path} is of a run with {metadata['settings']}, not {settings}; delete it to begin anew")
    decoder.load_state_dict({name: state.pop(f"weight.{name}") for name in decoder.state_dict()})
    parameters = dict(decoder.named_parameters())
    owner = {parameter: optimizer for optimizer in optimizers for parameter in _parameters(optimizer)}
    for full_name, moment in state.items():
        key, _, name = full_name.partition(".")
        owner[parameters[name]].state[parameters[name]][key] = moment
    return int(metadata["step"])


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


@contextmanager
def interrupt_event() -> Iterator[Event]:
    """An event that Ctrl-C sets, instead of interrupting a step."""
    interrupted = Event()
    before = signal.signal(signal.SIGINT, lambda *_: interrupted.set())
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)
