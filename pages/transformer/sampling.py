"""Sampling: from the logits to the next token."""

import inspect
import math

import streamlit as st

from model import sampling
from model.tokens import is_typable, pieces
from pages.shared import controls, models, prose, views

PAGE = "transformer/sampling"
NAMED, WRITTEN = 10_000, 30  # likeliest tokens that have a name in the picture, tokens that are written at once

st.subheader("Sampling: how does a model choose the next word?")
reading = controls.reading()
_, gpt, tokenizer, *_ = reading.model
logits, read = reading.trace.logits[0], reading.trace.idx[0].tolist()


def write(asked: object) -> None:
    """Keep what the chain of the picture asks for; the page writes it below."""
    st.session_state["written"] = reading.prompt, asked


named = logits[-1].topk(min(NAMED, logits.shape[-1])).indices.tolist()
views.sampling(
    logits[-1].numpy(),
    named,
    pieces(tokenizer, named),
    [is_typable(tokenizer, id) for id in named],
    read,
    models.truth(reading.model.name, reading.prompt)[-1],
    on_take=lambda id: controls.append(pieces(tokenizer, [id])[0]),
    on_write=write,
)

prompt, asked = st.session_state.get("written", ("", None))
if prompt == reading.prompt:
    try:
        chain = [(str(name), float(value)) for name, value in asked["chain"]]
        written = sampling.write(gpt, read, chain, int(asked["seed"]))
        ids, surprises = zip(*(next(written) for _ in range(WRITTEN)))
    except (KeyError, TypeError, ValueError, OverflowError, RuntimeError) as error:
        st.warning(f"This cannot be written: {error}")
    else:
        steps = ", ".join(f"{step} {value:g}" for step, value in chain) or "no step"
        st.markdown(f"**Written on** with {steps}, seed {asked['seed']}; above each token its surprise, in nats.")
        views.strip("written", pieces(tokenizer, ids), surprises, full=5)

prose.section(PAGE, "How surprising was your text?")
log_probabilities = logits[:-1].log_softmax(-1)
surprises = [-row[id].item() for row, id in zip(log_probabilities, read[1:])]
views.strip("surprises", reading.tokens, [math.nan, *surprises], full=5)
if surprises:
    mean = sum(surprises) / len(surprises)
    bits = mean / math.log(2)
    st.markdown(f"**{mean:.2f} nats** a token on average ({bits:.2f} bits): a perplexity of **{math.exp(mean):.1f}**.")

left, right = st.columns(2, gap="large")
with left:
    prose.section(PAGE, "What to notice")
with right:
    prose.section(PAGE, "What temperature is not")
prose.section(PAGE, "The code that computed this")
st.code("\n\n".join(map(inspect.getsource, [*sampling.STEPS.values(), sampling.write])), language="python")
