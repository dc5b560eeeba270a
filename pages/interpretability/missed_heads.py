"""Missed heads: each head is ablated alone, to find the one without which a kind of answer suffers most."""

import streamlit as st
from torch import Tensor

from model.interpretability import head_scores
from model.interpretability.head_scores import Prediction
from model.transformer.record import Head
from pages.shared import controls, head_map, lesson, prose
from pages.shared.compute import interpretability
from pages.shared.compute.interpretability import QUESTION_REPLACEMENTS, HeadSearch, accuracy
from pages.shared.models import Model
from pages.shared.runtime import job_view, progress
from viz.charts import bars
from viz.percent import percent

PROSE = prose.of(__file__)
QUESTIONS, KINDS_SHOWN = 10, 4  # questions in a search if the model is small, and kinds of head in the bars


def ask_search(model: Model) -> tuple[str, list[Prediction], HeadSearch] | None:
    """Ask for a kind of question; returns it, the answers of the untouched model, and the search. None until done."""
    config = model.decoder.config
    with st.container(horizontal=True, vertical_alignment="bottom"):
        question = st.selectbox("Questions", head_scores.ASKED, key="asked", bind="query-params")
        how = controls.choice("In its place", QUESTION_REPLACEMENTS, QUESTION_REPLACEMENTS[0], key="search instead")
    count = interpretability.question_count(model, QUESTIONS, rows=config.n_head)
    what = f"Ablating each of {config.n_layer * config.n_head} heads, {count} questions each time"
    if not progress.may_run(what, interpretability.search_work(model, count), "search anyway"):
        return None
    jobs = [
        interpretability.answer_questions(model, count, (), QUESTION_REPLACEMENTS[0]),
        interpretability.search_heads(model, question, count, how),
    ]
    results = job_view.show("Ablating one head after the other", *jobs)
    return results and (question, results[0][question], results[1])


def show_search(before: list[Prediction], search: HeadSearch, lost: Tensor) -> None:
    """Say which head is missed most: how much probability (L, H) the right answers lose, and how many stay right."""
    worst, count = head_scores.top_heads(lost, 1)[0], len(before)
    st.markdown(
        f"**{worst} is missed most**: the probability of the right answer falls from "
        f"{interpretability.mean_probability(before):.3f} to **{search.probability[worst]:.3f}** on average, and "
        f"{percent(search.right[worst], 0)} of {count} are still right (before, {percent(accuracy(before), 0)})."
    )


def show_kinds(scores: dict[str, Tensor], head: Head) -> None:
    """Draw the kinds of head for which a head has its highest scores."""
    highest = sorted(((each[head].item(), kind) for kind, each in scores.items()), reverse=True)[:KINDS_SHOWN]
    st.markdown(f"Where **{head}** looks most, by the scores of the head zoo:")
    run = {str(head): [score for score, _ in highest]}
    st.altair_chart(bars.compared([kind for _, kind in highest], run, controls.theme()))


lesson.title(PROSE)
left, right = st.columns([4, 1])
with left:
    PROSE.section("intro")
with right:
    model = controls.ask_model()
scores = head_map.score_heads(model)
if result := ask_search(model):
    question, before, search = result
    lost = interpretability.mean_probability(before) - search.probability
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.markdown("**Probability that the right answers lose**, on average, when that head alone is ablated")
        head = head_map.ask_head(lost, f"search {question}", "lost")
    with right:
        show_search(before, search, lost)
        show_kinds(scores, head)
lesson.close(PROSE, head_scores.question_batches, head_scores.ablate_each_head)
