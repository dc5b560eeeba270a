"""Cached computations of the first pages: what the model knows, measured."""

from typing import NamedTuple

import torch

from model.language.tokenization import pieces
from model.toy_world.exact import divergence
from model.training import evaluation
from pages.shared.compute.readings import toy_world
from pages.shared.models import Model
from pages.shared.prompts import INSIDE
from pages.shared.runtime.memo import memoize
from pages.shared.runtime.queue import permit

DRAWS = 30  # draws of questions and texts, shared by all visitors
QUESTIONS, STRANGER_QUESTIONS = 20, 5  # of each kind: for a model of the toy world, and for any other
TEXTS = 100  # texts on which the loss is measured
REPLY = 16  # tokens of a continuation at most


class Losses(NamedTuple):
    """The loss of a model on texts of the toy world, beside the floor."""

    held_out: evaluation.Loss
    unread: evaluation.Loss  # on those of them that it cannot have read


@memoize(2 * DRAWS, doing="Asking the model its questions")
def question_answers(model: Model, draw: int) -> dict[str, list[tuple[str, str, str]]]:
    """For each kind of question, in one draw: the prompts, the right answers and the model's answers."""
    with permit():
        return evaluation.replies(model.decoder, model.tokenizer, draw, QUESTIONS if model.card else STRANGER_QUESTIONS)


@memoize(2 * DRAWS, doing="Measuring the model")
def held_out_losses(model: Model, draw: int) -> Losses:
    """The model's loss on the held-out texts of one draw."""
    texts = evaluation.held_out_documents(TEXTS, seed=f"draw {draw}")
    with permit():
        return Losses(*evaluation.losses(model.decoder, model.tokenizer, texts).values())


@memoize(4)
def divergences_from_truth(model: Model) -> list[tuple[list[str], list[float]]]:
    """For each prompt in INSIDE: its tokens, and after each the KL divergence of the model's guess from the truth."""
    rows = []
    for prompt in INSIDE:
        ids = model.tokenizer.encode(prompt).ids
        with permit():
            log_probabilities = model.decoder.trace(torch.tensor([ids])).logits[0].log_softmax(-1)
        truth = toy_world(model).follow(prompt)[1:]
        distances = [divergence(true, row) for true, row in zip(truth, log_probabilities)]
        rows.append((pieces(model.tokenizer, ids), distances))
    return rows


@memoize(200)
def continuation(model: Model, prompt: str) -> str:
    """The model's greedy continuation of a prompt, to the end of a text or REPLY tokens."""
    with permit():
        return evaluation.greedy_reply(model.decoder, model.tokenizer, prompt, REPLY)
