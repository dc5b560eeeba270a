"""The glossary: every file that it links exists, and holds the names that it gives for it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENTRY = re.compile(r"((?:`[^`]+`(?:,\s+)?)+)\s+in\s+\[([^]]+)\]\(([^)]+)\)")
PLACES = ENTRY.findall((ROOT / "GLOSSARY.md").read_text("utf-8"))


@pytest.mark.parametrize(("names", "label", "path"), PLACES, ids=[f"{names} {path}" for names, _, path in PLACES])
def test_glossary_names_stand_in_the_file_that_it_links(names: str, label: str, path: str) -> None:
    text = (ROOT / path).read_text("utf-8")
    assert Path(path).name == label
    for name in re.findall("`([^`]+)`", names):
        assert re.search(rf"\b{re.escape(name)}\b", text), f"{name} does not occur in {path}"


def test_glossary_links_existing_files() -> None:
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / "GLOSSARY.md").read_text("utf-8"))
    assert len(links) > 40 and all((ROOT / link).is_file() for link in links)
