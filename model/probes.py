"""What a model of the toy world has learned: each probe is a share of right answers, or a head's score.

Head scores as in Olsson et al. 2022, "In-context Learning and Induction Heads": the mean attention
of a head from each token to the one before it, or, in the second half of repeated random tokens,
to the token after the earlier occurrence. The tokens are words of the toy world: of the others, byte
fragments above all, a small model has read too few to do anything with them.
"""

import random
from collections.abc import Callable, Iterator

import torch
from tokenizers import Tokenizer

from model.gpt import GPT
from model.world import LEXICON, TABLES

Question = tuple[str, str]  # a prompt and the word that must follow


def _capital(rng: random.Random) -> Question:
    country = rng.choice(TABLES["country"])
    return f"The capital of {country['name']} is", country["capital"]


def _agreement(rng: random.Random) -> Question:
    near, far = rng.sample(TABLES["thing"], 2)
    if rng.random() < 0.5:
        return f"The {near['pl']} near the {far['name']}", "are"
    return f"The {near['name']} near the {far['pl']}", "is"


def _coreference(rng: random.Random) -> Question:
    person = rng.choice(TABLES["girl"] + TABLES["boy"])
    return f"{person['name']} went home because", person["he"]


def _indirect_object(rng: random.Random) -> Question:
    a, b = (person["name"] for person in rng.sample(TABLES["girl"] + TABLES["boy"], 2))
    place, thing = rng.choice(TABLES["place"])["name"], rng.choice(TABLES["thing"])["name"]
    return f"When {a} and {b} went to the {place}, {a} gave a{'n' * (thing[0] in 'aeiou')} {thing} to", b


def _copy(rng: random.Random) -> Question:
    words = rng.sample(LEXICON, 8)
    shown = rng.randrange(1, 8)
    return " ".join(words + words[:shown]), words[shown]


def _where(rng: random.Random) -> Question:
    girl, boy = rng.choice(TABLES["girl"])["name"], rng.choice(TABLES["boy"])["name"]
    here, there = (room["name"] for room in rng.sample(TABLES["room"], 2))
    who, room = rng.choice([(girl, here), (boy, there)])
    return f"{girl} is in the {here}. {boy} is in the {there}. Where is {who}? In the", room


def _sum(rng: random.Random) -> Question:
    a, b = rng.randrange(11), rng.randrange(11)
    return f"{a} + {b} =", str(a + b)


def _column(table: str, column: str, prompt: str) -> Callable[[random.Random], Question]:
    def ask(rng: random.Random) -> Question:
        row = rng.choice(TABLES[table])
        return prompt.format(**row), row[column]

    return ask


QUESTIONS = {
    "capital": _capital,
    "agreement across an attractor": _agreement,
    "coreference": _coreference,
    "indirect object": _indirect_object,
    "copy of 8 words": _copy,
    "context question": _where,
    "sum up to 20": _sum,
    "opposite": _column("quality", "opposite", "The opposite of {name} is"),
    "past tense": _column("act", "past", "Today I {name}. Yesterday I"),
    "plural": _column("thing", "pl", "One {name}, two"),
    "comparative": _column("quality", "er", "This key is {name}, that one is"),
    "young animal": _column("animal", "young", "The {name} and its"),
}


def probes(gpt: GPT, tokenizer: Tokenizer, seed: int = 0, asked: int = 100) -> dict[str, float]:
    """For each kind of question the share whose likeliest next token is right; then the best head scores."""
    rng = random.Random(seed)
    shares = {}
    for name, ask in QUESTIONS.items():
        right = 0
        for prompt, answer in (ask(rng) for _ in range(asked)):
            guess = gpt(torch.tensor([tokenizer.encode(prompt).ids]))[0, -1].argmax().item()
            right += guess == tokenizer.encode(f" {answer}").ids[0]
        shares[name] = right / asked
    return shares | {
        name: max(score for _, _, score in scores) for name, scores in head_scores(gpt, tokenizer, seed).items()
    }


def head_scores(
    gpt: GPT, tokenizer: Tokenizer, seed: int = 0, length: int = 20
) -> dict[str, list[tuple[int, int, float]]]:
    """The previous-token and the induction score of each (layer, head), on random words said twice."""
    words = sorted({tokenizer.encode(f" {word}").ids[-1] for word in LEXICON})  # one token each, in its own vocabulary
    drawn = torch.randint(len(words), (8, length), generator=torch.Generator().manual_seed(seed))
    once = torch.tensor(words)[drawn]
    trace = gpt.trace(torch.cat([once, once], dim=1))

    def scores(offset: int, first: int) -> Iterator[tuple[int, int, float]]:
        for layer, block in enumerate(trace.blocks):
            looks_back = block.attn.pattern.diagonal(-offset, dim1=2, dim2=3)[..., first - offset :]
            yield from ((layer, head, score) for head, score in enumerate(looks_back.mean(dim=(0, 2)).tolist()))

    return {"previous-token head": list(scores(1, 1)), "induction head": list(scores(length - 1, length))}
