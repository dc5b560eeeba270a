"""The same work done by others: `python -m bench.peers`.

GPT-2 small's shape (12 x 12 heads) with random weights, the same for all, one thread. Everything that a forward pass
computes, by our `trace`, by transformers with its attentions and hidden states, and by TransformerLens; greedy text by
the three; and the attention of all heads drawn in Chromium, from one file without a server, by our picture, by BertViz
and by CircuitsVis. Times are CPU time, the median of runs in turn; painted is from opening the file to the frame that
shows its last change.

The first run makes an environment of its own for them in ~/.cache/vitrine/peers (`--folder` names another), which sees
the packages of this one; nothing is installed here. BertViz asks a CDN for three libraries: they are handed to it from
npm's registry where npm is installed. What cannot be had, or fails, is a line of the table.
"""

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from playwright.sync_api import sync_playwright
from transformers import AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar

from bench.drawings import drawings, libraries, paint
from model.interpretability.published_heads import GPT2_SMALL
from model.language.tokenization import train_bpe
from model.loading import checkpoint, gpt2_format
from model.transformer.gpt2 import GPT2
from tests.browser.conftest import CHROMIUM, FLAGS

PEERS = ["bertviz", "circuitsvis", "transformer-lens"]
NEW = 40  # tokens that are written


def environment(folder: Path) -> Path:
    """The Python of the environment in a folder, which is made first where there is none."""
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"making an environment in {folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        (packages,) = folder.glob("lib/python*/site-packages")
        (packages / "vitrine.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    for peer in PEERS:
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", peer]
        if subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
            print(f"{peer} could not be installed", flush=True)
    return python


def in_turn(ways: Mapping[str, Callable[[], Any]], runs: int) -> dict[str, float | str]:
    """Of each way the median CPU time, in ms; or, of one that fails, why."""
    seconds_by_way: dict[str, list[float]] = {name: [] for name in ways}
    failed = {}
    for name in [*ways] * (runs + 1):
        began = time.process_time()
        try:
            ways[name]()
        except Exception as error:  # whatever a peer raises is its line of the table
            failed[name] = f"{type(error).__name__}: {error}".splitlines()[0]
        seconds_by_way[name].append(1e3 * (time.process_time() - began))
    return {name: median(times[1:]) for name, times in seconds_by_way.items()} | failed


def print_row(work: str, seconds_by_way: Mapping[str, float | str], more: Mapping[str, str] = {}) -> None:
    """Print a line for each way: its time, and how many times that of the first way it is."""
    for name, took in seconds_by_way.items():
        cells = took if isinstance(took, str) else f"{took:10.1f}   {took / seconds_by_way['Vitrine']:7.2f}"
        print(f"{work:24} {name:20} {cells}   {more.get(name, '')}", flush=True)


def compute(folder: Path, runs: int) -> None:
    """Capture and generation, side by side on the same weights."""
    gpt = checkpoint.load(folder)
    theirs = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()

    @torch.inference_mode()
    def all_of_it(idx: torch.Tensor) -> Any:
        return theirs(idx, output_attentions=True, output_hidden_states=True, use_cache=False)

    captures = {"Vitrine": gpt.trace, "transformers": all_of_it}
    settings = {"max_new_tokens": NEW, "min_new_tokens": NEW, "eos_token_id": None, "pad_token_id": 0}
    writers = {
        "Vitrine": lambda idx: gpt.generate(idx, NEW),
        "transformers": lambda idx: theirs.generate(
            idx, attention_mask=torch.ones_like(idx), do_sample=False, **settings
        ),
    }
    try:
        from transformer_lens.model_bridge import TransformerBridge

        bridge = TransformerBridge.boot_transformers(str(folder))
        captures["TransformerLens"] = torch.inference_mode()(bridge.run_with_cache)
        writers["TransformerLens"] = lambda idx: bridge.generate(
            idx, max_new_tokens=NEW, do_sample=False, stop_at_eos=False, verbose=False
        )
    except Exception as error:
        print(f"TransformerLens cannot be used: {error}".splitlines()[0])
    for tokens in (16, 64, 256):
        idx = torch.randint(GPT2_SMALL.vocab_size, (1, tokens), generator=torch.Generator().manual_seed(0))
        assert torch.allclose(gpt.trace(idx).blocks[-1].attn.pattern, all_of_it(idx).attentions[-1], atol=1e-4)
        print_row(
            f"capture, {tokens} tokens", in_turn({name: partial(way, idx) for name, way in captures.items()}, runs)
        )
    idx = idx[:, :16]
    print_row(f"{NEW} tokens after 16", in_turn({name: partial(way, idx) for name, way in writers.items()}, runs))


def draw(folder: Path, runs: int) -> None:
    """The same patterns, drawn by each."""
    gpt, handed = checkpoint.load(folder), libraries(folder / "npm")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for count in (16, 64):
            idx = torch.randint(GPT2_SMALL.vocab_size, (1, count), generator=torch.Generator().manual_seed(0))
            patterns = gpt.trace(idx).patterns.numpy()
            ways = drawings([f" word{n}" for n in range(count)], patterns)
            captured, painted = in_turn(ways, runs), {}
            for name in ways:
                if not isinstance(captured[name], str):
                    file = folder / f"{name}.html"
                    file.write_text(ways[name](), "utf-8")
                    shown = [paint(browser, file, handed) for _ in range(runs)]
                    painted[name] = f"{file.stat().st_size / 1e3:9,.0f} kB   {sorted(shown)[runs // 2]}"
            print_row(f"drawing, {count} tokens", captured, painted)
        browser.close()


def main() -> None:
    """Make the environment, and go on in it."""
    parser = argparse.ArgumentParser(description="The same work done by others.")
    parser.add_argument("--folder", type=Path, default=Path("~/.cache/vitrine/peers").expanduser())
    parser.add_argument("--runs", type=int, default=9)
    arguments = parser.parse_args()
    if Path(sys.prefix) != arguments.folder.resolve():
        python = environment(arguments.folder.resolve())
        arguments = ["-m", "bench.peers", f"--folder={arguments.folder.resolve()}", f"--runs={arguments.runs}"]
        os.execv(python, [str(python), *arguments])
    torch.set_num_threads(1)
    disable_progress_bar()
    print(f"{'':24} {'':20} {'CPU (ms)':>10}   / ours   file         painted")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        torch.manual_seed(0)
        gpt2_format.save(GPT2(GPT2_SMALL), folder)
        train_bpe(["the cat sat on the mat"], 270).save(str(folder / "tokenizer.json"))
        compute(folder, arguments.runs)
        draw(folder, arguments.runs)


if __name__ == "__main__":
    main()
