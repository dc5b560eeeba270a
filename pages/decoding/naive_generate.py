"""A naive generate(): what goes wrong in a loop of a few lines, each case run beside a generate() that is right."""

from collections.abc import Sequence

import streamlit as st
from torch import Tensor

from model.decoding import naive_generate
from model.decoding.generate import generate
from pages.shared import controls, lesson, prose
from pages.shared.compute import decoding
from pages.shared.compute.readings import Reading
from pages.shared.models import Model
from pages.shared.runtime import progress
from viz.tokens import visible

PROSE = prose.of(__file__)
LAST_TOKENS = 16  # the end of the prompt on which both are run


def describe(outcome: naive_generate.Outcome, logits: Tensor, model: Model) -> str:
    """The outcome of a case in a sentence: the error, or the tokens and the rank of the first among the logits (V)."""
    if isinstance(outcome, str):
        return prose.literal(outcome)
    rank = (logits > logits[outcome[0]]).sum().item() + 1
    tokens = "  ".join(f"**{prose.literal(name)}**" for name in visible(model.token(id) for id in outcome))
    return f"{tokens} (the first is number {rank:,} of {len(logits):,} in the model's own order)"


def show_cases(reading: Reading, cases: Sequence[naive_generate.Case]) -> None:
    """Draw each case: what is asked, what the naive loop does, what ours does, and why."""
    config = reading.model.decoder.config
    work = 2 * len(cases) * config.multiply_adds(LAST_TOKENS, read_off=LAST_TOKENS)
    if not progress.may_run("Running both on the end of your prompt", work, "notes"):
        return
    logits, outcomes = decoding.try_naive_generate(reading.model, tuple(reading.ids[-LAST_TOKENS:]))
    for case, (naive, ours) in zip(cases, outcomes, strict=True):
        with st.container(border=True):
            columns = st.columns([3, 4, 4])
            columns[0].markdown(f"**{case.request}**")
            columns[1].markdown(f":red[naive:] {describe(naive, logits, reading.model)}")
            columns[2].markdown(f":green[ours:] {describe(ours, logits, reading.model)}")
            st.caption(case.why)


lesson.title(PROSE)
reading = controls.ask_prompt(PROSE.examples())
show_cases(reading, naive_generate.CASES)
PROSE.section("mistakes")
lesson.close(PROSE, naive_generate.naive_generate, generate)
