"""The logit lens: what the model would predict at each layer."""

import streamlit as st

from model.interpretability import logit_lens
from pages.shared import components, controls, lesson, models, prose, selection
from pages.shared.compute import interpretability
from pages.shared.compute.readings import Reading
from viz.components.lens_grid import READOUTS

PROSE = prose.of(__file__)
PLACES = dict(zip(("before it", "after its attention", "after its MLP"), logit_lens.PLACES))
AFTER = "after its MLP"
WINDOW = 32  # tokens in the grid: each is a whole vocabulary of logits in each layer
OWN_KEYS = ("readout", "place", "from")
ATTRIBUTION = "interpretability/attribution"


def ask_window(reading: Reading) -> tuple[int, int]:
    """The first of the tokens in the grid, and the selected position among them."""
    position, first = selection.position(reading), max(0, len(reading.tokens) - WINDOW)
    if first:
        first = controls.bounded_slider(f"The first of {WINDOW} tokens shown", first, first, key="from")
        position = min(max(position, first), first + WINDOW - 1)
    return first, position


def draw_grid(reading: Reading, first: int, position: int, readout: str, place: str, answer: int) -> None:
    """Draw the prediction at one place of each layer; a click selects a position."""
    texts, tokens = models.vocabulary(reading.model).texts, reading.tokens[first : first + WINDOW]
    follow = answer if readout in ("probability", "rank") else None
    lens = interpretability.read_lens(reading, PLACES[place], first, len(tokens), follow)
    layers = [f"L{layer}" for layer in range(reading.model.decoder.config.n_layer)]
    components.lens_grid(
        tokens,
        first,
        on_pick=lambda clicked: selection.select_position(reading.prompt, clicked),
        rows=[*layers[:-1], f"{layers[-1]} = output"] if place == AFTER else [*layers, "output"],
        words={id: texts[id] for id in lens.ids.unique().tolist()},
        ids=lens.ids.numpy(),
        shares=lens.log_p.exp().numpy(),
        entropy=lens.entropy.numpy(),
        kl=lens.kl.numpy(),
        vocabulary=len(texts),
        readout=readout,
        picked=position,
        followed=None if follow is None else (texts[answer], lens.followed.exp().numpy(), lens.rank.numpy()),
    )


lesson.redirect(OWN_KEYS, {ATTRIBUTION: ("rival",)})
lesson.title(PROSE)
reading = controls.ask_prompt(PROSE.examples())
first, position = ask_window(reading)
logits = reading.trace.logits[0, position]
choices, notes = st.container(horizontal=True), st.container()
with choices:
    readout = controls.choice("Show in each cell", list(READOUTS), "top token", key="readout")
    place = controls.choice("Read the stream of each layer", list(PLACES), AFTER, key="place")
    answer = selection.next_token("Answer", "answer", reading.model, logits, logits.argmax().item(), notes)
draw_grid(reading, first, position, readout, place, answer)
here = prose.bold(reading.tokens[position])
st.markdown(f"After {here} (position {position}) the output is {prose.bold(reading.model.token(logits.argmax()))}.")
st.page_link(
    f"{ATTRIBUTION}.py", label="Which parts pushed it? Open this position in Attribution", query_params=st.query_params
)
lesson.close(PROSE, logit_lens.logits, logit_lens.read, logit_lens.fill)
