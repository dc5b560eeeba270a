"""The only cache: models, and what they read, keyed by strings."""

import gc
import json
import math
import sys
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from operator import itemgetter
from typing import Any, NamedTuple

import torch
from cachetools.keys import hashkey
from tokenizers import Tokenizer

from model.decoding import beam_search as beams
from model.decoding import kv_cache as cache
from model.decoding import naive_generate as noted
from model.decoding import sampling
from model.interpretability import head_scores as zoo
from model.interpretability import logit_lens as lens
from model.interpretability import patching
from model.interpretability import published_heads as known
from model.language import tokenization as tokens
from model.language import word_vectors as skipgram
from model.language.analogies import ANALOGIES, answer
from model.language.embeddings import Embeddings, of_tokens
from model.language.tokenization import is_typable, pieces
from model.language.word2vec import Trained, training
from model.loading import gpt2_format as gpt2
from model.loading import hub as download
from model.toy_world.exact import Distribution, Truth, divergence
from model.training import evaluation
from model.training import mask_leak as leak
from model.transformer import untrained_stacks as depth
from model.transformer.gpt2 import GPT, Changes, Trace
from model.transformer.score_scaling import Softmax, by_width
from pages.shared.prompts import INSIDE
from pages.shared.runtime.catalog import CARDS, CATALOG, CHECKPOINTS, NAMES
from pages.shared.runtime.memo import SWEEPS, memoize, without_progress
from pages.shared.runtime.progress import OnProgress
from pages.shared.runtime.queue import permit, permit_each

# Bytes, so that a server of 4 GB is enough: of models together, of readings together, and of one of them.
MODELS, READINGS, READING = 2_000_000_000, 512_000_000, 128_000_000
LATEST = 120  # readings that are kept at most, however small: a class of 100 has its own
PASSES = 64_000_000  # bytes of all passes that wrote texts together
SHORTEST = 16  # tokens that the context of a model must hold for the lessons
MAX_CHARACTERS = 20_000  # of a prompt; more is a book, and its beginning would not be read anyway
ASKED, STRANGER_ASKED, TOLD = 20, 5, 100  # questions of each kind, those to a model of other texts, and texts told
STUDIED, LETTERS = 50_000, 100  # of a text from which merges are learned, and of each of its words
WORD_VECTORS = "word vectors"  # their name, beside those of the models
TRAINED_ON = 150  # words of a text that Word2Vec learns from
BEYOND = json.loads((CHECKPOINTS / "positions.json").read_text("utf-8"))  # losses beyond the length trained on
GPT2 = download.FAMILY["gpt2"]
GPT2_TOKENIZER = (GPT2.repo, ("tokenizer.json",))
CUTS = ("zero", "mean of this prompt", "mean of ten prompts")  # what takes the place of what is cut
DRAWS = 30  # different draws of questions, which all visitors share


class Model(NamedTuple):
    """A GPT, its tokenizer, the score of its best head of each kind on random tokens, and the (layer, head) its
    pictures start on: the best induction head; in the first layer, the head that most looks one token back.

    A model that learned from the toy world has a card; of others the truth is not known. Its words are rows of its wte.
    """

    name: str
    gpt: GPT
    tokenizer: Tokenizer
    card: dict[str, Any] | None
    heads: dict[str, float]
    start: tuple[int, int]
    looks_back: int
    words: Embeddings

    @property
    def bytes(self) -> int:
        """What it takes of the memory."""
        return sum(weight.nbytes for weight in self.gpt.parameters())

    @property
    def reads(self) -> int:
        """The tokens that a page shows at most: of its context those whose record is no larger than READING."""
        config = self.gpt.config
        return max(1, bisect_right(range(1, config.block_size + 1), READING, key=config.kept))


class Reading(NamedTuple):
    """What a model read of a prompt: its tokens, all it computed, and what of the prompt it did not read."""

    name: str
    prompt: str  # up to its last MAX_CHARACTERS
    tokens: list[str]
    trace: Trace
    cut_characters: int
    cut_tokens: int
    bytes: int  # that its trace keeps

    @property
    def model(self) -> Model:
        """The model that read it, which may be forgotten before its readings are."""
        return load(self.name)

    @property
    def surprises(self) -> list[float]:
        """How little each of the T tokens was expected, in nats; NaN for the first, before which nothing was read."""
        log_probabilities = self.trace.logits[0, :-1].log_softmax(-1)
        read = self.trace.idx[0, 1:, None]
        return [math.nan, *(-log_probabilities.gather(-1, read)).flatten().tolist()]


class Measured(NamedTuple):
    """The loss of a model on texts of the toy world, beside the floor."""

    told: evaluation.Loss
    unread: evaluation.Loss  # of those that it cannot have read


class Patched(NamedTuple):
    """The metrics of a corrupted run into which one part of the clean one was put, and of the two runs themselves."""

    positions: torch.Tensor  # (L, T, 2): the stream before a layer, at one token
    heads: torch.Tensor  # (L, H, 2): a head's z, at all tokens
    corrupted: torch.Tensor  # (2,)
    clean: torch.Tensor  # (2,)


class Searched(NamedTuple):
    """With one head cut (L, H): the mean probability of the right answers, and the share of right ones."""

    probability: torch.Tensor
    right: torch.Tensor


_promised: list[int] = []  # bytes of the models that are being opened


@contextmanager
def room(needed: int) -> Iterator[None]:
    """Room for a model of so many bytes, made by letting others go, the least recently used first.

    Raises ValueError where there can be none, or where too many are being opened at once.
    """
    with load.cache_condition:
        if needed + sum(_promised) > MODELS:
            why = "other models are being opened; try again" if needed <= MODELS else "it is too large"
            raise ValueError(f"it takes {needed / 1e6:,.1f} MB of the {MODELS / 1e6:,.1f} MB for models here: {why}")
        while load.cache.currsize + sum(_promised) + needed > MODELS:
            load.cache.popitem()
        _promised.append(needed)
    try:
        yield
    finally:
        with load.cache_condition:
            _promised.remove(needed)


@memoize(MODELS, lambda model: model.bytes)
def load(name: str) -> Model:
    """The model of that name; raises ValueError or FileNotFoundError where there is none that can be opened."""
    folder = CATALOG[name].folder() if name in CATALOG else None
    if folder is None:
        raise ValueError(f"there is no model {name!r} here; there is {', '.join(NAMES)}")
    sizes = gpt2.sizes(folder)
    tokenizer = gpt2.tokenizer(folder, sizes.vocab_size)  # what is small can be refused before anything makes room
    if sizes.block_size < SHORTEST or sizes.n_embd // sizes.n_head % 2:
        raise ValueError(f"its context must hold {SHORTEST} tokens or more, and its heads must have an even size")
    with room(4 * sizes.parameters):
        gpt = gpt2.load(folder)
        with permit():
            scores = evaluation.repeated_token_scores(gpt, tokenizer)
    heads = {kind: max(score for _, _, score in found) for kind, found in scores.items()}
    layer, head, _ = max(scores["induction head"], key=itemgetter(2))
    _, looks_back, _ = max((found for found in scores["previous-token head"] if found[0] == 0), key=itemgetter(2))
    return Model(name, gpt, tokenizer, CARDS.get(folder), heads, (layer, head), looks_back, of_tokens(gpt, tokenizer))


def is_open(name: str) -> bool:
    """Whether the model of that name is in memory."""
    return hashkey(name) in load.cache


@memoize(
    READINGS,
    lambda reading: max(reading.bytes, READINGS // LATEST),
    lambda name, prompt: hashkey(name, prompt[-MAX_CHARACTERS:], len(prompt)),
)
def read(name: str, prompt: str) -> Reading:
    """The named model's forward pass over the end of the prompt, as much as a page shows of it.

    Raises ValueError for an empty prompt.
    """
    model = load(name)
    ids = model.tokenizer.encode(prompt[-MAX_CHARACTERS:]).ids
    shown = ids[-model.reads :]
    with permit():
        trace = model.gpt.trace(torch.tensor([shown], dtype=torch.long))
    return Reading(
        name,
        prompt[-MAX_CHARACTERS:],
        pieces(model.tokenizer, shown),
        trace,
        cut_characters=max(0, len(prompt) - MAX_CHARACTERS),
        cut_tokens=len(ids) - len(shown),
        bytes=model.gpt.config.kept(len(shown)),
    )


@memoize(4)
def vocabulary(name: str) -> tuple[list[str], list[bool]]:
    """The text of each token that the named model knows, and whether it can be typed; some models have spare ids."""
    _, gpt, tokenizer, *_ = load(name)
    ids = range(min(tokenizer.get_vocab_size(), gpt.config.vocab_size))
    spare = range(len(ids), gpt.config.vocab_size)
    return (
        [*pieces(tokenizer, ids), *(f"<id {id}>" for id in spare)],
        [*(is_typable(tokenizer, id) for id in ids), *(False for _ in spare)],
    )


@memoize(5000)
def probability(name: str, prompt: str, id: int) -> float:
    """How likely the named model finds a token after a prompt."""
    model = load(name)  # and not `read`: what others read would be forgotten for a tree of many places
    ids = model.tokenizer.encode(prompt[-MAX_CHARACTERS:]).ids[-model.reads :]
    with permit():
        logits, _ = model.gpt.step(torch.tensor([ids]))
    return logits[0].softmax(-1)[id].item()


@memoize(64)
def written(name: str, prompt: str, chain: sampling.Chain, seed: int, count: int) -> list[tuple[int, float]]:
    """The first tokens, and the surprise of each, that the named model writes after a prompt; raises ValueError as
    `sampling.write` does."""
    reading = read(name, prompt)
    told = sampling.write(reading.model.gpt, reading.trace.idx[0].tolist(), chain, seed)
    return list(permit_each(islice(told, count)))


def in_context(name: str, context: int | None) -> GPT:
    """The named model, or as it is with that context."""
    gpt = load(name).gpt
    return cache.shortened(gpt, context) if context else gpt


@memoize(PASSES, lambda passes: sum(one.bytes for one in passes), without_progress)
def generated(
    on_progress: OnProgress, name: str, prompt: str, context: int | None, temperature: float, seed: int, count: int
) -> list[cache.Step]:
    """The passes in which the named model, perhaps with a shorter context, writes `count` tokens after a prompt."""
    trace, chain = read(name, prompt).trace, [("temperature", temperature)]
    gpt, begun = in_context(name, context), None if context else trace
    passes = []
    for one in permit_each(islice(cache.steps(gpt, trace.idx[0].tolist(), chain, seed, begun), count)):
        passes.append(one)
        on_progress(len(passes) / count)
    return passes


@memoize(SWEEPS, key=without_progress)
def generated_anew(
    on_progress: OnProgress, name: str, prompt: str, context: int | None, temperature: float, seed: int, count: int
) -> list[cache.Timed]:
    """The same passes with the cache and without, timed."""
    passes = generated(on_progress, name, prompt, context, temperature, seed, count)
    ids, timed = read(name, prompt).trace.idx[0].tolist(), []
    for one in permit_each(cache.timed(in_context(name, context), [*ids, *(one.id for one in passes)], len(ids))):
        timed.append(one)
        on_progress(len(timed) / count)
    return timed


@memoize(64, doing="Asking both ways for what goes wrong")
def noted_cases(name: str, ids: tuple[int, ...]) -> tuple[torch.Tensor, list[tuple[noted.Outcome, noted.Outcome]]]:
    """The named model's logits (V) after some tokens, and what becomes there of each of `noted.CASES`."""
    model, idx = load(name), torch.tensor([ids])
    with permit():
        return model.gpt.step(idx)[0][0], noted.tried(model.gpt, idx)


@memoize(64)
def searched(name: str, prompt: str, width: int, length: int) -> beams.Search:
    """What a beam search with the named model tries and finds after a prompt."""
    reading = read(name, prompt)
    model, ids = reading.model, reading.trace.idx[0].tolist()
    with permit():
        return beams.search(model.gpt, ids, width, length)


@memoize(128)
def true_next(name: str, prompt: str) -> Distribution:
    """What the toy world says next after all that the named model read of a prompt, as `truth` tells it."""
    return truth(name, prompt)[-1]


@memoize(16)
def truth(name: str, prompt: str) -> list[Distribution]:
    """What the toy world says at each of the T tokens that the named model read of a prompt, and after: T + 1.

    Empty from where the prompt is no text of that world, for a prompt whose beginning was not read, and for a model
    that has learned from other texts.
    """
    reading = read(name, prompt)
    if reading.cut_tokens or reading.cut_characters or not reading.model.card:
        return [{}] * (len(reading.tokens) + 1)
    return world(name).follow(prompt)


@memoize(2 * DRAWS, doing="Asking the model its questions")
def examined(name: str, draw: int) -> dict[str, list[tuple[str, str, str]]]:
    """Of each kind of question, in one draw, the prompts, right answers and those of the named model."""
    _, gpt, tokenizer, card, *_ = load(name)
    with permit():
        return evaluation.replies(gpt, tokenizer, draw, ASKED if card else STRANGER_ASKED)


@memoize(2 * DRAWS, doing="Measuring the model")
def measure(name: str, draw: int) -> Measured:
    """How well the named model knows the toy world, by the texts of one draw."""
    _, gpt, tokenizer, *_ = load(name)
    told = evaluation.held_out_documents(TOLD, seed=f"draw {draw}")
    with permit():
        return Measured(*evaluation.losses(gpt, tokenizer, told).values())


@memoize(4)
def beside_the_truth(name: str) -> list[tuple[list[str], list[float]]]:
    """Of each prompt in INSIDE the tokens, and the distance of the named model's guess after each from the truth."""
    model, beside = load(name), []
    for prompt in INSIDE:
        ids = model.tokenizer.encode(prompt).ids
        with permit():
            log_probabilities = model.gpt.trace(torch.tensor([ids])).logits[0].log_softmax(-1)
        truth = world(name).follow(prompt)[1:]
        distances = [divergence(known, row) for known, row in zip(truth, log_probabilities)]
        beside.append((pieces(model.tokenizer, ids), distances))
    return beside


@memoize(200)
def reply(name: str, prompt: str) -> str:
    """How the named model goes on after a prompt, with the likeliest tokens, to the end of a text or 16 of them."""
    model = load(name)
    with permit():
        return evaluation.greedy_reply(model.gpt, model.tokenizer, prompt, 16)


@memoize(256, doing="Asking the model")
def measured(name: str, claim: str, text: str) -> known.Found:
    """What the heads of the named model do of a claim on a text; raises ValueError as the claim's measure does."""
    (asked,) = (one for one in known.CLAIMS if one.name == claim)
    model, reading = load(name), read(name, text)
    if reading.cut_tokens or reading.cut_characters:
        raise ValueError(f"it is longer than the {len(reading.tokens)} tokens that are shown of this model at once")
    with permit():
        return asked.measure(known.Seen(model.gpt, model.tokenizer, text, reading.trace))


@memoize(64)
def without_residual(name: str, prompt: str) -> tuple[list[float], torch.Tensor]:
    """Of the named model, its residual connections taken out: how alike the tokens are before each block and at the
    end, and the logits (V) of the next token."""
    reading = read(name, prompt)
    gpt = reading.model.gpt
    with permit():
        trace = gpt.trace(reading.trace.idx, Changes(residual=False))
    return depth.similarities(trace), trace.logits[0, -1].clone()


@memoize(64)
def leaked(name: str, prompt: str, mask: bool) -> list[float]:
    """How much the logits of the named model change, at most, before the last token if that is another one (T - 1)."""
    gpt, idx = load(name).gpt, read(name, prompt).trace.idx
    other = idx.clone()
    other[:, -1] = (idx[:, -1] + 1) % gpt.config.vocab_size
    with permit():
        one, another = (gpt.trace(ids, Changes(mask=mask)).logits[0, :-1] for ids in (idx, other))
    return (one - another).abs().amax(-1).tolist()


@memoize(64)
def stacks(blocks: int, size: float, seed: int) -> dict[depth.Stack, depth.Measured]:
    """What each way to stack so many untrained blocks does to tokens and gradients."""
    with permit():
        return {stack: depth.measure(stack, blocks, size, seed) for stack in depth.STACKS}


@memoize(64)
def widths(seed: int, divided: bool) -> list[Softmax]:
    """What a softmax over random scores is for each width of queries and keys, divided by its root or not."""
    return by_width(seed, divided)


@memoize(4)
def usual(name: str) -> patching.Means:
    """What the heads and MLPs of the named model put out on average over the ten prompts in INSIDE."""
    return patching.means([read(name, prompt).trace for prompt in INSIDE])


def instead(name: str, prompt: str, how: str) -> patching.Means:
    """What takes the place of the heads and MLPs that are cut, by one of CUTS."""
    match how:
        case "mean of this prompt":
            return patching.means([read(name, prompt).trace])
        case "mean of ten prompts":
            return usual(name)
    return patching.zero(load(name).gpt.config)


@memoize(SWEEPS, key=without_progress)
def alone(on_progress: OnProgress, name: str, prompt: str, how: str) -> torch.Tensor:
    """By how much the likeliest next token becomes less likely when one head (L, H) is cut, and no other."""
    reading, config = read(name, prompt), load(name).gpt.config
    untouched = reading.trace.logits[0, -1].softmax(-1)
    lost = torch.zeros(config.n_layer, config.n_head)
    z = instead(name, prompt, how).z[:, :, None]
    for layer, heads, logits in permit_each(patching.by_head(reading.model.gpt, reading.trace, z)):
        lost[layer, heads] = untouched.max() - logits[:, 0].softmax(-1)[:, untouched.argmax()]
        on_progress((layer * config.n_head + heads[-1] + 1) / lost.numel())
    return lost


@memoize(SWEEPS, key=without_progress)
def patched(on_progress: OnProgress, name: str, clean: str, corrupted: str, answer: int, rival: int) -> Patched:
    """Each part of the clean prompt's run in the corrupted one's; raises ValueError where they are no pair."""
    gpt, runs = load(name).gpt, [read(name, prompt).trace for prompt in (corrupted, clean)]
    start = patching.first_difference(*(run.idx for run in runs))
    ends = [patching.metrics(run.logits[0, -1], answer, rival) for run in runs]
    layers, heads, tokens = gpt.config.n_layer, gpt.config.n_head, runs[0].idx.size(1)
    found = Patched(ends[0].repeat(layers, tokens, 1), torch.zeros(layers, heads, 2), *ends)
    for layer, at, logits in permit_each(patching.by_position(gpt, *runs, start)):  # before it the runs are the same
        found.positions[layer, at] = patching.metrics(logits, answer, rival)
        on_progress((layer + (at[-1] + 1) / tokens) / layers / 2)
    for layer, some, logits in permit_each(
        patching.by_head(gpt, runs[0], [block.attn.z[0] for block in runs[1].blocks])
    ):
        found.heads[layer, some] = patching.metrics(logits[:, 0], answer, rival)
        on_progress(0.5 + (layer + (some[-1] + 1) / heads) / layers / 2)
    return found


@memoize(8, doing="Scoring the heads")
def zoo_scores(name: str) -> dict[str, torch.Tensor]:
    """How much each head of the named model (L, H) is of each kind."""
    model = load(name)
    with permit():
        return {kind: zoo.scores(model.gpt, model.tokenizer, kind) for kind in zoo.KINDS}


@memoize(SWEEPS, key=without_progress)
def answered(
    on_progress: OnProgress, name: str, count: int, heads: tuple[patching.Head, ...], how: str
) -> dict[str, list[zoo.Said]]:
    """What the named model says to so many questions of each kind in `zoo.ASKED` while these heads are cut."""
    model, cut, found = load(name), instead(name, "", how), {}
    for n, kind in enumerate(zoo.ASKED):
        batches = zoo.ask(model.tokenizer, kind, count)
        answers = permit_each(zoo.answers(model.gpt, batch, heads, cut) for batch in batches)
        found[kind] = [said for some in answers for said in some]
        on_progress((n + 1) / len(zoo.ASKED))
    return found


@memoize(SWEEPS, key=without_progress)
def searched_heads(on_progress: OnProgress, name: str, kind: str, count: int, how: str) -> Searched:
    """What becomes of the answers to so many questions of a kind when one head of the named model is cut."""
    model, config = load(name), load(name).gpt.config
    found = Searched(*torch.zeros(2, config.n_layer, config.n_head))
    batches = zoo.ask(model.tokenizer, kind, count)
    steps = len(batches) * config.n_layer * config.n_head
    done = 0
    for layer, heads, probability, right in permit_each(zoo.search(model.gpt, batches, instead(name, "", how))):
        found.probability[layer, heads] += probability / count
        found.right[layer, heads] += right / count
        done += len(heads)
        on_progress(done / steps)
    return found


@memoize(SWEEPS, key=without_progress)
def leak_trained(on_progress: OnProgress, mask: bool) -> list[leak.Step]:
    """The training of a small GPT on random tokens, with or without the mask."""
    steps = []
    for step in permit_each(leak.train(mask)):
        steps.append(step)
        on_progress(len(steps) / leak.STEPS)
    return steps


@memoize(64)
def within(name: str, prompt: str, place: str, first: int, count: int, token: int | None) -> lens.Lens:
    """What the lens reads at a place of the named model, at some positions of a prompt; and of one token, if asked."""
    reading = read(name, prompt)
    model = reading.model
    with permit():
        return lens.read(model.gpt, reading.trace, place, slice(first, first + count), token)


@memoize(4)
def world(name: str) -> Truth:
    """The toy world in the tokens of the named model."""
    return Truth(load(name).tokenizer)


@memoize(1)
def gpt2_tokenizer() -> Tokenizer:
    """GPT-2's own tokenizer; raises FileNotFoundError where it was not fetched yet, ValueError where it is damaged."""
    folder = download.found(*GPT2_TOKENIZER)
    if folder is None:
        raise FileNotFoundError("the tokenizer of GPT-2 is not on this machine")
    return gpt2.tokenizer(folder, 50_257)


@memoize(4)
def ranks(name: str) -> dict[tokens.Pair, int]:
    """The merges of the named model's tokenizer, or of GPT-2's."""
    return tokens.ranks(gpt2_tokenizer() if name == GPT2.name else load(name).tokenizer)


@memoize(1)
def word_vectors() -> Embeddings:
    """The word vectors of the toy world."""
    return skipgram.load()


def embeddings(name: str) -> Embeddings:
    """Those word vectors, or the words of the named model."""
    return word_vectors() if name == WORD_VECTORS else load(name).words


@memoize(4, doing="Asking 160 analogies")
def analogies(name: str) -> dict[str, list[tuple[str, str]]]:
    """The answers of those vectors to each analogy of each kind: the nearest word, and the nearest but the inputs."""
    vectors = embeddings(name)
    with permit():
        return {kind: [answer(vectors, asked) for asked in questions] for kind, questions in ANALOGIES.items()}


@memoize(SWEEPS, key=without_progress)
def word2vec(on_progress: OnProgress, text: str, sample: float, epochs: int) -> Trained:
    """Word2Vec on the lines of a text, from 20 seeds; raises ValueError for a text without words, or too long a one."""
    sentences = [line.lower().split() for line in text.splitlines() if line.strip()]
    words = [word for sentence in sentences for word in sentence]
    if len(words) > TRAINED_ON:
        raise ValueError(f"the text has {len(words):,} words; it may have {TRAINED_ON}")
    for done, trained in enumerate(permit_each(training(sentences, epochs=epochs, sample=sample)), 1):
        on_progress(done / epochs)
    return trained


@memoize(32, doing="Learning the merges")
def learned(corpus: str, count: int) -> list[tokens.Learned]:
    """The first `count` merges that a BPE learns from the beginning of a text, each of its words up to LETTERS."""
    words = tokens.words(tokens.from_merges([]), corpus[:STUDIED])
    with permit():
        return list(tokens.learn_merges((word[:LETTERS] for word in words), count))


def warm() -> None:
    """Load the built-in model, run it once, and keep the garbage collector off what is there to stay."""
    torch.set_num_threads(1)  # a class shares the cores; one prompt does not need two
    try:
        read(NAMES[0], "Hello")
        truth(NAMES[0], "Hello")
    except (ValueError, FileNotFoundError) as error:
        print(f"{NAMES[0]} cannot be used: {error}", file=sys.stderr)  # the pages say so, too, and another stands in
    gc.collect()
    gc.freeze()
