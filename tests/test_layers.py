"""The layers: who may import whom (the table in the README)."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STDLIB = set(sys.stdlib_module_names)
MAY = {
    "model": STDLIB | {"numpy", "torch", "tokenizers", "safetensors", "transformers", "huggingface_hub", "httpx2"},
    "viz": STDLIB | {"numpy", "pandas", "plotly", "altair"},
    "pages": STDLIB | {"streamlit", "numpy", "torch", "tokenizers", "cachetools"},
    "app.py": STDLIB | {"streamlit", "starlette"},
}
ALSO = {"model": ("model",), "viz": ("viz",), "pages": ("model", "viz", "pages.shared"), "app.py": ("pages.shared",)}
FILES = [
    path.relative_to(ROOT) for layer in MAY for path in [ROOT / layer, *(ROOT / layer).rglob("*.py")] if path.is_file()
]


def imports(source: str) -> list[str]:
    """Every module that the source imports, wherever in it: "a.b" for `import a.b` and `from a import b`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def strangers(layer: str, source: str) -> list[str]:
    own = tuple(f"{name}." for name in ALSO[layer])
    return [name for name in imports(source) if name.split(".")[0] not in MAY[layer] and not f"{name}.".startswith(own)]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_file_imports_only_what_its_layer_may(file: Path) -> None:
    assert not strangers(file.parts[0], (ROOT / file).read_text("utf-8"))


def test_the_rule_catches_what_it_is_for() -> None:
    assert strangers("model", "import streamlit as st") == ["streamlit"]
    assert strangers("viz", "def f():\n    from model import gpt") == ["model.gpt"]
    assert strangers("pages", "from pages.transformer import attention") == ["pages.transformer.attention"]
    assert not strangers("pages", "from pages.shared import models")


def test_contents_is_the_only_script_directly_in_pages() -> None:
    assert [path.name for path in (ROOT / "pages").glob("*.py")] == ["contents.py"]
