"""Two models on one prompt: tokens, next words, the cost of the text, and attention."""

from collections.abc import Mapping

import streamlit as st

from model.interpretability import comparison
from model.language.surprise import surprises
from pages.shared import components, controls, fetching, lesson, models, prose
from pages.shared.compute import readings, two_readings
from pages.shared.compute.readings import Reading
from pages.shared.compute.two_readings import TextCost
from viz.charts import bars

PROSE = prose.of(__file__)
SHOWN_CHARACTERS, SHOWN_WORDS = 600, 6
PROMPTS = "interpretability/two_prompts"
VIEW, PROMPTS_VIEW = "compare", "Two prompts"  # an old link asks for two prompts by this key and value


def open_two_prompts() -> None:
    """Open the lesson on two prompts, if an old link asks for it."""
    if st.query_params.get(VIEW) == PROMPTS_VIEW:
        carried = {key: value for key, value in st.query_params.to_dict().items() if key != VIEW}
        default = prose.of(str(prose.PAGES / f"{PROMPTS}.py")).examples()["Who gives?"].also["prompt2"]
        st.switch_page(f"{PROMPTS}.py", query_params={"prompt2": default} | carried)


def ask_readings() -> tuple[str, Reading, Reading]:
    """Ask for a prompt and two models; returns the prompt and the reading of each."""
    left, *rights = st.columns([5, 2, 2])
    with left:
        text = controls.prompt_box()
    with rights[0], controls.lettered("A"):
        names = [controls.model_picker()]
    with rights[1], controls.lettered("B"):
        names.append(controls.model_picker("Other model", "model2", models.NAMES[-1]))
    # A model that stands in would be compared with itself.
    ready = {name: fetching.ready(name, others=()) for name in dict.fromkeys(names)}
    controls.example_buttons({"prompt": text}, PROSE.examples())
    controls.stop_if_empty(text)
    a, b = (readings.read(ready[name], text) for name in names)
    controls.warn_if_cut("This prompt", a, b)
    return text, a, b


def show_tokens(named: Mapping[str, Reading], text: str) -> None:
    """Draw how each model cuts the beginning of the text into tokens."""
    shown = text[:SHOWN_CHARACTERS]
    cuts = [(name, *two_readings.cut(reading.model, shown)) for name, reading in named.items()]
    components.token_cuts(shown, cuts, chips=False)
    if len(text) > SHOWN_CHARACTERS:
        st.caption(f"Drawn are the first {SHOWN_CHARACTERS} of {len(text):,} characters.")


def describe(reading: Reading, cost: TextCost) -> dict[str, str]:
    """A column of the table: what the text costs a model, and the sizes of the model."""
    config, per_token = reading.model.decoder.config, cost.per_token
    return {
        "surprise per byte": "–" if cost.per_byte is None else f"**{cost.per_byte:.2f} bits**",
        "surprise per token": "–" if per_token is None else f"{per_token:.2f} bits (perplexity {2**per_token:,.1f})",
        "tokens": f"{len(reading.tokens):,} of {config.vocab_size:,} that it knows",
        "next word: undecided by": f"{cost.entropy:.2f} bits",
        "next word: from the truth": "not known" if cost.divergence is None else f"{cost.divergence:.2f} bits",
        "size": f"{config.n_layer} layers × {config.n_head} heads, {reading.model.bytes / 4e6:,.1f} M weights",
    }


def show_costs(named: Mapping[str, Reading], text: str) -> None:
    """Draw the table of what the text costs each model."""
    size, costs = two_readings.text_costs(*named.values())
    columns = {prose.literal(name): describe(named[name], cost) for name, cost in zip(named, costs)}
    rows = next(iter(columns.values()))
    st.table([{"": row} | {name: column[row] for name, column in columns.items()} for row in rows], hide_index=True)
    st.caption(
        f"The surprise is that of the last {size:,} of {len(text.encode()):,} bytes, which both have guessed."
        if size
        else "The surprise needs a second token: nothing is guessed before the first."
    )
    PROSE.section("numbers")


open_two_prompts()
lesson.title(PROSE)
text, a, b = ask_readings()
named = {f"{letter} · {reading.model.name}": reading for letter, reading in zip("AB", (a, b))}
show_tokens(named, text)
left, right = st.columns(2, gap="large")
with left:
    st.markdown("**What comes next**: the likeliest words of both, and the rank (#) of each")
    words, guesses = two_readings.next_tokens(a, b, two_readings.likeliest_pairs(a, b, SHOWN_WORDS))
    st.altair_chart(bars.beside(words, guesses, controls.theme()), key="next words")
with right:
    show_costs(named, text)
for column, (name, reading), link in zip(st.columns(2, gap="large"), named.items(), ("", "2")):
    with column:
        st.markdown(f"**Where {prose.literal(name)} looks**")
        components.attention(reading.tokens, reading.trace.patterns.numpy(), start=reading.model.start, link=link)
lesson.close(PROSE, comparison.common_suffix, surprises, comparison.match_tokens)
