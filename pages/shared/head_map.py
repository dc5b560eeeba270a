"""A map of all heads, drawn from one number for each, on which a head can be clicked."""

import streamlit as st
from torch import Tensor

from model.interpretability import head_scores
from model.transformer.record import Head
from pages.shared import controls
from pages.shared.compute import interpretability
from pages.shared.models import Model
from viz.charts import heatmaps


def ask_head(scores: Tensor, key: str, unit: str) -> Head:
    """Draw the scores (L, H) of all heads; returns the head that was clicked, at first the one with the highest."""
    (best,) = head_scores.top_heads(scores, 1)
    chart = heatmaps.heads(scores.numpy(), [best], unit, controls.theme())
    event = st.altair_chart(chart, key=key, on_select="rerun", selection_mode="head")
    for point in event.selection.get("head", []):
        if point["layer"] < scores.shape[0] and point["head"] < scores.shape[1]:
            return Head(int(point["layer"]), int(point["head"]))
    return best


def score_heads(model: Model) -> dict[str, Tensor]:
    """For each kind of head the score of every head (L, H); a model that cannot read the texts ends the page."""
    try:
        return interpretability.score_heads(model)
    except ValueError as error:
        st.info(f"The texts of the zoo do not fit into this model: {error}.")
        st.stop()
