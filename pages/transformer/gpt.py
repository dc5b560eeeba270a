"""The whole GPT on one screen: every step from the prompt to the next word, its numbers and its lines of code."""

from collections.abc import Iterable

import streamlit as st
from torch import Tensor

from model.decoding.sampling import draw
from model.transformer.block import Block
from model.transformer.config import DecoderConfig
from model.transformer.decoder import Decoder
from model.transformer.parameter_count import FAMILIES, PRESETS, family
from pages.shared import components, controls, lesson, prose
from pages.shared.compute import transformer
from pages.shared.forward_steps import LOGITS, Step, inside, road
from viz.charts import bars
from viz.components.forward_pass import Box
from viz.tokens import visible

PROSE = prose.of(__file__)
SHOWN, LIKELIEST, FIRST = 5, 12, 8  # next words in the picture and in the table; numbers of a vector in the table
MASKS = ("with the mask", "without")
THIS, OWN = "this model", "your own"
RENAMED = {"The notes' GPT": "A small GPT"}  # presets by the names that they had in earlier links
LAYERS = 128
WIDTHS = [64, 128, 256, 512, 768, 1024, 1600, 2048, 3072, 4096, 5120, 6144, 8192, 12_288, 16_384]
VOCABULARIES = [256, 1000, 4096, 8192, 16_384, 32_000, 50_257, 100_277, 128_256, 200_019, 256_000]
CONTEXTS = [64, 128, 256, 512, 1024, 2048, 4096, 8192, 32_768, 131_072]
HEADS = [1, 2, 4, 8, 12, 16, 25, 32, 64, 96, 128]
KEYS = {  # in the link, and in a configuration
    "layers": "n_layer",
    "width": "n_embd",
    "vocab": "vocab_size",
    "context": "block_size",
    "heads": "n_head",
    "key_heads": "n_kv_head",
    "hidden": "n_hidden",
}
HIDDEN = [256, 1024, 2048, 4096, 8192, 11_008, 14_336, 28_672]


def at_token(step: Step, values: Tensor) -> Tensor:
    """Of the values of a step those at the picked token: a vector, or of the pattern a row for each head."""
    one = values[0, :, token] if values.dim() == 4 else values[0, token]
    return one[:, : token + 1] if step.name == "pattern" else one.flatten()


def likeliest(count: int) -> list[dict[str, str | int | float]]:
    """The next tokens behind the picked one."""
    logits = trace.logits[0, token]
    probabilities = logits.softmax(-1)
    ids = logits.topk(min(count, len(logits))).indices.tolist()
    return [
        {
            "token": visible([reading.model.token(id)])[0],
            "id": id,
            "logit": logits[id].item(),
            "probability": probabilities[id].item(),
        }
        for id in ids
    ]


def numbers(step: Step, values: Tensor) -> None:
    """Show what a step computed at the picked token."""
    shape = " × ".join(f"{size:,}" for size in values.shape)
    st.markdown(f"**{step.name}** · {shape} ({' × '.join(step.shape.split())})")
    one = at_token(step, values)
    if step.name == "pattern":
        names = controls.numbered(reading.tokens)
        rows = [dict(zip(["head", *names], [f"H{head}", *row])) for head, row in enumerate(one.tolist())]
        st.dataframe(rows, hide_index=True, height=220)
    else:
        name = prose.literal(visible([reading.tokens[token]])[0])
        st.markdown(
            f"At **{name}**: length {one.norm():.3f}, mean {one.mean():.3f}, standard deviation "
            f"{one.std(correction=0):.3f}. The first {min(FIRST, len(one))} of {len(one):,} numbers:"
        )
        st.dataframe([{str(n): number for n, number in enumerate(one[:FIRST].tolist())}], hide_index=True)


def opened(step: Step | None, values: Tensor | None, learned: Iterable[Tensor] | None) -> None:
    """Show the numbers of a box, and the statements that computed them; None is the next word."""
    left, right = st.columns(2, gap="large")
    with left:
        if step:
            numbers(step, values)
        if step in (None, LOGITS):
            probability = st.column_config.NumberColumn(format="%.5f")
            st.dataframe(likeliest(LIKELIEST), hide_index=True, column_config={"probability": probability}, height=220)
    with right:
        if step:
            st.markdown(step.says)
            lesson.code_lines(*step.code)
        else:
            st.markdown("The softmax of the logits: how likely each token is. One is drawn, or the likeliest is taken.")
            lesson.code_lines((draw, "torch.multinomial"))
        if learned:
            count = sum(weight.numel() for weight in learned)
            st.caption(f"Learned for this: {count:,} of the model’s {gpt.config.parameters:,} numbers.")


def take(name: str) -> None:
    """Open a box; one of a block opens that block, too."""
    st.session_state["box"] = name
    if name in layers:
        st.session_state["block"] = name


def own() -> None:
    st.session_state["preset"] = OWN


def slider(label: str, options: list[int], key: str) -> int:
    """A slider over sizes, kept in the link; who moves it has sizes of their own."""
    offered = sorted({*options, *(getattr(preset, KEYS[key]) for preset in presets.values())} - {0})
    return st.select_slider(
        label, offered, key=key, bind="query-params", on_change=own, format_func="{:,}".format, width=300
    )


def asked() -> DecoderConfig:
    """Ask for the sizes of a model; raises ValueError where they make none."""
    if st.query_params.get("preset") in RENAMED:
        st.session_state["preset"] = st.query_params["preset"] = RENAMED[st.query_params["preset"]]
    preset = controls.choice("A model", [*presets, OWN], THIS, key="preset")
    if preset != OWN:
        st.session_state.update({key: getattr(presets[preset], field) for key, field in KEYS.items()})
        st.session_state.update(tied=presets[preset].tied, kind=family(presets[preset]))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = controls.choice("Kind", [*FAMILIES], "GPT", key="kind", on_change=own)
        found = {
            "layers": st.slider("L · blocks", 1, LAYERS, key="layers", bind="query-params", on_change=own, width=300),
            "width": slider("C · width of the stream", WIDTHS, "width"),
            "vocab": slider("V · vocabulary", VOCABULARIES, "vocab"),
            "context": slider("T · context", CONTEXTS, "context"),
            "heads": slider("H · heads", HEADS, "heads"),
        }
        if kind == "Llama":
            found["key_heads"] = slider("G · heads of keys and values", HEADS, "key_heads")
            found["hidden"] = slider("M · width of the MLP", HIDDEN, "hidden")
        tied = st.toggle("The head is the token embedding", key="tied", bind="query-params", on_change=own)
    return FAMILIES[kind](**{KEYS[key]: size for key, size in found.items()}, tied=tied)


@st.fragment
def counter() -> None:
    """Count the parameters of a model of any sizes, and compare."""
    PROSE.section("parameters")
    try:
        wanted = asked()
    except ValueError as error:
        st.info(f"These sizes make no model: {error}.")
        return
    total = wanted.parameters
    left, right = st.columns([3, 4], gap="large")
    with left:
        st.metric("Parameters", f"{total:,}")
        st.caption(f"In two bytes each (bfloat16) they take {2 * total / 1e9:,.2f} GB.")
        rows = [
            {"part": part.name, "formula": part.formula, "parameters": part.count, "share": part.count / total}
            for part in wanted.parts()
        ]
        config = {
            "parameters": st.column_config.NumberColumn(format="localized"),
            "share": st.column_config.NumberColumn(format="percent"),
        }
        st.dataframe(rows, hide_index=True, column_config=config)
    with right:
        compared = presets if wanted in presets.values() else {OWN: wanted, **presets}
        named = {f"{name} · {of.parameters:,}": of for name, of in compared.items()}
        picked = next(name for name, of in named.items() if of == wanted)
        parts = {name: {part.name: part.count for part in of.parts()} for name, of in named.items()}
        st.altair_chart(bars.shares(parts, picked, controls.theme()))


def future() -> None:
    """Change the last token, and show what that does to the logits before it, with the mask and without."""
    PROSE.section("future")
    if len(reading.tokens) == 1:
        st.info("One token has none before it: type more.")
        return
    before = reading.tokens[:-1]
    moved = {name: transformer.effect_of_last_token(reading, name == "with the mask") for name in MASKS}
    components.token_bar_rows("future", {name: (before, of) for name, of in moved.items()}, full=0)


lesson.title(PROSE)
reading = controls.ask_prompt(PROSE.examples())
gpt, trace = reading.model.decoder, reading.trace
presets = {THIS: gpt.config, **PRESETS}
layers = [f"L{layer}" for layer in range(gpt.config.n_layer)]

picture = st.container()
with st.container(horizontal=True, vertical_alignment="bottom"):
    token = controls.token_picker("Token", reading.tokens, key="at")
    block = st.selectbox("Block", layers, len(layers) - 1, key="block", bind="query-params")
    boxes, block_boxes = road(gpt), inside(gpt)
    names = [*(step.name for step in (*boxes, *block_boxes)), "next"]
    box = st.selectbox("Open", names, names.index("next"), key="box", bind="query-params")
layer = layers.index(block)
module, made = gpt.blocks[layer], trace.blocks[layer]
found = {step.name: (step, step.values(trace), step.learned and step.learned(gpt)) for step in boxes}
found |= {step.name: (step, step.values(module, made), step.learned and step.learned(module)) for step in block_boxes}
with picture:
    drawn = {
        name: Box(name, name, step.role, at_token(step, values).numpy(), step.before)
        for name, (step, values, _) in found.items()
    }
    components.forward_pass(
        reading.tokens,
        [drawn[step.name] for step in boxes],
        [drawn[step.name] for step in block_boxes],
        [(row["token"], row["probability"]) for row in likeliest(SHOWN)],
        token=token,
        block=block,
        picked=box,
        on_token=lambda number: st.session_state.update(at=controls.numbered(reading.tokens)[number]),
        on_box=take,
    )
opened(*found.get(box, (None, None, None)))

counter()
future()
lesson.close(PROSE, Decoder.trace, Block.forward, type(gpt.config).parts)
