"""Embeddings: words as vectors, to calculate with and to lay on a map."""

import math
from collections.abc import Mapping

import streamlit as st
import torch

from model.language import analogies, embeddings
from model.language.embeddings import WordVector
from pages.shared import components, controls, course, lesson, prose
from pages.shared.compute import language, readings
from viz.charts import bars, curves, points
from viz.charts import heatmaps as matrices
from viz.percent import percent
from viz.tokens import visible

PROSE = prose.of(__file__)
LISTED, NEAR = 9, 3  # nearest words in a list, and on the map
MAPPED, NEIGHBOURS = 40, 5  # words on the map, and neighbours of each that may be lost
MAP = "king queen prince princess man woman boy girl uncle aunt cat dog horse Paris Rome France Italy one two three"
ANOTHER = "Tom gave a ring to Anna. Anna went to"  # shares words with the first example of a prompt
WORD_VECTORS = "word vectors"
SUM, PAIRS, ENDS = "the sum", "pairs of words", "man woman horse king"


def marked(found: Mapping[str, WordVector]) -> None:
    """Say which words were read as another one, or as several tokens."""
    for word, (_, of) in found.items():
        if list(of) != [word]:
            how = of[0] if len(of) == 1 else f"the mean of its tokens {prose.literal(' '.join(visible(of)))}"
            st.caption(f":material/info: {prose.literal(word[:20])} was read as {how}.")


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

theme = controls.theme()
lists, picture = st.columns([2, 3], gap="large")
with lists:
    kind = controls.choice("Vectors", [WORD_VECTORS, "wte"], WORD_VECTORS, key="vectors")
    owner = model if kind == "wte" else None
    vectors = language.embeddings(owner)
    terms, found, near, answer, arrows = [], {}, {}, {}, []
    try:
        terms = embeddings.parse(expression)
        found, answer[SUM] = embeddings.calculate(vectors, terms)
    except ValueError as error:
        st.warning(
            f"This cannot be calculated: {prose.literal(error)}. Write words with + and - between, as in the examples."
        )
    else:
        inputs = {of[0] for _, of in found.values() if len(of) == 1}
        for column, title, left_out in zip(st.columns(2), ("raw", "inputs left out"), ((), inputs)):
            nearest = vectors.nearest(answer[SUM], left_out, LISTED)
            column.markdown(f"**{title}**")
            column.altair_chart(bars.ranked(*zip(*nearest), inputs, theme), key=f"nearest {title}")
        marked(found)
        near = {word: vectors.find(word) for word, _ in nearest[:NEAR]}
        plus, minus = ([word for weight, word in terms if weight == sign] for sign in (1, -1))
        if (len(plus), len(minus), len(terms)) == (2, 1, 3):
            arrows = [(minus[0], plus[0]), (plus[1], SUM)]
with picture:
    laid = controls.choice("Map", [f"plane of {SUM}", "plane of all words", PAIRS], f"plane of {SUM}", key="axes")
    drawing = st.container()
    text = controls.text_line("Words on the map", MAP, key="words")
    ends = []
    if laid == PAIRS:
        pairs = controls.text_line("Four words: to the right from … to …, up from … to …", ENDS, key="pairs")
        try:
            ends = embeddings.parse_axes(vectors, pairs)
        except ValueError as error:
            st.warning(f"These make no axes: {prose.literal(error)}. You see the plane of all words.")
    asked, listed, unknown = dict.fromkeys(text.replace(",", " ").split()), {}, []
    for word in [*asked][:MAPPED]:
        try:
            listed[word] = vectors.find(word)
        except ValueError as error:
            unknown.append(error)
    if unknown:
        more = f" Nor are {len(unknown) - 1} others." if unknown[1:] else ""
        st.warning(f"Not on the map: {prose.literal(unknown[0])}.{more}")
    if len(asked) > MAPPED:
        st.warning(f"The map holds {MAPPED} words of yours; {len(asked) - MAPPED} were left out.")
    marked(listed)

on_map = {word: vector for word, (vector, _) in (listed | near | found).items()} | answer
roles = dict.fromkeys(listed, "listed") | dict.fromkeys(near, "nearest") | dict.fromkeys(found, "typed") | {SUM: "sum"}
names = [*on_map]
apart = len({tuple(vector.tolist()) for vector in on_map.values()})  # a sum of one word has that word's vector
with drawing:
    if apart < 3:
        st.info("A map needs three different vectors or more: type some words below.")
    else:
        places = torch.stack([*on_map.values()])
        if ends:
            (a, start), (b, end), (c, low), (d, high) = ends
            flat = torch.stack([embeddings.project(start, end, places), embeddings.project(low, high, places)], dim=1)
            labels = f"from {a} (-1) to {b} (1)", f"from {c} (-1) to {d} (1)"
        else:
            own = laid.endswith(SUM) and len({tuple(of) for _, of in found.values()}) == 3
            own = own and math.isclose(sum(weight for weight, _ in terms), 1)
            if laid.endswith(SUM) and not own:
                st.caption(
                    "Only three words whose weights add up to 1 make a plane with their sum: here is that of all words."
                )
            fitted = torch.stack([vector for vector, _ in found.values()]) if own else places
            flat, variance = embeddings.pca(places, fitted)
            labels = tuple(
                f"axis {n}: {percent(share, 0)} of the variance" for n, share in enumerate(variance.tolist(), 1)
            )
        count = min(NEIGHBOURS, apart - 1)
        lost = embeddings.lost_neighbors(places, flat, count)
        drawn = [(names.index(tail), names.index(head)) for tail, head in arrows]
        figure = points.words(names, flat.numpy(), [roles[word] for word in names], labels, drawn, theme)
        st.plotly_chart(figure, key="map", config=components.NO_TOOLBAR)
        st.markdown(
            f":orange[■] typed :violet[◆] nearest :green[✕] the sum. Of each word's {count} nearest among these, "
            f"**{percent(lost, 0)} are not near it on this map**."
        )

PROSE.section("map")
left, right = st.columns(2, gap="large")
with left:
    PROSE.section("cosines")
    if listed:
        alike = embeddings.cosines(torch.stack([vector for vector, _ in listed.values()]))
        st.plotly_chart(matrices.cosines([*listed], alike.numpy(), theme), key="cosines", config=components.NO_TOOLBAR)
with right:
    PROSE.section("contexts")
    one, other = controls.prompt_box(), controls.text_line("Another text", ANOTHER, key="another")
    if one and other:
        a, b = readings.read(model, one), readings.read(model, other)
        controls.warn_if_cut("The first text", a)
        controls.warn_if_cut("The other text", b)
        both = [token for token in dict.fromkeys(a.tokens) if token in b.tokens]
        if both:
            names = visible(both)
            token = both[
                names.index(
                    st.selectbox("Token", names, names.index(max(names, key=len)), key="shared", bind="query-params")
                )
            ]
            here, there = a.tokens.index(token), b.tokens.index(token)
            meet, start, every = embeddings.contextual_similarity(a.trace, here, b.trace, there)
            lines = {
                "in one text and the other": meet,
                "in the first, and at its start": start,
                "any two tokens": every,
            }
            chart = curves.several({which: line.tolist() for which, line in lines.items()}, "blocks passed", "cosine")
            st.altair_chart(chart, key="two texts")
        else:
            st.info("The two texts have no token in common: write a word of the first into the second.")
    else:
        st.info("One of the two texts is empty: type a few words into both.")

PROSE.section("analogies")
left, right = st.columns([2, 3], gap="large")
rows = [
    {"kind": sort, "question": f"{a} : {b} = {c} : ?", "answer": d, "nearest": raw, "inputs left out": other}
    for sort, questions in analogies.ANALOGIES.items()
    for (a, b, c, d), (raw, other) in zip(questions, language.answer_analogies(owner)[sort])
]
with left:
    shares = [
        {"kind": sort, "questions": len(questions)}
        | {
            column: sum(row[column] == row["answer"] for row in rows if row["kind"] == sort) / len(questions)
            for column in ("nearest", "inputs left out")
        }
        for sort, questions in analogies.ANALOGIES.items()
    ]
    share = st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)
    st.dataframe(shares, hide_index=True, column_config={"nearest": share, "inputs left out": share})
    st.caption(f"Misses because a word has no vector of its own: {sum(not row['nearest'] for row in rows)}.")
with right:
    which = controls.choice("Questions", ["all", "misses", "hits"], "all", key="questions")
    wanted = {"all": (True, False), "misses": (False,), "hits": (True,)}[which]
    st.dataframe(
        [row for row in rows if (row["inputs left out"] == row["answer"]) in wanted], hide_index=True, height=320
    )

lesson.link_to(course.lesson_at("language/word2vec"), ":material/scatter_plot: How word vectors are trained")
lesson.close(
    PROSE,
    embeddings.Embeddings.nearest,
    embeddings.calculate,
    embeddings.pca,
    embeddings.project,
    embeddings.contextual_similarity,
)
