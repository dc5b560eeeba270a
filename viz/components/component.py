"""A component is a folder with a script, a style, and the Python that prepares its data; shared.js is their kit."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NAMES = sorted(folder.name for folder in HERE.iterdir() if (folder / f"{folder.name}.js").exists())


def assets(name: str) -> dict[str, str]:
    """The script of a component behind the shared one ("js"), its style ("css") and, if it has one, its "html"."""
    files = {kind: HERE / name / f"{name}.{kind}" for kind in ("js", "css", "html")}
    texts = {kind: file.read_text("utf-8") for kind, file in files.items() if file.exists()}
    return texts | {"js": (HERE / "shared.js").read_text("utf-8") + texts["js"]}


def pack(header: Mapping[str, Any] | str, body: bytes) -> bytes:
    """A binary message: the length of the header (4 bytes, little-endian), the header in JSON, and the body.

    `unpack` in shared.js decodes it. A header that is a string is JSON already.
    """
    encoded = (header if isinstance(header, str) else json.dumps(header, ensure_ascii=False)).encode()
    return len(encoded).to_bytes(4, "little") + encoded + body
