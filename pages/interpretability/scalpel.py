"""The scalpel: switch off any part of the model, or put in a part of another run, and see what it says then."""

import streamlit as st
import torch

from model.interpretability import patching
from model.language.tokenization import pieces
from model.training import mask_leak as leak
from model.transformer.intervention import Edit, Interventions
from model.transformer.record import Trace
from pages.shared import components, controls, lesson, prose
from pages.shared.compute import interpretability, readings, training
from pages.shared.compute.interpretability import REPLACEMENTS
from pages.shared.runtime import job_view, progress
from pages.shared.runtime.queue import permit
from viz.charts import bars, curves
from viz.charts import heatmaps as matrices
from viz.percent import percent
from viz.tokens import visible

PROSE = prose.of(__file__)


def flip(layer: int, head: int | None) -> None:
    """Switch a head off, or on again; or, where none is named, all of the layer."""
    flipped = {(layer, head)} if head is not None else {(layer, n) for n in range(heads)}
    off = controls.ablated_heads(layers, heads)
    controls.set_ablated_heads(off - flipped if flipped <= off else off | flipped)


def heal() -> None:
    """Put everything back."""
    controls.set_ablated_heads(())
    st.session_state.update(positions=True, mask=True, residual=True, mlps=[])


def named(id: int) -> str:
    """A token, for a sentence."""
    return f"“**{prose.literal(visible(pieces(tokenizer, [id]))[0])}**”"


def compared(runs: dict[str, Trace], key: str, most: int) -> None:
    """Draw side by side the next words that some runs find likeliest, so many of each."""
    shares = {name: run.logits[0, -1].softmax(-1) for name, run in runs.items()}
    ids = {id for of in shares.values() for id in of.topk(most).indices.tolist()}
    ids = sorted(ids, key=lambda id: -max(of[id].item() for of in shares.values()))
    chart = bars.compared(
        visible(pieces(tokenizer, ids)), {name: of[ids].tolist() for name, of in shares.items()}, theme
    )
    st.altair_chart(chart, key=key)


def scalpel() -> Interventions:
    """Ask what is switched off."""
    asked = st.container(horizontal=True, vertical_alignment="bottom")
    place = st.container()
    off = controls.ablated_heads(layers, heads)
    with st.container(horizontal=True, vertical_alignment="center"):
        switches = {
            name: st.toggle(name.capitalize(), True, key=name, bind="query-params")
            for name in ("positions", "mask", "residual")
        }
        st.button("Put everything back", icon=":material/healing:", on_click=heal)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        offered = [f"L{n}" for n in range(layers)]
        mlps = st.pills("MLPs off", offered, selection_mode="multi", key="mlps", bind="query-params")
        how = controls.choice("In place of what is cut", REPLACEMENTS, REPLACEMENTS[0], key="instead")
    with asked:
        st.markdown("**Click heads to switch them off**, a layer’s name for all of it.", width="stretch")
        tell = st.toggle("Show what each does alone", key="alone", bind="query-params")
    effects = None
    with place:
        if tell and progress.may_run(
            "Each head alone", patching.sweep_multiply_adds(gpt.config, heads, len(tokens)), "alone anyway"
        ):
            job = interpretability.ablate_each_head(reading, how)
            if results := job_view.show("Cutting one head after the other", job):
                effects = results[0].numpy()
        components.head_switches(layers, heads, off, effects, flip)
        if effects is not None:
            st.caption(
                f"By how much {named(likeliest)} becomes less likely (from 1 to 0 is 1) if only that head is cut."
            )
    edits = patching.ablation_edits(
        off, [offered.index(name) for name in mlps], interpretability.replacement(reading.model, how, reading)
    )
    return Interventions(**switches, edits=edits)


def outcome(changes: Interventions, changed: Trace) -> None:
    """Say and draw what comes next, untouched and changed."""
    before, after = trace.logits[0, -1], changed.logits[0, -1]
    st.markdown("**What comes next**")
    compared({"untouched": trace, "changed": changed}, "outcome", 4)
    if changes == Interventions():
        most = (changed.logits - trace.logits).abs().max().item()
        st.caption(f"Nothing is switched off: over all logits at all positions the largest difference is {most:g}.")
        return
    was, now = (logits.softmax(-1)[likeliest].item() for logits in (before, after))
    first = after.argmax().item()
    points = round(100 * now, 1) - round(100 * was, 1)  # as the two are written
    st.markdown(
        f"{named(likeliest)} goes from {percent(was)} to **{percent(now)}** ({points:+.1f} points). "
        + ("It stays the likeliest." if first == likeliest else f"The likeliest is now {named(first)}.")
    )


def attention_of(changed: Trace, changes: Interventions) -> None:
    """Draw where the heads look in the changed run."""
    patterns = torch.stack([block.attn.pattern[0] for block in changed.blocks]).numpy()
    if changes.mask:
        components.attention(tokens, patterns, start=reading.model.start, follow=True)
        return
    names = controls.head_names(layers, heads)
    start = reading.model.start[0] * heads + reading.model.start[1]
    layer, head = divmod(names.index(st.selectbox("Head", names, index=start)), heads)
    drawn = {
        "untouched": (tokens, trace.blocks[layer].attn.pattern[0, head].numpy()),
        "without the mask": (tokens, patterns[layer, head]),
    }
    for n, (column, figure) in enumerate(zip(st.columns(2), matrices.patterns(drawn, theme))):
        column.plotly_chart(figure, key=f"pattern {n}", config=components.NO_TOOLBAR)


def later_word() -> None:
    """Change the last token, and draw whether the guesses before it notice."""
    word = controls.text_line("Put another word in place of the last one", "dog", key="last")
    ids = tokenizer.encode(f" {word.strip()}").ids[:1]
    other = trace.idx.clone()
    other[0, -1:] = torch.tensor(ids)
    rows = {}
    for name, changes in {"mask on": Interventions(), "mask off": Interventions(mask=False)}.items():
        with permit():
            one, two = (gpt.trace(idx, changes).logits[0] for idx in (trace.idx, other))
        rows[name] = (tokens, patching.kl_divergence(one, two).tolist())
    st.markdown("How far the guess after each token moves (KL divergence, in nats):")
    components.token_bar_rows("later word", rows, full=1)


def leaks() -> None:
    """Ask where the loss will end without the mask; then train, and draw it."""
    offered = [f"{leak.HONEST_LOSS:.2f} = ln 16", f"{leak.LEAKED_LOSS:.2f} = ln 16 / 12", "0"]
    asked = "**Predict**: each word is drawn at random from 16. Where does the loss end without the mask?"
    guess = st.pills(asked, offered, key="guess")
    if guess is None:
        return
    if (results := job_view.show("Training two small models on random words", training.train_mask_leak())) is None:
        return
    off, on = results[0].values()
    curve = {
        "mask off": [step.loss for step in off],
        "mask on": [step.loss for step in on],
        "mask off, but on to write": [step.writing for step in off],
        "ln 16": [leak.HONEST_LOSS] * len(on),
        "ln 16 / 12": [leak.LEAKED_LOSS] * len(on),
    }
    st.altair_chart(curves.several(curve, "step", "loss, in nats", picked="mask off"))
    ends = {name: sum(losses[-20:]) / 20 for name, losses in curve.items()}
    st.markdown(
        f"{':material/check: Right' if guess == offered[1] else ':material/close: Not so'}. Over the last 20 steps: "
        f"**{ends['mask off']:.3f}** without the mask (ln 16 / 12 = {leak.LEAKED_LOSS:.3f}), **{ends['mask on']:.3f}** "
        f"with it (ln 16 = {leak.HONEST_LOSS:.3f}). The first looks better, and is worth nothing: when it has to "
        f"write, the next word is not there yet, and its loss is **{ends['mask off, but on to write']:.1f}**."
    )


def pair() -> tuple[readings.Reading, int, int, int] | None:
    """Ask for the corrupted prompt: how it is read, the answer, its rival, the metric; None where there is none."""
    columns = st.columns([5, 2, 2, 4])
    with columns[0]:
        start = next((one.also["corrupted"] for one in PROSE.examples().values() if one.prompt == reading.prompt), "")
        text = controls.text_line("Second, corrupted prompt", start, key="corrupted", icon=":material/edit:")
    if not text:
        st.info("Type a second prompt, with as many tokens as the first one and another answer.")
        return None
    other = readings.read(reading.model, text)
    with columns[1]:
        answer = controls.ask_next_token("Answer", likeliest, "answer", tokenizer)
    with columns[2]:
        others = other.trace.logits[0, -1].topk(2).indices.tolist()
        rival = controls.ask_next_token("Rival", others[others[0] == answer], "rival", tokenizer)
    with columns[3]:
        metric = controls.choice("Measured by", patching.METRICS, patching.METRICS[0], key="metric")
    return other, answer, rival, patching.METRICS.index(metric)


def swept(other: readings.Reading, answer: int, rival: int) -> interpretability.PatchingEffects | None:
    """Patch every part; None where that is not wanted yet. Raises ValueError where the prompts are no pair."""
    begin = patching.first_difference(trace.idx, other.trace.idx)
    work = patching.sweep_multiply_adds(gpt.config, len(tokens) - begin + heads, len(tokens))
    if not progress.may_run("Patching every part", work, "patch anyway"):
        return None
    job = interpretability.patch_each_part(reading, other, answer, rival)
    results = job_view.show("Patching one part after the other", job)
    return results and results[0]


def clicked(chart: object, of: str, shares: torch.Tensor) -> tuple[int, int]:
    """Draw a map of shares (L, N); the layer and column that were clicked, or those of the largest share."""
    event = st.altair_chart(chart, key=f"map of {of}s", on_select="rerun", selection_mode=of)
    for point in event.selection.get(of, []):
        layer, column = int(point["layer"]), int(point[of])
        if layer < shares.shape[0] and column < shares.shape[1]:
            return layer, column
    return divmod(shares.argmax().item(), shares.shape[1])


def patch() -> None:
    """Draw what each part of the clean run restores in the corrupted one."""
    if (asked := pair()) is None:
        return
    other, answer, rival, metric = asked
    try:
        if (found := swept(other, answer, rival)) is None:
            return
        ends = found.corrupted[metric], found.clean[metric]
        streams, z = (patching.restored_share(of[..., metric], *ends) for of in (found.positions, found.heads))
    except ValueError as error:
        st.info(f"There is nothing to patch: {error}.")
        return
    what = [
        f"The difference of the logits of {named(answer)} and {named(rival)}",
        f"The probability of {named(answer)}",
    ]
    st.markdown(
        f"{what[metric]} is **{ends[0]:.2f}** in the corrupted run and **{ends[1]:.2f}** in the clean one. In each "
        "cell: what share of that one part of the clean run brings back. **Click a cell** to see what comes next."
    )

    def put_in(edit: Edit, where: str, share: torch.Tensor, key: str) -> None:
        with permit():
            patched = gpt.trace(other.trace.idx, Interventions(edits=(edit,)))
        st.markdown(f"{where}: **{percent(share.item(), 0)}** restored.")
        compared({"corrupted": other.trace, "clean": trace, "patched": patched}, key, 2)

    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**The stream before each layer, at one token**")
        layer, at = clicked(matrices.positions(streams.numpy(), tokens, "restored", theme), "position", streams)
        edit = Edit("resid_pre", layer, trace.blocks[layer].resid_pre[:, at], position=at)
        put_in(edit, f"L{layer}, token {at} {named(trace.idx[0, at].item())}", streams[layer, at], "patched stream")
    with right:
        st.markdown("**One head’s output, at all tokens**")
        layer, head = clicked(matrices.heads(z.numpy(), (), "restored", theme), "head", z)
        edit = Edit("z", layer, trace.blocks[layer].attn.z[:, head], head=head)
        put_in(edit, f"L{layer} H{head}", z[layer, head], "patched head")
    everything = Edit("resid_pre", 0, trace.blocks[0].resid_pre)
    with permit():
        whole = gpt.trace(other.trace.idx, Interventions(edits=(everything,)))
    st.caption(
        "Everything put in at once, the whole stream before layer 0, makes it the clean run: the largest difference of "
        f"any logit is {(whole.logits - trace.logits).abs().max().item():g}."
    )


lesson.title(PROSE)
reading = controls.ask_prompt(PROSE.examples())
gpt, tokenizer, trace, tokens = reading.model.decoder, reading.model.tokenizer, reading.trace, reading.tokens
layers, heads, theme = gpt.config.n_layer, gpt.config.n_head, controls.theme()
likeliest = trace.logits[0, -1].argmax().item()

left, right = st.columns([3, 2], gap="large")
with left:
    changes = scalpel()
with permit():
    changed = gpt.trace(trace.idx, changes)
with right:
    outcome(changes, changed)
st.markdown("**How far each guess moved** (KL divergence between untouched and changed, in nats):")
components.token_bars("moved", tokens, patching.kl_divergence(trace.logits[0], changed.logits[0]).tolist(), full=1)
with st.expander("Attention of the changed run", key="looks", bind="query-params") as looks:
    if looks.open:
        attention_of(changed, changes)

PROSE.section("patch")
patch()
PROSE.section("leak")
left, right = st.columns(2, gap="large")
with left:
    later_word()
with right:
    leaks()
lesson.close(
    PROSE,
    patching.ablation_edits,
    patching.patch_each_head,
    patching.patch_each_position,
    patching.restored_share,
    leak.train,
)
