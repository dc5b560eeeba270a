"""Head zoo: every head of the model scored for what it looks at, and cut, to see which answers need it."""

import streamlit as st
import torch

from model.interpretability import attention_pairs, head_scores, patching
from model.interpretability.patching import Head
from model.language.tokenization import pieces
from pages.shared import components, controls, lesson, prose
from pages.shared.compute import interpretability, readings
from pages.shared.runtime import job_view, progress
from viz.charts import bars
from viz.charts import heatmaps as matrices
from viz.percent import percent
from viz.tokens import visible

PROSE = prose.of(__file__)
LISTED, LENGTH = 5, 15  # heads that are listed, and about how many tokens a question has
COUNTS = (20, 10, 8, 4, 2, 1)  # questions of a kind: as many as the size of the model allows, in a search half of them
CUT = {"this head": 1, "the best 2": 2, "the best 4": 4, "the best 8": 8}
HOW = (interpretability.REPLACEMENTS[0], interpretability.REPLACEMENTS[2])


def listed(some: list[Head]) -> str:
    return ", ".join(f"L{layer} H{head}" for layer, head in some)


def clicked(scores: torch.Tensor, key: str, unit: str) -> Head:
    """Draw a number for each head; the one that was clicked, or else that with the largest."""
    chart = matrices.heads(scores.numpy(), head_scores.top_heads(scores, 1), unit, theme)
    event = st.altair_chart(chart, key=key, on_select="rerun", selection_mode="head")
    for point in event.selection.get("head", []):
        if point["layer"] < scores.shape[0] and point["head"] < scores.shape[1]:
            return int(point["layer"]), int(point["head"])
    return head_scores.top_heads(scores, 1)[0]


def affordable(most: int, rows: int) -> int:
    """How many questions of a kind can be asked, each of them of so many rows, so that a sweep ends in time."""
    fits = (
        n for n in COUNTS if n <= most and patching.sweep_multiply_adds(gpt.config, n * rows, LENGTH) <= progress.MOST
    )
    return next(fits, 1)


def share(said: list[head_scores.Prediction]) -> float:
    return sum(prediction.correct for prediction in said) / len(said)


def says(id: int) -> str:
    return visible(pieces(tokenizer, [id]))[0]


def cut(picked: Head, scores: torch.Tensor) -> None:
    """Cut heads, and draw the answers to all kinds of question before and after."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        which = controls.choice("Cut", list(CUT), "this head", key="which")
        how = controls.choice("In its place", HOW, HOW[0], key="instead")
    gone = [picked] if CUT[which] == 1 else head_scores.top_heads(scores, CUT[which])
    count = affordable(20, 6)
    work = 2 * len(head_scores.ASKED) * patching.sweep_multiply_adds(gpt.config, count, LENGTH) // gpt.config.n_layer
    if not progress.may_run(f"Asking {count} questions of each kind", work, "ask anyway"):
        return
    runs = ((), HOW[0]), (tuple(gone), how)
    jobs = [interpretability.answer_questions(model, count, heads, way) for heads, way in runs]
    if (results := job_view.show("Asking the model, untouched and cut", *jobs)) is None:
        return
    before, after = results
    asked = head_scores.KINDS[kind].question
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(f"**Right answers** of {count} to each kind of question")
        runs = {"untouched": before, "cut": after}
        chart = bars.compared(
            head_scores.ASKED, {run: [share(of[one]) for one in head_scores.ASKED] for run, of in runs.items()}, theme
        )
        st.altair_chart(chart, key="kinds")
    with right:
        was, now = share(before[asked]), share(after[asked])
        st.markdown(f"**{asked.capitalize()}**: {percent(was, 0)} right, without {listed(gone)} **{percent(now, 0)}**.")
        rows = [
            {
                "right": one.answer,
                "untouched": says(one.token_id),
                "cut": says(two.token_id),
                "P(right), untouched": one.probability,
                "P(right), cut": two.probability,
                "question": one.prompt,
            }
            for one, two in zip(before[asked], after[asked], strict=True)
        ]
        number = st.column_config.NumberColumn(format="%.3f")
        st.dataframe(rows, hide_index=True, column_config={name: number for name in rows[0] if name.startswith("P(")})


def search() -> None:
    """Cut one head after the other, and draw whose loss hurts a kind of question most."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        asked = st.selectbox("Questions", head_scores.ASKED, key="asked", bind="query-params")
        how = controls.choice("In its place", HOW, HOW[0], key="search instead")
    count = affordable(10, gpt.config.n_head)
    work = patching.sweep_multiply_adds(gpt.config, count * gpt.config.n_head, LENGTH)
    if not progress.may_run(
        f"Cutting each of {scores.numel()} heads, {count} questions each time", work, "search anyway"
    ):
        return
    jobs = [
        interpretability.answer_questions(model, count, (), HOW[0]),
        interpretability.search_heads(model, asked, count, how),
    ]
    if (results := job_view.show("Cutting one head after the other", *jobs)) is None:
        return
    before, found = results[0][asked], results[1]
    sure = sum(one.probability for one in before) / count
    lost = sure - found.probability
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.markdown("**Probability that the right answers lose**, on average, when that head alone is cut")
        layer, head = clicked(lost, f"search {asked}", "lost")
    with right:
        worst = head_scores.top_heads(lost, 1)[0]
        st.markdown(
            f"**L{worst[0]} H{worst[1]} is missed most**: the probability of the right answer falls from {sure:.3f} to "
            f"**{found.probability[worst]:.3f}** on average, and {percent(found.right[worst], 0)} of {count} are still "
            f"right (before, {percent(share(before), 0)})."
        )
        looks = sorted(((one[layer, head].item(), of) for of, one in scored.items()), reverse=True)[:4]
        st.markdown(f"Where **L{layer} H{head}** looks most, by the scores above:")
        run = {f"L{layer} H{head}": [score for score, _ in looks]}
        st.altair_chart(bars.compared([of for _, of in looks], run, theme))


lesson.title(PROSE)
left, right = st.columns([1, 4], gap="large")
with left:
    model, theme = controls.ask_model(), controls.theme()
    gpt, tokenizer = model.decoder, model.tokenizer
    try:
        scored = interpretability.score_heads(model)
    except ValueError as error:
        st.info(f"The texts of the zoo do not fit into this model: {error}.")
        st.stop()
    captions = [
        "L{} H{}: {:.2f}".format(*head_scores.top_heads(one, 1)[0], one.max().item()) for one in scored.values()
    ]
    kind = st.radio("Kind of head", list(scored), captions=captions, key="kind", bind="query-params")
    scores = scored[kind]
with right:
    st.markdown(
        f"**{kind.capitalize()}**: it {head_scores.KINDS[kind].description}. The mean attention that goes there. "
        "**Click a head** to see it on a text."
    )
    wide, narrow = st.columns([3, 1], gap="large")
    with wide:
        picked = clicked(scores, f"zoo {kind}", "score")
    with narrow:
        top = head_scores.top_heads(scores, LISTED)
        shares = {"attention": [scores[one].item() for one in top]}
        st.altair_chart(bars.compared([listed([one]) for one in top], shares, theme))
    made = [text for text, _ in head_scores.texts(kind)]
    text = st.selectbox(f"One of the {len(made)} texts that were made to measure it", made, key=f"text {kind}")
    reading = readings.read(model, text)
    patterns = torch.stack([block.attn.pattern[0] for block in reading.trace.blocks]).numpy()
    components.attention(reading.tokens, patterns, start=picked, follow=True)

PROSE.section("cut")
cut(picked, scores)
PROSE.section("search")
search()
lesson.close(
    PROSE, attention_pairs.mean_attention, head_scores.scores, head_scores.predict, head_scores.ablate_each_head
)
