"""Train the built-in model from scratch: `python -m model.train`.

Every batch is told afresh by the toy world, from the seed and the number of the step, so there are
no epochs, and a run that was stopped (Ctrl-C) goes on where it was. The result is a GPT-2-format
folder with a card that says how it came about and what it can do.
"""

import argparse
import json
import math
import platform
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from threading import Event

import safetensors
import tokenizers
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from model import gpt2, tokens, world
from model.gpt import GPT, GPTConfig
from model.probes import probes

FOLDER = Path(__file__).parent / "checkpoints" / "vitrine"
VOCAB_SIZE = 3072


def rows(tokenizer: Tokenizer, seed: str, count: int, width: int) -> Tensor:
    """Ids (count, width) of fresh documents, each row from the start of one, every other row behind a line break."""
    end_of_line = tokenizer.encode("\n").ids
    told = world.documents(seed)

    def row(ids: list[int]) -> list[int]:
        while len(ids) < width:
            texts = [document.text for document in islice(told, 16)]
            ids += [id for text in tokenizer.encode_batch(texts) for id in text.ids + end_of_line]
        return ids[:width]

    return torch.tensor([row(end_of_line[: n % 2]) for n in range(count)])


@torch.inference_mode()
def held_out(gpt: GPT, tokenizer: Tokenizer, documents: int = 2000, seed: str = "held out") -> tuple[float, float]:
    """The model's loss on documents drawn with another seed, and its floor, both in nats per token.

    Each document follows a line break, so that its first token is asked for as well. The floor is
    the draws' own surprise; the few texts that can be told in two ways leave it a little too high.
    """
    told = list(islice(world.documents(seed), documents))
    end_of_line = tokenizer.encode("\n").ids
    loss = count = 0.0
    for text in tokenizer.encode_batch([document.text for document in told]):
        idx = torch.tensor([end_of_line + text.ids + end_of_line])[:, : gpt.config.block_size + 1]
        loss += F.cross_entropy(gpt(idx[:, :-1])[0], idx[0, 1:], reduction="sum").item()
        count += idx.size(1) - 1
    return loss / count, sum(document.nats for document in told) / count


def learning_rate(step: int, steps: int, peak: float) -> float:
    """A short rise, then half a cosine down to a twentieth of the peak."""
    rise = min(100, steps // 10)
    if step < rise:
        return peak * (step + 1) / rise
    return peak * (0.05 + 0.475 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise))))


def optimizer_of(gpt: GPT) -> torch.optim.AdamW:
    """AdamW; matrices decay, biases and norms do not."""
    matrices = [parameter for parameter in gpt.parameters() if parameter.dim() > 1]
    others = [parameter for parameter in gpt.parameters() if parameter.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.95))


def save_run(gpt: GPT, optimizer: torch.optim.AdamW, step: int, settings: str, path: Path) -> None:
    """Everything a run needs to go on: weights, both moments of each, how many steps were made, and of what run."""
    state = {f"weight.{name}": parameter.detach() for name, parameter in gpt.named_parameters()}
    for name, parameter in gpt.named_parameters():
        for moment in ("exp_avg", "exp_avg_sq"):
            state[f"{moment}.{name}"] = optimizer.state[parameter][moment]
    new = path.with_suffix(".new")
    save_file(state, new, metadata={"step": str(step), "settings": settings})
    new.replace(path)  # a run that is killed while it saves keeps its last state


def load_run(gpt: GPT, optimizer: torch.optim.AdamW, settings: str, path: Path) -> int:
    """Take up a saved run; the number of steps it had made.

    Raises ValueError where the file cannot be read or is of a run with other settings.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata()
        state = load_file(path)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} cannot be read ({error}); delete it to begin anew") from error
    if metadata["settings"] != settings:
        raise ValueError(f"{path} is of a run with {metadata['settings']}, not {settings}; delete it to begin anew")
    step = int(metadata["step"])
    gpt.load_state_dict({name: state[f"weight.{name}"] for name in gpt.state_dict()})
    for name, parameter in gpt.named_parameters():
        moments = {moment: state[f"{moment}.{name}"] for moment in ("exp_avg", "exp_avg_sq")}
        optimizer.state[parameter] = {"step": torch.tensor(float(step)), **moments}
    return step


@contextmanager
def ctrl_c() -> Iterator[Event]:
    """What Ctrl-C sets, in place of breaking off in the middle of a step."""
    pressed = Event()
    before = signal.signal(signal.SIGINT, lambda *_: pressed.set())
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def train(folder: Path, config: GPTConfig, steps: int, batch: int, peak: float, seed: int) -> bool:
    """Train, or go on training, and write the folder; False where the run was stopped before its end.

    Until then everything lies in a folder `run` inside it, and the model that was there still works.
    """
    path, run = folder / "run" / "tokenizer.json", folder / "run" / "state.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = f"{config}, steps {steps}, batch {batch}, peak {peak}, seed {seed}"
    torch.manual_seed(seed)
    gpt = GPT(config)
    optimizer = optimizer_of(gpt)
    start = load_run(gpt, optimizer, settings, run) if run.exists() else 0
    if start:
        tokenizer = Tokenizer.from_file(str(path))
    else:
        texts = (document.text for document in islice(world.documents(f"{seed} words"), 30_000))
        tokenizer = tokens.train_bpe(texts, config.vocab_size)
        tokenizer.save(str(path))
    print(f"{sum(p.numel() for p in gpt.parameters()):,} parameters, steps {start:,} to {steps:,}", flush=True)

    with ctrl_c() as stopping:
        began = time.monotonic()
        for step in range(start, steps):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, steps, peak)
            idx = rows(tokenizer, f"{seed} step {step}", batch, config.block_size + 1)
            loss = F.cross_entropy(gpt(idx[:, :-1]).flatten(0, 1), idx[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(gpt.parameters(), 1.0)
            optimizer.step()
            done = step + 1
            if done % 50 == 0:
                left = (time.monotonic() - began) / (done - start) * (steps - done)
                read = f"{done * batch * config.block_size / 1e6:.2f} M tokens"
                print(f"step {done:,}  {read}  loss {loss.item():.3f} nats  {left / 60:.0f} min left", flush=True)
            if done % 500 == 0 or stopping.is_set():
                save_run(gpt, optimizer, done, settings, run)
            if stopping.is_set():
                print(f"stopped after {done:,} steps; the same command goes on from there")
                return False

    gpt2.save(gpt, folder)
    path.replace(folder / "tokenizer.json")
    gpt = gpt2.load(folder)  # what the card says holds for the weights as they are shipped
    loss, floor = held_out(gpt, tokenizer)
    card = {
        "name": "Vitrine",
        "parameters": sum(p.numel() for p in gpt.parameters()),
        "corpus": f"the toy world (model/world.py), seed {seed}",
        "steps": steps,
        "batch": [batch, config.block_size],
        "tokens": steps * batch * config.block_size,
        "learning_rate": peak,
        "threads": torch.get_num_threads(),
        "loss_nats_per_token": round(loss, 4),
        "floor_nats_per_token": round(floor, 4),
        "probes": {name: round(share, 3) for name, share in probes(gpt, tokenizer).items()},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "tokenizers": tokenizers.__version__,
            "safetensors": safetensors.__version__,
        },
    }
    (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n", "utf-8")
    shutil.rmtree(run.parent)
    print(json.dumps(card, indent=2))
    return True


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m model.train", description="Train the built-in model from scratch.")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the model is written")
    parser.add_argument("--steps", type=int, default=7000)
    parser.add_argument("--batch", type=int, default=16, help="rows of 128 tokens in each step")
    parser.add_argument("--peak", type=float, default=1.5e-3, help="the highest learning rate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="another number changes the last bits of the result")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    config = GPTConfig(vocab_size=VOCAB_SIZE, block_size=128, n_layer=4, n_head=6, n_embd=192)
    train(chosen.folder, config, chosen.steps, chosen.batch, chosen.peak, chosen.seed)


if __name__ == "__main__":
    main()
