"""What a prompt costs in the browser: `python -m bench.page`.

A fresh Chromium opens the attention lesson and types prompts of 8, 32 and 64 tokens, each a new
one; measured are the time from Enter to the painted picture and the bytes that the server sent,
beside a Streamlit page that only echoes the text, in turn. Once with the built-in model, once with
random weights of GPT-2 small's shape (12 x 12 heads), in a copy of the app.
"""

import json
import random
import shutil
import tempfile
from pathlib import Path
from statistics import median

import torch
from playwright.sync_api import Browser, Page, sync_playwright

from model import gpt2
from model.gpt import GPT, GPTConfig
from model.world import LEXICON
from tests.browser.conftest import CHROMIUM, FLAGS, ROOT, start_server

ECHO = 'import streamlit as st\nst.text(st.text_input("Prompt", "Hello", live=True))\n'
PAINTED = """(last) => new Promise((resolve) => {
    const box = document.querySelector('input[aria-label="Prompt"]');
    box.addEventListener('keydown', () => {
        const began = performance.now();
        const look = () => {
            const hosts = [...document.querySelectorAll('[data-testid=stBidiComponentIsolated]')];
            const tokens = hosts.flatMap((host) => [...host.shadowRoot.querySelectorAll('.tokens button')]);
            const text = tokens.at(-1)?.firstChild ?? document.querySelector('[data-testid=stText]');
            const painted = () => resolve(performance.now() - began);
            if (text?.textContent.endsWith(last)) requestAnimationFrame(() => requestAnimationFrame(painted));
            else requestAnimationFrame(look);
        };
        look();
    }, { once: true });
})"""


class Opened:
    """A page of a fresh browser that counts the bytes it gets."""

    def __init__(self, browser: Browser, address: str, ready: str) -> None:
        self.page: Page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        self.bytes = 0
        network = self.page.context.new_cdp_session(self.page)
        network.send("Network.enable")
        network.on("Network.loadingFinished", lambda event: self.count(event["encodedDataLength"]))
        self.page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: self.count(len(frame))))
        self.page.goto(address)
        self.page.wait_for_selector(ready)
        self.page.wait_for_timeout(1500)

    def count(self, size: int) -> None:
        self.bytes += size

    def enter(self, prompt: str) -> tuple[float, int]:
        """Milliseconds from Enter to painted, and the bytes that came until half a second later."""
        before = self.bytes
        box = self.page.get_by_label("Prompt")
        painted = self.page.evaluate_handle(f"() => ({{ done: ({PAINTED})({json.dumps(prompt.split()[-1])}) }})")
        box.evaluate(
            """(box, prompt) => {
                Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(box, prompt);
                box.dispatchEvent(new Event('input', { bubbles: true }));
            }""",
            prompt,
        )
        box.press("Enter")
        took = painted.evaluate("(it) => it.done")
        self.page.wait_for_timeout(500)
        return took, self.bytes - before


def with_random_model(folder: Path) -> Path:
    """A copy of the app that has a second model, of GPT-2 small's shape with random weights."""
    copy = folder / "app"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__"))
    shape = copy / "model" / "checkpoints" / "random"
    torch.manual_seed(0)
    gpt2.save(GPT(GPTConfig(vocab_size=50257, block_size=1024, n_layer=12, n_head=12, n_embd=768)), shape)
    shutil.copy(copy / "model" / "checkpoints" / "vitrine" / "tokenizer.json", shape)
    (shape / "card.json").write_text('{"name": "random 12x12", "steps": 0, "tokens": 0}')
    return copy


def main(runs: int = 9) -> None:
    """Print a line for each model and length."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        copy = with_random_model(Path(folder))
        (Path(folder) / "echo").mkdir()
        (Path(folder) / "echo" / "app.py").write_text(ECHO)

        servers = [start_server(Path(folder), root) for root in (copy, Path(folder) / "echo")]
        try:
            (_, app), (_, echo_address) = servers
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            echo = Opened(browser, echo_address, '[data-testid="stText"]')
            print(f"first load: echo {echo.bytes / 1e6:.2f} MB")
            print("model            tokens   Enter to painted (ms)   echo (ms)   ratio   sent (kB)   echo (kB)")
            for model in ("Vitrine", "random 12x12"):
                page = Opened(browser, f"{app}/attention?model={model}", ".vitrine[data-drawn]")
                if model == "Vitrine":
                    print(f"first load: attention {page.bytes / 1e6:.2f} MB")
                for tokens in (8, 32, 64):
                    rng = random.Random(tokens)
                    words = [word for word in LEXICON if word.isalpha()]
                    found = []
                    for _ in range(runs):
                        prompt = " ".join(rng.sample(words, tokens))
                        found.append((*page.enter(prompt), *echo.enter(prompt)))
                    took, sent, echo_took, echo_sent = map(median, zip(*found))
                    ratio = median(row[0] / row[2] for row in found)
                    print(
                        f"{model:16} {tokens:6}   {took:21.0f}   {echo_took:9.0f}   {ratio:5.2f}"
                        f"   {sent / 1e3:9.1f}   {echo_sent / 1e3:9.1f}"
                    )
            browser.close()
        finally:
            for process, _ in servers:
                process.terminate()
                process.wait(20)


if __name__ == "__main__":
    main()
