"""Head zoo: every head scored for where it looks, and ablated, to see which answers need it."""

import streamlit as st
from torch import Tensor

from model.interpretability import attention_pairs, head_scores
from model.interpretability.head_scores import Prediction
from model.transformer.record import Head
from pages.shared import components, controls, head_map, lesson, prose
from pages.shared.compute import interpretability, readings
from pages.shared.compute.interpretability import QUESTION_REPLACEMENTS, accuracy
from pages.shared.models import Model
from pages.shared.runtime import job_view, progress
from viz.charts import bars
from viz.percent import percent
from viz.tokens import visible

PROSE = prose.of(__file__)
OWN_KEYS, MOVED = ("kind", "which", "instead"), {"interpretability/missed_heads": ("asked", "search instead")}
LISTED, QUESTIONS = 5, 20  # heads in the list, and questions of each kind if the model is small
ABLATED = {"this head": 1, "the best 2": 2, "the best 4": 4, "the best 8": 8}
Answers = dict[str, list[Prediction]]  # by the kind of question


def ask_kind(scores: dict[str, Tensor]) -> str:
    """Ask for a kind of head; under each kind stands its best head."""
    best = {kind: head_scores.top_heads(each, 1)[0] for kind, each in scores.items()}
    captions = [f"{head}: {scores[kind][head]:.2f}" for kind, head in best.items()]
    return st.radio("Kind of head", list(scores), captions=captions, key="kind", bind="query-params")


def show_scores(model: Model, kind: str, scores: Tensor) -> Head:
    """Draw the scores (L, H) of a kind, and the attention on a text that measures it; returns the clicked head."""
    st.markdown(
        f"**{kind.capitalize()}**: it {head_scores.KINDS[kind].description}. The mean attention that goes there. "
        "**Click a head** to see it on a text."
    )
    wide, narrow = st.columns([3, 1], gap="large")
    with wide:
        picked = head_map.ask_head(scores, f"zoo {kind}", "score")
    with narrow:
        top = head_scores.top_heads(scores, LISTED)
        shares = {"attention": [scores[head].item() for head in top]}
        st.altair_chart(bars.compared([str(head) for head in top], shares, controls.theme()))
    texts = [text for text, _ in head_scores.texts(kind)]
    text = st.selectbox(f"One of the {len(texts)} texts that were made to measure it", texts, key=f"text {kind}")
    reading = readings.read(model, text)
    components.attention(reading.tokens, reading.trace.patterns.numpy(), start=picked, follow=True)
    return picked


def ask_answers(model: Model, picked: Head, scores: Tensor) -> tuple[list[Head], Answers, Answers] | None:
    """Ask which heads are ablated; returns them, and the answers before and after. None until all are computed."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        which = controls.choice("Ablate", list(ABLATED), "this head", key="which")
        how = controls.choice("In its place", QUESTION_REPLACEMENTS, QUESTION_REPLACEMENTS[0], key="instead")
    heads = [picked] if ABLATED[which] == 1 else head_scores.top_heads(scores, ABLATED[which])
    count = interpretability.question_count(model, QUESTIONS, rows=6)
    if not progress.may_run(
        f"Asking {count} questions of each kind", interpretability.questions_work(model, count), "ask anyway"
    ):
        return None
    runs = ((), QUESTION_REPLACEMENTS[0]), (tuple(heads), how)
    jobs = [interpretability.answer_questions(model, count, ablated, way) for ablated, way in runs]
    results = job_view.show("Asking the model, untouched and ablated", *jobs)
    return results and (heads, *results)


def show_answers(model: Model, question: str, heads: list[Head], before: Answers, after: Answers) -> None:
    """Draw the share of right answers to each kind of question, and each answer to the questions of one kind."""
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(f"**Right answers** of {len(before[question])} to each kind of question")
        runs = {"untouched": before, "ablated": after}
        shares = {run: [accuracy(answers[kind]) for kind in head_scores.ASKED] for run, answers in runs.items()}
        st.altair_chart(bars.compared(head_scores.ASKED, shares, controls.theme()), key="kinds")
    with right:
        was, now = (percent(accuracy(answers[question]), 0) for answers in (before, after))
        names = ", ".join(map(str, heads))
        st.markdown(f"**{question.capitalize()}**: {was} right, without {names} **{now}**.")
        rows = [
            {
                "right": untouched.answer,
                "untouched": visible([model.token(untouched.token_id)])[0],
                "ablated": visible([model.token(ablated.token_id)])[0],
                "P(right), untouched": untouched.probability,
                "P(right), ablated": ablated.probability,
                "question": untouched.prompt,
            }
            for untouched, ablated in zip(before[question], after[question], strict=True)
        ]
        number = st.column_config.NumberColumn(format="%.3f")
        st.dataframe(rows, hide_index=True, column_config={name: number for name in rows[0] if name.startswith("P(")})


lesson.redirect(OWN_KEYS, MOVED)
lesson.title(PROSE)
left, right = st.columns([1, 4], gap="large")
with left:
    model = controls.ask_model()
    all_scores = head_map.score_heads(model)
    kind = ask_kind(all_scores)
with right:
    picked = show_scores(model, kind, all_scores[kind])
PROSE.section("cut")
if answers := ask_answers(model, picked, all_scores[kind]):
    show_answers(model, head_scores.KINDS[kind].question, *answers)
lesson.close(PROSE, attention_pairs.mean_attention, head_scores.scores, head_scores.predict)
