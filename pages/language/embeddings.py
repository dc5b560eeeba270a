"""Embeddings: words as vectors, to calculate with and to lay on a map."""

import streamlit as st
import torch
from torch import Tensor

from model.language import embeddings, word_map
from model.language.embeddings import Embeddings
from pages.shared import components, controls, course, lesson, prose, word_input
from pages.shared.compute import language
from pages.shared.compute.language import SUM, MappedWord, WordSum
from viz.charts import bars, heatmaps, points
from viz.percent import percent

PROSE = prose.of(__file__)
MOVED = {"language/contexts": ("another", "shared"), "language/analogies": ("questions",)}
OWN_KEYS = ("expression", "words", "axes", "pairs")
LISTED = 9  # nearest words
MAP = "king queen prince princess man woman boy girl uncle aunt cat dog horse Paris Rome France Italy one two three"
PAIRS = "pairs of words"
LAYOUTS = (f"plane of {SUM}", "plane of all words", PAIRS)


def show_nearest(vectors: Embeddings, expression: str) -> WordSum | None:
    """Draw the words nearest to a sum of words, with its inputs and without; returns the sum, or None."""
    try:
        total = language.sum_words(vectors, expression)
    except ValueError as error:
        why = f"This cannot be calculated: {prose.literal(error)}."
        st.warning(f"{why} Write words with + and - between, as in the examples.")
        return None
    for column, title, left_out in zip(st.columns(2), ("raw", "inputs left out"), ((), total.inputs)):
        nearest = vectors.nearest(total.vector, left_out, LISTED)
        column.markdown(f"**{title}**")
        chart = bars.ranked(*zip(*nearest), total.inputs, controls.theme())
        column.altair_chart(chart, key=f"nearest {title}")
    word_input.note_other_readings(total.words)
    return total


def plane_of_sum(total: WordSum | None, layout: str) -> Tensor | None:
    """The vectors that span the plane of the sum, if that is the layout and the sum has a plane."""
    if layout != LAYOUTS[0]:
        return None
    if total is None or not total.has_plane:
        st.caption("Only three words whose weights add up to 1 make a plane with their sum: here is that of all words.")
        return None
    return torch.stack([word.vector for word in total.words.values()])


def show_map(words: dict[str, MappedWord], total: WordSum | None, layout: str, ends: list[tuple[str, Tensor]]) -> None:
    """Draw the words on a plane, with the parallelogram of the sum, and say what the plane loses."""
    names, places = [*words], [word.vector for word in words.values()]
    if word_map.distinct(places) < 3:
        st.info("A map needs three different vectors or more: type some words below.")
        return
    fitted = None if ends else plane_of_sum(total, layout)
    plane = word_map.lay_out(torch.stack(places), fitted, [vector for _, vector in ends])
    if ends:
        (a, _), (b, _), (c, _), (d, _) = ends
        labels = f"from {a} (-1) to {b} (1)", f"from {c} (-1) to {d} (1)"
    else:
        shares = enumerate(plane.variance.tolist(), 1)
        labels = tuple(f"axis {n}: {percent(share, 0)} of the variance" for n, share in shares)
    arrows = []
    if total and total.parallelogram:
        a, b, c = map(names.index, total.parallelogram)
        arrows = [(a, b), (c, names.index(SUM))]
    roles = [word.role for word in words.values()]
    figure = points.words(names, plane.points.numpy(), roles, labels, arrows, controls.theme())
    st.plotly_chart(figure, key="map", config=components.NO_TOOLBAR)
    st.markdown(
        f":orange[■] typed :violet[◆] nearest :green[✕] the sum. Of each word's {plane.neighbors} nearest among these, "
        f"**{percent(plane.lost, 0)} are not near it on this map**."
    )


lesson.redirect(OWN_KEYS, MOVED)
lesson.title(PROSE)
left, right = st.columns([4, 1])
with right:
    model = controls.ask_model()
with left:
    expression = controls.text_line(
        "Expression",
        PROSE.examples()["Queen?"].prompt,
        key="expression",
        placeholder="king - man + 0.5 * woman",
        icon=":material/calculate:",
        label_visibility="collapsed",
    )
controls.example_buttons({"expression": expression}, PROSE.examples())
lists, picture = st.columns([2, 3], gap="large")
with lists:
    vectors = language.embeddings(controls.ask_vectors(model))
    total = show_nearest(vectors, expression)
with picture:
    layout = controls.choice("Map", LAYOUTS, LAYOUTS[0], key="axes")
    drawing = st.container()
    text = controls.text_line("Words on the map", MAP, key="words")
    ends = word_input.ask_axes(vectors) if layout == PAIRS else []
    listed = word_input.find_words(vectors, text)
with drawing:
    show_map(language.map_words(vectors, listed, total), total, layout, ends)
PROSE.section("map")
PROSE.section("cosines")
if listed:
    cosines = embeddings.cosines(torch.stack([word.vector for word in listed.values()]))
    figure = heatmaps.cosines([*listed], cosines.numpy(), controls.theme())
    st.plotly_chart(figure, key="cosines", config=components.NO_TOOLBAR)
lesson.link_to(course.lesson_at("language/word2vec"), ":material/scatter_plot: How word vectors are trained")
lesson.close(PROSE, embeddings.Embeddings.nearest, embeddings.calculate, embeddings.pca, embeddings.project)
