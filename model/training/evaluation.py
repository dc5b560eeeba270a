"""Evaluation of a model on the toy world: `python -m model.training.evaluation [folder]`.

Measures its loss beside the entropy of the world, the share of questions of each kind that it answers, the scores of
its best previous-token and induction head, and the analogies among its embeddings, for any folder with a checkpoint and
a tokenizer.json. The results are written into the folder's card.json, if there is one.

Source of the head scores: Olsson et al. 2022, "In-context Learning and Induction Heads".
"""

import argparse
import json
import random
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from torch.nn import functional as F

from model.language.analogies import accuracy
from model.language.embeddings import token_embeddings
from model.loading import checkpoint
from model.loading.folders import BUILT_IN
from model.toy_world import grammar
from model.toy_world.exact import Truth
from model.toy_world.questions import QUESTIONS
from model.transformer.decoder import Decoder

RARE = 20  # nats; a document with a larger surprise comes less than once in e^20 documents


class Reply(NamedTuple):
    """A question's prompt and answer, and the words that the model wrote after the prompt."""

    prompt: str
    answer: str
    written: str


def greedy_reply(gpt: Decoder, tokenizer: Tokenizer, prompt: str, length: int) -> str:
    """Greedy continuation of a prompt by up to `length` tokens, as text; it ends with the document, at a line break."""
    ids = tokenizer.encode(prompt).ids[-gpt.config.block_size :]
    generated = gpt.generate(torch.tensor([ids]), length)[0, len(ids) :]
    return tokenizer.decode(generated.tolist()).partition("\n")[0]


def replies(gpt: Decoder, tokenizer: Tokenizer, seed: int = 0, count: int = 100) -> dict[str, list[Reply]]:
    """Replies to `count` random questions of each kind, cut to as many words as the right answer has."""
    rng = random.Random(seed)

    def ask(prompt: str, answer: str) -> Reply:
        length = len(tokenizer.encode(f" {answer}").ids) + 1  # one token more shows whether the last word ends there
        words = re.findall(r"[\w'-]+", greedy_reply(gpt, tokenizer, prompt, length))
        return Reply(prompt, answer, " ".join(words[: len(answer.split())]))

    return {kind: [ask(*draw(rng)) for _ in range(count)] for kind, draw in QUESTIONS.items()}


def question_accuracy(gpt: Decoder, tokenizer: Tokenizer, seed: int = 0, count: int = 100) -> dict[str, float]:
    """Share of `count` random questions of each kind whose whole answer the model writes."""
    return {
        kind: sum(reply.answer == reply.written for reply in answers) / count
        for kind, answers in replies(gpt, tokenizer, seed, count).items()
    }


class HeadScore(NamedTuple):
    """The score, from 0 to 1, of one attention head."""

    layer: int
    head: int
    score: float


def repeated_token_scores(
    gpt: Decoder, tokenizer: Tokenizer, seed: int = 0, length: int = 25
) -> dict[str, list[HeadScore]]:
    """Previous-token score and induction score of each head on `length` random tokens that are repeated once.

    The mean attention from each token to the one before it, and from each repeated token to the one after its first
    occurrence. The ids are drawn uniformly from the vocabulary.
    """
    generator = torch.Generator().manual_seed(seed)
    length = min(length, gpt.config.block_size // 2)
    first_half = torch.randint(tokenizer.get_vocab_size(), (8, 1, length), generator=generator)
    patterns = [  # one text at a time, since the trace of a large model is large
        torch.cat([block.attn.pattern for block in gpt.trace(idx).blocks])
        for idx in torch.cat([first_half, first_half], dim=2)
    ]
    pattern = torch.stack(patterns).mean(0)  # (L, H, T, T)

    def scores(offset: int, first_query: int) -> Iterator[HeadScore]:
        attention = pattern.diagonal(-offset, dim1=2, dim2=3)[..., first_query - offset :].mean(-1)
        for layer, heads in enumerate(attention.tolist()):
            yield from (HeadScore(layer, head, score) for head, score in enumerate(heads))

    return {"previous-token head": list(scores(1, 1)), "induction head": list(scores(length - 1, length))}


def held_out_documents(count: int = 1000, seed: str = "held out") -> list[str]:
    """Documents of the toy world drawn with a seed that no training uses."""
    return list(islice(grammar.documents(seed), count))


@torch.inference_mode()
def mean_loss(gpt: Decoder, tokenizer: Tokenizer, documents: Sequence[str]) -> float:
    """Mean cross-entropy in nats per token over documents and their line breaks.

    A line break stands before each document, so that its first token is predicted, too.
    """
    surprise, count = 0.0, 0
    for document in documents:
        idx = torch.tensor([tokenizer.encode(f"\n{document}\n").ids[: gpt.config.block_size + 1]])
        surprise += F.cross_entropy(gpt(idx[:, :-1])[0], idx[0, 1:], reduction="sum").item()
        count += idx.size(1) - 1
    return surprise / count


class Loss(NamedTuple):
    """A model's loss on some documents beside the floor: the mean surprise under the exact probabilities.

    Both are in nats per token. The expected loss of a model is never below the expected floor.
    """

    documents: int
    loss: float
    floor: float

    @property
    def above(self) -> float:
        """How far the loss is above the floor."""
        return self.loss - self.floor


def losses(gpt: Decoder, tokenizer: Tokenizer, documents: Sequence[str]) -> dict[str, Loss]:
    """Loss and floor on documents, and on those among them that are too rare to have been read in training."""
    truth = Truth(tokenizer)
    nats = [truth.nats(document) for document in documents]

    def measure(rows: Sequence[int]) -> Loss:
        surprises = [surprise for row in rows for surprise in nats[row][: gpt.config.block_size]]
        loss = mean_loss(gpt, tokenizer, [documents[row] for row in rows])
        return Loss(len(rows), loss, sum(surprises) / len(surprises))

    rare = [row for row, surprises in enumerate(nats) if sum(surprises) > RARE]
    return {"held out": measure(range(len(documents)))} | ({"held out and never read": measure(rare)} if rare else {})


def measure(gpt: Decoder, tokenizer: Tokenizer) -> tuple[dict[str, Loss], dict[str, float]]:
    """All that a card says of a model: its losses, and its scores from 0 to 1."""
    best_heads = {
        kind: max(head.score for head in heads) for kind, heads in repeated_token_scores(gpt, tokenizer).items()
    }
    scores = question_accuracy(gpt, tokenizer) | best_heads | accuracy(token_embeddings(gpt, tokenizer))
    return losses(gpt, tokenizer, held_out_documents()), scores


def write_card(path: Path, measured: dict[str, Loss], scores: dict[str, float]) -> None:
    """Add the losses and scores to a card.json."""
    nats = {name: {"loss": round(loss.loss, 4), "floor": round(loss.floor, 4)} for name, loss in measured.items()}
    added = {"nats_per_token": nats, "probes": {name: round(score, 3) for name, score in scores.items()}}
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | added, indent=2) + "\n", "utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m model.training.evaluation", description="Evaluate a model on the toy world."
    )
    parser.add_argument("folder", nargs="?", type=Path, default=BUILT_IN, help="a checkpoint with a tokenizer.json")
    folder = parser.parse_args(arguments).folder
    try:
        gpt = checkpoint.load(folder)
    except (FileNotFoundError, ValueError) as error:
        parser.error(f"{folder} holds no model in GPT-2's format: {error}")
    if not (folder / "tokenizer.json").exists():
        parser.error(f"{folder} holds no tokenizer.json; the words of the toy world must become tokens")
    measured, scores = measure(gpt, Tokenizer.from_file(str(folder / "tokenizer.json")))
    for name, loss in measured.items():
        print(f"{name:32}loss {loss.loss:.4f}, floor {loss.floor:.4f} nats per token")
    for name, score in scores.items():
        print(f"{name:32}{score:.3f}")
    if (folder / "card.json").exists():
        write_card(folder / "card.json", measured, scores)


if __name__ == "__main__":
    main()
