"""The mask leak: what a model sees, and what it learns, without the causal mask."""

import streamlit as st

from model.training import mask_leak
from pages.shared import components, controls, lesson, prose
from pages.shared.compute import interpretability, training
from pages.shared.compute.readings import Reading
from pages.shared.runtime import job_view
from viz.charts import curves

PROSE = prose.of(__file__)
GUESSES = (f"{mask_leak.HONEST_LOSS:.2f} = ln 16", f"{mask_leak.LEAKED_LOSS:.2f} = ln 16 / 12", "0")
RIGHT = GUESSES[1]


def show_later_word(reading: Reading) -> None:
    """Replace the last token, and draw whether the predictions before it change."""
    word = controls.text_line("Put another word in place of the last one", "dog", key="last")
    id = reading.model.tokenizer.encode(f" {word.strip()}").ids[0]
    moved = interpretability.replace_last_token(reading, id)
    st.markdown("How far the prediction after each token moves (KL divergence, in nats):")
    components.token_bar_rows("later word", {name: (reading.tokens, row) for name, row in moved.items()}, full=1)


def show_training() -> None:
    """Ask for a guess of the loss without the mask; then train two small models, and draw their losses."""
    question = "**Predict**: each word is drawn at random from 16. Where does the loss end without the mask?"
    guess = st.pills(question, GUESSES, key="guess")
    st.caption("Two small GPT-2s are trained here, whichever model is picked above; a Llama has the same mask.")
    if guess is None:
        return
    results = job_view.show("Training two small models on random words", training.train_mask_leak())
    if results is None:
        return
    losses = training.mask_leak_losses(results[0])
    st.altair_chart(curves.several(losses, "step", "loss, in nats", picked="mask off"))
    final = {name: mask_leak.final_loss(values) for name, values in losses.items()}
    st.markdown(
        f"{':material/check: Right' if guess == RIGHT else ':material/close: Not so'}. Over the last 20 steps: "
        f"**{final['mask off']:.3f}** without the mask (ln 16 / 12 = {mask_leak.LEAKED_LOSS:.3f}), "
        f"**{final['mask on']:.3f}** with it (ln 16 = {mask_leak.HONEST_LOSS:.3f}). The first looks better, and is "
        "worth nothing: when it has to write, the next word is not there yet, and its loss is "
        f"**{final['mask off, but on to write']:.1f}**."
    )


lesson.title(PROSE)
PROSE.section("intro")
reading = controls.ask_prompt(PROSE.examples())
left, right = st.columns(2, gap="large")
with left:
    show_later_word(reading)
with right:
    show_training()
lesson.close(PROSE, mask_leak.train)
