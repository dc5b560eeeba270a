"""The only cache: models, and what they read, keyed by strings."""

import gc
import json
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import streamlit as st
import torch
from tokenizers import Tokenizer

from model import gpt2
from model.gpt import GPT, Trace
from model.probes import head_scores
from model.tokens import pieces

CHECKPOINTS = Path(__file__).parents[2] / "model" / "checkpoints"
FOLDERS = {json.loads(card.read_text("utf-8"))["name"]: card.parent for card in sorted(CHECKPOINTS.glob("*/card.json"))}
NAMES = list(FOLDERS)
MAX_CHARACTERS = 20_000  # of a prompt; more is a book, and its beginning would not be read anyway


class Model(NamedTuple):
    """A GPT, its tokenizer, and the (layer, head) its pictures start on: the best induction head."""

    gpt: GPT
    tokenizer: Tokenizer
    start: tuple[int, int]


class Reading(NamedTuple):
    """What a model read of a prompt: its tokens, all it computed, and what of the prompt it did not read."""

    model: Model
    tokens: list[str]
    trace: Trace
    cut_characters: int
    cut_tokens: int


@st.cache_resource(max_entries=4, show_spinner="Loading the model")
def load(name: str) -> Model:
    """The model of that name; raises ValueError where there is none."""
    if name not in FOLDERS:
        raise ValueError(f"there is no model {name!r} here; there is {', '.join(NAMES)}")
    gpt = gpt2.load(FOLDERS[name])
    tokenizer = Tokenizer.from_file(str(FOLDERS[name] / "tokenizer.json"))
    layer, head, _ = max(head_scores(gpt, tokenizer)["induction head"], key=itemgetter(2))
    return Model(gpt, tokenizer, (layer, head))


@st.cache_resource(max_entries=16, show_spinner=False)
def read(name: str, prompt: str) -> Reading:
    """The named model's forward pass over the end of the prompt, as much as its context holds.

    Raises ValueError for an empty prompt.
    """
    model = load(name)
    ids = model.tokenizer.encode(prompt[-MAX_CHARACTERS:]).ids
    kept = ids[-model.gpt.config.block_size :]
    return Reading(
        model,
        pieces(model.tokenizer, kept),
        model.gpt.trace(torch.tensor([kept], dtype=torch.long)),
        cut_characters=max(0, len(prompt) - MAX_CHARACTERS),
        cut_tokens=len(ids) - len(kept),
    )


def warm() -> None:
    """Load the built-in model, run it once, and keep the garbage collector off what is there to stay."""
    torch.set_num_threads(1)  # a class shares the cores; one prompt does not need two
    read(NAMES[0], "Hello")
    gc.collect()
    gc.freeze()
