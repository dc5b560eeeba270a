"""The controls that follow the user through all lessons. They are the state, and the link holds it."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import streamlit as st
from tokenizers import Tokenizer

from model.decoding import text_tree as tried
from model.decoding.text_tree import Branches
from model.language.tokenization import pieces
from pages.shared import fetching, models, prose
from pages.shared.prompts import EXAMPLES
from pages.shared.prose import Example
from viz.tokens import visible

LINKED, BOX = 2_000, 16  # characters of a text that a link can hold, and of a model's name that its box can


def line(label: str, start: str, key: str, **looks: Any) -> str:
    """A box for one line of text, kept in the link; the page follows while it is typed."""
    return st.text_input(label, start, key=key, bind="query-params", live=True, **looks)


def text(label: str, start: str, key: str, height: int) -> str:
    """A box for lines of text; as long as they are few, the link holds them."""
    st.session_state.setdefault(key, st.query_params.get(key, start))
    written = st.text_area(label, key=key, height=height, persist_state="session")
    if written != start and len(written) <= LINKED:
        st.query_params[key] = written
    else:
        st.query_params.pop(key, None)
    return written


def choice(label: str, offered: Sequence[str], start: str, key: str, **looks: Any) -> str:
    """One of some names, kept in the link; a link that names none means `start`."""
    picked = st.segmented_control(label, offered, default=start, key=key, bind="query-params", required=True, **looks)
    return picked or start


def up_to(label: str, most: int, start: int, key: str) -> int:
    """A slider from 0 to an end that another prompt or model moves, kept in the link; what is beyond it is the end."""
    if st.session_state.get(key, 0) > most:  # Streamlit would raise where the end comes nearer twice
        st.session_state[key] = most
    return st.slider(label, 0, most, start, key=key, bind="query-params")


def prompt(label: str = "Prompt", key: str = "prompt", start: str = EXAMPLES["Who gets the key?"].prompt) -> str:
    """The prompt box; a second one has a label, a key and a text of its own."""
    return line(
        label,
        start,
        key=key,
        placeholder="Type a few words",
        icon=":material/edit:",
        label_visibility="collapsed",
    )


def append(token: str) -> None:
    """Continue the prompt with a token that was clicked or drawn."""
    st.session_state["prompt"] += token


def branches(reading: models.Reading) -> tuple[Branches, int]:
    """The tree of what was tried with the model in hand, and the place of the prompt in it.

    The first tree comes from the link; a prompt that is none of a tree's texts is the root of a new one.
    """
    name, prompt = reading.model.name, reading.prompt
    grown = st.session_state.setdefault("branches", {})  # with each model
    if not grown and "tree" in st.query_params:
        try:
            grown[name] = tried.read(st.query_params["tree"], prompt, reading.model.tokenizer)
        except ValueError:
            st.warning("The link holds a tree of branches that does not fit its prompt; it was left out.")
            del st.query_params["tree"]  # said once
    tree = grown.get(name)
    if tree is None or prompt not in tree.texts():
        tree = Branches(prompt)
    return tree, tree.texts().index(prompt)


def take(reading: models.Reading, ids: Sequence[int]) -> None:
    """Continue the prompt with tokens that were clicked or drawn; in the tree, they are a branch."""
    tree, at = branches(reading)
    for id in ids:
        text = models.vocabulary(reading.model.name)[0][id]
        tree, at = tree.grow(at, id, text)
        append(text)
    st.session_state["branches"][reading.model.name] = tree


def examples(boxes: Mapping[str, str], offered: Mapping[str, Example]) -> None:
    """Buttons that fill the boxes, and a sentence on what to look for in the example that stands in them.

    Of each box it is told the key, and what stands in it; the first gets the prompt of an example.
    """
    first = next(iter(boxes))
    fills = [{first: example.prompt, **example.also} for example in offered.values()]
    stands = [all(fill.get(box) == text for box, text in boxes.items()) for fill in fills]
    with st.container(horizontal=True, gap="small"):
        for example, texts, chosen in zip(offered.values(), fills, stands):
            st.button(
                f":violet[**{example.name}**]" if chosen else example.name,
                key=f"example {example.name}",
                on_click=st.session_state.update,
                kwargs=texts,
            )
    for example, chosen in zip(offered.values(), stands):
        if chosen:
            st.markdown(f":material/lightbulb: {example.look_for}")


def picker(label: str = "Model", key: str = "model", start: str = models.NAMES[0]) -> str:
    """The model that is picked, which need not be here yet; a second picker has its own label, key and start."""
    if st.query_params.get(key, start) not in models.CATALOG:
        st.warning(f"The link asks for a model that is not here; you see {start}.")
    names = list(models.CATALOG)
    picked = st.selectbox(
        label,
        names,
        names.index(start),
        key=key,
        bind="query-params",
        label_visibility="collapsed",
    )
    if len(picked) > BOX:
        st.caption(prose.literal(picked))
    return picked


def model() -> str:
    """The name of the model in hand, which can be used."""
    return fetching.ready(picker())


def asked(offered: Mapping[str, Example] = EXAMPLES) -> tuple[str, str]:
    """Prompt and model side by side, and examples: the name of the model and the text. An empty one ends the page."""
    left, right = st.columns([4, 1])
    with right:
        picked = picker()
    with left:
        text = prompt()
    name = fetching.ready(picked)
    examples({"prompt": text}, offered)
    stop_if_empty(text)
    return name, text


def stop_if_empty(*texts: str) -> None:
    """The page ends here if one of the prompts is empty."""
    if not all(texts):
        st.info("The prompt is empty: type at least one word, or take an example.")
        st.stop()


def gpt2_tokenizer() -> dict[str, Tokenizer]:
    """GPT-2's tokenizer by its name, where it is here; else a button that fetches it, and nothing."""
    try:
        return {models.GPT2.name: models.gpt2_tokenizer()}
    except FileNotFoundError:
        fetching.fetch(*models.GPT2_TOKENIZER, "**GPT-2's own tokenizer** can be laid beside it: 1.4 MB.")
    except ValueError as error:
        st.warning(f"GPT-2's tokenizer cannot be used: {prose.literal(error)}. The page goes on without it.")
    return {}


def reading(offered: Mapping[str, Example] = EXAMPLES) -> models.Reading:
    """What the model in hand reads of the prompt, and how it computes; the page ends here if that is nothing."""
    return read(*asked(offered))


def read(name: str, text: str, called: str = "This prompt") -> models.Reading:
    """What the named model reads of a text that is not empty, and a sentence where that is not all of it."""
    found = models.read(name, text)
    cut(called, found)
    return found


def cut(called: str, *readings: models.Reading) -> None:
    """Say what models did not read of a text, if anything: of all of them at once."""
    said: dict[str, list[str]] = {}
    for found in readings:
        if found.cut_tokens or found.cut_characters:
            said.setdefault(_left_out(found), []).append(prose.literal(found.name))
    who = {how: " and ".join(dict.fromkeys(names)) if len(readings) > 1 else "the model" for how, names in said.items()}
    if who:
        st.warning("\n\n".join(f"{called} is longer than {names} can read at once {how}" for how, names in who.items()))


def _left_out(found: models.Reading) -> str:
    config, shown = found.model.gpt.config, found.model.reads
    limit = f"{shown:,} tokens"
    if shown < config.block_size:
        limit = (
            f"here, {shown:,} of its {config.block_size:,} tokens: what it computes for them takes "
            f"{config.kept(shown) / 1e6:.0f} MB of the server's memory"
        )
    characters = f", and {found.cut_characters:,} characters before those" if found.cut_characters else ""
    return f"({limit}). You see its end; the {found.cut_tokens:,} tokens before it were left out{characters}."


def cut_heads(layers: int, heads: int) -> set[tuple[int, int]]:
    """The heads that are switched off: as the link tells them, those that there are."""
    pairs = re.findall(r"(?a:(\d{1,3})\.(\d{1,3}))", st.query_params.get("off", ""))
    return {(int(layer), int(head)) for layer, head in pairs if int(layer) < layers and int(head) < heads}


def switch_off(off: Collection[tuple[int, int]]) -> None:
    """Write into the link which heads are switched off."""
    st.query_params["off"] = " ".join(f"{layer}.{head}" for layer, head in sorted(off))
    if not off:
        del st.query_params["off"]


def next_id(label: str, likeliest: int, key: str, tokenizer: Tokenizer) -> int:
    """A token that could come next, by a word that is typed; the likeliest while none is."""
    (name,) = pieces(tokenizer, [likeliest])
    word = st.text_input(label, key=key, bind="query-params", placeholder=name.strip()).strip()
    ids = tokenizer.encode(f" {word}").ids if word else [likeliest]
    if len(ids) > 1:
        (first,) = visible(pieces(tokenizer, ids[:1]))
        st.caption(f"These are {len(ids)} tokens; the first one counts: {prose.literal(first)}")
    return ids[0]


def theme() -> str:
    """The theme that the visitor sees: light or dark."""
    return st.context.theme.type or "light"


def head(layers: int, heads: int, start: tuple[int, int]) -> tuple[int, int] | None:
    """The layer and head picked in the picture of attention; None where it shows a mean.

    The picture tells the page where it was asked to; until then its link knows. A head that does
    not exist counts as `start`, as it does in the picture.
    """

    def number(name: str, count: int, otherwise: int) -> int:
        text = st.query_params.get(name, str(otherwise))
        if text == "mean":
            return count
        return int(text) if re.fullmatch("[0-9]{1,3}", text) and int(text) < count else -1

    in_link = number("layer", layers, start[0]), number("head", heads, start[1])
    layer, head = st.session_state.get("attention", {}).get("picked") or in_link
    if not (0 <= layer <= layers and 0 <= head <= heads):
        return start
    return (layer, head) if layer < layers and head < heads else None


def head_names(layers: int, heads: int) -> list[str]:
    """The heads as one picks them, layer by layer."""
    return [f"L{layer} H{head}" for layer in range(layers) for head in range(heads)]


def token(label: str, tokens: list[str], key: str | None = None) -> int:
    """The position of one of the prompt's tokens, the last one to begin with; with a key, the link holds it."""
    names = numbered(tokens)
    linked = {"key": key, "bind": "query-params"} if key else {}
    return names.index(st.selectbox(label, names, index=len(names) - 1, **linked))


def numbered(tokens: Sequence[str]) -> list[str]:
    """The tokens as one picks them: the same word may stand in a prompt twice."""
    return [f"{n}  {name}" for n, name in enumerate(visible(tokens))]
