"""The catalog of models: the built-in ones, GPT-2 and its family, and those that whoever runs the server adds.

They are added a line each, as a name on the hub or a folder, in `.streamlit/models.txt`, or with commas between them in
the environment variable VITRINE_MODELS.
"""

import json
import os
import re
from pathlib import Path
from typing import NamedTuple

from model.loading import hub
from model.loading.folders import CHECKPOINTS

ROOT = Path(__file__).parents[3]
CARDS = {path.parent: json.loads(path.read_text("utf-8")) for path in CHECKPOINTS.glob("*/card.json")}


class Entry(NamedTuple):
    """A model in the catalog: its source, and what is known of it before it is on this machine."""

    name: str
    source: Path | str  # its folder, or its name on the hub
    megabytes: int | None = None
    license: str | None = None

    def folder(self) -> Path | None:
        """The folder of its files on this machine; None if they must be downloaded first."""
        return self.source if isinstance(self.source, Path) else hub.cached_folder(self.source)


def added() -> list[Entry]:
    """The entries in the file and in the environment variable."""
    file = ROOT / ".streamlit" / "models.txt"
    lines = file.read_text("utf-8").splitlines() if file.is_file() else []
    lines = [line.partition("#")[0].strip() for line in [*lines, *os.environ.get("VITRINE_MODELS", "").split(",")]]
    on_hub = [re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", line) and not (ROOT / line).is_dir() for line in lines]
    return [
        Entry(line, line) if is_name else Entry(Path(line).name, ROOT / Path(line).expanduser())
        for line, is_name in zip(lines, on_hub)
        if line
    ]


BUILT_IN = [Entry(CARDS[folder]["name"], folder) for folder in sorted(CARDS, reverse=True)]  # vitrine comes first
FAMILY = [Entry(known.name, known.repo, known.megabytes, known.license) for known in hub.KNOWN_MODELS.values()]
GPT2 = hub.KNOWN_MODELS["gpt2"]
NAMES = [entry.name for entry in BUILT_IN]
CATALOG: dict[str, Entry] = {}
for entry in [*BUILT_IN, *FAMILY, *added()]:
    CATALOG.setdefault(entry.name, entry)
