"""What is known of GPT-2: claims of the literature about its heads, each with a number that any GPT can be asked for.

A claim is about GPT-2 small, and names heads of it. Its measure is general: a number for each head of whatever GPT
read the text and, where the claim is about the output, one number of that.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor

from model.interpretability import attribution
from model.transformer.config import DecoderConfig
from model.transformer.decoder import Decoder
from model.transformer.gpt2 import GPT2_SMALL
from model.transformer.record import Head, Trace

Pairs = Sequence[tuple[int, int]]  # positions of a query and of a key


class TracedText(NamedTuple):
    """A text of T tokens, the GPT that read it, and all that it computed."""

    decoder: Decoder
    tokenizer: Tokenizer
    text: str
    trace: Trace


class Measurement(NamedTuple):
    """What each head does of a claim, (L, H), and the number of the output where the claim is about that."""

    heads: Tensor
    output: float | None = None

    @property
    def best(self) -> Head:
        """The head that does most of it."""
        return Head(*divmod(self.heads.argmax().item(), self.heads.size(1)))


class Paper(NamedTuple):
    """Where a claim stands."""

    name: str
    arxiv: str


@dataclass(frozen=True)
class Claim:
    """Something known of GPT-2 small; it holds where its number is at least `least`."""

    name: str
    text: str
    says: str
    unit: str  # what the number of a head is
    papers: tuple[Paper, ...]
    heads: tuple[Head, ...]  # those that the papers name; none: the claim is about all of them
    measure: Callable[[TracedText], Measurement]  # raises ValueError where the text is none that the claim is about
    least: float
    output: str = ""  # what the number of the output is, where the claim is about that

    def number(self, found: Measurement, config: DecoderConfig) -> float:
        """Of the output; else, in GPT-2 small, the mean of the heads named, and in another GPT that of its best head.

        Where no head is named it is the mean of all.
        """
        if found.output is not None:
            return found.output
        if not self.heads:
            return found.heads.mean().item()
        if config == GPT2_SMALL:
            return found.heads[tuple(zip(*self.heads))].mean().item()
        return found.heads.max().item()


def trace_text(decoder: Decoder, tokenizer: Tokenizer, text: str) -> TracedText:
    """Read a text; raises ValueError where it has no token, or more than the GPT can read."""
    ids = tokenizer.encode(text).ids
    if not ids:
        raise ValueError("it is empty")
    if len(ids) > decoder.config.block_size:
        raise ValueError(f"it has {len(ids):,} tokens, and the model reads {decoder.config.block_size:,} at most")
    return TracedText(decoder, tokenizer, text, decoder.trace(torch.tensor([ids])))


def mean_attention(trace: Trace, pairs: Pairs) -> Tensor:
    """The mean attention of each head, (L, H), from the queries to the keys of these pairs."""
    queries, keys = zip(*pairs)
    return trace.patterns[:, :, queries, keys].mean(-1)


def previous_token_pairs(ids: Sequence[int]) -> Pairs:
    """From each token to the one before it."""
    return [(at, at - 1) for at in range(1, len(ids))]


def first_token_pairs(ids: Sequence[int]) -> Pairs:
    """From each token to the first, but for the second: to it the first is also the one before."""
    return [(at, 0) for at in range(2, len(ids))]


def duplicate_token_pairs(ids: Sequence[int]) -> Pairs:
    """From each token that stood before to where it last did."""
    last: dict[int, int] = {}
    pairs = []
    for at, id in enumerate(ids):
        if id in last:
            pairs.append((at, last[id]))
        last[id] = at
    return pairs


def induction_pairs(ids: Sequence[int]) -> Pairs:
    """From each token that stood before to the one that came after it then."""
    return [(query, key + 1) for query, key in duplicate_token_pairs(ids) if key + 1 < query]


def head_attribution(seen: TracedText, toward: int, against: int) -> Tensor:
    """What each head, (L, H), itself adds to the logit of one id less that of another, at the last position."""
    return attribution.attribute(seen.decoder, seen.trace, -1, toward, against).heads


class Names(NamedTuple):
    """Two names in a text: whose comes once, the indirect object, and whose comes twice; as ids and positions."""

    once: int
    twice: int
    at_once: int
    at_again: int


def find_names(seen: TracedText) -> Names:
    """Whom a text names once, and whom twice; raises ValueError where that is not one each."""
    found = [word for word in re.finditer(r"\b\w+", seen.text) if word.start() and word[0].istitle()]
    said = [word[0] for word in found]
    once, twice = ([word for word in found if said.count(word[0]) == count] for count in (1, 2))
    if not (len(once) == 1 and len(twice) == 2 and len(said) == 3):
        raise ValueError(
            "after its first word this text must have two names with capital letters, one of them once and the other "
            "twice, and no other word that begins with one"
        )
    ids = [seen.tokenizer.encode(f" {word[0]}").ids[0] for word in (*once, twice[0])]
    return Names(*ids, token_position(seen, once[0].end()), token_position(seen, twice[1].end()))


def token_position(seen: TracedText, end: int) -> int:
    """The position of the token that holds the sign before `end`."""
    offsets = seen.tokenizer.encode(seen.text).offsets
    return max(at for at, (start, stop) in enumerate(offsets) if start < end <= stop)


@torch.inference_mode()
def two_digit_probabilities(seen: TracedText) -> Tensor:
    """How likely the text goes on with each of 00, 01 ... 99: (100,). Some tokenizers cut these in two."""
    after: dict[tuple[int, ...], Tensor] = {}  # by the ids in between
    likely = torch.ones(100)
    for number in range(100):
        ids = seen.tokenizer.encode(f"{number:02d}").ids
        for n, id in enumerate(ids):
            between = tuple(ids[:n])
            if between not in after:
                read = torch.cat([seen.trace.idx, torch.tensor([between], dtype=torch.long)], dim=1)
                after[between] = seen.decoder(read[:, -seen.decoder.config.block_size :])[0, -1].softmax(-1)
            likely[number] *= after[between][id]
    return likely


def attention_measure(pairs: Callable[[Sequence[int]], Pairs], lacks: str) -> Callable[[TracedText], Measurement]:
    """The measure of a claim on where heads look; `lacks` is what a text lacks that has no such pair."""

    def measure(seen: TracedText) -> Measurement:
        if not (found := pairs(seen.trace.idx[0].tolist())):
            raise ValueError(lacks)
        return Measurement(mean_attention(seen.trace, found))

    return measure


def attention_to_name(which: str) -> Callable[[TracedText], Measurement]:
    """The measure of a claim on how much the last token looks at a name."""

    def measure(seen: TracedText) -> Measurement:
        return Measurement(mean_attention(seen.trace, [(seen.trace.idx.size(1) - 1, getattr(find_names(seen), which))]))

    return measure


def negative_name_mover(seen: TracedText) -> Measurement:
    """What each head takes off the name that came once by looking at it, next to the other."""
    found = find_names(seen)
    return Measurement(
        attribution.attribute_source(seen.decoder, seen.trace, -1, found.at_once, found.twice, found.once)
    )


def indirect_object_logits(seen: TracedText) -> Measurement:
    """The logit of the name that came once less that of the other, and what each head adds to that."""
    found, logits = find_names(seen), seen.trace.logits[0, -1]
    return Measurement(
        head_attribution(seen, found.once, found.twice), (logits[found.once] - logits[found.twice]).item()
    )


def greater_than(seen: TracedText) -> Measurement:
    """The probability of the years after the first one less that of the others; and how much heads look at it."""
    years = re.search(r"(\d\d)(\d\d)\b.*\b\1$", seen.text, re.S)
    if not years:
        raise ValueError("this text must have a year of four digits in it, and end with the first two of them")
    last, likely = int(years[2]), two_digit_probabilities(seen)
    pairs = [(seen.trace.idx.size(1) - 1, token_position(seen, years.end(2)))]
    return Measurement(mean_attention(seen.trace, pairs), (likely[last + 1 :].sum() - likely[: last + 1].sum()).item())


VIG = Paper("Vig and Belinkov 2019", "1906.04284")
OLSSON = Paper("Olsson et al. 2022", "2209.11895")
WANG = Paper("Wang et al. 2022", "2211.00593")
HANNA = Paper("Hanna et al. 2023", "2305.00586")
XIAO = Paper("Xiao et al. 2023", "2309.17453")

STORY = "Once upon a time there was a king who had a"
REPEATED_WORDS = "The river apple violin lamp seven horse river apple violin lamp seven horse"
TWO_NAMES = "When Mary and John went to the store, John gave a drink to"
YEARS = "The war lasted from the year 1732 to the year 17"

# `least` is above what a head gives that looks at all tokens alike, and below what the papers find on many texts.
CLAIMS = (
    Claim(
        "Previous token",
        STORY,
        "Some heads look at the token before, whatever it is.",
        "mean attention of each token to the one before",
        (WANG,),
        ((2, 2), (4, 11)),
        attention_measure(previous_token_pairs, "a text of one token has none before it"),
        least=0.5,
    ),
    Claim(
        "First token",
        STORY,
        "Much of all attention goes to the first token, whatever it is: there a head rests that finds nothing.",
        "mean attention to the first token, from the third on",
        (VIG, XIAO),
        (),
        attention_measure(first_token_pairs, "a text must have three tokens to ask how much they look at the first"),
        least=0.4,
    ),
    Claim(
        "Duplicate token",
        REPEATED_WORDS,
        "Some heads look from a token to where the same one stood before.",
        "mean attention of a token to where it stood before",
        (WANG,),
        ((0, 1), (3, 0)),
        attention_measure(duplicate_token_pairs, "no token stands here twice"),
        least=0.2,
    ),
    Claim(
        "Induction",
        REPEATED_WORDS,
        "Some heads look from a token to the one that came after it the last time, and so can say it again.",
        "mean attention of a token to the one that came after it the last time",
        (OLSSON, WANG),
        ((5, 5), (6, 9)),
        attention_measure(induction_pairs, "no token stands here twice with another one in between"),
        least=0.4,
    ),
    Claim(
        "S-inhibition",
        TWO_NAMES,
        "Some heads look from the end to the second time that a name is said; they keep others from taking it.",
        "attention of the last token to the second of the name said twice",
        (WANG,),
        ((7, 3), (7, 9), (8, 6), (8, 10)),
        attention_to_name("at_again"),
        least=0.25,
    ),
    Claim(
        "Name mover",
        TWO_NAMES,
        "Some heads look from the end to the name that was said once, and copy it to the output.",
        "attention of the last token to the name said once",
        (WANG,),
        ((9, 6), (9, 9), (10, 0)),
        attention_to_name("at_once"),
        least=0.3,
    ),
    Claim(
        "Negative name mover",
        TWO_NAMES,
        "Some heads look at that name, too, and write against it.",
        "logits that a head takes off the name said once by looking at it, next to the other",
        (WANG,),
        ((10, 7), (11, 10)),
        negative_name_mover,
        least=0.3,
    ),
    Claim(
        "Indirect object",
        TWO_NAMES,
        "Of two names it takes the one that is not the giver. The name movers write it.",
        "logits that a head adds to the name said once, next to the other",
        (WANG,),
        ((9, 6), (9, 9), (10, 0)),
        indirect_object_logits,
        least=1,
        output="the logit of the name said once less that of the name said twice",
    ),
    Claim(
        "Greater than",
        YEARS,
        "A war ends after it began: years above the first are far likelier than the others. "
        "Some heads look from the end to the digits that they must be above, and MLPs compare.",
        "attention of the last token to the last digits of the year",
        (HANNA,),
        ((5, 1), (5, 5), (6, 9), (7, 10), (8, 8), (8, 11), (9, 1)),
        greater_than,
        least=0.5,
        output="the probability of later years less that of the others",
    ),
)
