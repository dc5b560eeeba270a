"""What it knows: what is measured is what is said."""

import pytest
import torch

from model.toy_world.questions import QUESTIONS
from model.training import evaluation
from pages.shared import models
from pages.shared.compute import readings, start
from pages.shared.prompts import INSIDE, OUTSIDE
from tests.driver import KNOWS, drawn, ids, page, read_prompt


@pytest.mark.parametrize("name", models.NAMES)
def test_what_it_knows_is_measured_now(name: str) -> None:
    app = page(KNOWS, model=name)
    assert not app.exception and not app.warning
    table, texts, told = (element.value for element in app.dataframe)
    assert list(table["kind"]) == list(QUESTIONS)
    model, examined = models.load(name), start.question_answers(models.load(name), 1)
    for kind, questions in examined.items():
        for prompt, answer, said in questions[:3]:
            first = evaluation.greedy_reply(
                model.decoder, model.tokenizer, prompt, len(ids(name, f" {answer}"))
            ).strip()
            assert said.startswith(first.rstrip(".,"))  # and to the end of the word
    assert list(table["right"]) == [
        sum(answer == said for _, answer, said in questions) / start.QUESTIONS for questions in examined.values()
    ]
    shown = [float(metric.value) for metric in app.metric]
    every, rare = evaluation.losses(
        model.decoder, model.tokenizer, evaluation.held_out_documents(start.TEXTS, "draw 1")
    ).values()
    assert shown[:2] + shown[3:4] == pytest.approx([every.loss, every.floor, rare.above], abs=6e-4)
    assert shown[2] == pytest.approx(shown[0] - shown[1]) and shown[2] == pytest.approx(every.above, abs=1.1e-3)
    assert f"the {rare.documents} it" in app.metric[3].label
    assert shown[4:] == [round(score, 2) for score in model.heads.values()]
    assert all(all(readings.true_distributions(read_prompt(name, prompt))) for prompt in INSIDE)
    assert not any(all(readings.true_distributions(read_prompt(name, prompt))) for prompt in OUTSIDE)
    assert list(told["prompt"]) == OUTSIDE and len(texts) == 8


@pytest.mark.parametrize(("asked", "shown"), [("7", 7), ("99", 1), ("x", 1), ("", 1)])
def test_a_draw_of_questions_is_in_the_link(asked: str, shown: int) -> None:
    app = page(KNOWS, draw=asked)
    assert not app.exception
    first = next(iter(start.question_answers(models.load(models.NAMES[0]), shown).values()))[0]
    assert list(app.dataframe[0].value["question"])[0] == first[0]


def test_the_distance_from_the_truth_is_that_of_the_definition() -> None:
    name, prompt = models.NAMES[0], "Anna is in the"
    app = page("start/home", prompt=prompt)
    reading = read_prompt(name, prompt)
    log_q = reading.trace.logits[0].log_softmax(-1).double()
    for row, known, at in zip(
        drawn(app, "full")["tokens"], readings.true_distributions(read_prompt(name, prompt))[1:], log_q, strict=True
    ):
        p = torch.zeros_like(at)
        p[list(known)] = torch.tensor(list(known.values()), dtype=torch.double)
        assert row["value"] == pytest.approx(torch.nn.functional.kl_div(at, p, reduction="sum").item(), abs=1e-5)


def test_outside_its_world_the_page_says_so() -> None:
    app = page("start/home", prompt="The capital of Narnia is")
    assert any("outside the toy world" in caption.value for caption in app.caption)
    app.text_input(key="prompt").set_value("The capital of France is").run()
    assert not any("outside the toy world" in caption.value for caption in app.caption)
