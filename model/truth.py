"""What the toy world says next: the exact probability of every token, after every token of a text.

The grammar of `model.world` is followed along every chain of draws that agrees with the text. Where
a chain leaves the text, its probability goes to the token with which it leaves. So one walk gives
the distribution at every position; a text that can be told in several ways has the sum of them.
"""

import math
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from os.path import commonprefix

from tokenizers import Tokenizer
from torch import Tensor

from model.world import START, Draw

REMEMBERED = 50_000  # few words of which the ids are known; about 13 MB
_LINE_BREAK = Draw(("\n",), "", lambda i: None)
Distribution = Mapping[int, float]  # of each id that can come next its probability; empty outside the world


class Truth:
    """The toy world in the tokens of one byte-level BPE, which merges no bytes across the borders of words."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._ids: dict[str, list[int]] = {}

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
        found = [next.get(id, 0.0) for next, id in zip(self.follow(f"{document}\n"), ids)]
        return [-math.log(p) if p else math.inf for p in found]

    def _line(self, line: str) -> list[Distribution]:
        """The distributions at the tokens of one line, and of the token behind it unless it ends with a line break."""
        starts = [start for _, (start, _) in self.tokenizer.pre_tokenizer.pre_tokenize_str(line)]
        ids: list[int] = []
        first: dict[int, int] = {0: 0}  # of the word that starts at a character, where its tokens start
        for start, end in zip(starts, [*starts[1:], len(line)]):
            first[start] = len(ids)
            ids += self.tokenizer.encode(line[start:end]).ids

        leave: list[dict[int, float]] = [defaultdict(float) for _ in range(len(ids) + 1)]
        other_ways, ahead = _walk(line, starts)
        for (start, words), p in other_ways.items():
            others = enumerate(self._encode(words), first[start])
            at, id = next((n, id) for n, id in others if n == len(ids) or id != ids[n])
            leave[at][id] += p

        distributions: list[Distribution] = []
        for n in reversed(range(len(ids) + (not line.endswith("\n")))):
            here = leave[n] | ({ids[n]: ahead} if ahead else {})
            ahead = sum(here.values())
            distributions.append({id: p / ahead for id, p in here.items()})
        return distributions[::-1]

    def _encode(self, words: str) -> list[int]:
        """The ids of a few words of the world, which are remembered."""
        if words not in self._ids:
            if len(self._ids) >= REMEMBERED:
                self._ids.clear()
            self._ids[words] = self.tokenizer.encode(words).ids
        return self._ids[words]


def divergence(truth: Distribution, log_probabilities: Tensor) -> float:
    """KL(truth || model) in nats: what a model with these log-probabilities (V) loses by not being the truth.

    NaN outside the world, where there is no truth.
    """
    if not truth:
        return math.nan
    model = log_probabilities[list(truth)].tolist()
    return max(sum(p * (math.log(p) - log_q) for p, log_q in zip(truth.values(), model)), 0.0)


def _walk(line: str, starts: Sequence[int]) -> tuple[dict[tuple[int, str], float], float]:
    """Follow every chain of draws along a line whose words start at `starts`.

    Where chains leave it, what they say instead, from the start of the word in which they do: start and
    text, with their probability. And the probability of the line as a whole document, line break and all.
    """
    leave: dict[tuple[int, str], float] = defaultdict(float)
    whole = 0.0
    open_ends: list[tuple[Draw | None, int, str, float]] = [(START, 0, "", 1.0)]
    # Many chains draw from the same texts at the same place: what they leave for is counted once for all of them.
    shared: dict[tuple[int, int], tuple[Sequence[str], float]] = {}

    def leaves(at: int, said: str, p: float, complete: bool) -> bool:
        """Note what is said at `at` in place of the line; False where its word may go on and is not complete."""
        agrees = at if line[at : at + 1] != said[:1] else at + len(commonprefix((line[at:], said)))
        start = starts[max(0, bisect_left(starts, agrees) - 1)] if starts else 0
        words = line[start:at] + said[max(0, start - at) :]
        end = words.find(" ", agrees - start + 1)  # the word in which it leaves ends where the next one starts
        if end > 0 or complete:
            leave[start, words[:end] if end > 0 else words] += p
        return end > 0 or complete

    while open_ends:
        draw, at, beyond, p = open_ends.pop()  # what was said agrees with the line up to `at`, then goes on `beyond`
        texts, after, then, weights = draw or _LINE_BREAK
        ways: Iterable[int] = range(len(texts))
        if not (beyond or weights or after[:1].isalnum() or not after):
            ways = [i for i in ways if line.startswith(texts[i], at)]
            shared[at, id(texts)] = texts, p / len(texts) + shared.get((at, id(texts)), (texts, 0.0))[1]
        for i in ways:
            q = p * weights[i] if weights else p / len(texts)
            said = beyond + texts[i] + after
            if not beyond and line.startswith(said, at):
                if draw:
                    open_ends.append((then(i), at + len(said), "", q))
                else:
                    whole += q
            elif not leaves(at, said, q, complete=not draw):
                open_ends.append((then(i), at, said, q))
    for (at, _), (texts, p) in shared.items():
        for text in texts:
            if not line.startswith(text, at):
                leaves(at, text, p, complete=True)
    return leave, whole
