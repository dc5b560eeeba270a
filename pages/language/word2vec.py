"""Word2Vec: how much of what it finds in a few lines is chance."""

import numpy as np
import streamlit as st

from model.language import word2vec
from pages.shared import controls, lesson, prose
from pages.shared.compute import language
from pages.shared.runtime import job_view
from viz.charts import bars

PROSE = prose.of(__file__)
QUESTION = ("man", "king", "woman", "queen")
PAIRS = [("paris", "london"), ("king", "castle"), ("king", "queen")]  # how alike are they?
DEFAULT, OFF = 1e-3, 0.0  # share of all words from which on some occurrences are left out

lesson.title(PROSE)
PROSE.section("intro")
epochs = st.slider("Epochs", 10, 300, 100, 10, key="epochs", bind="query-params")
for number, (column, example) in enumerate(zip(st.columns(2, gap="large"), PROSE.examples().values()), 1):
    with column:
        picture = st.container()
        rare = st.toggle(
            "Skip most occurrences of frequent words (subsampling)",
            number == 1,
            key=f"rare{number}",
            bind="query-params",
        )
        text = controls.text_area("Lines to learn from", example.prompt, key=f"lines{number}", height=330)
        with picture:
            job = language.train_word2vec(text, DEFAULT if rare else OFF, epochs)
            failure = "Nothing can be learned from these lines: {}."
            results = job_view.show("Training Word2Vec from 20 seeds", job, failure=failure, slot=f"word2vec {number}")
            if results is None:
                continue
            (trained,) = results
            try:
                ranks = word2vec.analogy_ranks(trained, *QUESTION)
            except ValueError as error:
                st.warning(failure.format(prose.literal(error)))
                continue
            possible = len(trained.words) - 3
            st.markdown(
                f"**queen first in {ranks.count(1)} of {len(ranks)}** · median rank {np.median(ranks):g} of {possible}"
            )
            st.altair_chart(bars.counted(ranks, possible, controls.theme()), key=f"ranks {number}")
            sentences = [
                f"Mean cosine of the vectors with their random start: {word2vec.cosine_with_start(trained):.4f}."
            ]
            for a, b in PAIRS:
                if {a, b} <= {*trained.words}:
                    cosines = word2vec.cosine(trained, a, b)
                    sentences.append(f"Cosine of {a} and {b}: {cosines.mean():.2f} ± {cosines.std():.2f}.")
            st.caption(" ".join(sentences))
lesson.close(PROSE, word2vec.train_epochs, word2vec.analogy_ranks)
