"""The public addresses: the URL of each lesson, and the keys (query parameters) that a link to it may hold.

Links stand in slides, mails and papers. A URL or a key in these lists may get a neighbor; it may not go, nor change.
"""

import re
from functools import cache
from unittest.mock import patch

import pytest
import streamlit as st

from tests.driver import PAGES, SCRIPTS, page, visits

# URL of each script; that of home is the address of the server itself.
URLS = {
    "decoding/generation": "generation",
    "decoding/kv_size": "kv_size",
    "decoding/naive_generate": "naive_generate",
    "decoding/sampling": "sampling",
    "interpretability/attribution": "attribution",
    "interpretability/compare": "compare",
    "interpretability/known": "known",
    "interpretability/lens": "lens",
    "interpretability/patching": "patching",
    "interpretability/rollout": "rollout",
    "interpretability/scalpel": "scalpel",
    "interpretability/missed_heads": "missed_heads",
    "interpretability/two_prompts": "two_prompts",
    "interpretability/zoo": "zoo",
    "language/analogies": "analogies",
    "language/contexts": "contexts",
    "language/embeddings": "embeddings",
    "language/tokens": "tokens",
    "language/word2vec": "word2vec",
    "start/home": "",
    "start/knows": "knows",
    "transformer/attention": "attention",
    "transformer/attention_on_prompt": "attention_on_prompt",
    "transformer/beyond_length": "beyond_length",
    "transformer/block": "block",
    "transformer/gpt": "gpt",
    "transformer/hand": "hand",
    "transformer/heads_add_up": "heads_add_up",
    "transformer/mlp": "mlp",
    "transformer/mask_leak": "mask_leak",
    "transformer/parameters": "parameters",
    "transformer/positions": "positions",
    "transformer/scale": "scale",
    "transformer/untrained_stacks": "untrained_stacks",
    "transformer/word_order": "word_order",
}

# Keys that a page reads itself, in Python.
KEYS = {
    "decoding/generation": "context, each, head, model, prompt, seed, temperature, tokens",
    "decoding/kv_size": "each, model, tokens",
    "decoding/naive_generate": "model, prompt",
    "decoding/sampling": "length, model, prompt, tree, width, written",
    "interpretability/attribution": "answer, model, position, prompt, rival",
    "interpretability/compare": "changed, compare, model, model2, prompt, prompt2, rows",
    "interpretability/known": "claim, model, text",
    "interpretability/lens": "answer, from, model, place, position, prompt, readout, rival",
    "interpretability/patching": "answer, corrupted, metric, model, prompt, rival",
    "interpretability/rollout": "from, model, position, prompt",
    "interpretability/scalpel": "alone, answer, corrupted, instead, last, looks, mask, metric, mlps, model, off, "
    "positions, prompt, residual, rival",
    "interpretability/missed_heads": "asked, model, search instead",
    "interpretability/two_prompts": "changed, model, prompt, prompt2, rows",
    "interpretability/zoo": "asked, instead, kind, model, search instead, which",
    "language/analogies": "model, questions, vectors",
    "language/contexts": "another, model, prompt, shared",
    "language/embeddings": "another, axes, expression, model, pairs, prompt, questions, shared, vectors, words",
    "language/tokens": "corpus, languages, merges, model, per, prompt, tokenizer, word",
    "language/word2vec": "epochs, lines1, lines2, rare1, rare2",
    "start/home": "model, prompt",
    "start/knows": "draw, model",
    "transformer/attention": "head, layer, model, prompt, steps",
    "transformer/attention_on_prompt": "end, model, picked, prompt",
    "transformer/beyond_length": "scheme",
    "transformer/block": "at, block, blocks, model, norm, prompt, residual, seed, size, stacked",
    "transformer/gpt": "at, block, box, context, heads, hidden, key_heads, kind, layers, model, preset, prompt, tied, "
    "vocab, width",
    "transformer/hand": "at, drawn, end, example, fit, mask, model, numbers, of layer, picked, prompt, scaled, times, "
    "tokens, view, width",
    "transformer/heads_add_up": "at, model, of layer, prompt",
    "transformer/mlp": "at, block, model, norm, prompt",
    "transformer/mask_leak": "last, model, prompt",
    "transformer/parameters": "context, heads, hidden, key_heads, kind, layers, model, preset, tied, vocab, width",
    "transformer/positions": "dimension, every, first, mask, model, one, other, positions, prompt, scheme, shown",
    "transformer/scale": "seed, trap, view, wide",
    "transformer/untrained_stacks": "blocks, model, prompt, residual, seed, size, stacked",
    "transformer/word_order": "first, mask, model, one, other, positions, prompt",
}

# Keys that a component reads in the browser.
COMPONENT_KEYS = {
    "attention": "layer, head, top, sink, shade",
    "attention_steps": "row",
    "kv_cache": "step, cache",
    "sampling_chain": "chain, beside, seed, draws",
    "text_tree": "tree",
}


@cache
def registered() -> dict[str, str]:
    """The URL path of each script, as the navigation registers it."""
    with patch.object(st, "navigation", side_effect=st.navigation) as navigation:
        assert not page("start/knows").exception
    sections = navigation.call_args.args[0]
    pages = [entry for section in sections.values() for entry in section]
    return {str(entry._page.relative_to(PAGES))[:-3]: entry.url_path for entry in pages}


def test_each_public_url_opens_its_lesson() -> None:
    assert URLS.items() <= registered().items()


def test_url_paths_are_unique_over_all_sections_and_hold_no_slash() -> None:
    paths = [*registered().values()]
    assert len(paths) == len({*paths}) == len(SCRIPTS)
    assert not [path for path in paths if "/" in path]


@pytest.mark.parametrize("script", KEYS)
def test_each_public_link_key_is_still_read_by_its_page(script: str) -> None:
    assert {*KEYS[script].split(", ")} <= visits(script).link_keys


@pytest.mark.parametrize("component", COMPONENT_KEYS)
def test_each_public_link_key_is_still_read_by_its_component(component: str) -> None:
    source = PAGES.parent / "viz/components" / component / f"{component}.js"
    words = {*re.findall(r"\w+", source.read_text("utf-8"))}
    assert {*COMPONENT_KEYS[component].split(", ")} <= words
