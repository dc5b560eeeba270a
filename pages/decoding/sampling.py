"""Sampling: from the logits to the next token."""

import math

import streamlit as st

from model.decoding import beam_search, sampling
from pages.shared import components, controls, lesson, link, models, prose
from pages.shared.compute import decoding, readings

PROSE = prose.of(__file__)
NAMED, WRITTEN = 10_000, 30  # tokens that have a name in the picture, the likeliest; tokens that are written at once
NEXT = 5  # likeliest tokens that can be taken in the tree


lesson.title(PROSE)
reading = controls.ask_prompt(PROSE.examples())
model, prompt = reading.model, reading.prompt
texts, typable = models.vocabulary(model)
logits, ids = reading.trace.logits[0], reading.trace.idx[0].tolist()
named = range(len(texts)) if len(texts) <= NAMED else logits[-1].topk(NAMED).indices.tolist()
components.sampling_chain(
    logits[-1].numpy(),
    named,
    [texts[id] for id in named],
    [typable[id] for id in named],
    ids,
    readings.true_next(reading),
    on_take=lambda id: controls.append_tokens(reading, [id]),
    on_write=lambda request: st.session_state.update(written=(prompt, request)),
)

likeliest = logits[-1].softmax(-1).topk(min(NEXT, logits.shape[-1]))
if likeliest.values[0] > 0.95:
    st.caption(
        ":material/lightbulb: Here one token has nearly all the probability; the examples above leave more choice."
    )
written_after, request = st.session_state.setdefault("written", (prompt, st.query_params.get("written")))
if request is None or written_after != prompt:
    st.query_params.pop("written", None)
else:
    try:
        seed, chains = link.read_chains(request)
        texts_by_chain = {label: decoding.write(reading, chain, seed, WRITTEN) for label, chain in chains.items()}
    except (ValueError, OverflowError, RuntimeError) as error:
        st.warning(f"This cannot be written: {prose.literal(error)}")
        st.session_state["written"] = prompt, None
    else:
        if st.query_params.get("written") != request:
            st.query_params["written"] = request
        steps = [", ".join(f"{step} {value:g}" for step, value in chain) or "no step" for chain in chains.values()]
        how = " (A) and ".join(steps) + " (B)" * (len(steps) > 1)
        st.markdown(f"**Written on** with {how}, seed {seed}. Above each token stands its surprise, in nats.")
        rows = {
            label: ([texts[id] for id, _ in row], [surprise for _, surprise in row])
            for label, row in texts_by_chain.items()
        }
        components.token_bar_rows("written", rows, full=5)

PROSE.section("tree")
tree, at = controls.text_tree(reading)
places = tree.texts()
shares, likeliest = (row.tolist() for row in likeliest)
components.text_tree(
    tree.root,
    [(parent, text, readings.next_probability(model, places[parent], id)) for parent, id, text in tree.tokens],
    at,
    [(texts[id], share, typable[id]) for id, share in zip(likeliest, shares)],
    link.write_tree(tree) if tree.tokens else "",
    on_go=lambda place: st.session_state.update(prompt=places[place]),
    on_take=lambda number: controls.append_tokens(reading, [likeliest[number]]),
)

PROSE.section("beams")
left, right = st.columns(2, gap="large")
width = left.slider(
    "Width: texts that are kept at each step", 1, beam_search.MAX_WIDTH, 3, key="width", bind="query-params"
)
length = right.slider("Length in tokens", 1, beam_search.MAX_LENGTH, 5, key="length", bind="query-params")
search, greedy = (decoding.search_beams(reading, wide, length) for wide in (width, 1))
components.beam_search(
    reading.tokens[-1],
    [[(beam, texts[id], typable[id], log_p, total) for beam, id, log_p, total in step] for step in search.steps],
    width,
    on_take=lambda step, row: controls.append_tokens(reading, [token.id for token in search.path(step, row)]),
)
paths = {"greedy": greedy.path(length - 1, 0), "best beam": search.path(length - 1, 0)}
rows = {label: ([texts[token.id] for token in path], [-token.log_p for token in path]) for label, path in paths.items()}
greedy_total, best = (path[-1].total for path in paths.values())
times = f"{math.exp(abs(best - greedy_total)):.2f} times as likely"
same = rows["greedy"][0] == rows["best beam"][0]
verdict = "the same text" if same else times if best > greedy_total else f"greedy {times}"
st.markdown(
    f"Greedy ends at a total of **{greedy_total:.2f} nats**, the best beam at **{best:.2f} nats**: **{verdict}**. "
    "Above each token stands its surprise; the surprises of a row add up to its total, without the sign."
)
components.token_bar_rows("greedy and beam", rows, full=5)

PROSE.section("beams-use")

PROSE.section("surprise")
_, *surprises = reading.surprises
components.token_bars("surprises", reading.tokens, reading.surprises, full=5)
if surprises:
    mean = sum(surprises) / len(surprises)
    bits = mean / math.log(2)
    st.markdown(
        f"**{mean:.2f} nats** per token on average ({bits:.2f} bits): a perplexity of **{math.exp(mean):.1f}**."
    )

lesson.close(PROSE, *sampling.STEPS.values(), sampling.sample_tokens, beam_search.search)
