"""Train a built-in model from scratch: `python -m model.training.pretrain [vitrine | growing]`.

Every batch is told afresh by the toy world, from the seed and the number of the step, so there are
no epochs, and a run that was stopped (Ctrl-C) goes on where it was. Some rows are no text but random
tokens, said again and again: from them a model learns to repeat anything. In a short phase they are
many, until the heads that do this have formed. A second stage, in which half of the rows ask for what they said,
forms those that answer from the text; in the last the text is as the world tells it, so that the model is true to it.
The result is a GPT-2-format folder with a card that says how it came about and what it can do.
"""

import argparse
import json
import math
import platform
import random
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from threading import Event
from typing import NamedTuple

import safetensors
import tokenizers
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from model.language import tokenization
from model.loading import files, gpt2_format
from model.loading.folders import CHECKPOINTS
from model.toy_world import grammar
from model.training import evaluation
from model.transformer.decoder import Decoder
from model.transformer.gpt2 import GPT2, GPT2Config
from model.transformer.positions import sinusoidal


class Phase(NamedTuple):
    """A part of a stage: until which part of its steps, and the share of rows of two special kinds.

    Random rows are no text but random tokens, said again and again; asking rows are told by the families of the toy
    world that ask for what they said.
    """

    until: float
    random: float
    asking: float = 0.0


class Stage(NamedTuple):
    """A stretch of a training with one course of the learning rate, which rises to `peak` and falls to `last` of it.

    Each begins as from a saved model: with weights of 16 bits, and optimizers that remember nothing.
    """

    steps: int
    peak: float
    phases: Sequence[Phase]
    last: float = 0.05


class Recipe(NamedTuple):
    """How a model is trained; the weights after each of the steps in `keep` are kept as well."""

    title: str
    config: GPT2Config
    stages: Sequence[Stage]
    keep: Sequence[int] = ()
    batch: int = 32


RECIPES = {
    "vitrine": Recipe(
        "Vitrine",
        GPT2Config(6144, 128, n_layer=4, n_head=8, n_embd=256),
        stages=(
            Stage(
                20_000,
                5e-3,
                (Phase(0.05, 0.12), Phase(0.09, 0.6), Phase(0.7, 0.03, asking=0.3), Phase(1, 0.03)),
                last=0.01,
            ),
            Stage(1_000, 2e-3, (Phase(1, 0.03, asking=0.5),), last=1),
            Stage(2_000, 2e-3, (Phase(1, 0.03),), last=0.03),
        ),
    ),
    "growing": Recipe(
        "Vitrine, small",
        GPT2Config(6144, 128, n_layer=3, n_head=4, n_embd=64),
        stages=(Stage(4000, 5e-3, (Phase(0.1, 0.12), Phase(0.3, 0.6), Phase(1, 0.03))),),
        keep=(0, 60, 125, 250, 500, 1000, 2000),
    ),
}


def training_rows(
    tokenizer: Tokenizer, seed: str, count: int, width: int, random_share: float = 0, asking: float = 0
) -> Tensor:
    """Ids (count, width) for one step: rows of documents, every other one behind a line break, and random rows.

    A row of documents begins with the start of one. A random row is a list of 10 to 60 ids, each as likely as
    any other, said over and over. Of the other rows the share `asking` is told by the families that ask.
    """
    end_of_line = tokenizer.encode("\n").ids
    rng = random.Random(f"{seed} random")
    told, asked = grammar.documents(seed), grammar.documents(f"{seed} asking", grammar.ASKING)

    def row(ids: list[int]) -> list[int]:
        if rng.random() < random_share:
            some = rng.choices(range(tokenizer.get_vocab_size()), k=rng.randint(10, 60))
            return (some * (width // len(some) + 1))[:width]
        teller = asked if rng.random() < asking else told
        while len(ids) < width:
            ids += [id for text in tokenizer.encode_batch(list(islice(teller, 8))) for id in text.ids + end_of_line]
        return ids[:width]

    return torch.tensor([row(end_of_line[: n % 2]) for n in range(count)])


def learning_rate(step: int, steps: int, peak: float, last: float = 0.05) -> float:
    """Learning rate of a step: linear warmup over a tenth of the steps, then half a cosine down to `last` x the peak.

    The warmup has at most 100 steps.

    >>> [round(learning_rate(step, steps=1000, peak=1.0), 3) for step in (0, 99, 550, 999)]
    [0.01, 1.0, 0.525, 0.05]
    """
    rise = min(100, steps // 10)
    if step < rise:
        return peak * (step + 1) / rise
    return peak * (last + (1 - last) / 2 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise))))


def build_optimizers(gpt: Decoder) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for the rest; what has two dimensions decays.

    Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks".
    """
    named = dict(gpt.named_parameters())
    hidden = [parameter for name, parameter in named.items() if name.startswith("h.") and parameter.dim() == 2]
    tables = [gpt.W_E, gpt.W_pos]
    others = [parameter for parameter in named.values() if parameter.dim() == 1]
    groups = [{"params": tables, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    return [
        torch.optim.Muon(hidden, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(groups, betas=(0.9, 0.95)),
    ]


def save_run(gpt: Decoder, optimizers: Sequence[torch.optim.Optimizer], step: int, settings: str, path: Path) -> None:
    """Everything a run needs to go on: weights, the optimizers' state, how many steps were made, and of what run."""
    names = {parameter: name for name, parameter in gpt.named_parameters()}
    state = {f"weight.{name}": parameter.detach() for parameter, name in names.items()}
    for optimizer in optimizers:
        for parameter, moments in optimizer.state.items():
            state |= {f"{key}.{names[parameter]}": moment for key, moment in moments.items()}
    new = path.with_suffix(".new")
    save_file(state, new, metadata={"step": str(step), "settings": settings})
    new.replace(path)  # a run that is killed while it saves keeps its last state


def load_run(gpt: Decoder, optimizers: Sequence[torch.optim.Optimizer], settings: str, path: Path) -> int:
    """Take up a saved run; the number of steps it had made.

    Raises ValueError where the file cannot be read or is of a run with other settings.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata()
        state = load_file(path, str(gpt.W_E.device))
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} cannot be read ({error}); delete it to begin anew") from error
    if metadata["settings"] != settings:
        raise ValueError(f"{path} is of a run with {metadata['settings']}, not {settings}; delete it to begin anew")
    gpt.load_state_dict({name: state.pop(f"weight.{name}") for name in gpt.state_dict()})
    parameters = dict(gpt.named_parameters())
    owner = {parameter: optimizer for optimizer in optimizers for parameter in _parameters(optimizer)}
    for found, moment in state.items():
        key, _, name = found.partition(".")
        owner[parameters[name]].state[parameters[name]][key] = moment
    return int(metadata["step"])


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


@contextmanager
def interrupt_event() -> Iterator[Event]:
    """What Ctrl-C sets, in place of breaking off in the middle of a step."""
    pressed = Event()
    before = signal.signal(signal.SIGINT, lambda *_: pressed.set())
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def train(
    folder: Path, recipe: Recipe, seed: int, compile: bool = False, bfloat16: bool = False, device: str = "cpu"
) -> bool:
    """Train, or go on training, and write the folder; False where the run was stopped before its end.

    Until then everything lies in a folder `run` inside it, and the model that was there still works. In bfloat16
    the products are computed, not the weights kept.
    """
    title, config, stages, keep, batch = recipe
    plan = [(stage, step) for stage in stages for step in range(stage.steps)]
    steps = len(plan)
    path, run = folder / "run" / "tokenizer.json", folder / "run" / "state.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    made_with = {"threads": torch.get_num_threads(), "compile": compile, "bfloat16": bfloat16, "device": device}
    settings = f"{recipe}, seed {seed}, {made_with}"
    torch.manual_seed(seed)
    gpt = GPT2(config)
    # Positions start as waves and are learned on: from random ones the heads that look at the token before, and those
    # built on them, come much later.
    gpt.W_pos.data = 0.06 * sinusoidal(config.block_size, config.n_embd, base=1000).float()
    gpt.to(device)
    optimizers = build_optimizers(gpt)
    start = load_run(gpt, optimizers, settings, run) if run.exists() else 0
    if start:
        tokenizer = Tokenizer.from_file(str(path))
    else:
        tokenizer = tokenization.train_bpe(islice(grammar.documents(f"{seed} words"), 60_000), config.vocab_size)
        tokenizer.save(str(path))
        if 0 in keep:
            gpt2_format.save(gpt, folder / "run" / "steps" / "0")

    def loss_of(idx: Tensor) -> Tensor:
        with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
            return F.cross_entropy(gpt(idx[:, :-1]).flatten(0, 1), idx[:, 1:].flatten())

    if compile:
        loss_of = torch.compile(loss_of)
    print(f"{sum(p.numel() for p in gpt.parameters()):,} parameters, steps {start:,} to {steps:,}", flush=True)

    with interrupt_event() as stopping:
        began = time.monotonic()
        for step in range(start, steps):
            stage, within = plan[step]
            if step and not within:
                gpt.load_state_dict({name: weight.half() for name, weight in gpt.state_dict().items()})
                for optimizer in optimizers:
                    optimizer.state.clear()
            for group in (group for optimizer in optimizers for group in optimizer.param_groups):
                group["lr"] = learning_rate(within, stage.steps, stage.peak, stage.last)
            phase = next(phase for phase in stage.phases if within < phase.until * stage.steps)
            data = training_rows(
                tokenizer, f"{seed} step {step}", batch, config.block_size + 1, phase.random, phase.asking
            )
            loss = loss_of(data.to(device))
            gpt.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(gpt.parameters(), 1.0)
            for optimizer in optimizers:
                optimizer.step()
            done = step + 1
            if done % 50 == 0:
                left = (time.monotonic() - began) / (done - start) * (steps - done)
                read = f"{done * batch * config.block_size / 1e6:.2f} M tokens"
                print(f"step {done:,}  {read}  loss {loss.item():.3f} nats  {left / 60:.0f} min left", flush=True)
            if done in keep:
                gpt2_format.save(gpt, folder / "run" / "steps" / str(done))
            if done % 500 == 0 or stopping.is_set():
                save_run(gpt, optimizers, done, settings, run)
            if stopping.is_set():
                print(f"stopped after {done:,} steps; the same command goes on from there")
                return False

    gpt2_format.save(gpt.cpu(), folder)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    if keep:
        shutil.rmtree(folder / "steps", ignore_errors=True)
        shutil.copytree(run.parent / "steps", folder / "steps")
    card = {
        "name": title,
        "parameters": sum(parameter.numel() for parameter in gpt.parameters()),
        "sha256": files.sha256(folder / "model.safetensors"),
        "corpus": f"the toy world (model/toy_world/grammar.py), seed {seed}",
        "steps": steps,
        "batch": [batch, config.block_size],
        "tokens": steps * batch * config.block_size,
        "stages": [stage._asdict() | {"phases": [phase._asdict() for phase in stage.phases]} for stage in stages],
        **made_with,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "tokenizers": tokenizers.__version__,
            "safetensors": safetensors.__version__,
        },
    }
    (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n", "utf-8")
    evaluation.main([str(folder)])  # what the card says of it holds for the weights as they are shipped
    shutil.rmtree(run.parent)
    return True


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m model.training.pretrain", description="Train a built-in model from scratch."
    )
    parser.add_argument("recipe", nargs="?", choices=RECIPES, default="vitrine")
    parser.add_argument("--folder", type=Path, help="where the model is written (checkpoints/ and the recipe's name)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="another number changes the last bits of the result")
    parser.add_argument("--compile", action="store_true", help="faster; needs a C++ compiler")
    parser.add_argument("--bfloat16", action="store_true", help="faster where the processor multiplies such numbers")
    parser.add_argument("--device", default="cpu", help="cuda, say")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    folder = chosen.folder or CHECKPOINTS / chosen.recipe
    try:
        torch.empty(0, device=chosen.device)
        train(folder, RECIPES[chosen.recipe], chosen.seed, chosen.compile, chosen.bfloat16, chosen.device)
    except (AssertionError, RuntimeError, ValueError) as error:  # no such device; a run of other settings
        parser.error(str(error).partition("\n")[0])


if __name__ == "__main__":
    main()
