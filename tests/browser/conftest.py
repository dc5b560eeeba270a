"""One server and one browser for all browser tests. Without Chromium they say so and skip."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
from tokenizers import Tokenizer

from model.loading import checkpoint
from pages.shared import models

ROOT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SCREENS = [(1440, "light"), (1024, "dark"), (390, "light")]  # how wide, and in which theme
MARKUP = "</script><img src=x onerror=alert(1)><b id=evil>"
PROMPT = "Anna is in the kitchen. Tom is in the garden."
SCREEN: ViewportSize = {"width": 1440, "height": 900}
# No sandbox, since root (as in a container) has none; no calls home.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def start_server(folder: Path, app: Path = ROOT, port: int = 0) -> tuple[subprocess.Popen, str]:
    """The app as the README starts it, on a free port of this machine or that one; its process and its address."""
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))
        port = free.getsockname()[1]
    command = ["streamlit", "run", "app.py", "--server.address=127.0.0.1"]
    # As on a machine that has never run Streamlit, and without a screen, so that no window opens.
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    environment["HOME"] = str(folder)
    with (folder / f"{port}.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *command, f"--server.port={port}"],
            cwd=app,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
        )
    address = f"http://127.0.0.1:{port}"
    for _ in range(240):
        try:
            urllib.request.urlopen(f"{address}/_stcore/health")
            return server, address
        except OSError:
            assert server.poll() is None, (folder / f"{port}.log").read_text()
            time.sleep(0.25)
    server.kill()
    raise TimeoutError("the server did not start within a minute")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM:
        assert os.environ.get("VITRINE_BROWSER_TESTS") != "required", "Chromium is missing"
        pytest.skip("Chromium is not installed: the browser tests are left out")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    process, address = start_server(tmp_path_factory.mktemp("server"))
    yield address
    process.terminate()
    process.wait(20)


class Visitor:
    """A browser with one page; counts what it sends, and collects what the console complains of."""

    def __init__(self, browser: Browser) -> None:
        self.context = browser.new_context()
        self.page: Page = self.context.new_page()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(f"dialog {dialog.message}"), dialog.dismiss()))
        self.page.on("websocket", self._websocket)

    def begin(self, *, viewport: ViewportSize = SCREEN, color_scheme: str = "light") -> "Visitor":
        """Come as if for the first time: nothing is kept but the files of the app, so that a page is there sooner."""
        self.leave()
        self.page.mouse.move(0, 0)
        self.page.set_viewport_size(viewport)
        self.page.emulate_media(color_scheme=color_scheme)
        self.complaints: list[str] = []
        self.sent = self.received = 0
        return self

    def leave(self) -> None:
        """Forget all, and close the page, which would go on drawing."""
        if self.page.url.startswith("http"):
            self.page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
        self.context.clear_cookies()
        self.page.goto("about:blank")

    def _console(self, message) -> None:
        # At a deep link Streamlit first asks for its own address below that page, and is told 404.
        if message.type == "error" and "/_stcore/" not in message.location.get("url", ""):
            self.complaints.append(f"{message.text} {message.location}")

    def _websocket(self, socket) -> None:
        def sent(_) -> None:
            self.sent += 1

        def received(frame) -> None:
            self.received += len(frame)

        socket.on("framesent", sent)
        socket.on("framereceived", received)

    def open(self, address: str) -> "Visitor":
        self.page.goto(address)
        self.drawn()
        return self

    def drawn(self) -> str:
        """Wait until the picture is drawn and the script at rest; the picture of the large head, or of the arcs."""
        self.page.wait_for_selector(".vitrine[data-drawn]", timeout=30_000)
        self.rest()
        return self.page.evaluate("""() => {
            for (const host of document.querySelectorAll('[data-testid=stBidiComponentIsolated]')) {
                const picture = host.shadowRoot.querySelector('.vitrine');
                if (!picture) continue;
                const drawn = [...picture.querySelectorAll('canvas')].filter((c) => c.width && c.height);
                return drawn.map((canvas) => canvas.toDataURL()).join('|');
            }
        }""")

    def rest(self) -> None:
        """Wait until the script has been at rest for as long as it takes to ask for another run and to draw."""
        self.page.evaluate("() => { window.ran = performance.now(); }")
        self.page.wait_for_function(
            """() => {
                const { testScriptState } = document.querySelector('[data-testid=stApp]').dataset;
                if (testScriptState !== 'notRunning') window.ran = performance.now();
                return performance.now() - window.ran > 150;
            }""",
            timeout=60_000,
        )

    def type(self, prompt: str) -> None:
        self.page.get_by_label("Prompt").fill(prompt)
        self.page.get_by_label("Prompt").press("Enter")


Visitors = Callable[..., Visitor]


def fits(one: Visitor, *selectors: str) -> None:
    """Neither the page nor what is in it has to be scrolled sideways."""
    for selector in ('[data-testid="stMain"]', *selectors):
        assert one.page.locator(selector).evaluate("(it) => it.scrollWidth <= it.clientWidth"), selector


def read(prompt: str) -> tuple[torch.Tensor, torch.Tensor]:
    """What the built-in model computes: all patterns (L, H, T, T) and the probabilities of the next word (V,)."""
    folder = models.CATALOG[models.NAMES[0]].folder()
    ids = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(prompt).ids
    trace = checkpoint.load(folder).trace(torch.tensor([ids]))
    return torch.stack([block.attn.pattern[0] for block in trace.blocks]), trace.logits[0, -1].softmax(-1)


def ids_of(prompt: str) -> list[int]:
    return models.load(models.NAMES[0]).tokenizer.encode(prompt).ids


def percentages(texts: list[str]) -> list[float]:
    """The numbers of a picture; what is drawn as less than 0.1 % counts as half of that."""
    numbers = [float(text.removeprefix("<").removesuffix("%")) for text in texts]
    return [number / 2 if "<" in text else number for number, text in zip(numbers, texts)]


@pytest.fixture(scope="session")
def regular(chromium: Browser) -> Visitor:
    """The first visitor of each test."""
    return Visitor(chromium)


@pytest.fixture
def visitor(chromium: Browser, regular: Visitor) -> Iterator[Callable[..., Visitor]]:
    """Makes visitors; at the end of the test none of them may have had a complaint."""
    made: list[Visitor] = []

    def make(**settings: object) -> Visitor:
        made.append(Visitor(chromium) if made else regular)
        return made[-1].begin(**settings)

    yield make
    complaints = [complaint for one in made for complaint in one.complaints]
    for one in made[1:]:
        one.context.close()
    regular.leave()
    assert not complaints
