"""The models that can be picked: the built-in ones, GPT-2 and its family, and what the person who runs the server adds.

They add a line for each, a name on the hub or a folder, in `.streamlit/models.txt`, or a comma between them in the
environment variable VITRINE_MODELS.
"""

import json
import os
import re
from pathlib import Path
from typing import NamedTuple

from model.loading import hub as download

ROOT = Path(__file__).parents[3]
CHECKPOINTS = ROOT / "model" / "checkpoints"
CARDS = {path.parent: json.loads(path.read_text("utf-8")) for path in CHECKPOINTS.glob("*/card.json")}


class Offer(NamedTuple):
    """A model that can be picked: where it is, and what is known of it before it is here."""

    name: str
    source: Path | str  # its folder, or its name on the hub
    megabytes: int | None = None
    licence: str | None = None

    def folder(self) -> Path | None:
        """Where it lies on this machine; None where it has to be fetched."""
        return self.source if isinstance(self.source, Path) else download.found(self.source)


def added() -> list[Offer]:
    """What the file and the environment variable name."""
    listed = ROOT / ".streamlit" / "models.txt"
    lines = listed.read_text("utf-8").splitlines() if listed.is_file() else []
    lines = [line.partition("#")[0].strip() for line in [*lines, *os.environ.get("VITRINE_MODELS", "").split(",")]]
    named = [re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", line) and not (ROOT / line).is_dir() for line in lines]
    return [
        Offer(line, line) if on_hub else Offer(Path(line).name, ROOT / Path(line).expanduser())
        for line, on_hub in zip(lines, named)
        if line
    ]


BUILT_IN = [Offer(CARDS[folder]["name"], folder) for folder in sorted(CARDS, reverse=True)]  # vitrine comes first
FAMILY = [Offer(known.name, known.repo, known.megabytes, known.licence) for known in download.FAMILY.values()]
NAMES = [offer.name for offer in BUILT_IN]
OFFERS: dict[str, Offer] = {}
for offer in [*BUILT_IN, *FAMILY, *added()]:
    OFFERS.setdefault(offer.name, offer)
