"""Generation with a KV cache, pass by pass: what is computed, what is cached, and what that saves."""

from collections.abc import Sequence
from typing import NamedTuple

import streamlit as st
import torch

from model.decoding import kv_cache
from model.transformer.decoder import Decoder
from pages.shared import components, controls, lesson, models, prose
from pages.shared.compute import decoding
from pages.shared.compute.readings import Reading
from pages.shared.runtime import job_view, progress
from viz.charts import curves
from viz.components.kv_cache import Pass

PROSE = prose.of(__file__)
MEAN_OF_HEADS, SHORT_CONTEXT = "mean of all heads", 16
CONTEXTS = ("the model's own", f"{SHORT_CONTEXT} tokens")
FEW, MANY = 8, 32  # tokens that are written; a large model writes many when the visitor opts in
OWN_KEYS = ("context", "head", "temperature", "seed", "step", "cache")
MOVED = {"decoding/kv_size": ("tokens", "each")}


class Settings(NamedTuple):
    """How the text is continued: context in tokens (None: the model's own), temperature, seed, number of tokens."""

    context: int | None
    temperature: float
    seed: int
    count: int


def ask_settings(reading: Reading) -> tuple[int | None, Settings]:
    """Ask for the head whose attention is drawn (its number over all layers, None is the mean) and for the settings."""
    config = reading.model.decoder.config
    heads = controls.head_names(config.n_layer, config.n_head)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        names = [MEAN_OF_HEADS, *heads]
        head = st.selectbox("Where the newest token looks", names, key="head", bind="query-params", width=220)
        context = controls.choice("Context", CONTEXTS, CONTEXTS[0], key="context")
        temperature = st.slider(
            "Temperature (0 = greedy)", 0.0, 2.0, 0.0, 0.1, key="temperature", bind="query-params", width=220
        )
        seed = 0  # greedy draws nothing
        if temperature:
            seed = st.number_input("Seed, 0 to 999", 0, 999, 1, key="seed", bind="query-params", width=120)
        short = SHORT_CONTEXT if context == CONTEXTS[1] else None
        work = decoding.generation_work(reading, short, MANY)
        count = MANY if progress.may_run(f"Writing {MANY} tokens, not {FEW}", work, "many") else FEW
    number = None if head == MEAN_OF_HEADS else heads.index(head)
    return number, Settings(short, temperature, seed, count)


def show_passes(reading: Reading, passes: Sequence[Pass], new_tokens: Sequence[str], context: int | None) -> None:
    """Draw the passes over the prompt and the new tokens, and the text that they write."""
    config = reading.model.decoder.config
    text, size = [*reading.tokens, *new_tokens[:-1]], context or config.block_size
    components.kv_cache(text, len(reading.tokens), config.n_layer, size, config.kv_bytes(1), passes)
    written = " ".join((reading.prompt[-200:] + "".join(new_tokens)).split())
    st.markdown(f"**It writes:** {prose.literal(written)}")
    if reading.model.decoder.W_pos is None:
        st.caption("This model adds no position vectors: it rotates queries and keys (RoPE), and caches rotated keys.")


def show_work(reading: Reading, passes: Sequence[Pass]) -> None:
    """Draw the multiply-adds of all passes so far: with the cache, without it, and without it with all logits."""
    config, lengths = reading.model.decoder.config, [step.cached + step.new for step in passes]
    work = {
        "with the cache": [step.work[0] for step in passes],
        "without": [step.work[1] for step in passes],
        "without, and all logits": [config.multiply_adds(length, 0, length) for length in lengths],
    }
    totals = {way: (torch.tensor(counts).cumsum(0) / 1e6).tolist() for way, counts in work.items()}
    st.altair_chart(curves.several(totals, "tokens written", "multiply-adds so far, million", start=1))


def show_times(reading: Reading, steps: Sequence[kv_cache.Step], passes: Sequence[Pass], settings: Settings) -> None:
    """Time the passes with the cache and without, and say how far the logits differ."""
    context, temperature, seed, count = settings
    with_cache, without = zip(*(step.work for step in passes))
    work = 2 * decoding.generation_work(reading, context, count) + sum(without)  # with the passes above
    if not progress.may_run("Writing it both ways", work, "both"):
        return
    job = decoding.time_generation(reading, steps, context, temperature, seed)
    if (results := job_view.show("Writing it with the cache and without", job)) is None:
        return
    (timed,) = results
    _, *later = timed  # the first pass reads the prompt, both ways
    cached_ms, recomputed_ms = (1000 * sum(times) / len(later) for times in zip(*(step[:2] for step in later)))
    st.markdown(
        f"After the prompt a token takes **{cached_ms:.2f} ms** with the cache and **{recomputed_ms:.2f} ms** without: "
        f"**{recomputed_ms / cached_ms:.1f} ×**. By multiply-adds it is {sum(without[1:]) / sum(with_cache[1:]):.1f} ×."
    )
    largest, same = max(step.difference for step in timed), sum(step.same for step in timed)
    st.markdown(
        f"It changes nothing: over all {len(timed)} passes the largest difference of any logit is **{largest:.1g}**, "
        f"and the likeliest token is the same in **{same} of {len(timed)}**."
    )


lesson.redirect(OWN_KEYS, MOVED)
lesson.title(PROSE)
reading = controls.ask_prompt(PROSE.examples())
model, texts = reading.model, models.vocabulary(reading.model).texts
head, settings = ask_settings(reading)
with progress.progress_bar("The model writes") as on_progress:
    steps = decoding.generate(on_progress, reading, *settings)
passes = [decoding.describe_pass(model, step, head) for step in steps]
show_passes(reading, passes, [texts[step.id] for step in steps], settings.context)

PROSE.section("cache")
left, right = st.columns([3, 2], gap="large")
with left:
    show_work(reading, passes)
with right:
    PROSE.section("measured")
    show_times(reading, steps, passes, settings)
lesson.close(PROSE, kv_cache.steps, Decoder.step, type(model.decoder.config).multiply_adds)
