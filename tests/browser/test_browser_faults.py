"""What breaks in a real server, and what a student sees of it."""

import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, WebSocketRoute

from model.loading.folders import BUILT_IN, GROWING
from tests.browser.conftest import PROMPT, ROOT, Visitors, start_server

VITRINE, SMALL = (folder.relative_to(ROOT) / "model.safetensors" for folder in (BUILT_IN, GROWING))


@contextmanager
def served(folder: Path, app: Path = ROOT, port: int = 0) -> Iterator[str]:
    """A server of its own, and its address."""
    process, address = start_server(folder, app, port)
    try:
        yield address
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def broken(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, Path]]:
    """A copy of the app that is to be broken and began without any model, its server, and where that writes its log."""
    folder = tmp_path_factory.mktemp("broken")
    left_out = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", "tests", "bench", "docs")
    copy = shutil.copytree(ROOT, folder / "app", ignore=left_out)
    for path in (VITRINE, SMALL):
        (copy / path).unlink()
    with served(folder, copy) as address:
        yield copy, address, next(folder.glob("*.log"))


# What a page could be made to load or to tell, by the directive of the policy that refuses it.
ELSEWHERE = {
    "connect-src": "fetch(there).catch(() => {})",
    "script-src-elem": "add('script', { src: there })",
    "style-src-elem": "add('link', { rel: 'stylesheet', href: there })",
    "img-src": "add('img', { src: there })",
    "font-src": "new FontFace('theirs', `url(${there})`).load().catch(() => {})",
    "media-src": "add('video', { src: there })",
    "frame-src": "add('iframe', { src: there })",
    "worker-src": "new Worker('data:text/javascript,')",
    "object-src": "add('object', { data: '/_stcore/health' })",  # of this server, too
    "base-uri": "add('base', { href: there })",
    "form-action": "add('form', { action: there, method: 'post' }).submit()",
}
# What Streamlit and Vega need.
HERE = {
    "eval": "setTimeout(() => eval('1'))",  # later: a driver's own words may evaluate whatever the policy
    "a script in the page": "add('script', { text: '1' })",
    "a style in the page": "add('style', { textContent: 'i { color: red }' })",
    "a picture in the page": "add('img', { src: 'data:image/gif;base64,R0lGODlhAQABAAAAACw=' })",
    "a picture that was made": "add('img', { src: URL.createObjectURL(new Blob(['x'])) })",
    "a font in the page": "new FontFace('ours', 'url(data:font/woff2,x)').load().catch(() => {})",
    "a worker that was made": "new Worker(URL.createObjectURL(new Blob(['1'])))",
    "a script that was made": "import(URL.createObjectURL(new Blob(['1'], { type: 'text/javascript' })))",
    "an answer of this server": "fetch('/_stcore/health')",
}
REFUSED = """async (tried) => {
    const there = "http://127.0.0.2:9/", refused = [];
    const add = (name, looks) => document.body.appendChild(Object.assign(document.createElement(name), looks));
    addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective), { once: true });
    await (new Function("there", "add", `return ${tried}`))(there, add);
    await new Promise((done) => setTimeout(done, 150));
    return refused;
}"""


def test_a_page_loads_and_tells_nothing_elsewhere(visitor: Visitors, server: str) -> None:
    one = visitor().open(f"{server}/attention")
    for directive, tried in ELSEWHERE.items():
        assert one.page.evaluate(REFUSED, tried) == [directive], tried
    assert one.page.url.startswith(server) and one.page.evaluate("document.baseURI").startswith(server)
    refused = [one.complaints.pop() for _ in one.complaints[:]]
    assert refused and all("Content Security Policy" in said for said in refused)
    for name, tried in HERE.items():
        assert one.page.evaluate(REFUSED, tried) == [], name


def test_a_page_is_shown_in_no_page_of_another_server(visitor: Visitors, server: str, tmp_path: Path) -> None:
    shown = f"{server}/_stcore/health"
    (tmp_path / "index.html").write_text(f"<link rel=icon href=data:,><iframe src='{shown}'></iframe>")
    one = visitor()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path)) as other:
        Thread(target=other.serve_forever).start()
        one.page.goto(f"http://127.0.0.1:{other.server_port}/index.html")
        other.shutdown()
    assert one.page.frames[1].url == "chrome-error://chromewebdata/"
    assert "frame-ancestors" in one.complaints.pop()
    one.page.goto(shown)
    with one.page.expect_event("framenavigated", lambda frame: frame.url == shown):
        one.page.evaluate("(page) => { document.body.innerHTML = `<iframe src=${page}>`; }", shown)


def test_a_link_that_is_followed_does_not_tell_the_prompt_and_no_file_is_taken_for_another(server: str) -> None:
    for address in (server, f"{server}/_stcore/health"):
        with urlopen(address) as answer:
            assert answer.headers["Referrer-Policy"] == "no-referrer"  # a link holds the prompt
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_page_of_another_server_cannot_speak_for_a_visitor(server: str) -> None:
    host = server.rpartition("/")[2]
    asked = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    asked["Sec-WebSocket-Key"] = b64encode(bytes(16)).decode()
    for origin, answer in ((f"http://{host}", 101), ("http://evil.example", 403)):
        line = HTTPConnection(host)
        line.request("GET", "/_stcore/stream", headers=asked | {"Origin": origin})
        assert line.getresponse().status == answer
        line.close()


def change(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


BROKEN: dict[str, Callable[[Path], None]] = {
    "model.safetensors is missing": Path.unlink,
    "it is damaged, or was changed": change,
    "damaged, or was changed. You see Vitrine, small": lambda path: path.write_bytes(path.read_bytes()[:-1000]),
}


def test_a_model_that_is_broken_is_refused_and_another_one_stands_in(
    visitor: Visitors, broken: tuple[Path, str, Path]
) -> None:
    copy, address, log = broken
    one = visitor()
    one.page.goto(f"{address}/attention")
    one.page.get_by_text("Please tell whoever runs this server").wait_for()
    assert "Vitrine cannot be used: model.safetensors is missing" in log.read_text()
    shutil.copy(ROOT / SMALL, copy / SMALL)
    for said, breaks in BROKEN.items():
        shutil.copy(ROOT / VITRINE, copy / VITRINE)
        breaks(copy / VITRINE)
        one.open(f"{address}/attention")
        assert said in one.page.locator("[data-testid=stAlert]").inner_text()
    shutil.copy(ROOT / VITRINE, copy / VITRINE)
    one.open(f"{address}/attention")
    assert one.page.locator("[data-testid=stAlert]").count() == 0


def test_a_page_that_breaks_says_one_sentence_and_its_neighbours_go_on(
    visitor: Visitors, broken: tuple[Path, str, Path]
) -> None:
    copy, address, log = broken
    shutil.copy(ROOT / SMALL, copy / SMALL)
    (copy / "pages" / "language" / "tokens.py").write_text('raise RuntimeError("a secret")\n')
    one, other = visitor(), visitor()
    one.page.goto(f"{address}/tokens?prompt=Hello")
    one.page.get_by_text("This page broke").wait_for()
    shown = one.page.content()
    assert not any(word in shown for word in ("secret", "Traceback", "RuntimeError", str(copy)))
    assert "prompt=Hello" in one.page.url
    assert other.open(f"{address}/attention").drawn()
    one.page.goto(f"{address}/attention?prompt=Hello")
    assert one.drawn()
    assert "a secret" in log.read_text()  # who runs the server learns what broke


def test_after_a_restart_the_same_picture_is_there(visitor: Visitors, tmp_path: Path) -> None:
    one = visitor()
    with served(tmp_path) as address:
        one.open(f"{address}/attention")
        one.type(PROMPT)
        one.page.wait_for_function("document.querySelector('input').value.startsWith('Anna is')")
        one.page.wait_for_url("**prompt=Anna**")
        before = one.drawn()
    one.complaints.clear()  # that the server has gone is what this is about
    with served(tmp_path, port=int(address.rpartition(":")[2])):
        one.page.wait_for_timeout(3000)
        one.page.reload()
        assert one.drawn() == before
        one.type("The cat sat")
        one.page.wait_for_url("**prompt=The**")
        assert one.drawn() != before
    one.complaints.clear()


def test_a_line_that_was_cut_is_taken_up_again(visitor: Visitors, server: str) -> None:
    _, one, lines = visitor(), visitor(), []  # the first one is every test's

    def through(line: WebSocketRoute) -> None:
        line.connect_to_server()
        lines.append(line)

    one.page.route_web_socket("**/_stcore/stream", through)
    one.open(f"{server}/attention?prompt=Hello")
    lines[0].close()
    one.type(PROMPT)
    one.page.wait_for_url("**prompt=Anna**", timeout=30_000)
    assert one.drawn() and len(lines) == 2
