"""What the toy world says next: the exact probability of every token, after every token of a text.

The grammar of `model.toy_world.grammar` is followed along every chain of draws that agrees with the text. Where
a chain leaves the text, its probability goes to the token with which it leaves. So one walk gives
the distribution at every position; a text that can be told in several ways has the sum of them.
"""

import math
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from os.path import commonprefix
from typing import Any, NamedTuple

from tokenizers import Tokenizer
from torch import Tensor

from model.toy_world.grammar import START, Draw

CACHED_WORDS = 50_000  # few words of which the ids are known; about 13 MB
CACHED_CHOICES = 4000  # draws of which is known how they begin; about 15 MB
_LINE_BREAK = Draw(("\n",), "", lambda i: None)
Distribution = Mapping[int, float]  # of each id that can come next its probability; empty outside the world


class Choice(NamedTuple):
    """What chains draw from at one place of a line, or behind it."""

    at: int
    beyond: str  # what was said behind the line before: nothing or a space
    texts: tuple[str, ...]
    weights: tuple[float, ...]
    ended: bool  # whether what is said after a text ends its last word
    p: float  # of all the chains that come here


class Truth:
    """The toy world in the tokens of one byte-level BPE, which merges no bytes across the borders of words."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._ids = lru_cache(CACHED_WORDS)(lambda words: tokenizer.encode(words).ids)
        self._others = lru_cache(CACHED_CHOICES)(self._others)

    def follow(self, text: str) -> list[Distribution]:
        """The distribution of each of the T tokens of a text, given those before it, and of the one after: T + 1.

        Each line of the text is a document. From the place on to which no document leads they are empty.
        """
        ids = self.tokenizer.encode(text).ids
        followed: list[Distribution] = []
        for line in re.split(r"(?<=\n)", text):
            followed += self._line(line)
            if len(followed) <= len(ids) and ids[len(followed) - 1] not in followed[-1]:
                break  # what comes after a line that cannot be told cannot be told either
        return followed + [{}] * (len(ids) + 1 - len(followed))

    def nats(self, document: str) -> list[float]:
        """The surprise -ln P at each token of a document and at its line break; infinite where none goes on like it."""
        ids = self.tokenizer.encode(f"{document}\n").ids
        probabilities = [next.get(id, 0.0) for next, id in zip(self.follow(f"{document}\n"), ids)]
        return [-math.log(p) if p else math.inf for p in probabilities]

    def _line(self, line: str) -> list[Distribution]:
        """The distributions at the tokens of one line, and of the token behind it unless it ends with a line break."""
        starts = [start for _, (start, _) in self.tokenizer.pre_tokenizer.pre_tokenize_str(line)]
        ids: list[int] = []
        first: dict[int, int] = {0: 0}  # of the word that starts at a character, where its tokens start
        for start, end in zip(starts, [*starts[1:], len(line)]):
            first[start] = len(ids)
            ids += self._ids(line[start:end])
        first[len(line)] = len(ids)

        leave: list[dict[int, float]] = [defaultdict(float) for _ in range(len(ids) + 1)]
        other_ways, choices, ahead = _walk(line, starts)
        for at, beyond, *drawn, p in choices:
            start = at if beyond else _word_start(starts, at)
            n, choice = first[start], (line[start:at] + beyond, line[at : at + 1], *drawn)
            for id, share in self._others(*choice).items():
                leave[n][id] += p * share
            if ids[n:] and leave[n].pop(ids[n], 0):  # with the line's own token none leaves it, but some with the next
                for word, share in _leaving_words(*choice):
                    if self._ids(word)[0] == ids[n]:
                        other_ways[start, word] += p * share
        for (start, words), p in other_ways.items():
            others = enumerate(self._ids(words), first[start])
            n, id = next((n, id) for n, id in others if ids[n : n + 1] != [id])
            leave[n][id] += p

        distributions: list[Distribution] = []
        for n in reversed(range(len(ids) + (not line.endswith("\n")))):
            here = leave[n] | ({ids[n]: ahead} if ahead else {})
            ahead = sum(here.values())
            distributions.append({id: p / ahead for id, p in here.items()})
        return distributions[::-1]

    def _others(self, *choice: Any) -> dict[int, float]:
        """The first tokens of `_leaving_words`, each with its probability."""
        shares: dict[int, float] = defaultdict(float)
        for word, share in _leaving_words(*choice):
            shares[self._ids(word)[0]] += share
        return dict(shares)


def divergence(truth: Distribution, log_probabilities: Tensor) -> float:
    """Kullback-Leibler divergence KL(truth || model), in nats, of a model with these log-probabilities (V).

    NaN if the truth is empty, outside the toy world.

    >>> import torch
    >>> round(divergence({0: 0.5, 1: 0.5}, torch.tensor([0.25, 0.75]).log()), 4)
    0.1438
    """
    if not truth:
        return math.nan
    model = log_probabilities[list(truth)].tolist()
    return max(sum(p * (math.log(p) - log_q) for p, log_q in zip(truth.values(), model)), 0.0)


def _walk(line: str, starts: Sequence[int]) -> tuple[dict[tuple[int, str], float], list[Choice], float]:
    """Follow every chain of draws along a line whose words start at `starts`.

    Returns the words (start, text) with which chains leave the line, and their probability; the choices at which others
    leave it with a word that begins with another letter; and the probability of the line as a whole document.
    """
    leave: dict[tuple[int, str], float] = defaultdict(float)
    choices: dict[tuple[int, str, int, bool], Choice] = {}
    whole = 0.0
    open_ends: list[tuple[Draw | None, int, str, float]] = [(START, 0, "", 1.0)]
    while open_ends:
        draw, at, beyond, p = open_ends.pop()  # what was said agrees with the line up to `at`, then goes on `beyond`
        texts, after, then, weights = draw or _LINE_BREAK
        weights = weights or _uniform(len(texts))
        ways: Iterable[int] = range(len(texts))
        if not beyond or at == len(line) and beyond == " ":
            ended = bool(after) and not after[0].isalnum()
            going_on, by_letter = _by_first_letter(texts, ended)
            same_letter = by_letter.get(line[at : at + 1], [])
            ways = [i for i in same_letter if line.startswith(texts[i], at)] if ended else [*going_on, *same_letter]
            # Many chains draw from the same texts at the same place, which is counted once for all of them.
            *_, others = choices.get((at, beyond, id(texts), ended), (0.0,))
            choices[at, beyond, id(texts), ended] = Choice(at, beyond, texts, weights, ended, others + p)
        for i in ways:
            q = p * weights[i]
            spoken = beyond + texts[i] + after
            if not beyond and line.startswith(spoken, at):
                if draw:
                    open_ends.append((then(i), at + len(spoken), "", q))
                else:
                    whole += q
            elif other := _leaving_word(line, starts, at, spoken, complete=not draw):
                leave[other] += q
            else:
                open_ends.append(
                    (then(i), len(line), " ", q) if spoken == f"{line[at:]} " else (then(i), at, spoken, q)
                )
    for leaving_word, p in _leave_within_word(line, starts, choices.values()):
        leave[leaving_word] += p
    return leave, list(choices.values()), whole


def _leave_within_word(
    line: str, starts: Sequence[int], choices: Iterable[Choice]
) -> Iterator[tuple[tuple[int, str], float]]:
    """The words, with their probability, that leave the line at a choice but begin with the line's next letter."""
    for at, _, texts, weights, ended, p in choices:
        _, by_letter = _by_first_letter(texts, ended)
        for i in by_letter.get(line[at : at + 1], []) if ended else []:
            if not line.startswith(texts[i], at):
                yield _leaving_word(line, starts, at, texts[i], complete=True), p * weights[i]


def _leaving_words(
    before: str, letter: str, texts: tuple[str, ...], weights: tuple[float, ...], ended: bool
) -> Iterator[tuple[str, float]]:
    """The words that begin as before and go on with a drawn text, but not with this letter, with their probability."""
    _, by_letter = _by_first_letter(texts, ended)
    for i in (i for other, those in by_letter.items() if other != letter for i in those):
        yield before + texts[i].partition(" ")[0], weights[i]


@lru_cache
def _uniform(count: int) -> tuple[float, ...]:
    """Weights that are all the same."""
    return (1 / count,) * count


@lru_cache(CACHED_CHOICES)
def _by_first_letter(texts: tuple[str, ...], ended: bool) -> tuple[list[int], dict[str, list[int]]]:
    """Which texts are one word that may go on with what is said after it; and by their first letter the others."""
    going_on: list[int] = []
    by_letter: dict[str, list[int]] = defaultdict(list)
    for i, text in enumerate(texts):
        (by_letter[text[0]] if ended or " " in text[1:] else going_on).append(i)
    return going_on, dict(by_letter)


def _word_start(starts: Sequence[int], at: int) -> int:
    """Where the word starts that the character before `at` is in."""
    return starts[max(0, bisect_left(starts, at) - 1)] if starts else 0


def _leaving_word(line: str, starts: Sequence[int], at: int, spoken: str, complete: bool) -> tuple[int, str] | None:
    """The word with which what is said at `at` leaves a line whose words start at `starts`: its start, and the word.

    None where that word may go on, since what is said is not complete.
    """
    agrees = at if line[at : at + 1] != spoken[:1] else at + len(commonprefix((line[at:], spoken)))
    behind = agrees == len(line) and spoken.startswith(" ", agrees - at)  # the whole line was said
    start = agrees if behind else _word_start(starts, agrees)
    words = line[start:at] + spoken[max(0, start - at) :]
    end = words.find(" ", agrees - start + 1)  # it ends where the next one starts
    return (start, words[:end] if end > 0 else words) if end > 0 or complete else None
