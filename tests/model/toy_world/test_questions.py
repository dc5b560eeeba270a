"""Questions: each answer is possible in the toy world."""

import random

from model.language.tokenization import train_bpe
from model.toy_world.exact import Truth
from model.toy_world.questions import QUESTIONS
from model.training.evaluation import held_out_documents


def test_the_grammar_can_continue_each_question_with_its_answer() -> None:
    tokenizer = train_bpe(held_out_documents(20_000, "tokens"), 6000)
    truth = Truth(tokenizer)
    for kind, draw in QUESTIONS.items():
        for seed in range(3):
            prompt, answer = draw(random.Random(seed))
            ids = tokenizer.encode(f"{prompt} {answer}").ids
            assert ids[-1] in truth.follow(f"{prompt} {answer}")[len(ids) - 1], (kind, prompt, answer)
