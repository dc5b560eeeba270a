"""Pictures of five schemes of positions, each drawn from its own numbers: what it adds, rotates or subtracts."""

import streamlit as st

from model.transformer import positions
from pages.shared import components, controls
from pages.shared.compute import transformer
from pages.shared.compute.readings import Reading
from pages.shared.models import Model
from viz.charts import curves, heatmaps

DRAWN = 32  # tokens in a picture
ROWS = 128  # rows of a table that are drawn at most: more cannot be told apart
STEPS = 7  # of the shift of sinusoids that is computed
PLACES = ((5, 2), (105, 102), (1005, 1002), (5, 3))  # positions of a query and a key


def draw_scheme(scheme: str, reading: Reading, head: int, theme: str) -> None:
    """Draw what a scheme adds, rotates or subtracts, from its own numbers."""
    model, tokens = reading.model, reading.tokens[:DRAWN]
    match scheme:
        case "learned" | "sinusoidal":
            _draw_vectors(model, scheme, tokens, theme)
            if scheme == "sinusoidal":
                _show_shift(model, len(tokens) - 1)
        case "RoPE":
            _draw_rotation(reading, head, theme)
        case "ALiBi":
            _draw_penalties(model.decoder.config.n_head, head, tokens, theme)
        case "none":
            st.markdown("**The first token’s share** for a head that looks at all tokens alike: 1, 1/2, 1/3, …")
            components.token_bars("shares", tokens, [1 / (n + 1) for n in range(len(tokens))], full=1)


@st.fragment
def _draw_vectors(model: Model, scheme: str, tokens: list[str], theme: str) -> None:
    """Draw the vectors that are added to the tokens, one dimension of them, and their dot products by distance.

    A fragment: its slider and its switch leave the rest of the page, which takes longer, as it is.
    """
    vectors, limit = transformer.position_vectors(model, scheme), model.decoder.config.block_size
    count = f"All {limit:,}" if len(vectors) == limit else f"The first {len(vectors):,} of {limit:,}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**What is added** to each token: {vectors.shape[1]} numbers, a row for each position.")
        every = st.toggle(f"{count} positions", key="every", bind="query-params")
    step = -(-len(vectors) // ROWS) if every else 1
    rows = vectors[::step] if every else vectors[: len(tokens)]
    figure = heatmaps.vectors(tokens, rows.numpy(), step, theme)
    st.plotly_chart(figure, key="added", config=components.NO_TOOLBAR)
    if step > 1:
        st.caption(f"Drawn is one of every {step} of the {len(vectors):,} positions; the curves below hold them all.")
    left, right = st.columns(2)
    with left:
        dimension = controls.bounded_slider("Dimension", vectors.shape[1] - 1, 8, key="dimension")
        st.altair_chart(curves.wave(vectors[:, dimension].numpy(), tokens, f"dimension {dimension}"))
    with right:
        spread, rise = transformer.products_by_distance(model, scheme)
        st.markdown("**The dot product of two rows**, by the distance between them (mean, least and largest)")
        st.altair_chart(curves.by_distance(spread.numpy(), rise, "dot product", theme))


def _show_shift(model: Model, last: int) -> None:
    """Show in numbers that sinusoids STEPS positions later are the same rotation everywhere."""
    shift = transformer.shift_sinusoids(model, STEPS, last)
    st.markdown(
        f"**{STEPS} steps on is one rotation**, PE(p + {STEPS}) = M · PE(p), with the same M for every p: over all "
        f"positions and dimensions the largest error is {shift.error:.0e}. At your last token:"
    )
    rows = {f"PE({last})": shift.before, f"M · PE({last})": shift.rotated, f"PE({last + STEPS})": shift.after}
    columns = [f"dimension {n}" for n in range(8)]
    st.dataframe([{"": name} | dict(zip(columns, row)) for name, row in rows.items()], hide_index=True)


def _draw_rotation(reading: Reading, head: int, theme: str) -> None:
    """Draw how RoPE rotates the last token's query, and its scores with the first token's key at some places."""
    rotation = transformer.rotate_query(reading, head, DRAWN, PLACES)
    pairs = len(rotation.degrees)
    st.markdown(
        f"**The hands of the last token’s :blue[query]** in L0 H{head}, rotated as at each position of your prompt: "
        f"four of its {pairs} pairs of dimensions. The line is position 0; the base is {rotation.base:,.0f}."
    )
    with st.container(horizontal=True):
        for pair in (0, pairs // 8, pairs // 4, pairs // 2):
            title = f"pair {pair}: {rotation.degrees[pair]:.3g}° a step"
            hands = rotation.hands[:, [pair, pair + pairs]].numpy()
            st.altair_chart(curves.clock(hands, title, theme), width="content")
    st.markdown("**The same two at other places**: the score of that query and the first token’s :red[key].")
    rows = [
        {"query at": query, "key at": key, "distance": query - key, "score": score}
        for (query, key), score in zip(PLACES, rotation.scores)
    ]
    st.dataframe(rows, hide_index=True, column_config={"score": st.column_config.NumberColumn(format="%.9f")})


def _draw_penalties(heads: int, head: int, tokens: list[str], theme: str) -> None:
    """Draw what ALiBi subtracts from the scores: in each head by distance, and in the picked one between the tokens."""
    name, slopes = f"H{head}", positions.alibi_slopes(heads).tolist()
    st.markdown(f"**What is taken off a score.** The slope of {name} is {slopes[head]:.4g}.")
    left, right = st.columns(2)
    lines = {f"H{n}": [-slope * distance for distance in range(DRAWN)] for n, slope in enumerate(slopes)}
    left.altair_chart(curves.several(lines, "distance", "added to the score", picked=name))
    bias = positions.alibi(heads, len(tokens))[head].numpy()
    (figure,) = heatmaps.scores({f"added in {name}": (tokens, bias)}, theme)
    right.plotly_chart(figure, key="bias", config=components.NO_TOOLBAR)
