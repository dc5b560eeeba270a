"""Head scores: how strongly each head attends like one of eight kinds, on texts generated for the kind.

A kind is defined by where its heads attend (Wang et al. 2022, "Interpretability in the Wild", section 3; Olsson et al.
2022, "In-context Learning and Induction Heads"). A high score does not show that any answer needs the head, so heads
are ablated while the model answers questions.
"""

import random
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor

from model.interpretability import attention_pairs, patching
from model.interpretability.attention_pairs import Pairs, TracedText
from model.interpretability.patching import Replacements
from model.toy_world.grammar import LEXICON
from model.toy_world.questions import QUESTIONS
from model.transformer.decoder import Decoder
from model.transformer.intervention import Interventions
from model.transformer.record import Head

WORDS, TEXTS = 8, 6  # words in a repeated list, and texts of each kind

TextAndTarget = tuple[str, str]  # a text, and the word in it that its last token should attend to


class Kind(NamedTuple):
    """A kind of head: where it attends, on which generated texts, and the kind of question that should need it."""

    description: str
    generate: Callable[[random.Random], TextAndTarget]
    pairs: Callable[[TracedText, str], Pairs]
    question: str


class Batch(NamedTuple):
    """B questions with the same number of tokens T."""

    prompts: tuple[str, ...]
    answers: tuple[str, ...]
    idx: Tensor  # (B, T)
    answer_ids: Tensor  # (B,), the first token of each answer


class Prediction(NamedTuple):
    """The next token that a model predicts for a question, and the probability of the right one."""

    prompt: str
    answer: str
    token_id: int
    correct: bool
    probability: float  # of the first token of the answer


def _repeated_list(rng: random.Random) -> TextAndTarget:
    words = rng.sample(LEXICON, WORDS)
    return " " + " ".join(words + words), ""


def _question(kind: str, target: Callable[[str, str], str]) -> Callable[[random.Random], TextAndTarget]:
    """A generator of questions of a kind; `target` picks the word to attend to from a prompt and its answer."""

    def generate(rng: random.Random) -> TextAndTarget:
        prompt, answer = QUESTIONS[kind](rng)
        return prompt, target(prompt, answer)

    return generate


def _by_ids(pairs: Callable[[Sequence[int]], Pairs]) -> Callable[[TracedText, str], Pairs]:
    return lambda traced, _: pairs(traced.trace.idx[0].tolist())


def _to_word(traced: TracedText, word: str) -> Pairs:
    """The pair of the last token and the first occurrence of the word."""
    match = re.search(rf"\b{re.escape(word)}\b", traced.text)
    return [(traced.trace.idx.size(1) - 1, attention_pairs.token_position(traced, match.end()))]


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
        "looks at the token before, whatever it is", _repeated_list, _by_ids(attention_pairs.previous_token_pairs), COPY
    ),
    "duplicate token": Kind(
        "looks back at the same token earlier in the text",
        _repeated_list,
        _by_ids(attention_pairs.duplicate_token_pairs),
        RECEIVER,
    ),
    "induction": Kind(
        "looks at what came after the same token the last time",
        _repeated_list,
        _by_ids(attention_pairs.induction_pairs),
        COPY,
    ),
    "first token": Kind(
        "looks at the first token, whatever it is, where it rests",
        _repeated_list,
        _by_ids(attention_pairs.first_token_pairs),
        COPY,
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
    """Generated texts of a kind, TEXTS of them, each with the word to attend to."""
    rng = random.Random(seed)
    return [KINDS[kind].generate(rng) for _ in range(TEXTS)]


def scores(decoder: Decoder, tokenizer: Tokenizer, kind: str, seed: int = 0) -> Tensor:
    """Score of each head for a kind, (L, H): its mean attention, from 0 to 1, to where heads of the kind attend."""
    attention = []
    for text, word in texts(kind, seed):
        traced = attention_pairs.trace_text(decoder, tokenizer, text)
        attention.append(attention_pairs.mean_attention(traced.trace, KINDS[kind].pairs(traced, word)))
    return torch.stack(attention).mean(0)


def top_heads(scores: Tensor, count: int) -> list[Head]:
    """The `count` heads with the highest scores (L, H), highest first.

    >>> top_heads(torch.tensor([[0.1, 0.9], [0.5, 0.2]]), 2)
    [Head(layer=0, head=1), Head(layer=1, head=0)]
    """
    indices = scores.flatten().topk(min(count, scores.numel())).indices.tolist()
    return [Head(*divmod(index, scores.size(1))) for index in indices]


def question_batches(tokenizer: Tokenizer, kind: str, count: int, seed: int = 0) -> list[Batch]:
    """Random questions of a kind, `count` of them, in batches of equal length."""
    rng, by_length = random.Random(seed), defaultdict(list)
    for _ in range(count):
        prompt, answer = QUESTIONS[kind](rng)
        ids = tokenizer.encode(prompt).ids
        by_length[len(ids)].append((prompt, answer, ids, tokenizer.encode(f" {answer}").ids[0]))
    batches = (zip(*rows) for rows in by_length.values())
    return [
        Batch(prompts, answers, torch.tensor(ids), torch.tensor(answer_ids))
        for prompts, answers, ids, answer_ids in batches
    ]


def predict(decoder: Decoder, batch: Batch, heads: Collection[Head], instead: Replacements) -> list[Prediction]:
    """Predictions for the questions of a batch while these heads are ablated."""
    interventions = Interventions(edits=patching.ablation_edits(heads, (), instead))
    probabilities = decoder.trace(batch.idx, interventions).logits[:, -1].softmax(-1)
    token_ids, answer_ids = probabilities.argmax(-1).tolist(), batch.answer_ids.tolist()
    rows = zip(batch.prompts, batch.answers, token_ids, answer_ids, probabilities, strict=True)
    return [
        Prediction(prompt, answer, token_id, token_id == answer_id, row[answer_id].item())
        for prompt, answer, token_id, answer_id, row in rows
    ]


def ablate_each_head(
    decoder: Decoder, batches: Sequence[Batch], instead: Replacements
) -> Iterator[tuple[int, list[int], Tensor, Tensor]]:
    """Ablation of one head at a time, for each batch of questions.

    Yields a layer, some of its heads and, for each of these heads, the sum of the right answers' probabilities and the
    number of questions whose right answer is the most likely token; each (heads,).
    """
    for batch in batches:
        rows = range(len(batch.answer_ids))
        for layer, heads, logits in patching.patch_each_head(decoder, decoder.trace(batch.idx), instead.z[:, :, None]):
            probability = logits.softmax(-1)[:, rows, batch.answer_ids]
            yield layer, heads, probability.sum(-1), (logits.argmax(-1) == batch.answer_ids).sum(-1)
