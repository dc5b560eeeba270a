"""The attention of all heads in one file of HTML: drawn by our picture, by BertViz and by CircuitsVis."""

import base64
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from playwright.sync_api import Browser, Route

from viz.components.attention import payload
from viz.components.component import assets

LIBRARIES = {  # of BertViz: what it asks the CDN for, the package of npm, and the file in it
    "require.min.js": ("requirejs@2.3.6", "require.js"),
    "d3.min.js": ("d3@5.7.0", "dist/d3.min.js"),
    "jquery.min.js": ("jquery@2.1.0", "dist/jquery.min.js"),
}
PAINTED = """() => {
    const REST = 1000; // ms without a change
    let [last, changed] = [0, true];
    window.painted = new Promise((resolve) => {
        const all = { subtree: true, childList: true, characterData: true, attributes: true };
        new MutationObserver(() => (changed = true)).observe(document, all);
        const look = (now) => {
            if (changed) last = now;
            changed = false;
            now - last < REST ? requestAnimationFrame(look) : resolve(last);
        };
        requestAnimationFrame(look);
    });
}"""
OURS = """<!doctype html><meta charset="utf-8"><style>{css}</style><div id="root">{html}</div><script type="module">
const {{ default: draw }} = await import("data:text/javascript;base64,{js}");
const data = Uint8Array.from(atob("{data}"), (one) => one.charCodeAt(0));
draw({{ data, parentElement: document.getElementById("root"), setStateValue() {{}} }});
</script>"""


def drawings(tokens: list[str], patterns: np.ndarray) -> dict[str, Callable[[], str]]:
    """Ways to draw patterns (L, H, T, T) in one file of HTML; those of peers that are not there raise ImportError."""

    def vitrine() -> str:
        data = payload(tokens, patterns, start=(0, 0), report=False, small=False, follow=False, link="")
        files = assets("attention")
        js, data = (base64.b64encode(part).decode() for part in (files.pop("js").encode(), data))
        return OURS.format(**files, js=js, data=data)

    def bertviz(view: str) -> str:
        import bertviz

        attention = [torch.from_numpy(layer)[None] for layer in patterns]
        return getattr(bertviz, view)(attention, tokens, html_action="return").data

    def circuitsvis() -> str:
        from circuitsvis.attention import attention_heads

        names = [f"L{layer} H{head}" for layer in range(len(patterns)) for head in range(patterns.shape[1])]
        return attention_heads(patterns.reshape(-1, *patterns.shape[2:]), tokens, names).local_src

    return {
        "Vitrine": vitrine,
        "CircuitsVis": circuitsvis,
        "BertViz head view": lambda: bertviz("head_view"),
        "BertViz model view": lambda: bertviz("model_view"),
    }


def libraries(folder: Path) -> dict[str, str]:
    """The libraries of BertViz, from npm; those that cannot be had are left out."""
    measurements = {}
    for library, (package, file) in LIBRARIES.items():
        subprocess.run(["npm", "install", "--silent", "--prefix", folder, package], capture_output=True)
        path = folder / "node_modules" / package.partition("@")[0] / file
        if path.is_file():
            measurements[library] = path.read_text("utf-8")
    return measurements


def paint(browser: Browser, file: Path, handed: Mapping[str, str]) -> str:
    """Milliseconds from opening a file to its last change; or what it asked the network for in vain."""
    page, missing = browser.new_context(viewport={"width": 1440, "height": 900}).new_page(), []

    def answer(route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        name = name if name.endswith(".js") else f"{name}.js"
        if name in handed:
            route.fulfill(body=handed[name], content_type="text/javascript")
        else:
            missing.append(name)
            route.abort()

    page.route(lambda address: address.startswith("http"), answer)
    page.add_init_script(f"({PAINTED})()")
    page.goto(file.as_uri())
    took = page.evaluate("() => window.painted")
    drawn = page.evaluate("() => document.querySelectorAll('canvas, svg *').length")
    page.context.close()
    return f"{took:.0f} ms" if drawn and not missing else f"needs {', '.join(missing) or 'something'}"
