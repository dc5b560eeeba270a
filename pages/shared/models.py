"""The only cache: models, and what they read, keyed by strings."""

import gc
import json
from collections.abc import Callable
from itertools import islice
from operator import itemgetter
from threading import Condition
from typing import Any, NamedTuple

import streamlit as st
import torch
from cachetools import LRUCache, cached
from tokenizers import Tokenizer

from model import beams, download, gpt2, known, lens, probes, sampling, skipgram, tokens
from model.analogies import ANALOGIES, answer
from model.embeddings import Embeddings, of_tokens
from model.gpt import GPT, Trace
from model.tokens import is_typable, pieces
from model.truth import Distribution, Truth, divergence
from model.word2vec import Trained, train
from pages.shared.examples import INSIDE
from pages.shared.offered import CARDS, CHECKPOINTS, NAMES, OFFERS

# Bytes, so that a server of 4 GB is enough: of models together, of readings together, and of one of them.
MODELS, READINGS, READING = 2_000_000_000, 512_000_000, 128_000_000
MAX_CHARACTERS = 20_000  # of a prompt; more is a book, and its beginning would not be read anyway
ASKED, TOLD = 20, 100  # questions of each kind, and texts told
STUDIED, LETTERS = 50_000, 100  # of a text from which merges are learned, and of each of its words
WORD_VECTORS = "word vectors"  # their name, beside those of the models
TRAINED_ON = 150  # words of a text that Word2Vec learns from
BEYOND = json.loads((CHECKPOINTS / "positions.json").read_text("utf-8"))  # losses beyond the length trained on
GPT2 = download.FAMILY["gpt2"]
GPT2_TOKENIZER = (GPT2.repo, ("tokenizer.json",))
DRAWS = 30  # different draws of questions, which all visitors share


class Model(NamedTuple):
    """A GPT, its tokenizer, the score of its best head of each kind on random tokens, and the (layer, head) its
    pictures start on: the best induction head; in the first layer, the head that most looks one token back.

    A model that learned from the toy world has a card; of others the truth is not known."""

    name: str
    gpt: GPT
    tokenizer: Tokenizer
    card: dict[str, Any] | None
    heads: dict[str, float]
    start: tuple[int, int]
    looks_back: int

    @property
    def bytes(self) -> int:
        """What it takes of the memory."""
        return sum(weight.nbytes for weight in self.gpt.parameters())

    @property
    def reads(self) -> int:
        """The tokens that a page shows at most: of its context those whose record is no larger than READING."""
        config = self.gpt.config
        return max(
            length for length in range(1, config.block_size + 1) if length == 1 or config.kept(length) <= READING
        )


class Reading(NamedTuple):
    """What a model read of a prompt: its tokens, all it computed, and what of the prompt it did not read."""

    name: str
    prompt: str
    tokens: list[str]
    trace: Trace
    cut_characters: int
    cut_tokens: int

    @property
    def model(self) -> Model:
        """The model that read it, which may be forgotten before its readings are."""
        return load(self.name)


class Measured(NamedTuple):
    """Of each kind of question the prompts, right answers and the model's; and its loss on texts, beside the floor."""

    examined: dict[str, list[tuple[str, str, str]]]
    loss: float
    floor: float
    unread: int  # of TOLD texts, those that it cannot have read, and how far above the floor it is on them
    unread_gap: float


def kept(most: int, size: Callable[[Any], int]) -> Callable:
    """Keep what a function finds, up to `most` bytes of it, the latest used.

    Who asks for what is being found waits for it; who asks for something else does not.
    """
    return cached(LRUCache(most, size), condition=Condition())


@kept(MODELS, lambda model: model.bytes)
def load(name: str) -> Model:
    """The model of that name; raises ValueError or FileNotFoundError where there is none that can be opened."""
    folder = OFFERS[name].folder() if name in OFFERS else None
    if folder is None:
        raise ValueError(f"there is no model {name!r} here; there is {', '.join(NAMES)}")
    needed = 4 * gpt2.parameters(folder)
    if needed > MODELS:
        raise ValueError(f"it takes {needed / 1e9:.1f} GB of memory; this server has {MODELS / 1e9:.1f} GB for models")
    with load.cache_condition:  # room is made before it is needed
        while load.cache.currsize + needed > MODELS:
            load.cache.popitem()
    gpt = gpt2.load(folder)
    tokenizer = gpt2.tokenizer(folder, gpt.config.vocab_size)
    scores = probes.head_scores(gpt, tokenizer)
    heads = {kind: max(score for _, _, score in found) for kind, found in scores.items()}
    layer, head, _ = max(scores["induction head"], key=itemgetter(2))
    _, looks_back, _ = max((found for found in scores["previous-token head"] if found[0] == 0), key=itemgetter(2))
    return Model(name, gpt, tokenizer, CARDS.get(folder), heads, (layer, head), looks_back)


@kept(READINGS, lambda reading: reading.model.gpt.config.kept(len(reading.tokens)))
def read(name: str, prompt: str) -> Reading:
    """The named model's forward pass over the end of the prompt, as much as a page shows of it.

    Raises ValueError for an empty prompt.
    """
    model = load(name)
    ids = model.tokenizer.encode(prompt[-MAX_CHARACTERS:]).ids
    kept = ids[-model.reads :]
    return Reading(
        name,
        prompt,
        pieces(model.tokenizer, kept),
        model.gpt.trace(torch.tensor([kept], dtype=torch.long)),
        cut_characters=max(0, len(prompt) - MAX_CHARACTERS),
        cut_tokens=len(ids) - len(kept),
    )


@st.cache_resource(max_entries=4, show_spinner=False)
def vocabulary(name: str) -> tuple[list[str], list[bool]]:
    """The text of each token that the named model knows, and whether it can be typed; some models have spare ids."""
    _, gpt, tokenizer, *_ = load(name)
    ids = range(min(tokenizer.get_vocab_size(), gpt.config.vocab_size))
    spare = range(len(ids), gpt.config.vocab_size)
    return (
        [*pieces(tokenizer, ids), *(f"<id {id}>" for id in spare)],
        [*(is_typable(tokenizer, id) for id in ids), *(False for _ in spare)],
    )


@st.cache_resource(max_entries=5000, show_spinner=False)
def probability(name: str, prompt: str, id: int) -> float:
    """How likely the named model finds a token after a prompt."""
    model = load(name)  # and not `read`: what others read would be forgotten for a tree of many places
    ids = model.tokenizer.encode(prompt[-MAX_CHARACTERS:]).ids[-model.gpt.config.block_size :]
    logits, _ = model.gpt.step(torch.tensor([ids]))
    return logits[0].softmax(-1)[id].item()


@st.cache_resource(max_entries=64, show_spinner=False)
def written(name: str, prompt: str, chain: sampling.Chain, seed: int, count: int) -> list[tuple[int, float]]:
    """The first tokens, and the surprise of each, that the named model writes after a prompt; raises ValueError as
    `sampling.write` does."""
    reading = read(name, prompt)
    told = sampling.write(reading.model.gpt, reading.trace.idx[0].tolist(), chain, seed)
    return list(islice(told, count))


@st.cache_resource(max_entries=64, show_spinner=False)
def searched(name: str, prompt: str, width: int, length: int) -> beams.Search:
    """What a beam search with the named model tries and finds after a prompt."""
    reading = read(name, prompt)
    return beams.search(reading.model.gpt, reading.trace.idx[0].tolist(), width, length)


@st.cache_resource(max_entries=16, show_spinner=False)
def truth(name: str, prompt: str) -> list[Distribution]:
    """What the toy world says at each of the T tokens that the named model read of a prompt, and after: T + 1.

    Empty from where the prompt is no text of that world, for a prompt whose beginning was not read, and for a model
    that has learned from other texts.
    """
    reading = read(name, prompt)
    if reading.cut_tokens or reading.cut_characters or not reading.model.card:
        return [{}] * (len(reading.tokens) + 1)
    return world(name).follow(prompt)


@st.cache_resource(max_entries=2 * DRAWS, show_spinner="Asking the model")
def measure(name: str, draw: int) -> Measured:
    """What the named model knows, asked with the questions and texts of one draw."""
    _, gpt, tokenizer, *_ = load(name)
    told = probes.held_out(TOLD, seed=f"draw {draw}")
    unread = probes.unread(tokenizer, told)
    (loss, floor), (unread_loss, unread_floor) = (
        (probes.loss(gpt, tokenizer, some), probes.floor(tokenizer, some, gpt.config.block_size))
        for some in (told, unread)
    )
    return Measured(probes.examine(gpt, tokenizer, draw, ASKED), loss, floor, len(unread), unread_loss - unread_floor)


@st.cache_resource(max_entries=4, show_spinner=False)
def beside_the_truth(name: str) -> list[tuple[list[str], list[float]]]:
    """Of each prompt in INSIDE the tokens, and the distance of the named model's guess after each from the truth."""
    model, beside = load(name), []
    for prompt in INSIDE:
        ids = model.tokenizer.encode(prompt).ids
        log_probabilities = model.gpt.trace(torch.tensor([ids])).logits[0].log_softmax(-1)
        truth = world(name).follow(prompt)[1:]
        distances = [divergence(known, row) for known, row in zip(truth, log_probabilities)]
        beside.append((pieces(model.tokenizer, ids), distances))
    return beside


@st.cache_resource(max_entries=200, show_spinner=False)
def reply(name: str, prompt: str) -> str:
    """How the named model goes on after a prompt, with the likeliest tokens, to the end of a text or 16 of them."""
    model = load(name)
    return probes.reply(model.gpt, model.tokenizer, prompt, 16)


@st.cache_resource(max_entries=256, show_spinner="Asking the model")
def measured(name: str, claim: str, text: str) -> known.Found:
    """What the heads of the named model do of a claim on a text; raises ValueError as the claim's measure does."""
    (asked,) = (one for one in known.CLAIMS if one.name == claim)
    model = load(name)
    return asked.measure(known.see(model.gpt, model.tokenizer, text))


@st.cache_resource(max_entries=64, show_spinner="Reading every layer")
def within(name: str, prompt: str, place: str, first: int, count: int, token: int | None) -> lens.Lens:
    """What the lens reads at a place of the named model, at some positions of a prompt; and of one token, if asked."""
    reading = read(name, prompt)
    return lens.read(reading.model.gpt, reading.trace, place, slice(first, first + count), token)


@st.cache_resource(max_entries=4, show_spinner=False)
def world(name: str) -> Truth:
    """The toy world in the tokens of the named model."""
    return Truth(load(name).tokenizer)


@st.cache_resource(show_spinner=False)
def gpt2_tokenizer() -> Tokenizer:
    """GPT-2's own tokenizer; raises FileNotFoundError where it was not fetched yet, ValueError where it is damaged."""
    folder = download.found(*GPT2_TOKENIZER)
    if folder is None:
        raise FileNotFoundError("the tokenizer of GPT-2 is not on this machine")
    return gpt2.tokenizer(folder, 50_257)


@st.cache_resource(max_entries=4, show_spinner=False)
def ranks(name: str) -> dict[tokens.Pair, int]:
    """The merges of the named model's tokenizer, or of GPT-2's."""
    return tokens.ranks(gpt2_tokenizer() if name == GPT2.name else load(name).tokenizer)


@st.cache_resource(max_entries=4, show_spinner=False)
def embeddings(name: str) -> Embeddings:
    """The word vectors of the toy world, or the rows of wte that are words of the named model."""
    return skipgram.load() if name == WORD_VECTORS else of_tokens(load(name).gpt, load(name).tokenizer)


@st.cache_resource(max_entries=4, show_spinner=False)
def analogies(name: str) -> dict[str, list[tuple[str, str]]]:
    """The answers of those vectors to each analogy of each kind: the nearest word, and the nearest but the inputs."""
    return {kind: [answer(embeddings(name), asked) for asked in questions] for kind, questions in ANALOGIES.items()}


@st.cache_resource(max_entries=32, show_spinner="Training Word2Vec from 20 seeds")
def word2vec(text: str, sample: float, epochs: int) -> Trained:
    """Word2Vec on the lines of a text, from 20 seeds; raises ValueError for a text without words, or too long a one."""
    sentences = [line.lower().split() for line in text.splitlines() if line.strip()]
    words = [word for sentence in sentences for word in sentence]
    if len(words) > TRAINED_ON:
        raise ValueError(f"the text has {len(words):,} words; it may have {TRAINED_ON}")
    return train(sentences, epochs=epochs, sample=sample)


@st.cache_resource(max_entries=32, show_spinner="Learning the merges")
def learned(corpus: str, count: int) -> list[tokens.Learned]:
    """The first `count` merges that a BPE learns from the beginning of a text, each of its words up to LETTERS."""
    words = tokens.words(tokens.from_merges([]), corpus[:STUDIED])
    return list(tokens.learn_merges((word[:LETTERS] for word in words), count))


def warm() -> None:
    """Load the built-in model, run it once, and keep the garbage collector off what is there to stay."""
    torch.set_num_threads(1)  # a class shares the cores; one prompt does not need two
    read(NAMES[0], "Hello")
    truth(NAMES[0], "Hello")
    gc.collect()
    gc.freeze()
