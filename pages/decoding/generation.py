"""Generation from inside: the prompt is read, then one token after the other; what is kept, and what that saves."""

from collections.abc import Sequence

import streamlit as st
import torch

from model.decoding import kv_cache, naive_generate
from model.transformer import parameter_count
from model.transformer.decoder import Decoder
from pages.shared import components, controls, lesson, models, prose
from pages.shared.compute import decoding
from pages.shared.runtime import job_view, progress
from viz.charts import curves
from viz.components.kv_cache import Pass
from viz.tokens import visible

PROSE = prose.of(__file__)
MEAN, SHORT = "mean of all heads", 16
SHOWN = 5  # of the next tokens
FEW, MANY = 8, 32  # tokens that are written; a large model writes many when it is asked
ALONE = 8  # a token alone takes about as long as so many at once: all weights have to come from the memory for it
NOTED = 16  # last tokens of a prompt, in each case of what goes wrong
CONTEXTS = [2**n for n in range(9, 18)]  # tokens whose keys and values are kept, 512 to 131,072


def writing(count: int) -> int:
    """The multiplications that take as long as writing so many tokens."""
    size = short or gpt.config.block_size
    read = [1 if len(ids) + n <= size else size for n in range(count)]
    return sum(gpt.config.multiply_adds(max(n, ALONE)) for n in read)


def looked(step: kv_cache.Step) -> torch.Tensor:
    """Where the newest token looks: by the head that was chosen, or all of them."""
    if head == MEAN:
        return step.pattern.mean((0, 1))
    return step.pattern.flatten(0, 1)[heads.index(head)]


def drawn(step: kv_cache.Step) -> Pass:
    """A pass as the picture has it: the likeliest tokens by the model's own probabilities, and the one taken."""
    probabilities = step.logits.softmax(-1)
    ids = probabilities.topk(min(SHOWN, len(probabilities))).indices.tolist()
    ids = ids if step.id in ids else [*ids[:-1], step.id]
    likeliest = [(texts[id], probabilities[id].item()) for id in ids]
    work = (step.new, step.cached), (step.new + step.cached,)
    both = tuple(gpt.config.multiply_adds(*one) for one in work)
    return Pass(step.first, step.cached, step.new, looked(step).numpy(), likeliest, ids.index(step.id), both)


def saved() -> None:
    """Draw the work of all passes so far, and measure it."""
    left, right = st.columns([3, 2], gap="large")
    seen = [step.cached + step.new for step in passes]
    ways = {
        "with the cache": [one.work[0] for one in made],
        "without": [one.work[1] for one in made],
        "without, and all logits": [gpt.config.multiply_adds(n, 0, n) for n in seen],
    }
    totals = {name: torch.tensor(of).cumsum(0) / 1e6 for name, of in ways.items()}
    with left:
        sums = {name: of.tolist() for name, of in totals.items()}
        st.altair_chart(curves.several(sums, "tokens written", "multiply-adds so far, million", start=1))
    with right:
        PROSE.section("measured")
        work = 2 * writing(count) + sum(ways["without"])  # with what is written above: all of it should be quick
        if not progress.may_run("Writing it both ways", work, "both"):
            return
        job = decoding.time_generation(reading, passes, short, temperature, seed)
        if (results := job_view.show("Writing it with the cache and without", job)) is None:
            return
        (found,) = results
        _, *others = found  # the first pass reads the prompt, both ways
        with_it, without = (1000 * sum(times) / len(others) for times in zip(*(one[:2] for one in others)))
        apart, same = max(one.difference for one in found), sum(one.same for one in found)
        st.markdown(
            f"After the prompt a token takes **{with_it:.2f} ms** with the cache and **{without:.2f} ms** without: "
            f"**{without / with_it:.1f} ×**. By multiply-adds it is "
            f"{sum(ways['without'][1:]) / sum(ways['with the cache'][1:]):.1f} ×."
        )
        st.markdown(
            f"It changes nothing: over all {len(found)} passes the largest difference of any logit is **{apart:.1g}**, "
            f"and the likeliest token is the same in **{same} of {len(found)}**."
        )


def sizes() -> None:
    """Tell what the keys and values of well-known models take."""
    left, right = st.columns(2, gap="large", vertical_alignment="bottom")
    tokens = left.select_slider(
        "Tokens kept", CONTEXTS, 8192, key="tokens", bind="query-params", format_func="{:,}".format
    )
    with right:
        each = int(controls.choice("Bytes a number", ["4", "2", "1"], "2", key="each"))
    rows = []
    for name, of in {reading.model.name: gpt.config, **parameter_count.PRESETS}.items():
        held, group = min(tokens, of.block_size), of.n_head // of.n_kv_head
        rows.append(
            {
                "model": name,
                "2 · L · heads · size": f"2 · {of.n_layer} · {of.n_kv_head} · {of.head_size}",
                "kB a token": round(of.kv_bytes(1, each) / 1e3, 1),
                "tokens": held,
                "MB kept": round(of.kv_bytes(held, each) / 1e6, 1),
                "MB if no heads shared": round(group * of.kv_bytes(held, each) / 1e6, 1),
                "MB of the weights": round(each * of.parameters / 1e6, 1),
            }
        )
    _, _, *counted = rows[0]
    numbers = {name: st.column_config.NumberColumn(format="localized") for name in counted}
    st.dataframe(rows, hide_index=True, column_config=numbers)


def outcome(found: naive_generate.Outcome, logits: torch.Tensor) -> str:
    """What one way did, in a sentence: the error, or the tokens that it took."""
    if isinstance(found, str):
        return prose.literal(found)
    rank = (logits > logits[found[0]]).sum().item() + 1
    taken = "  ".join(f"**{prose.literal(name)}**" for name in visible(texts[id] for id in found))
    return f"{taken} (the first is number {rank:,} of {len(logits):,} in the model's own order)"


def failures(cases: Sequence[naive_generate.Case]) -> None:
    """Show each case: what is asked, what the one way does, and what ours does."""
    work = 2 * len(cases) * gpt.config.multiply_adds(NOTED, read_off=NOTED)
    if not progress.may_run("Running both on the end of your prompt", work, "notes"):
        return
    logits, outcomes = decoding.try_naive_generate(reading.model, tuple(ids[-NOTED:]))
    for case, (theirs, ours) in zip(cases, outcomes, strict=True):
        with st.container(border=True):
            columns = st.columns([3, 4, 4])
            columns[0].markdown(f"**{case.asked}**")
            columns[1].markdown(f":red[the notes:] {outcome(theirs, logits)}")
            columns[2].markdown(f":green[ours:] {outcome(ours, logits)}")
            st.caption(case.why)


lesson.title(PROSE)
reading = controls.ask_prompt(PROSE.examples())
texts, ids = models.vocabulary(reading.model).texts, reading.ids
gpt = reading.model.decoder
heads = controls.head_names(gpt.config.n_layer, gpt.config.n_head)
with st.container(horizontal=True, vertical_alignment="bottom"):
    head = st.selectbox("Where the newest token looks", [MEAN, *heads], key="head", bind="query-params", width=220)
    context = controls.choice("Context", ["the model's own", f"{SHORT} tokens"], "the model's own", key="context")
    temperature = st.slider(
        "Temperature (0 = greedy)", 0.0, 2.0, 0.0, 0.1, key="temperature", bind="query-params", width=220
    )
    seed = 0
    if temperature:  # else nothing is drawn
        seed = st.number_input("Seed, 0 to 999", 0, 999, 1, key="seed", bind="query-params", width=120)
    short = SHORT if context.startswith(str(SHORT)) else None
    count = MANY if progress.may_run(f"Writing {MANY} tokens, not {FEW}", writing(MANY), "many") else FEW
asked = reading, short, temperature, seed, count
with progress.progress_bar("The model writes") as told:
    passes = decoding.generate(told, *asked)
made = [drawn(step) for step in passes]
components.kv_cache(
    [*reading.tokens, *(texts[step.id] for step in passes[:-1])],
    len(ids),
    gpt.config.n_layer,
    short or gpt.config.block_size,
    gpt.config.kv_bytes(1),
    made,
)
wrote = "".join(texts[step.id] for step in passes)
st.markdown(f"**It writes:** {prose.literal(' '.join((reading.prompt[-200:] + wrote).split()))}")

PROSE.section("cache")
saved()
PROSE.section("size")
sizes()
PROSE.section("mistakes")
failures(naive_generate.CASES)
lesson.close(PROSE, kv_cache.steps, Decoder.step, type(gpt.config).multiply_adds, naive_generate.naive_generate)
