"""The worked examples in the docstrings of model/ are run, and public mathematics has one."""

import ast
import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text("utf-8")
    for path in sorted((ROOT / "model").rglob("*.py"))
}
EXAMPLES = [name for name, source in MODULES.items() if ">>> " in source]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_a_module_are_right(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted and not result.failed


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("model.interpretability.attention_pairs", "induction_pairs"),
        ("model.interpretability.comparison", "align"),
        ("model.interpretability.comparison", "total_variation"),
        ("model.interpretability.head_scores", "top_heads"),
        ("model.interpretability.patching", "kl_divergence"),
        ("model.language.analogies", "answer"),
        ("model.language.embeddings", "parse"),
        ("model.language.embeddings", "cosines"),
        ("model.language.embeddings", "pca"),
        ("model.language.embeddings", "project"),
        ("model.language.surprise", "surprises"),
        ("model.language.tokenization", "learn_merges"),
        ("model.language.tokenization", "merge_steps"),
        ("model.language.word_vectors", "pair_counts"),
        ("model.language.word_vectors", "keep_probability"),
        ("model.language.word2vec", "keep_probability"),
        ("model.toy_world.exact", "divergence"),
        ("model.training.pretrain", "learning_rate"),
    ],
)
def test_public_mathematics_has_a_worked_example(name: str, function: str) -> None:
    functions = {node.name: node for node in ast.walk(ast.parse(MODULES[name])) if isinstance(node, ast.FunctionDef)}
    assert ">>> " in ast.get_docstring(functions[function])
