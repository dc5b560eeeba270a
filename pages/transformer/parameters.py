"""The parameter counter: how many numbers a model of given sizes has learned, and in which parts."""

import streamlit as st

from model.transformer.config import DecoderConfig
from model.transformer.parameter_count import FAMILIES, PRESETS, family
from pages.shared import controls, lesson, prose
from viz.charts import bars

PROSE = prose.of(__file__)
THIS, OWN = "this model", "your own"
RENAMED = {"The notes' GPT": "A small GPT"}  # presets by the names that they had in earlier links
LAYERS, LINKED = 128, {"bind": "query-params", "width": 300}  # blocks at most; of a slider that the link holds
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


def sizes(config: DecoderConfig) -> dict[str, int | bool | str]:
    """The sizes of a configuration by their keys in the link."""
    return {key: getattr(config, field) for key, field in KEYS.items()} | {"tied": config.tied, "kind": family(config)}


def set_own() -> None:
    """A moved slider makes sizes of one's own."""
    st.session_state["preset"] = OWN


def size_slider(label: str, options: list[int], key: str, presets: dict[str, DecoderConfig]) -> int:
    """A slider over sizes, those of the presets among them, held in the link."""
    offered = sorted({*options, *(getattr(preset, KEYS[key]) for preset in presets.values())} - {0})
    held = st.session_state.get(key)
    if isinstance(held, int) and held not in offered:  # a size of another model, which was picked before
        st.session_state[key] = min(offered, key=lambda size: abs(size - held))
    return st.select_slider(label, offered, key=key, on_change=set_own, format_func="{:,}".format, **LINKED)


def ask_preset(presets: dict[str, DecoderConfig]) -> str:
    """Ask for a preset; an earlier name in a link counts as the one of today."""
    if st.query_params.get("preset") in RENAMED:
        st.session_state["preset"] = st.query_params["preset"] = RENAMED[st.query_params["preset"]]
    return controls.choice("A model", [*presets, OWN], THIS, key="preset")


def ask_config(preset: str, presets: dict[str, DecoderConfig]) -> DecoderConfig:
    """Ask for the sizes of a model, at first those of the preset; raises ValueError if they do not fit together."""
    if preset != OWN:
        st.session_state.update(sizes(presets[preset]))
    most = max(LAYERS, *(preset.n_layer for preset in presets.values()))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = controls.choice("Kind", [*FAMILIES], "GPT", key="kind", on_change=set_own)
        chosen = {
            "layers": st.slider("L · blocks", 1, most, key="layers", bind="query-params", on_change=set_own, width=300),
            "width": size_slider("C · width of the stream", WIDTHS, "width", presets),
            "vocab": size_slider("V · vocabulary", VOCABULARIES, "vocab", presets),
            "context": size_slider("T · context", CONTEXTS, "context", presets),
            "heads": size_slider("H · heads", HEADS, "heads", presets),
        }
        if kind == "Llama":
            chosen["key_heads"] = size_slider("G · heads of keys and values", HEADS, "key_heads", presets)
            chosen["hidden"] = size_slider("M · width of the MLP", HIDDEN, "hidden", presets)
        tied = st.toggle("The head is the token embedding", key="tied", bind="query-params", on_change=set_own)
    return FAMILIES[kind](**{KEYS[key]: size for key, size in chosen.items()}, tied=tied)


def show_parts(config: DecoderConfig) -> None:
    """Show the number of all parameters, and those of each part with their formula."""
    total = config.parameters
    st.metric("Parameters", f"{total:,}")
    st.caption(f"In two bytes each (bfloat16) they take {2 * total / 1e9:,.2f} GB.")
    rows = [
        {"part": part.name, "formula": part.formula, "parameters": part.count, "share": part.count / total}
        for part in config.parts()
    ]
    columns = {
        "parameters": st.column_config.NumberColumn(format="localized"),
        "share": st.column_config.NumberColumn(format="percent"),
    }
    st.dataframe(rows, hide_index=True, column_config=columns)


def compare(config: DecoderConfig, presets: dict[str, DecoderConfig]) -> None:
    """Draw the share of each part beside those of the presets."""
    picked = next((name for name, preset in presets.items() if sizes(preset) == sizes(config)), OWN)
    configs = presets if picked != OWN else {OWN: config, **presets}
    labels = {name: f"{name} · {config.parameters:,}" for name, config in configs.items()}
    parts = {labels[name]: {part.name: part.count for part in config.parts()} for name, config in configs.items()}
    st.altair_chart(bars.shares(parts, labels[picked], controls.theme()))


lesson.title(PROSE)
left, right = st.columns([5, 1], vertical_alignment="bottom")
with right:
    model = controls.ask_model()
presets = {THIS: model.decoder.config, **PRESETS}
with left:
    preset = ask_preset(presets)
try:
    config = ask_config(preset, presets)
except ValueError as error:
    st.info(f"These sizes make no model: {error}.")
else:
    left, right = st.columns([3, 4], gap="large")
    with left:
        show_parts(config)
    with right:
        compare(config, presets)
PROSE.section("parameters")
lesson.close(PROSE, type(model.decoder.config).parts)
