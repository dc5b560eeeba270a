"""What a model knows of the toy world: `python -m model.toy_world.evaluation [folder]`.

Its loss beside the floor, the share of right answers to each kind of question, and the scores of its
best heads; for any GPT-2-format folder with a tokenizer.json. What is found goes into the folder's card.

Head scores as in Olsson et al. 2022, "In-context Learning and Induction Heads": the mean attention
of a head from each token to the one before it, or, in the second half of repeated random tokens,
to the token after the earlier occurrence.
"""

import argparse
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from torch.nn import functional as F

from model.language.analogies import score
from model.language.embeddings import of_tokens
from model.loading import gpt2_format as gpt2
from model.toy_world import grammar as world
from model.toy_world.exact import Truth
from model.toy_world.grammar import LEXICON, TABLES
from model.transformer.gpt2 import GPT

Question = tuple[str, str]  # a prompt, and the words that must follow
FOLDER = Path(__file__).parents[1] / "checkpoints" / "vitrine"
RARE = 20  # nats of a document: of so many, one in e^20 is this one


def _agreement(rng: random.Random) -> Question:
    near, far = rng.sample(TABLES["thing"], 2)
    if rng.random() < 0.5:
        return f"The {near['pl']} near the {far['name']}", "are"
    return f"The {near['name']} near the {far['pl']}", "is"


def _indirect_object(rng: random.Random) -> Question:
    a, b = (person["name"] for person in rng.sample(TABLES["person"], 2))
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


def _column(table: str, column: str, prompt: str) -> Callable[[random.Random], Question]:
    def ask(rng: random.Random) -> Question:
        row = rng.choice(TABLES[table])
        return prompt.format(**row), row[column]

    return ask


QUESTIONS = {
    "capital": _column("country", "capital", "The capital of {name} is"),
    "agreement across an attractor": _agreement,
    "coreference": _column("person", "he", "{name} went home because"),
    "indirect object": _indirect_object,
    "copy of 8 words": _copy,
    "context question": _where,
    "sum up to 20": _column("sum", "c", "{a} + {b} ="),
    "difference": _column("difference", "c", "{a} - {b} ="),
    "opposite": _column("quality", "opposite", "The opposite of {name} is"),
    "comparative": _column("quality", "er", "This key is {name}, that one is"),
    "past tense": _column("act", "past", "Today I {name}. Yesterday I"),
    "plural": _column("thing", "pl", "One {name}, two"),
    "plural of a new word": _column("coined", "pl", "This is a {name}. Now there are two"),
    "young animal": _column("animal", "young", "The {name} and its"),
    "next month": _column("month", "next", "After {name} comes"),
}


def reply(gpt: GPT, tokenizer: Tokenizer, prompt: str, length: int) -> str:
    """The likeliest `length` tokens after a prompt, one after the other, as text; less at the end of a document."""
    ids = tokenizer.encode(prompt).ids[-gpt.config.block_size :]
    told = gpt.generate(torch.tensor([ids]), length, temperature=0)[0, len(ids) :]
    return tokenizer.decode(told.tolist()).partition("\n")[0]


def examine(gpt: GPT, tokenizer: Tokenizer, seed: int = 0, asked: int = 100) -> dict[str, list[tuple[str, str, str]]]:
    """For each kind of question, so many prompts, each with its right answer and the model's."""
    rng = random.Random(seed)

    def answered(prompt: str, answer: str) -> tuple[str, str, str]:
        """What it says is as many words as the answer has: a token more tells whether the last one ends there."""
        length = len(tokenizer.encode(f" {answer}").ids) + 1
        words = re.findall(r"[\w'-]+", reply(gpt, tokenizer, prompt, length))
        return prompt, answer, " ".join(words[: len(answer.split())])

    return {kind: [answered(*ask(rng)) for _ in range(asked)] for kind, ask in QUESTIONS.items()}


def probes(gpt: GPT, tokenizer: Tokenizer, seed: int = 0, asked: int = 100) -> dict[str, float]:
    """For each kind of question the share answered rightly, to the last token of the answer."""
    examined = examine(gpt, tokenizer, seed, asked)
    return {kind: sum(answer == said for _, answer, said in questions) / asked for kind, questions in examined.items()}


def head_scores(
    gpt: GPT, tokenizer: Tokenizer, seed: int = 0, length: int = 25
) -> dict[str, list[tuple[int, int, float]]]:
    """The previous-token and the induction score of each (layer, head), on `length` random tokens said twice.

    Any token of the vocabulary is as likely as any other.
    """
    generator = torch.Generator().manual_seed(seed)
    length = min(length, gpt.config.block_size // 2)
    once = torch.randint(tokenizer.get_vocab_size(), (8, 1, length), generator=generator)
    patterns = [  # one text after the other, since of a large model one record is large
        torch.cat([block.attn.pattern for block in gpt.trace(row).blocks]) for row in torch.cat([once, once], dim=2)
    ]
    pattern = torch.stack(patterns).mean(0)

    def scores(offset: int, first: int) -> Iterator[tuple[int, int, float]]:
        looks_back = pattern.diagonal(-offset, dim1=2, dim2=3)[..., first - offset :].mean(-1)
        for layer, heads in enumerate(looks_back.tolist()):
            yield from ((layer, head, score) for head, score in enumerate(heads))

    return {"previous-token head": list(scores(1, 1)), "induction head": list(scores(length - 1, length))}


def held_out(documents: int = 1000, seed: str = "held out") -> list[str]:
    """Documents drawn with another seed than those of any training."""
    return list(islice(world.documents(seed), documents))


@torch.inference_mode()
def loss(gpt: GPT, tokenizer: Tokenizer, told: Sequence[str]) -> float:
    """The mean surprise, in nats per token, at documents and their line breaks.

    Each follows a line break, so that its first token is asked for as well.
    """
    surprise = count = 0.0
    for document in told:
        idx = torch.tensor([tokenizer.encode(f"\n{document}\n").ids[: gpt.config.block_size + 1]])
        surprise += F.cross_entropy(gpt(idx[:, :-1])[0], idx[0, 1:], reduction="sum").item()
        count += idx.size(1) - 1
    return surprise / count


class Loss(NamedTuple):
    """A model's loss on some documents and the world's own, below which none comes on many: in nats per token."""

    documents: int
    loss: float
    floor: float

    @property
    def above(self) -> float:
        """How far the model is above the floor."""
        return self.loss - self.floor


def losses(gpt: GPT, tokenizer: Tokenizer, told: Sequence[str]) -> dict[str, Loss]:
    """The loss beside the floor: on documents, and on those of them so rare that no training can have met them."""
    truth = Truth(tokenizer)
    nats = [truth.nats(document) for document in told]

    def beside(some: Sequence[int]) -> Loss:
        surprises = [surprise for n in some for surprise in nats[n][: gpt.config.block_size]]
        return Loss(len(some), loss(gpt, tokenizer, [told[n] for n in some]), sum(surprises) / len(surprises))

    rare = [n for n, surprises in enumerate(nats) if sum(surprises) > RARE]
    return {"held out": beside(range(len(told)))} | ({"held out and never read": beside(rare)} if rare else {})


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m model.toy_world.evaluation", description="What a model knows of the toy world."
    )
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="GPT-2-format, with a tokenizer.json")
    folder = parser.parse_args(arguments).folder
    try:
        gpt = gpt2.load(folder)
    except (FileNotFoundError, ValueError) as error:
        parser.error(f"{folder} holds no model in GPT-2's format: {error}")
    if not (folder / "tokenizer.json").exists():
        parser.error(f"{folder} holds no tokenizer.json; the words of the toy world must become tokens")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    nats = losses(gpt, tokenizer, held_out())
    heads = {name: max(share for _, _, share in found) for name, found in head_scores(gpt, tokenizer).items()}
    shares = probes(gpt, tokenizer) | heads | score(of_tokens(gpt, tokenizer))
    for which, found in nats.items():
        print(f"{which:32}loss {found.loss:.4f}, floor {found.floor:.4f} nats per token")
    for name, share in shares.items():
        print(f"{name:32}{share:.3f}")
    card = folder / "card.json"
    if card.exists():
        rounded = {
            which: {"loss": round(found.loss, 4), "floor": round(found.floor, 4)} for which, found in nats.items()
        }
        measured = {"nats_per_token": rounded, "probes": {name: round(share, 3) for name, share in shares.items()}}
        card.write_text(json.dumps(json.loads(card.read_text("utf-8")) | measured, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
