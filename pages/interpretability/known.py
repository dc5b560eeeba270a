"""Known heads: what the literature found in GPT-2, measured on the model in hand."""

import re
from collections.abc import Sequence

import streamlit as st

from model.interpretability import attention_pairs, attribution, published_heads
from model.interpretability.published_heads import CLAIMS, GPT2_SMALL, Claim, Measurement
from model.loading import verify_gpt2
from model.transformer.config import DecoderConfig
from model.transformer.record import Head
from pages.shared import components, controls, lesson, models, prose
from pages.shared.compute import interpretability, readings
from viz.charts import heatmaps

PROSE = prose.of(__file__)
BY_NAME = {claim.name: claim for claim in CLAIMS}


def listed(heads: Sequence[tuple[int, int]]) -> str:
    return ", ".join(str(Head(*head)) for head in heads)


def holds(claim: Claim, measurement: Measurement, config: DecoderConfig) -> str:
    number = claim.value(measurement, config)
    return f"{'holds' if number >= claim.threshold else 'does not hold'} here: {number:.2f}".replace("-0.00", "0.00")


def caption(claim: Claim, model: models.Model) -> str:
    """The caption of a claim: whether it holds in this model, measured on the text that comes with the claim."""
    try:
        measurement = interpretability.measure_claim(model, claim.name, claim.text)
        return holds(claim, measurement, model.decoder.config)
    except ValueError:
        return "cannot be measured here"


def verdict(claim: Claim, measurement: Measurement, model: models.Model, text: str) -> None:
    """Say the claim, who found it, its number here, and whose number that is."""
    config = model.decoder.config
    papers = ", ".join(f"[{paper.name}](https://arxiv.org/abs/{paper.arxiv})" for paper in claim.papers)
    st.markdown(f"**{claim.statement}** ({papers})")
    icon = ":material/check_circle:" if claim.value(measurement, config) >= claim.threshold else ":material/cancel:"
    st.markdown(
        f"{icon} **It {holds(claim, measurement, config)}** (at least {claim.threshold:g})"
        + (f": {claim.output_unit}." if claim.output_unit else ".")
    )
    named = f"The papers name {listed(claim.heads)} of GPT-2 small" if claim.heads else "The claim is about all heads"
    if config == GPT2_SMALL:
        whose = f"{named}{', framed below' if claim.heads else ''}"
        whose += "." if claim.output_unit else "; the number is their mean."
    elif claim.heads:
        whose = f"{named}. This is another model: here {listed([measurement.best])} does this most."
    else:
        whose = f"{named} of GPT-2 small. This is another model; the number is the mean of its heads."
    cut = [word for word in re.findall(r"\w+", text) if len(model.tokenizer.encode(f" {word}").ids) > 1]
    if cut and config.vocab_size != GPT2_SMALL.vocab_size:
        words = ", ".join(prose.literal(word) for word in dict.fromkeys(cut))
        whose += f" Its tokenizer cuts these words of the text into pieces, so the text is unusual for it: {words}."
    st.caption(whose)


def heads(claim: Claim, measurement: Measurement, config: DecoderConfig) -> tuple[int, int]:
    """Draw what each head does of it; the head that was clicked, or the first to look at."""
    st.markdown(f"**Each head**: {claim.unit}. Click one to see where it looks.")
    marked = claim.heads if config == GPT2_SMALL else ()
    chart = heatmaps.heads(measurement.heads.numpy(), marked, claim.unit, controls.theme())
    clicked = st.altair_chart(chart, key=f"heads {claim.name}", on_select="rerun", selection_mode="head")
    for point in clicked.selection.get("head", []):
        return point["layer"], point["head"]
    return max(marked, key=lambda head: measurement.heads[head], default=measurement.best)


def take_text() -> None:
    st.session_state["text"] = BY_NAME[st.session_state["claim"]].text


lesson.title(PROSE)
left, right = st.columns([1, 3], gap="large")
with left:
    model = controls.ask_model()
    names = list(BY_NAME)
    captions = [caption(BY_NAME[name], model) for name in names]
    claim = BY_NAME[st.radio("Claim", names, captions=captions, key="claim", bind="query-params", on_change=take_text)]
with right:
    text = controls.text_line("Text", claim.text, key="text", icon=":material/edit:", label_visibility="collapsed")
    try:
        measurement = interpretability.measure_claim(model, claim.name, text)
    except ValueError as error:
        st.info(f"The claim cannot be measured on this text: {error}.")
    else:
        verdict(claim, measurement, model, text)
        start = heads(claim, measurement, model.decoder.config)
        reading = readings.read(model, text)
        components.attention(reading.tokens, reading.trace.patterns.numpy(), start=start, follow=True)

PROSE.section("check")
if model.decoder.config != GPT2_SMALL:
    st.info(f"{prose.literal(model.name)} does not have the sizes of GPT-2 small, so this check does not apply.")
elif st.button("Check it", icon=":material/fact_check:"):
    findings = verify_gpt2.check(model.decoder, model.tokenizer)
    differ = [finding for finding in findings if not finding.passed]
    if differ:
        st.error(f"This is not GPT-2 small: {len(differ)} of {len(findings)} facts differ.")
        st.dataframe([vars(finding) for finding in differ], hide_index=True)
    else:
        st.success(f"Pass: all {len(findings)} facts hold.")
lesson.close(
    PROSE,
    attention_pairs.mean_attention,
    attention_pairs.duplicate_token_pairs,
    attention_pairs.induction_pairs,
    attribution.attribute,
    published_heads.greater_than,
)
