"""The head zoo: how much each head is of some kind, on texts made for it; and which answers need it.

A kind is known by where a head of it looks (Wang et al. 2022, "Interpretability in the Wild", section 3; Olsson et al.
2022, "In-context Learning and Induction Heads"). That it looks there does not say that anything needs it: so heads are
cut, and questions asked.
"""

import random
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor

from model.interpretability import patching, published_heads
from model.interpretability.patching import Replacements
from model.interpretability.published_heads import Pairs, TracedText
from model.toy_world.grammar import LEXICON
from model.toy_world.questions import QUESTIONS
from model.transformer.decoder import Decoder
from model.transformer.intervention import Interventions
from model.transformer.record import Head

WORDS, TEXTS = 8, 6  # words that are said twice, and texts of each kind

TextAndTarget = tuple[str, str]  # a text, and the word in it that its last token should look at


class Kind(NamedTuple):
    """What a head may be: where it looks, on texts of what form, and the questions that should need it."""

    says: str
    make: Callable[[random.Random], TextAndTarget]
    pairs: Callable[[TracedText, str], Pairs]
    asked: str


class Batch(NamedTuple):
    """Questions of as many tokens each."""

    prompts: tuple[str, ...]
    answers: tuple[str, ...]
    idx: Tensor  # (B, T)
    right: Tensor  # (B,), the first token of each answer


class Prediction(NamedTuple):
    """Of each question its prompt and answer, the likeliest next token, and how likely the right one is."""

    prompt: str
    answer: str
    said: int
    right: bool
    probability: float


def _twice(rng: random.Random) -> TextAndTarget:
    words = rng.sample(LEXICON, WORDS)
    return " " + " ".join(words + words), ""


def _question(kind: str, which: Callable[[str, str], str]) -> Callable[[random.Random], TextAndTarget]:
    """Texts that are questions of a kind; `which` word decides, by the prompt and its answer."""

    def make(rng: random.Random) -> TextAndTarget:
        prompt, answer = QUESTIONS[kind](rng)
        return prompt, which(prompt, answer)

    return make


def _by_ids(pairs: Callable[[Sequence[int]], Pairs]) -> Callable[[TracedText, str], Pairs]:
    return lambda seen, _: pairs(seen.trace.idx[0].tolist())


def _to_word(seen: TracedText, word: str) -> Pairs:
    """From the last token to where the word first stands."""
    found = re.search(rf"\b{re.escape(word)}\b", seen.text)
    return [(seen.trace.idx.size(1) - 1, published_heads.token_position(seen, found.end()))]


COPY, AGREEMENT, RECEIVER, PRONOUN, ROOM = (
    "copy of 8 words",
    "agreement across an attractor",
    "indirect object",
    "coreference",
    "context question",
)
ASKED = (COPY, AGREEMENT, RECEIVER, PRONOUN, ROOM, "capital")
KINDS = {
    "previous token": Kind(
        "looks at the token before, whatever it is", _twice, _by_ids(published_heads.previous_token_pairs), COPY
    ),
    "duplicate token": Kind(
        "looks at where the same token stood before", _twice, _by_ids(published_heads.duplicate_token_pairs), RECEIVER
    ),
    "induction": Kind(
        "looks at what came after the same token the last time", _twice, _by_ids(published_heads.induction_pairs), COPY
    ),
    "first token": Kind(
        "looks at the first token, whatever it is: it rests", _twice, _by_ids(published_heads.first_token_pairs), COPY
    ),
    "agreement": Kind(
        "looks from the end past another noun at the subject, whose number the verb must have",
        _question(AGREEMENT, lambda prompt, _: prompt.split()[1]),
        _to_word,
        AGREEMENT,
    ),
    "coreference": Kind(
        "looks from the end at the name that “he” or “she” will stand for",
        _question(PRONOUN, lambda prompt, _: prompt.split()[0]),
        _to_word,
        PRONOUN,
    ),
    "indirect object": Kind(
        "looks from the end at the one of two names that has not given anything",
        _question(RECEIVER, lambda _, answer: answer),
        _to_word,
        RECEIVER,
    ),
    "context question": Kind(
        "looks from the end at the room that was asked for",
        _question(ROOM, lambda _, answer: answer),
        _to_word,
        ROOM,
    ),
}


def texts(kind: str, seed: int = 0) -> list[TextAndTarget]:
    """TEXTS texts of a kind."""
    rng = random.Random(seed)
    return [KINDS[kind].make(rng) for _ in range(TEXTS)]


def scores(decoder: Decoder, tokenizer: Tokenizer, kind: str, seed: int = 0) -> Tensor:
    """How much each head is of a kind, (L, H): the mean attention that it gives to where such a head looks."""
    found = []
    for text, word in texts(kind, seed):
        seen = published_heads.trace_text(decoder, tokenizer, text)
        found.append(published_heads.mean_attention(seen.trace, KINDS[kind].pairs(seen, word)))
    return torch.stack(found).mean(0)


def top_heads(scores: Tensor, count: int) -> list[Head]:
    """The heads with the highest of these scores (L, H), the first one first."""
    return [
        Head(*divmod(n, scores.size(1))) for n in scores.flatten().topk(min(count, scores.numel())).indices.tolist()
    ]


def question_batches(tokenizer: Tokenizer, kind: str, count: int, seed: int = 0) -> list[Batch]:
    """So many questions of a kind, those of the same length together."""
    rng, lengths = random.Random(seed), defaultdict(list)
    for _ in range(count):
        prompt, answer = QUESTIONS[kind](rng)
        ids = tokenizer.encode(prompt).ids
        lengths[len(ids)].append((prompt, answer, ids, tokenizer.encode(f" {answer}").ids[0]))
    batches = (zip(*rows) for rows in lengths.values())
    return [Batch(prompts, answers, torch.tensor(ids), torch.tensor(right)) for prompts, answers, ids, right in batches]


def predict(decoder: Decoder, batch: Batch, heads: Collection[Head], instead: Replacements) -> list[Prediction]:
    """What the GPT says to some questions while these heads are cut."""
    shares = (
        decoder.trace(batch.idx, Interventions(edits=patching.ablation_edits(heads, (), instead)))
        .logits[:, -1]
        .softmax(-1)
    )
    rows = zip(batch.prompts, batch.answers, shares.argmax(-1).tolist(), batch.right.tolist(), shares, strict=True)
    return [
        Prediction(prompt, answer, said, said == right, row[right].item()) for prompt, answer, said, right, row in rows
    ]


def ablate_each_head(
    decoder: Decoder, batches: Sequence[Batch], instead: Replacements
) -> Iterator[tuple[int, list[int], Tensor, Tensor]]:
    """Cut one head after the other, and ask.

    For each batch, and of each layer some heads at a time: how likely the right answers are, in sum, and how many of
    them are the likeliest; each (heads,).
    """
    for batch in batches:
        everyone = range(len(batch.right))
        for layer, heads, logits in patching.patch_each_head(decoder, decoder.trace(batch.idx), instead.z[:, :, None]):
            probability = logits.softmax(-1)[:, everyone, batch.right]
            yield layer, heads, probability.sum(-1), (logits.argmax(-1) == batch.right).sum(-1)
