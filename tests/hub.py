"""A stand-in for the model hub on this machine, for the real client: it answers, and it fails in every way."""

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch

from model.language import tokenization
from model.loading import gpt2_format
from model.transformer.gpt2 import GPT2, GPT2Config

COMMIT = "f" * 40


def repository(folder: Path, layers: int = 2) -> dict[str, bytes]:
    """The files of a tiny GPT-2 with a tokenizer of its own, written to a folder."""
    torch.manual_seed(0)
    tokenizer = tokenization.train_bpe(["the cat sat on the mat, and the dog sat on the log"] * 9, 290)
    gpt = GPT2(GPT2Config(tokenizer.get_vocab_size(), block_size=64, n_layer=layers, n_head=3, n_embd=48))
    gpt2_format.save(gpt, folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Hub:
    """Serves repositories {name: {file: content}}; what it does wrong is set on it, and may be changed at any time."""

    def __init__(self, repositories: dict[str, dict[str, bytes]]) -> None:
        self.repositories = repositories
        self.asked: list[str] = []  # "GET /…", in order
        self.sent = 0  # bytes of files
        self.status: int | None = None  # answered instead of everything
        self.cut: int | None = None  # bytes of a file after which the line breaks, each time
        self.pace: float | None = None  # bytes a second
        self.ranges = True  # whether it can begin in the middle
        self.changed: str | None = None  # the file that is another than the one described
        self.silent = threading.Event()  # while set, nothing is answered
        self.closed = threading.Event()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                hub._answer(self)

            do_GET = do_HEAD

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.closed.set()
        self.server.shutdown()
        self.server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(f"{request.command} {request.path}")
        while self.silent.is_set() and not self.closed.is_set():
            time.sleep(0.05)
        path = request.path.partition("?")[0].strip("/").split("/")
        repo = "/".join(path[2:4] if path[0] == "api" else path[:2])
        files = self.repositories.get(repo)
        if self.status or files is None or (path[0] != "api" and path[-1] not in files):
            return self._send(request, self.status or 404, {}, b"{}")
        if path[0] == "api":
            siblings = [{"rfilename": name} | _described(name, content) for name, content in files.items()]
            described = {"id": repo, "modelId": repo, "sha": COMMIT, "siblings": siblings, "tags": []}
            return self._send(request, 200, {"Content-Type": "application/json"}, json.dumps(described).encode())
        content = files[path[-1]]
        described = _described(path[-1], content)
        etag = described["lfs"]["sha256"] if "lfs" in described else described["blobId"]
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        start = int(request.headers.get("Range", "bytes=0-")[6:-1]) if self.ranges else 0
        if self.changed == path[-1]:
            content = content[:-1] + bytes([content[-1] ^ 1])
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._send(request, 206 if start else 200, headers, content[start:])

    def _send(self, request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], content: bytes) -> None:
        request.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            request.send_header(name, value)
        request.end_headers()
        if request.command == "HEAD":
            return
        piece = max(1, int(self.pace / 20)) if self.pace else 1 << 16
        until = self.cut if self.cut is not None and "ETag" in headers else len(content)
        try:
            for start in range(0, min(until, len(content)), piece):
                part = content[start : min(start + piece, until)]
                request.wfile.write(part)
                self.sent += len(part) if "ETag" in headers else 0
                if self.pace:
                    time.sleep(len(part) / self.pace)
                while self.silent.is_set() and not self.closed.is_set():
                    time.sleep(0.05)
        except OSError:
            pass  # the client has gone
        if until < len(content):
            request.connection.close()
            request.close_connection = True


def _described(name: str, content: bytes) -> dict[str, Any]:
    """What the hub tells of a file: large ones have a SHA-256, small ones git's SHA-1."""
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    described: dict[str, Any] = {"size": len(content), "blobId": blob}
    if name.endswith(".safetensors"):
        described["lfs"] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest(), "pointerSize": 135}
    return described
