"""What a prompt costs in the browser: `python -m bench.page`.

A fresh Chromium opens a lesson and enters prompts, each a new one, beside a page that only echoes the text, in turn.
Measured are the time from Enter to the frame that shows the last change of the page, the bytes that the server sent,
its CPU time, and in the end the memory that the page's JavaScript holds after a collection.

First the attention lesson with prompts of 8, 32 and 64 tokens: with the built-in model, and with random weights of
GPT-2 small's shape (12 x 12 heads), in a copy of the app. Then every lesson that reads a prompt, with 16 words.
"""

import random
import shutil
import tempfile
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

import torch
from playwright.sync_api import Browser, Page, sync_playwright

from bench.server import Server, echo_app, running
from model.interpretability.published_heads import GPT2_SMALL
from model.loading import gpt2_format
from model.toy_world.grammar import LEXICON
from model.transformer.gpt2 import GPT2
from tests.browser.conftest import CHROMIUM, FLAGS, ROOT

WORDS = [word for word in LEXICON if word.isalpha()]
MODELS = ["Vitrine", "random 12x12"]
LESSONS = ["home", "tokens", "attention", "compare", "scalpel", "positions", "block", "gpt", "lens"]
LESSONS += ["sampling", "generation"]
COLUMNS = {  # and the decimals of each
    "first load (MB)": 2,
    "painted (ms)": 0,
    "echo": 0,
    "ratio": 2,
    "sent (kB)": 1,
    "echo ": 1,
    "CPU (ms)": 0,
    "echo  ": 0,
    "memory (MB)": 1,
    "echo   ": 1,
}
PAINTED = """() => {
    const REST = 600; // ms without a change, after the script has run
    const app = document.querySelector('[data-testid=stApp]');
    window.painted = new Promise((resolve) => document.activeElement.addEventListener('keydown', () => {
        const [began, watched] = [performance.now(), new Set()];
        let [last, changed] = [began, false];
        const page = new MutationObserver(() => (changed = true));
        const all = { subtree: true, childList: true, characterData: true, attributes: true };
        const look = (now) => {
            const hosts = [...document.querySelectorAll('[data-testid=stBidiComponentIsolated]')];
            for (const root of [app.querySelector('[data-testid=stMain]'), ...hosts.map((one) => one.shadowRoot)]) {
                if (!watched.has(root)) page.observe(root, all);
                watched.add(root);
            }
            if (changed || app.dataset.testScriptState !== 'notRunning') last = now;
            changed = false;
            if (last === began || now - last < REST) return requestAnimationFrame(look);
            page.disconnect();
            resolve(last - began);
        };
        requestAnimationFrame(look);
    }, { once: true }));
}"""
SHOWN = """() => {
    const main = document.querySelector('[data-testid=stMain]');
    const hosts = [...main.querySelectorAll('[data-testid=stBidiComponentIsolated]')];
    return [main, ...hosts.map((one) => one.shadowRoot)].map((one) => one.textContent).join(' ');
}"""


class Cost(NamedTuple):
    """Of one prompt: milliseconds from Enter to painted, bytes that came, milliseconds of the server's CPU."""

    painted: float
    sent: int
    cpu: float


class Opened:
    """A page of a fresh browser that counts the bytes it gets."""

    def __init__(self, browser: Browser, server: Server, path: str = "") -> None:
        self.server = server
        self.page: Page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        self.bytes = 0
        self.devtools = self.page.context.new_cdp_session(self.page)
        self.devtools.send("Network.enable")
        self.devtools.send("Performance.enable")
        self.devtools.on("Network.loadingFinished", lambda event: self.count(event["encodedDataLength"]))
        self.page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: self.count(len(frame))))
        self.page.goto(f"{server.address}/{path}")
        self.page.wait_for_selector("[data-test-script-state=notRunning] input[aria-label=Prompt]", timeout=60_000)
        self.page.wait_for_timeout(1500)

    def count(self, size: int) -> None:
        self.bytes += size

    def enter(self, prompt: str) -> Cost:
        """Enter a prompt; raises AssertionError where the page does not show its last word in the end."""
        bytes_before, cpu_before = self.bytes, self.server.cpu()
        box = self.page.get_by_label("Prompt", exact=True)
        box.focus()
        self.page.evaluate(PAINTED)
        box.evaluate(
            """(box, prompt) => {
                Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(box, prompt);
                box.dispatchEvent(new Event('input', { bubbles: true }));
            }""",
            prompt,
        )
        box.press("Enter")
        took = self.page.evaluate("() => window.painted")
        assert prompt.split()[-1] in self.page.evaluate(SHOWN), f"{self.page.url} does not show {prompt!r}"
        return Cost(took, self.bytes - bytes_before, 1e3 * (self.server.cpu() - cpu_before))

    def memory(self) -> float:
        """MB that the JavaScript of the page holds."""
        self.devtools.send("HeapProfiler.collectGarbage")
        metrics = self.devtools.send("Performance.getMetrics")["metrics"]
        return next(metric["value"] for metric in metrics if metric["name"] == "JSHeapUsedSize") / 1e6


def compare(page: Opened, echo: Opened, words: int, runs: int) -> list[float]:
    """Enter prompts of so many words in turn: the cells of a line."""
    loaded = page.bytes
    rng = random.Random(words)
    prompts = [" ".join(rng.sample(WORDS, words)) for _ in range(runs)]
    times = [(page.enter(prompt), echo.enter(prompt)) for prompt in prompts]
    ours, theirs = (Cost(*map(median, zip(*column))) for column in zip(*times))
    cpu, echo_cpu = (mean(cost.cpu for cost in column) for column in zip(*times))  # it is counted in steps of 10 ms
    ratio = median(ours.painted / other.painted for ours, other in times)
    seconds = [loaded / 1e6, ours.painted, theirs.painted, ratio]
    return [*seconds, ours.sent / 1e3, theirs.sent / 1e3, cpu, echo_cpu, page.memory(), echo.memory()]


def with_random_model(folder: Path) -> Path:
    """A copy of the app that has a second model, of GPT-2 small's shape with random weights."""
    copy = folder / "app"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__"))
    shape = copy / "model" / "checkpoints" / "random"
    torch.manual_seed(0)
    gpt2_format.save(GPT2(GPT2_SMALL), shape)
    shutil.copy(copy / "model" / "checkpoints" / "vitrine" / "tokenizer.json", shape)
    (shape / "card.json").write_text('{"name": "random 12x12", "steps": 0, "tokens": 0}')
    return copy


def main(runs: int = 9) -> None:
    """Print a line for each model and length, and one for each lesson."""
    views = [(f"{model}, {words}", f"attention?model={model}", words) for model in MODELS for words in (8, 32, 64)]
    views += [(lesson, lesson.replace("home", ""), 16) for lesson in LESSONS]
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        with running(folder, with_random_model(folder)) as app, running(folder, echo_app(folder)) as other:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            echo = Opened(browser, other)
            print(f"{'':16}", *COLUMNS, sep="  ")
            for label, path, words in views:
                page = Opened(browser, app, path)
                cells = zip(COLUMNS.items(), compare(page, echo, words, runs), strict=True)
                print(
                    f"{label:16}",
                    *(f"{cell:{len(title)}.{digits}f}" for (title, digits), cell in cells),
                    sep="  ",
                    flush=True,
                )
                page.page.context.close()
            browser.close()


if __name__ == "__main__":
    main()
