"""Positions: how a model knows in which order the words stand."""

import random

import streamlit as st
import torch

from model.language.tokenization import pieces
from model.transformer import position_schemes, positions
from model.transformer.intervention import Interventions
from pages.shared import components, controls, lesson, prose
from pages.shared.compute import training
from pages.shared.runtime.queue import permit
from viz.charts import curves
from viz.charts import heatmaps as matrices

PROSE = prose.of(__file__)
DRAWN, MATRIX = 32, 240  # tokens in a matrix of this page, and how wide it is, in pixels
ROWS = 128  # positions that are drawn of a whole table: a picture has no more rows that can be told apart
ONE, OTHER, TAKEN = "dog bites man", "man bites dog", 12  # two orders; words of the prompt that are taken
STEPS = 7  # of the rotation that is tried
PLACES = [(5, 2), (105, 102), (1005, 1002), (5, 3)]  # of a query and a key
SMOOTH = 9  # positions


@st.fragment
def added(table: torch.Tensor) -> None:
    """Draw the vectors (positions, C) that are added to the tokens, one dimension of them, and their dot products.

    The slider and the switch in it leave the rest of the page as it is, which takes longer.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**What is added** to each token: {table.shape[1]} numbers, a row for each position.")
        every = st.toggle(f"All {len(table):,} positions", key="every", bind="query-params")
    step = -(-len(table) // ROWS) if every else 1
    rows = table[::step] if every else table[: len(tokens)]
    st.plotly_chart(matrices.vectors(tokens, rows.numpy(), step, theme), key="added", config=components.NO_TOOLBAR)
    if step > 1:
        st.caption(f"Drawn is one of every {step} of the {len(table):,} positions; the curves below hold them all.")
    left, right = st.columns(2)
    with left:
        dimension = controls.bounded_slider("Dimension", table.shape[1] - 1, 8, key="dimension")
        st.altair_chart(curves.wave(table[:, dimension].numpy(), tokens, f"dimension {dimension}"))
    with right:
        spread = positions.by_distance(table)
        rise = positions.first_rise(spread[:, 0].tolist())
        st.markdown("**The dot product of two rows**, by the distance between them (mean, least and largest)")
        st.altair_chart(curves.by_distance(spread.numpy(), rise, "dot product", theme))


def rotated() -> None:
    """Show in numbers that STEPS steps on is a rotation, the same one everywhere."""
    waves, M = positions.sinusoidal(gpt.config.block_size + STEPS, size), positions.rotation_matrix(STEPS, size)
    before, after, at = waves[:-STEPS], waves[STEPS:], len(tokens) - 1
    turned = before @ M.T
    st.markdown(
        f"**{STEPS} steps on is one rotation**, PE(p + {STEPS}) = M · PE(p), with the same M for every p: over all "
        f"positions and dimensions the largest error is {(turned - after).abs().max():.0e}. At your last token:"
    )
    rows = {f"PE({at})": before, f"M · PE({at})": turned, f"PE({at + STEPS})": after}
    columns = [f"dimension {n}" for n in range(8)]
    st.dataframe([{"": name} | dict(zip(columns, row[at].tolist())) for name, row in rows.items()], hide_index=True)


def turned(q: torch.Tensor, k: torch.Tensor) -> None:
    """Draw how RoPE turns a query (T, D), and the scores of the last one and the first key (T, D) at some places."""
    pairs = q.shape[1] // 2
    a_step = positions.angles(torch.ones(1), pairs)[0].rad2deg()
    hands = positions.rotate(q[-1].expand(len(tokens), -1), torch.arange(len(tokens)))
    st.markdown(
        f"**The hands of the last token’s :blue[query]** in L0 {picked}, turned as at each position of your prompt: "
        f"four of its {pairs} pairs of dimensions. The line is position 0."
    )
    with st.container(horizontal=True):
        for pair in (0, pairs // 8, pairs // 4, pairs // 2):
            clock = curves.clock(
                hands[:, [pair, pair + pairs]].numpy(), f"pair {pair}: {a_step[pair]:.3g}° a step", theme
            )
            st.altair_chart(clock, width="content")
    st.markdown("**The same two at other places**: the score of that query and the first token’s :red[key].")
    rows = []
    for query, key in PLACES:
        one, other = positions.rotate(q[-1:], torch.tensor([query])), positions.rotate(k[:1], torch.tensor([key]))
        score = (one @ other.T).item() / q.shape[1] ** 0.5
        rows.append({"query at": query, "key at": key, "distance": query - key, "score": score})
    st.dataframe(rows, hide_index=True, column_config={"score": st.column_config.NumberColumn(format="%.9f")})


def taken_off() -> None:
    """Draw what ALiBi takes off the scores, in each head by distance, and in the picked one between the tokens."""
    slopes = positions.alibi_slopes(gpt.config.n_head).tolist()
    st.markdown(f"**What is taken off a score.** The slope of {picked} is {slopes[head]:.4g}.")
    left, right = st.columns(2)
    falls = {f"H{n}": [-slope * distance for distance in range(DRAWN)] for n, slope in enumerate(slopes)}
    left.altair_chart(curves.several(falls, "distance", "added to the score", picked=picked))
    bias = positions.alibi(len(slopes), len(tokens))[head].numpy()
    (figure,) = matrices.scores({f"added in {picked}": (tokens, bias)}, theme)
    right.plotly_chart(figure, key="bias", config=components.NO_TOOLBAR)


def take_the_prompt() -> None:
    words = st.session_state["prompt"].split()[:TAKEN]
    st.session_state.update(one=" ".join(words), other=" ".join(words[::-1]))


def shuffle() -> None:
    words = st.session_state["one"].split()
    st.session_state["other"] = " ".join(random.sample(words, len(words)))


def moves(words: list[str], places: list[int], changes: Interventions) -> None:
    """Draw how far each token of the words moves when they stand in the order of `places`."""
    tokenizer = reading.model.tokenizer
    ids = [tokenizer.encode(f" {word}").ids for word in words]  # each behind a space, so that it is the same anywhere
    flat = torch.tensor(sum(ids, []))
    spans = torch.arange(len(flat)).split([len(part) for part in ids])
    order = torch.cat([spans[place] for place in places])
    if len(flat) > DRAWN:
        st.info(f"These are {len(flat):,} tokens; the pictures here hold {DRAWN}. Take fewer words, or shorter ones.")
        return
    with permit():
        found = position_schemes.reordered(gpt, flat, order.tolist(), changes)
    once, again = pieces(tokenizer, flat.tolist()), pieces(tokenizer, flat[order].tolist())
    left, right = st.columns([1, 3], gap="large")
    with left:
        components.token_bars("moved", once, found.moved.tolist(), full=1)
        if (most := found.moved.max().item()) < 1e-4:
            st.markdown(f"**The order is not seen.** Nothing moves by more than {most:.0e}, and that is rounding.")
        else:
            by = [f"by its {name}" for name, on in vars(changes).items() if on]
            st.markdown(
                f"**The order is seen**, {' and '.join(by)}: one token moves by {most:.0%} of its length. "
                "(How far says little where something is switched off: it never learned to read so.)"
            )
    one, other = (trace.blocks[0].attn.pattern[0, head] for trace in (found.original, found.other))
    back = order.argsort()
    drawn = {
        f"L0 {picked}, one order": (once, one.numpy()),
        "the other order": (again, other.numpy()),
        "the other, put back": (once, other[back][:, back].numpy()),
    }
    for n, (column, figure) in enumerate(zip(right.columns(3), matrices.patterns(drawn, theme))):
        column.plotly_chart(figure, key=f"order {n}", config=components.NO_TOOLBAR)


@st.fragment
def two_orders() -> None:
    """Ask for two orders of the same words, and draw what comes of them; the rest of the page stays as it is."""
    PROSE.section("order")
    left, right = st.columns(2)
    one = left.text_input("One order", ONE, key="one", bind="query-params").split()
    other = right.text_input("Another order of the same words", OTHER, key="other", bind="query-params").split()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Shuffle", icon=":material/shuffle:", on_click=shuffle)
        st.button("Take the words of the prompt", on_click=take_the_prompt)
        changes = Interventions(
            positions=st.toggle("Positions", True, key="positions", bind="query-params"),
            mask=st.toggle("Mask", True, key="mask", bind="query-params"),
        )
    if max(len(one), len(other)) > DRAWN:
        st.info(
            f"These are {max(len(one), len(other)):,} words; the pictures here hold {DRAWN} tokens. Take fewer words."
        )
        return
    try:
        places = position_schemes.order(one, other)
    except ValueError:
        st.info("These are not the same words: each word must stand in both boxes, and equally often.")
    else:
        if places:
            moves(one, places, changes)
        else:
            st.info("There are no words to compare: type some into both boxes.")


lesson.title(PROSE)
reading = controls.ask_prompt(PROSE.examples())
gpt, tokens, idx = reading.model.decoder, reading.tokens[:DRAWN], reading.trace.idx[:, :DRAWN]
size, names = gpt.config.n_embd, [f"H{n}" for n in range(gpt.config.n_head)]
theme, schemes = controls.theme(), position_schemes.schemes(gpt)  # the model's own scheme comes first

left, right = st.columns([3, 2])
with left:
    scheme = controls.choice(
        "Positions are told by",
        schemes,
        schemes[0],
        key="scheme",
        format_func=lambda scheme: f"{scheme} (this model)" if scheme == schemes[0] else scheme,
    )
with right:
    picked = controls.choice("Head of the first layer", names, names[reading.model.looks_back], key="first", wrap=True)
head = names.index(picked)
attention = {scheme: position_schemes.first_attention(gpt, idx, scheme) for scheme in schemes}

left, right = st.columns([5, 2], gap="large")
match scheme:
    case "learned":
        with left:
            added(gpt.W_pos)
        with right:
            PROSE.section("learned")
    case "sinusoidal":
        with left:
            added(positions.sinusoidal(gpt.config.block_size, size))
            rotated()
        with right:
            PROSE.section("sinusoidal")
    case "RoPE":
        with left:
            turned(*(part[0, head].double() for part in (attention["none"].q, attention["none"].k)))
        with right:
            PROSE.section("rope")
    case "ALiBi":
        with left:
            taken_off()
        with right:
            PROSE.section("alibi")
    case "none":
        with left:
            st.markdown("**The first token’s share** for a head that looks at all tokens alike: 1, 1/2, 1/3, …")
            components.token_bars("shares", tokens, [1 / (n + 1) for n in range(len(tokens))], full=1)
        with right:
            PROSE.section("none")

PROSE.section("schemes")
field = controls.choice("Show", ["weights", "scores"], "weights", key="shown")
draw, name = {"weights": (matrices.patterns, "pattern"), "scores": (matrices.scores, "scores")}[field]
figures = draw({scheme: (tokens, getattr(attention[scheme], name)[0, head].numpy()) for scheme in schemes}, theme)
with st.container(horizontal=True):
    for n, figure in enumerate(figures):
        st.plotly_chart(figure, key=f"scheme {n}", config=components.NO_TOOLBAR, width=MATRIX)
if len(reading.tokens) > DRAWN:
    st.caption(f"Drawn are the first {DRAWN} of {len(reading.tokens)} tokens.")

two_orders()
PROSE.section("length")
beyond, context = training.BEYOND, training.BEYOND["context"]
left, right = st.columns([3, 2], gap="large")
left.altair_chart(curves.beyond(beyond["loss"], context, SMOOTH, scheme, theme))
with right:
    parts = [(1, context), (context + 1, 2 * context), (3 * context + 1, 4 * context)]
    rows = [
        {"scheme": scheme}
        | {f"{first} to {last}": round(sum(losses[first - 1 : last]) / context, 3) for first, last in parts}
        for scheme, losses in beyond["loss"].items()
    ]
    st.dataframe(rows, hide_index=True)
    config = beyond["config"]
    st.caption(
        f"The mean loss, in nats per token, over {beyond['rows']:,} rows told with another seed; each curve is "
        f"smoothed over {SMOOTH} positions, but not across the line. Five models of {config['n_layer']} layers of "
        f"{config['n_head']} heads, width {config['n_embd']}, had the same first weights and read the same "
        f"{beyond['steps']:,} batches of {beyond['batch']} rows. The vectors of *learned* behind position {context} "
        "were never trained: they are as they were drawn at the start. All this is made by"
    )
    made = " ".join(f"--{name} {beyond[name]}" for name in ("steps", "rows", "seed", "threads"))
    st.code(f"python -m model.training.length_extrapolation {made}", language="bash", wrap_lines=True)

shown = [positions.angles, positions.sinusoidal, positions.rotate, positions.alibi_slopes, positions.alibi]
lesson.close(PROSE, *shown, position_schemes.PositionedAttention, position_schemes.reordered)
