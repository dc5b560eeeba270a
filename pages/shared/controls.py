"""The controls of the lessons. They hold the state of a page, and the link holds it too.

Keys of the link that several lessons share, so that a choice follows the visitor from one lesson to the next: PROMPT,
MODEL, AT (a token of the prompt), BLOCK and SEED below, and `layer` and `head` of the attention picture.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from tokenizers import Tokenizer

from model.decoding.text_tree import TextTree
from model.language.tokenization import pieces
from model.transformer.config import DecoderConfig
from model.transformer.record import Head
from pages.shared import fetching, link, models, prose
from pages.shared.compute import language, readings
from pages.shared.compute.readings import Reading
from pages.shared.models import Model
from pages.shared.prompts import EXAMPLES
from pages.shared.prose import Example
from pages.shared.runtime.catalog import GPT2
from viz.tokens import visible

PROMPT, MODEL, AT, BLOCK, SEED = "prompt", "model", "at", "block", "seed"
LINK_CHARACTERS, BOX_CHARACTERS = 2_000, 16  # of a text that the link holds, and of a model's name that its box shows


def text_line(label: str, start: str, key: str, **options: Any) -> str:
    """A box for one line of text, held in the link; the page reruns while the visitor types."""
    return st.text_input(label, start, key=key, bind="query-params", live=True, **options)


def text_area(label: str, start: str, key: str, height: int) -> str:
    """A box for several lines of text, held in the link while it is short."""
    st.session_state.setdefault(key, st.query_params.get(key, start))
    text = st.text_area(label, key=key, height=height, persist_state="session")
    if text != start and len(text) <= LINK_CHARACTERS:
        st.query_params[key] = text
    else:
        st.query_params.pop(key, None)
    return text


def choice(label: str, options: Sequence[str], start: str, key: str, **more: Any) -> str:
    """A choice of one name, held in the link; a link with an unknown name means `start`."""
    picked = st.segmented_control(label, options, default=start, key=key, bind="query-params", required=True, **more)
    return picked or start


def bounded_slider(label: str, most: int, start: int, key: str) -> int:
    """A slider from 0 to a bound that depends on prompt or model, held in the link; a larger value is the bound."""
    if st.session_state.get(key, 0) > most:  # Streamlit would raise when the bound is lowered twice
        st.session_state[key] = most
    return st.slider(label, 0, most, start, key=key, bind="query-params")


def prompt_box(label: str = "Prompt", key: str = PROMPT, start: str = EXAMPLES["Who gets the key?"].prompt) -> str:
    """The prompt box; a second one on a page has its own label, key and text."""
    return text_line(
        label,
        start,
        key=key,
        placeholder="Type a few words",
        icon=":material/edit:",
        label_visibility="collapsed",
    )


def lettered(letter: str) -> DeltaGenerator:
    """A container with a letter before the box that is drawn in it."""
    container = st.container(horizontal=True, vertical_alignment="center")
    container.markdown(f"**{letter}**", width="content")
    return container


def append_to_prompt(token: str) -> None:
    """Append a token that was clicked or sampled to the prompt."""
    st.session_state[PROMPT] += token


def text_tree(reading: Reading) -> tuple[TextTree, int]:
    """The tree of texts that were tried with this model, and the node of the prompt in it.

    The first tree comes from the link. A prompt that is not in the tree is the root of a new one.
    """
    name, prompt = reading.model.name, reading.prompt
    grown = st.session_state.setdefault("branches", {})  # by model
    if not grown and "tree" in st.query_params:
        try:
            grown[name] = link.read_tree(st.query_params["tree"], prompt, reading.model.tokenizer)
        except ValueError:
            st.warning("The tree of texts in this link does not fit its prompt, so it was left out.")
            del st.query_params["tree"]  # so that this is shown once
    tree = grown.get(name)
    if tree is None or prompt not in tree.texts():
        tree = TextTree(prompt)
    return tree, tree.texts().index(prompt)


def append_tokens(reading: Reading, ids: Sequence[int]) -> None:
    """Append tokens that were clicked or sampled to the prompt; in the tree they are a branch."""
    tree, node = text_tree(reading)
    for id in ids:
        text = reading.model.token(id)
        tree, node = tree.grow(node, id, text)
        append_to_prompt(text)
    st.session_state["branches"][reading.model.name] = tree


def example_buttons(boxes: Mapping[str, str], examples: Mapping[str, Example]) -> None:
    """Buttons that fill boxes with an example, and what to look for in the example that they hold now.

    `boxes` has the text of each box by its key; the first box gets the example's prompt.
    """
    first = next(iter(boxes))
    fills = [{first: example.prompt, **example.also} for example in examples.values()]
    current = [all(fill.get(box) == text for box, text in boxes.items()) for fill in fills]
    with st.container(horizontal=True, gap="small"):
        for example, texts, chosen in zip(examples.values(), fills, current):
            st.button(
                f":violet[**{example.name}**]" if chosen else example.name,
                key=f"example {example.name}",
                on_click=st.session_state.update,
                kwargs=texts,
            )
    for example, chosen in zip(examples.values(), current):
        if chosen:
            st.markdown(f":material/lightbulb: {example.look_for}")


def model_picker(label: str = "Model", key: str = MODEL, start: str = models.NAMES[0]) -> str:
    """The name of the picked model, which may have to be downloaded; a second picker has its own label, key, start."""
    if st.query_params.get(key, start) not in models.CATALOG:
        st.warning(f"The model of this link is not available here; you see {start}.")
    names = list(models.CATALOG)
    picked = st.selectbox(
        label,
        names,
        names.index(start),
        key=key,
        bind="query-params",
        label_visibility="collapsed",
    )
    if len(picked) > BOX_CHARACTERS:
        st.caption(prose.literal(picked))
    return picked


def ask_model() -> Model:
    """Ask for the model; returns it, opened."""
    return fetching.ready(model_picker())


def ask_vectors(model: Model) -> Model | None:
    """Ask for the vectors of words: the token embedding of the model ("wte" in the link), or None for word vectors."""
    kinds = ["word vectors", "wte"]
    return model if choice("Vectors", kinds, kinds[0], key="vectors") == "wte" else None


def ask_model_and_prompt(examples: Mapping[str, Example] = EXAMPLES) -> tuple[Model, str]:
    """Ask for prompt and model, with buttons of examples; an empty prompt ends the page."""
    left, right = st.columns([4, 1])
    with right:
        picked = model_picker()
    with left:
        text = prompt_box()
    model = fetching.ready(picked)
    example_buttons({PROMPT: text}, examples)
    stop_if_empty(text)
    return model, text


def ask_prompt(examples: Mapping[str, Example] = EXAMPLES) -> Reading:
    """Ask for prompt and model; returns the model's reading. An empty prompt ends the page."""
    return read(*ask_model_and_prompt(examples))


def stop_if_empty(*texts: str) -> None:
    """End the page if one of the prompts is empty."""
    if not all(texts):
        st.info("The prompt is empty: type at least one word, or take an example.")
        st.stop()


def gpt2_tokenizer() -> dict[str, Tokenizer]:
    """GPT-2's tokenizer by its name; if it is not on this machine, a button that downloads it, and an empty dict."""
    try:
        return {GPT2.name: language.gpt2_tokenizer()}
    except FileNotFoundError:
        fetching.fetch(*language.GPT2_TOKENIZER, "**GPT-2's own tokenizer** can be shown beside it: 1.4 MB.")
    except ValueError as error:
        st.warning(f"GPT-2's tokenizer cannot be used: {prose.literal(error)}. The page goes on without it.")
    return {}


def read(model: Model, text: str, name: str = "This prompt") -> Reading:
    """The model's reading of a text that is not empty, with a warning if it could not read all of it."""
    reading = readings.read(model, text)
    warn_if_cut(name, reading)
    return reading


def warn_if_cut(name: str, *cut_readings: Reading) -> None:
    """Warn about the beginning of a text that was not read; one warning for all its readings."""
    names: dict[str, list[str]] = {}
    for reading in cut_readings:
        if reading.cut_tokens or reading.cut_characters:
            names.setdefault(_left_out(reading), []).append(prose.literal(reading.model.name))
    several = len(cut_readings) > 1
    who = {how: " and ".join(dict.fromkeys(some)) if several else "the model" for how, some in names.items()}
    if who:
        st.warning("\n\n".join(f"{name} is longer than {some} can read at once {how}" for how, some in who.items()))


def _left_out(reading: Reading) -> str:
    config, shown = reading.model.decoder.config, reading.model.max_tokens
    limit = f"{shown:,} tokens"
    if shown < config.block_size:
        limit = (
            f"here, {shown:,} of its {config.block_size:,} tokens: what it computes for them takes "
            f"{config.trace_bytes(shown) / 1e6:.0f} MB of the server's memory"
        )
    characters = f", and {reading.cut_characters:,} characters before those" if reading.cut_characters else ""
    return f"({limit}). You see its end; the {reading.cut_tokens:,} tokens before it were left out{characters}."


def ablated_heads(layers: int, heads: int) -> set[tuple[int, int]]:
    """The (layer, head) of the heads that the link switches off; those that the model does not have are ignored."""
    return link.read_heads(st.query_params.get("off", ""), layers, heads)


def set_ablated_heads(off: Collection[tuple[int, int]]) -> None:
    """Write into the link which heads are switched off."""
    st.query_params["off"] = link.write_heads(off)
    if not off:
        del st.query_params["off"]


def flip_heads(config: DecoderConfig, layer: int, head: int | None) -> None:
    """Ablate a head or put it back; without a number, all heads of the layer."""
    heads = {(layer, head)} if head is not None else {(layer, n) for n in range(config.n_head)}
    off = ablated_heads(config.n_layer, config.n_head)
    set_ablated_heads(off - heads if heads <= off else off | heads)


def ask_next_token(label: str, top: int, key: str, tokenizer: Tokenizer) -> int:
    """Ask for a word that could come next; returns the id of its first token, or `top` while the box is empty."""
    (name,) = pieces(tokenizer, [top])
    word = st.text_input(label, key=key, bind="query-params", placeholder=name.strip()).strip()
    ids = tokenizer.encode(f" {word}").ids if word else [top]
    if len(ids) > 1:
        (first,) = visible(pieces(tokenizer, ids[:1]))
        st.caption(f"These are {len(ids)} tokens; the first one counts: {prose.literal(first)}")
    return ids[0]


def theme() -> str:
    """The visitor's theme: light or dark."""
    return st.context.theme.type or "light"


def picked_head(layers: int, heads: int, start: tuple[int, int]) -> tuple[int, int] | None:
    """The (layer, head) picked in the attention picture; None if it shows a mean.

    The picture reports it to the page if it is asked to; until then the link has it. A head that the model does not
    have counts as `start`, as it does in the picture.
    """
    in_link = [
        link.read_picked(st.query_params.get(name, str(first)), count)
        for name, first, count in zip(("layer", "head"), start, (layers, heads))
    ]
    layer, head = st.session_state.get("attention", {}).get("picked") or in_link
    if layer is None or head is None or not (0 <= layer <= layers and 0 <= head <= heads):
        return start
    return (layer, head) if layer < layers and head < heads else None


def head_names(layers: int, heads: int) -> list[str]:
    """The names of all heads, layer by layer: L0 H0, L0 H1, ..."""
    return [str(Head(layer, head)) for layer in range(layers) for head in range(heads)]


def token_picker(label: str, tokens: list[str], key: str | None = None) -> int:
    """The position of a picked token of the prompt, at first the last; with a key, the link holds it."""
    names = numbered(tokens)
    linked = {"key": key, "bind": "query-params"} if key else {}
    return names.index(st.selectbox(label, names, index=len(names) - 1, **linked))


def numbered(tokens: Sequence[str]) -> list[str]:
    """The tokens with their positions, since the same token may occur in a prompt twice."""
    return [f"{position}  {name}" for position, name in enumerate(visible(tokens))]
