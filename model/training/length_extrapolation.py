"""What happens beyond the length that a GPT was trained on: `python -m model.training.length_extrapolation`.

Five small GPTs, alike but for how their positions are told, are trained side by side on the same rows of
CONTEXT tokens of the toy world, and then read rows four times as long that they were not trained on. What
is kept is the mean loss at each position, and how it came about. There is nothing to go on with: a run
that was stopped starts again. After Press et al. 2022, "Train Short, Test Long", figure 1.
"""

import argparse
import json
import platform
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from model.loading.folders import CHECKPOINTS, GROWING
from model.training.pretrain import build_optimizers, learning_rate, training_rows
from model.transformer.decoder import Decoder
from model.transformer.gpt2 import GPT2Config
from model.transformer.position_schemes import SCHEMES, gpt2_with

CONTEXT, LENGTH = 64, 256  # tokens of a row in training, and when it is measured
CONFIG = GPT2Config(vocab_size=6144, block_size=LENGTH, n_layer=3, n_head=4, n_embd=64)
BATCH_SIZE, PEAK_LEARNING_RATE = 16, 5e-3  # rows of a step; the highest learning rate
RESULT = CHECKPOINTS / "positions.json"


def train(config: GPT2Config, tokenizer: Tokenizer, steps: int, seed: int) -> dict[str, Decoder]:
    """A GPT of each of the SCHEMES: the same first weights, the same rows of CONTEXT tokens.

    The learned positions behind CONTEXT stay as they were drawn, since nothing decays.
    """
    gpts, optimizers = {}, {}
    for scheme in SCHEMES:
        torch.manual_seed(seed)
        gpts[scheme] = gpt2_with(scheme, config)
        optimizers[scheme] = build_optimizers(gpts[scheme])
    began = time.monotonic()
    for step in range(steps):
        data = training_rows(tokenizer, f"positions {seed} step {step}", BATCH_SIZE, CONTEXT + 1)
        losses = []
        for scheme, gpt in gpts.items():
            loss = position_losses(gpt, data).mean()
            gpt.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(gpt.parameters(), 1.0)
            for optimizer in optimizers[scheme]:
                for group in optimizer.param_groups:
                    group |= {"lr": learning_rate(step, steps, PEAK_LEARNING_RATE), "weight_decay": 0.0}
                optimizer.step()
            losses.append(f"{scheme} {loss.item():.3f}")
        if (step + 1) % 50 == 0:
            left = (time.monotonic() - began) / (step + 1) * (steps - step - 1)
            print(f"step {step + 1:,}  {'  '.join(losses)} nats  {left / 60:.1f} min left", flush=True)
    return gpts


def position_losses(gpt: Decoder, data: Tensor) -> Tensor:
    """The loss (B, T), in nats, of each of the rows (B, T + 1) at each position: how surprising the next token is."""
    ids, next_ids = data[:, :-1], data[:, 1:]
    return F.cross_entropy(gpt(ids).flatten(0, 1), next_ids.flatten(), reduction="none").view_as(ids)


@torch.inference_mode()
def mean_losses(gpt: Decoder, data: Tensor) -> list[float]:
    """The mean loss over the rows (N, T + 1) at each position (T), in nats."""
    return torch.cat([position_losses(gpt, some) for some in data.split(8)]).mean(0).tolist()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m model.training.length_extrapolation", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--steps", type=int, default=2500, help="of training, as many for each of the five")
    parser.add_argument("--rows", type=int, default=1024, help="that are read to measure the loss")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="another number changes the last bits of the result")
    parser.add_argument("--result", type=Path, default=RESULT, help="where the curves are written")
    chosen = parser.parse_args(arguments)
    for name in ("steps", "rows", "threads"):
        if getattr(chosen, name) < 1:
            parser.error(f"--{name} is {getattr(chosen, name)}; it must be at least 1")
    torch.set_num_threads(chosen.threads)
    tokenizer = Tokenizer.from_file(str(GROWING / "tokenizer.json"))
    gpts = train(CONFIG, tokenizer, chosen.steps, chosen.seed)
    held_out = training_rows(tokenizer, f"positions {chosen.seed} held out", chosen.rows, LENGTH + 1)
    result = {
        "corpus": f"the toy world (model/toy_world/grammar.py), seed positions {chosen.seed}",
        "config": vars(CONFIG),
        "context": CONTEXT,
        "steps": chosen.steps,
        "batch": BATCH_SIZE,
        "learning_rate": PEAK_LEARNING_RATE,
        "rows": chosen.rows,
        "seed": chosen.seed,
        "threads": chosen.threads,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "loss": {scheme: [round(loss, 4) for loss in mean_losses(gpt, held_out)] for scheme, gpt in gpts.items()},
    }
    chosen.result.write_text(json.dumps(result) + "\n", "utf-8")
    for scheme, losses in result["loss"].items():
        within, beyond = (torch.tensor(part).mean() for part in (losses[:CONTEXT], losses[CONTEXT:]))
        print(f"{scheme:12} {within:.3f} nats up to token {CONTEXT}, {beyond:.3f} behind it")


if __name__ == "__main__":
    main()
