"""Activation patching: put one part of a clean run into a corrupted one, and see how much of the answer comes back."""

from collections.abc import Mapping

import streamlit as st
from torch import Tensor

from model.interpretability import patching
from model.transformer.intervention import Edit, Interventions
from pages.shared import controls, lesson, prose, selection
from pages.shared.compute import interpretability, readings
from pages.shared.compute.interpretability import PatchingEffects
from pages.shared.compute.readings import Reading
from pages.shared.prose import Example
from pages.shared.runtime import job_view, progress
from viz.charts import bars, heatmaps
from viz.percent import percent
from viz.tokens import visible

PROSE = prose.of(__file__)


def ask_pair(clean: Reading, examples: Mapping[str, Example]) -> tuple[Reading, int, int, str] | None:
    """Ask for the corrupted prompt; returns its reading, the ids of answer and rival, and the metric. None without a
    prompt."""
    columns = st.columns([5, 2, 2, 4])
    with columns[0]:
        texts = {example.prompt: example.also["corrupted"] for example in examples.values()}
        label, start = "Second, corrupted prompt", texts.get(clean.prompt, "")
        text = controls.text_line(label, start, key="corrupted", icon=":material/edit:")
    if not text:
        st.info("Type a second prompt, with as many tokens as the first one and another answer.")
        return None
    corrupted = readings.read(clean.model, text)
    with columns[1]:
        top = clean.trace.logits[0, -1].argmax().item()
        answer = controls.ask_next_token("Answer", top, "answer", clean.model.tokenizer)
    with columns[2]:
        first, second = corrupted.trace.logits[0, -1].topk(2).indices.tolist()
        rival = controls.ask_next_token("Rival", second if first == answer else first, "rival", clean.model.tokenizer)
    with columns[3]:
        metric = controls.choice("Measured by", patching.METRICS, patching.METRICS[0], key="metric")
    return corrupted, answer, rival, metric


def patch_each_part(clean: Reading, corrupted: Reading, answer: int, rival: int) -> PatchingEffects | None:
    """The metrics after each patch; None until they are computed. Raises ValueError if the prompts are not a pair."""
    config, tokens = clean.model.decoder.config, len(clean.tokens)
    positions = tokens - patching.first_difference(clean.trace.idx, corrupted.trace.idx)
    work = patching.sweep_multiply_adds(config, positions + config.n_head, tokens)
    if not progress.may_run("Patching every part", work, "patch anyway"):
        return None
    job = interpretability.patch_each_part(clean, corrupted, answer, rival)
    results = job_view.show("Patching one part after the other", job)
    return results and results[0]


def show_patched(clean: Reading, corrupted: Reading, edit: Edit, sentence: str, key: str) -> None:
    """Draw the next-token probabilities of the corrupted run with one part of the clean one, beside both runs."""
    patched = interpretability.intervene(corrupted, Interventions(edits=(edit,)))
    st.markdown(sentence)
    runs = {"corrupted": corrupted.trace, "clean": clean.trace, "patched": patched}
    tokens, probabilities = interpretability.compare_next_tokens(clean.model, runs, 2)
    st.altair_chart(bars.compared(visible(tokens), probabilities, controls.theme()), key=key)


def show_maps(clean: Reading, corrupted: Reading, streams: Tensor, heads: Tensor) -> None:
    """Draw the shares that the stream (L, T) and each head (L, H) restore, and the runs of the clicked cells."""
    blocks, theme = clean.trace.blocks, controls.theme()
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**The residual stream before each layer, at one token**")
        chart = heatmaps.positions(streams.numpy(), clean.tokens, "restored", theme)
        layer, position = selection.cell(chart, "map of positions", "position", streams)
        edit = Edit("resid_pre", layer, blocks[layer].resid_pre[:, position], position=position)
        place = f"L{layer}, token {position} {prose.quoted(clean.tokens[position])}"
        sentence = f"{place}: **{percent(streams[layer, position].item(), 0)}** restored."
        show_patched(clean, corrupted, edit, sentence, "patched stream")
    with right:
        st.markdown("**One head’s output, at all tokens**")
        chart = heatmaps.heads(heads.numpy(), (), "restored", theme)
        layer, head = selection.cell(chart, "map of heads", "head", heads)
        edit = Edit("z", layer, blocks[layer].attn.z[:, head], head=head)
        sentence = f"L{layer} H{head}: **{percent(heads[layer, head].item(), 0)}** restored."
        show_patched(clean, corrupted, edit, sentence, "patched head")
    everything = Edit("resid_pre", 0, blocks[0].resid_pre)
    whole = interpretability.intervene(corrupted, Interventions(edits=(everything,)))
    st.caption(
        "The whole stream before layer 0 at once turns the corrupted run into the clean one: the largest difference of "
        f"any logit is {(whole.logits - clean.trace.logits).abs().max().item():g}."
    )


def show_patching(clean: Reading, corrupted: Reading, answer: int, rival: int, metric: str) -> None:
    """Draw what each part of the clean run restores, or a sentence on why the prompts cannot be patched."""
    index, names = patching.METRICS.index(metric), [prose.quoted(clean.model.token(id)) for id in (answer, rival)]
    try:
        effects = patch_each_part(clean, corrupted, answer, rival)
        if effects is None:
            return
        ends = effects.corrupted[index], effects.clean[index]
        parts = effects.positions, effects.heads
        streams, heads = (patching.restored_share(part[..., index], *ends) for part in parts)
    except ValueError as error:
        st.info(f"There is nothing to patch: {error}.")
        return
    measured = (f"The difference of the logits of {names[0]} and {names[1]}", f"The probability of {names[0]}")[index]
    st.markdown(
        f"{measured} is **{ends[0]:.2f}** in the corrupted run and **{ends[1]:.2f}** in the clean one. In each cell: "
        "the share of that difference that one part of the clean run restores. **Click a cell** to see what comes next."
    )
    show_maps(clean, corrupted, streams, heads)


lesson.title(PROSE)
PROSE.section("intro")
clean = controls.ask_prompt(PROSE.examples())
if pair := ask_pair(clean, PROSE.examples()):
    show_patching(clean, *pair)
lesson.close(PROSE, patching.patch_each_position, patching.patch_each_head, patching.restored_share)
