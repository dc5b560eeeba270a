"""Published claims about the heads of GPT-2 small, each with a measure that applies to any model.

A claim names heads of GPT-2 small. Its measure gives a number for each head of the model that read the text and, where
the claim is about the output, one number of the output.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from model.interpretability import attribution
from model.interpretability.attention_pairs import (
    Pairs,
    TracedText,
    duplicate_token_pairs,
    first_token_pairs,
    induction_pairs,
    mean_attention,
    previous_token_pairs,
    token_position,
)
from model.transformer.config import DecoderConfig
from model.transformer.gpt2 import GPT2_SMALL
from model.transformer.record import Head


class Measurement(NamedTuple):
    """The measure of a claim on one text: a number for each head, (L, H), and the number of the output, if any."""

    heads: Tensor
    output: float | None = None

    @property
    def best(self) -> Head:
        """The head with the largest number."""
        return Head(*divmod(self.heads.argmax().item(), self.heads.size(1)))


class Paper(NamedTuple):
    """A source of a claim: authors and year, and its number on arXiv."""

    name: str
    arxiv: str


@dataclass(frozen=True)
class Claim:
    """A published claim about GPT-2 small; it holds where its value is at least `threshold`."""

    name: str
    text: str
    statement: str
    unit: str  # of the number of a head
    papers: tuple[Paper, ...]
    heads: tuple[Head, ...]  # those that the papers name; none: the claim is about all heads
    measure: Callable[[TracedText], Measurement]  # raises ValueError for a text that the claim is not about
    threshold: float
    output_unit: str = ""  # of the number of the output, if the claim is about the output

    def value(self, measurement: Measurement, config: DecoderConfig) -> float:
        """The number of the output, if there is one; else a number of the heads.

        In GPT-2 small that is the mean of the heads that the papers name, in another model the largest of all heads;
        the mean of all heads where the papers name none.
        """
        if measurement.output is not None:
            return measurement.output
        if not self.heads:
            return measurement.heads.mean().item()
        if config == GPT2_SMALL:
            return measurement.heads[tuple(zip(*self.heads))].mean().item()
        return measurement.heads.max().item()


def head_attribution(traced: TracedText, toward: int, against: int) -> Tensor:
    """Direct contribution of each head (L, H) to logit(toward) - logit(against) at the last position."""
    return attribution.attribute(traced.decoder, traced.trace, -1, toward, against).heads


class Names(NamedTuple):
    """The two names of an indirect-object sentence: first token ids, and positions.

    The indirect object occurs once and the subject twice, as in "When Mary and John went …, John gave a drink to".
    """

    indirect_object: int
    subject: int
    indirect_object_position: int
    second_subject_position: int


def find_names(traced: TracedText) -> Names:
    """The indirect object and the subject of a text; raises ValueError unless there is exactly one of each."""
    matches = [match for match in re.finditer(r"\b\w+", traced.text) if match.start() and match[0].istitle()]
    words = [match[0] for match in matches]
    once, twice = ([match for match in matches if words.count(match[0]) == count] for count in (1, 2))
    if not (len(once) == 1 and len(twice) == 2 and len(words) == 3):
        raise ValueError(
            "after its first word this text must have two names with capital letters, one of them once, the other "
            "twice, and no other word with a capital letter"
        )
    ids = [traced.tokenizer.encode(f" {match[0]}").ids[0] for match in (*once, twice[0])]
    return Names(*ids, token_position(traced, once[0].end()), token_position(traced, twice[1].end()))


@torch.inference_mode()
def two_digit_probabilities(traced: TracedText) -> Tensor:
    """Probability (100,) that the text continues with each of 00, 01 … 99; some tokenizers cut these in two."""
    next_token: dict[tuple[int, ...], Tensor] = {}  # distribution (V) by the ids after the text
    probabilities = torch.ones(100)
    for number in range(100):
        ids = traced.tokenizer.encode(f"{number:02d}").ids
        for n, id in enumerate(ids):
            prefix = tuple(ids[:n])
            if prefix not in next_token:
                idx = torch.cat([traced.trace.idx, torch.tensor([prefix], dtype=torch.long)], dim=1)
                window = idx[:, -traced.decoder.config.block_size :]
                next_token[prefix] = traced.decoder(window)[0, -1].softmax(-1)
            probabilities[number] *= next_token[prefix][id]
    return probabilities


def attention_measure(
    find_pairs: Callable[[Sequence[int]], Pairs], no_pairs: str
) -> Callable[[TracedText], Measurement]:
    """The measure of a claim about attention between pairs; it raises ValueError(no_pairs) where there is no pair."""

    def measure(traced: TracedText) -> Measurement:
        if not (pairs := find_pairs(traced.trace.idx[0].tolist())):
            raise ValueError(no_pairs)
        return Measurement(mean_attention(traced.trace, pairs))

    return measure


def attention_to_name(position: str) -> Callable[[TracedText], Measurement]:
    """The measure of a claim about the last token's attention to a name; `position` is a field of Names."""

    def measure(traced: TracedText) -> Measurement:
        query, key = traced.trace.idx.size(1) - 1, getattr(find_names(traced), position)
        return Measurement(mean_attention(traced.trace, [(query, key)]))

    return measure


def negative_name_mover(traced: TracedText) -> Measurement:
    """Logits that each head, by attending to the indirect object, takes off it, relative to the subject."""
    names = find_names(traced)
    return Measurement(
        attribution.attribute_source(
            traced.decoder,
            traced.trace,
            -1,
            names.indirect_object_position,
            toward=names.subject,
            against=names.indirect_object,
        )
    )


def indirect_object_logits(traced: TracedText) -> Measurement:
    """Logit difference of the indirect object and the subject, and each head's direct contribution to it."""
    names, logits = find_names(traced), traced.trace.logits[0, -1]
    return Measurement(
        head_attribution(traced, names.indirect_object, names.subject),
        (logits[names.indirect_object] - logits[names.subject]).item(),
    )


def greater_than(traced: TracedText) -> Measurement:
    """Probability of the years after the first one minus that of the others, and attention to the first one's end."""
    years = re.search(r"(\d\d)(\d\d)\b.*\b\1$", traced.text, re.S)
    if not years:
        raise ValueError("this text must contain a year of four digits, and end with its first two digits")
    first_year, probabilities = int(years[2]), two_digit_probabilities(traced)
    pairs = [(traced.trace.idx.size(1) - 1, token_position(traced, years.end(2)))]
    difference = probabilities[first_year + 1 :].sum() - probabilities[: first_year + 1].sum()
    return Measurement(mean_attention(traced.trace, pairs), difference.item())


VIG = Paper("Vig and Belinkov 2019", "1906.04284")
OLSSON = Paper("Olsson et al. 2022", "2209.11895")
WANG = Paper("Wang et al. 2022", "2211.00593")
HANNA = Paper("Hanna et al. 2023", "2305.00586")
XIAO = Paper("Xiao et al. 2023", "2309.17453")

STORY = "Once upon a time there was a king who had a"
REPEATED_WORDS = "The river apple violin lamp seven horse river apple violin lamp seven horse"
TWO_NAMES = "When Mary and John went to the store, John gave a drink to"
YEARS = "The war lasted from the year 1732 to the year 17"

# A threshold lies above the number of a head with uniform attention, and below what the papers find on many texts.
CLAIMS = (
    Claim(
        "Previous token",
        STORY,
        "Some heads look at the token before, whatever it is.",
        "mean attention of each token to the one before",
        (WANG,),
        ((2, 2), (4, 11)),
        attention_measure(previous_token_pairs, "a text of one token has no previous token"),
        threshold=0.5,
    ),
    Claim(
        "First token",
        STORY,
        "Much of all attention goes to the first token, whatever it is: a head rests there when it finds nothing.",
        "mean attention to the first token, from the third on",
        (VIG, XIAO),
        (),
        attention_measure(first_token_pairs, "a text must have at least three tokens for this measure"),
        threshold=0.4,
    ),
    Claim(
        "Duplicate token",
        REPEATED_WORDS,
        "Some heads look from a token back to the same token earlier in the text.",
        "mean attention of a token to its last occurrence before",
        (WANG,),
        ((0, 1), (3, 0)),
        attention_measure(duplicate_token_pairs, "no token occurs twice in it"),
        threshold=0.2,
    ),
    Claim(
        "Induction",
        REPEATED_WORDS,
        "Some heads look from a token to the one that came after it the last time, so the model can repeat it.",
        "mean attention of a token to the one that came after it the last time",
        (OLSSON, WANG),
        ((5, 5), (6, 9)),
        attention_measure(induction_pairs, "no token occurs twice in it with another token in between"),
        threshold=0.4,
    ),
    Claim(
        "S-inhibition",
        TWO_NAMES,
        "Some heads look from the end to the repeated name; they keep other heads from copying it.",
        "attention of the last token to the second occurrence of the repeated name",
        (WANG,),
        ((7, 3), (7, 9), (8, 6), (8, 10)),
        attention_to_name("second_subject_position"),
        threshold=0.25,
    ),
    Claim(
        "Name mover",
        TWO_NAMES,
        "Some heads look from the end to the name that occurs once, and copy it to the output.",
        "attention of the last token to the name that occurs once",
        (WANG,),
        ((9, 6), (9, 9), (10, 0)),
        attention_to_name("indirect_object_position"),
        threshold=0.3,
    ),
    Claim(
        "Negative name mover",
        TWO_NAMES,
        "Other heads look at the same name, and write against it.",
        "logits that a head takes from the name that occurs once, compared with the other, by looking at it",
        (WANG,),
        ((10, 7), (11, 10)),
        negative_name_mover,
        threshold=0.3,
    ),
    Claim(
        "Indirect object",
        TWO_NAMES,
        "Of two names, the model says the one that is not the giver. The name movers write it.",
        "logits that a head adds to the name that occurs once, compared with the other name",
        (WANG,),
        ((9, 6), (9, 9), (10, 0)),
        indirect_object_logits,
        threshold=1,
        output_unit="the logit of the name that occurs once minus that of the repeated name",
    ),
    Claim(
        "Greater than",
        YEARS,
        "A war ends after it began: years after the first one are far likelier than the others. "
        "Some heads look from the end to the digits of the first year, and MLPs compare.",
        "attention of the last token to the last digits of the year",
        (HANNA,),
        ((5, 1), (5, 5), (6, 9), (7, 10), (8, 8), (8, 11), (9, 1)),
        greater_than,
        threshold=0.5,
        output_unit="the probability of later years minus that of the others",
    ),
)
