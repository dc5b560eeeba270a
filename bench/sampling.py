"""How smoothly the sampling page follows a slider: `python -m bench.sampling`.

A fresh Chromium drags the temperature from end to end and back for two seconds; counted are the frames in which the
table was drawn anew, all frames, and the messages that were sent to the server. Once with the built-in model, once with
random weights of GPT-2 small's shape, whose vocabulary of 50,257 tokens is sent to the browser whole.
"""

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from bench.page import with_random_model
from tests.browser.conftest import CHROMIUM, FLAGS, start_server

SECONDS = 2
DRAG = """(seconds) => new Promise((resolve) => {
    const host = [...document.querySelectorAll('[data-testid=stBidiComponentIsolated]')]
        .map((one) => one.shadowRoot.querySelector('.sampling')).find(Boolean);
    const slider = host.querySelector('input[aria-label=temperature]');
    let [drawn, frames, changed] = [0, 0, false];
    new MutationObserver(() => (changed = true)).observe(host.querySelector('table'), { childList: true });
    const began = performance.now();
    const tick = (now) => {
        frames++;
        if (changed) drawn++;
        changed = false;
        const at = (now - began) / (1000 * seconds);
        if (at >= 1) return resolve([drawn / seconds, frames / seconds]);
        slider.value = Math.round(slider.max * Math.abs(1 - 2 * at));
        slider.dispatchEvent(new Event('input', { bubbles: true }));
        requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
})"""


def main(runs: int = 5) -> None:
    """Print a line for each model: the best of some runs."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server, address = start_server(Path(folder), with_random_model(Path(folder)))
        try:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            print("model           tables/s   frames/s   messages sent")
            for model in ("Vitrine", "random 12x12"):
                page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
                sent: list[object] = []
                page.on("websocket", lambda socket, sent=sent: socket.on("framesent", sent.append))
                page.goto(f"{address}/sampling?model={model}&draws=200", timeout=120_000)
                page.wait_for_selector(".beams button", timeout=120_000)
                page.wait_for_timeout(3000)
                before = len(sent)
                drawn, frames = max(page.evaluate(DRAG, SECONDS) for _ in range(runs))
                print(f"{model:14} {drawn:9.1f} {frames:10.1f} {len(sent) - before:15}", flush=True)
            browser.close()
        finally:
            server.terminate()
            server.wait(20)


if __name__ == "__main__":
    main()
