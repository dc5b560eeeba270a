"""Analogies: 160 questions a : b = c : ?, asked of word vectors or of the token embedding of a model."""

import streamlit as st

from model.language import analogies, embeddings
from pages.shared import controls, lesson, prose
from pages.shared.compute import language

PROSE = prose.of(__file__)
SHOWN = {"all": (True, False), "misses": (False,), "hits": (True,)}

lesson.title(PROSE)
left, right = st.columns([4, 1], vertical_alignment="bottom")
with right:
    model = controls.ask_model()
with left:
    rows = language.analogy_table(controls.ask_vectors(model))
left, right = st.columns([9, 11], gap="medium")
with left:
    share = st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)
    columns = {"nearest": share, "inputs left out": share}
    st.dataframe(language.analogy_shares(rows), hide_index=True, column_config=columns)
    st.caption(f"Misses because a word has no vector of its own: {sum(not row['nearest'] for row in rows)}.")
with right:
    shown = SHOWN[controls.choice("Questions", list(SHOWN), "all", key="questions")]
    chosen = [row for row in rows if (row["inputs left out"] == row["answer"]) in shown]
    st.dataframe(chosen, hide_index=True, height=320)
PROSE.section("analogies")
lesson.close(PROSE, analogies.answer, embeddings.Embeddings.nearest)
