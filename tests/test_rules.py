"""The rules of the house: sizes of files, pages and functions, names at import, names of parameters, arguments."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.test_layers import ROOT

FILE, PAGE, FUNCTION = 300, 120, 40  # lines at most
FOLDERS = ("model", "viz", "pages", "bench", "tests")
SOURCES = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in [ROOT / "app.py", *(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")))]
}
PAGES = {name: source for name, source in SOURCES.items() if re.fullmatch(r"pages/(?!shared/)\w+/\w+\.py", name)}
LONG = {  # files, pages and functions that may be longer, each with the reason
    "model/loading/hub.py": "one download, from the request to the finished file, with each way in which it can fail",
    "pages/shared/forward_steps.py::_attention_steps": "a table: one entry for each box of the picture",
    "pages/shared/forward_steps.py::_mlp_steps": "a table: one entry for each box of the picture",
    "tests/browser/test_browser_sampling.py::test_a_text_is_written_token_by_token_rewound_and_branched": "one visit",
    "tests/pages/shared/test_jobs.py": "all that a job promises, with the stand-ins that it needs",
    "tests/pages/test_attribution.py::test_each_part_of_a_llama_is_that_of_transformers": "each part, computed plainly",
    "tests/pages/test_patching.py::test_both_maps_of_a_llama_are_those_of_transformers": "two maps, cell by cell",
    "tests/pages/test_scalpel.py": "one lesson with every input, good and bad",
}
ALIASES = {
    "numpy": "np",
    "pandas": "pd",
    "streamlit": "st",
    "altair": "alt",
    "plotly.graph_objects": "go",
    "pyarrow": "pa",
}
# Names of the parameters and activation functions of one family; analyses use the record and the weights view.
PARAMETERS = {"wte", "wpe", "c_attn", "c_proj", "c_fc", "lm_head", "embed_tokens"} | {
    f"{part}_proj" for part in ("q", "k", "v", "o", "gate", "up", "down")
}
FAMILIES = ("model/transformer/", "model/loading/", "bench/", "tests/")  # where parameters may be named
# Words that tell a reader nothing: participles as nouns, and small words as values.
VAGUE = {"found", "told", "said", "asked", "made", "kept", "looks", "one", "of", "it"}


def functions(source: str) -> Iterator[tuple[str, int]]:
    """The name of every function of a source, and how many lines it has."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.end_lineno - node.lineno + 1


def too_long(name: str, source: str, limit: int) -> list[str]:
    """The file, and each of its functions, if it has more lines than it may."""
    lines = len(source.splitlines())
    long = [name] if lines > limit else []
    return long + [f"{name}::{function}" for function, count in functions(source) if count > FUNCTION]


def aliases(source: str) -> list[str]:
    """Names that modules are given at import, except the abbreviations that everybody knows."""
    renamed = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                known = ALIASES.get(alias.name) == alias.asname or (alias.name, alias.asname) == ("functional", "F")
                if alias.asname and not known and not re.fullmatch(r"Transformers\w+", alias.asname):
                    renamed.append(alias.asname)
    return renamed


def parameters(source: str) -> list[str]:
    """Attributes that are parameters of one family."""
    return [
        node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute) and node.attr in PARAMETERS
    ]


def page_globals(source: str) -> dict[str, set[str]]:
    """For each function of a page, the page's variables that it reads; constants and types do not count."""
    tree = ast.parse(source)
    definitions = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    statements = [node for node in tree.body if not isinstance(node, definitions)]
    variables = {name for node in statements for name in stored(node) if not name[0].isupper()}
    read: dict[str, set[str]] = {}
    for function in tree.body:
        if isinstance(function, ast.FunctionDef):
            own = stored(function) | {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
            loaded = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
            read[function.name] = loaded & variables - own
    return {name: names for name, names in read.items() if names}


def stored(tree: ast.AST) -> set[str]:
    """The names that are assigned anywhere in a tree."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def vague_names(source: str) -> set[str]:
    """Variables and arguments with a name in VAGUE."""
    tree = ast.parse(source)
    return (stored(tree) | {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}) & VAGUE


@pytest.mark.parametrize("name", SOURCES)
def test_files_pages_and_functions_are_short(name: str) -> None:
    assert {*too_long(name, SOURCES[name], PAGE if name in PAGES else FILE)} <= LONG.keys()


def test_no_exception_is_left_that_nothing_needs() -> None:
    needed = {
        long for name, source in SOURCES.items() for long in too_long(name, source, PAGE if name in PAGES else FILE)
    }
    assert LONG.keys() <= needed


@pytest.mark.parametrize("name", SOURCES)
def test_modules_keep_their_own_name_at_import(name: str) -> None:
    assert not aliases(SOURCES[name])


@pytest.mark.parametrize("name", [name for name in SOURCES if not name.startswith(FAMILIES)])
def test_no_parameter_of_a_family_is_named_outside_of_it(name: str) -> None:
    assert not parameters(SOURCES[name])


@pytest.mark.parametrize("name", PAGES)
def test_a_function_of_a_page_receives_what_it_uses(name: str) -> None:
    assert not page_globals(PAGES[name])


@pytest.mark.parametrize("name", [name for name in SOURCES if not name.startswith("tests/")])
def test_variables_have_names_that_say_what_they_hold(name: str) -> None:
    assert not vague_names(SOURCES[name])


ANALYSES = [name for name in SOURCES if re.match(r"tests/model/(interpretability|decoding)/", name)]


@pytest.mark.parametrize("name", ANALYSES)
def test_every_analysis_is_tested_on_both_families(name: str) -> None:
    """A test of an analysis takes the fixture `decoder`, which is each family in turn, or a model of its own."""
    fixtures = {node.arg for node in ast.walk(ast.parse(SOURCES[name])) if isinstance(node, ast.arg)}
    assert "gpt" not in fixtures


def test_the_rules_catch_what_they_are_for() -> None:
    long = "def f():\n" + "    x = 1\n" * 40
    assert too_long("a.py", long, 300) == ["a.py::f"] and too_long("a.py", "x = 1\n" * 301, 300) == ["a.py"]
    assert not too_long("a.py", "def f():\n" + "    x = 1\n" * 39, 300)
    assert aliases("import numpy as np\nfrom model.decoding import kv_cache as cache") == ["cache"]
    assert not aliases("from torch.nn import functional as F\nimport streamlit as st")
    assert parameters("x = gpt.wte.weight") == ["wte"] and not parameters("x = decoder.W_E")
    page = "reading = 1\nLIMIT = 2\ndef draw(n):\n    return n + reading + LIMIT\n"
    assert page_globals(page) == {"draw": {"reading"}}
    assert not page_globals(page.replace("draw(n)", "draw(n, reading)"))
    assert vague_names("def f(told):\n    found = told") == {"found", "told"} and not vague_names("answer = 1")
