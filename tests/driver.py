"""How tests see a page: run whole by Streamlit's own test driver."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import pandas as pd
import pyarrow as pa
import streamlit as st
from streamlit.runtime.state import QueryParamsProxy
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Node

from model.loading.folders import GROWING
from pages.shared import course, models, prose
from pages.shared.compute import readings
from pages.shared.runtime.catalog import CATALOG, Entry

PAGES = Path(prose.__file__).parents[1]
LESSONS = ["start/home", "transformer/attention"]  # each draws the picture of a prompt
KNOWS, TOKENS, SAMPLING = "start/knows", "language/tokens", "decoding/sampling"
EMBEDDINGS, WORD2VEC, POSITIONS = "language/embeddings", "language/word2vec", "transformer/positions"
WORD_ORDER, BEYOND_LENGTH = "transformer/word_order", "transformer/beyond_length"
SCALPEL, PATCHING, MASK_LEAK = "interpretability/scalpel", "interpretability/patching", "transformer/mask_leak"
ZOO, LENS = "interpretability/zoo", "interpretability/lens"
ATTRIBUTION, ROLLOUT = "interpretability/attribution", "interpretability/rollout"
PARAMETERS = "transformer/parameters"
SCRIPTS = [lesson.path for lesson in course.LESSONS]
KEY = re.compile(
    r'(?:key=|query_params(?:\.get\(|\[)|setdefault\(|[lL]ink\(|link\.get\(|searchParams\.[sg]et\()"([^"]+)"'
)
CONTEXT = 128
HOSTILE = {
    "spaces": "   ",
    "one letter": "x",
    "emoji with joiners": "👩‍👩‍👧‍👦👋🏽 🏳️‍🌈",
    "right to left": "שלום \u202eevil\u202c مرحبا",
    "control characters": "\x00\x01\x07\x1b[31m\x7f\u2028",
    "markup": "</script><img src=x onerror=alert(1)>",
    "markdown": "# h\n**b** $x$ :red[r] [l](javascript:alert(1)) `c`",
}


def page(name: str, **link: str) -> AppTest:
    """The page as a fresh visitor with that link sees it."""
    app = AppTest.from_file(str(PAGES / "contents.py"), default_timeout=120)
    app.switch_page(f"{name}.py")
    app.query_params |= link
    return app.run()


def unescaped(markdown: str) -> str:
    """What a sentence says, without the signs that keep what was typed from being markup."""
    return re.sub(r"\\(.)", r"\1", markdown)


def pictures(app: AppTest) -> list[bytes]:
    return [element.proto.bytes for element in app.get("bidi_component") if element.proto.bytes]


def ids(name: str, text: str) -> list[int]:
    return models.load(name).tokenizer.encode(text).ids


def read_prompt(name: str, prompt: str) -> readings.Reading:
    """The reading of a prompt by the model of that name."""
    return readings.read(models.load(name), prompt)


def all_drawn(app: AppTest, field: str) -> list[dict]:
    """What the pictures that have such a field were given."""
    return [json.loads(e.proto.json) for e in app.get("bidi_component") if f'"{field}":' in (e.proto.json or "")]


def drawn(app: AppTest, field: str) -> dict:
    """What the one picture that has such a field was given."""
    (found,) = all_drawn(app, field)
    return found


def charts(app: AppTest) -> list[pd.DataFrame]:
    """The numbers of each Altair chart of the page."""
    return [
        pa.ipc.open_stream(chart.proto.datasets[0].data.data).read_all().to_pandas()
        for chart in app.get("vega_lite_chart")
    ]


def shows(app: AppTest, words: str) -> bool:
    """Whether a paragraph, caption or note of the page holds these words."""
    return any(words in element.value for kind in (app.markdown, app.caption, app.info) for element in kind)


def heat_maps(app: AppTest) -> dict[str, np.ndarray]:
    """The numbers of each Plotly heat map of the page, by its title."""
    figures = [json.loads(element.proto.spec) for element in app.get("plotly_chart")]
    return {
        figure["layout"].get("title", {}).get("text", "vectors"): numbers(figure["data"][0]["z"]) for figure in figures
    }


def numbers(z: dict | list) -> np.ndarray:
    """An array as Plotly sends it: a list, or bytes with their type and shape."""
    if isinstance(z, list):
        return np.array(z, float)
    found = np.frombuffer(base64.b64decode(z["bdata"]), z["dtype"])
    return found.reshape([int(n) for n in z["shape"].split(",")])


def keys(name: str) -> list[str]:
    """What a link to that page can hold: every key in its script, in what all pages share and in their pictures."""
    sources = [PAGES / f"{name}.py", *(PAGES / "shared").rglob("*.py"), *PAGES.parent.glob("viz/components/*/*.js")]
    return sorted({"prompt", "model"}.union(*(KEY.findall(source.read_text("utf-8")) for source in sources)))


ANOTHER = "another model"  # has no card; in the catalog while `visits` runs
# Links that together show every view of a lesson, where that is more than its first one.
VIEWS: dict[str, list[dict[str, str]]] = {
    "decoding/generation": [{"temperature": "1"}, {"each": "2"}],  # the second opens the lesson on the cache's size
    "interpretability/compare": [{}, {"compare": "Two prompts"}],
    "interpretability/lens": [{"prompt": "cat dog " * 30, "position": "40"}],
    "interpretability/rollout": [{"prompt": "cat dog " * 30}],
    "interpretability/scalpel": [{"looks": "true", "off": "0.0", "mask": "false"}],
    "interpretability/zoo": [{}, {"asked": "coreference"}],
    "language/embeddings": [{"axes": "pairs of words"}, {"shared": "·Anna"}, {"questions": "misses"}],
    "start/home": [{}, {"model": ANOTHER}],
    "start/knows": [{}, {"model": ANOTHER}],
    "transformer/attention": [{"steps": "true"}],
    "transformer/attention_on_prompt": [{"prompt": "cat dog " * 30}],
    "transformer/gpt": [{}, {"preset": "Llama 3.1 8B"}],  # the second opens the lesson on parameters
    "transformer/parameters": [{"preset": "Llama 3.1 8B"}],
    "transformer/hand": [
        {"tokens": "3"},
        {"example": "The library"},
        {"example": "The contract"},
        {"view": "On your prompt", "prompt": "cat dog " * 30},
        {"view": "Several heads"},
    ],
    "transformer/positions": [
        *({"scheme": scheme} for scheme in ("learned", "sinusoidal", "RoPE", "ALiBi", "none")),
        {"one": "man bites dog"},  # opens the lesson on word order, to which this part has moved
    ],
    "transformer/scale": [
        {},
        *(
            {"view": "Mask traps", "trap": trap}
            for trap in ("1 = blocked", "A row without a key", "Half precision", "np.sqrt", "Two conventions")
        ),
    ],
}


class Visits(NamedTuple):
    """What a page did while it ran in each of its views: the link keys that it read, and in each view the sections of
    its prose that it drew.
    """

    link_keys: frozenset[str]
    sections: list[list[str]]


@cache
def visits(name: str) -> Visits:
    """Run a page in each of its VIEWS; recorded are the link keys of its widgets and those that it asks for itself."""
    link_keys: set[str] = set()
    sections: list[list[str]] = []

    class Recording(QueryParamsProxy):
        def __getitem__(self, key: str) -> str:
            link_keys.add(key)
            return super().__getitem__(key)

        def __contains__(self, key: object) -> bool:
            link_keys.add(str(key))
            return super().__contains__(key)

    draw = prose.Prose.section

    def recorded(words: prose.Prose, id: str) -> None:
        if words.page == name:  # not those of a lesson that an old link is sent on to
            sections[-1].append(id)
        draw(words, id)

    with (
        patch.object(st, "query_params", Recording()),
        patch.object(prose.Prose, "section", recorded),
        TemporaryDirectory() as folder,
        patch.dict(CATALOG, {ANOTHER: Entry(ANOTHER, Path(folder))}),
    ):
        for file in ("config.json", "model.safetensors", "tokenizer.json"):
            Path(folder, file).symlink_to(GROWING / file)
        for link in VIEWS.get(name, [{}]):
            sections.append([])
            app = page(name, **link)
            assert not app.exception, app.exception[0].message
            link_keys |= {node.proto.query_param_key for node in nodes(app._tree) if has_link_key(node)}
    return Visits(frozenset(link_keys), sections)


def nodes(root: Node) -> Iterator[Node]:
    """All elements and blocks of a page."""
    yield root
    for child in getattr(root, "children", {}).values():
        yield from nodes(child)


def has_link_key(node: Node) -> bool:
    return bool(getattr(getattr(node, "proto", None), "query_param_key", ""))


def examples(name: str, id: str = prose.EXAMPLES) -> Mapping[str, prose.Example]:
    """The examples of a page by name."""
    return prose.of(str(PAGES / f"{name}.py")).examples(id)
