"""The lesson on two models, run whole by Streamlit's own test driver, with good input and bad."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from streamlit.testing.v1 import AppTest

from model.interpretability import comparison
from model.toy_world.exact import divergence
from pages.shared import models, prose
from pages.shared.compute import readings
from pages.shared.runtime.catalog import Entry
from tests import llama
from tests.driver import HOSTILE, drawn, examples, heat_maps, page, pictures, read_prompt, unescaped
from tests.hub import Hub, repository
from viz.components import attention
from viz.tokens import visible

COMPARE, TWO_PROMPTS = "interpretability/compare", "interpretability/two_prompts"
A, B = models.NAMES
SIZES = examples(COMPARE)
LONG = "cat " * 300 + "and the last word is Paris"


def chart(app: AppTest, column: str) -> pd.DataFrame:
    """The data of the chart that has such a column."""
    tables = [
        pa.ipc.open_stream(table.data.data).read_all().to_pandas()
        for element in app.get("vega_lite_chart")
        for table in element.proto.datasets
    ]
    return next(table for table in tables if column in table)


def table(app: AppTest) -> dict[str, list[str]]:
    """Of each row of the table the numbers of A and of B."""
    return {row.iloc[0]: [*row.iloc[1:]] for _, row in app.table[0].value.iterrows()}


def number(text: str) -> float:
    return float(text.strip("*").split()[0])


@pytest.mark.parametrize("prompt", [example.prompt for example in SIZES.values()])
def test_costs_of_two_models_are_those_of_the_same_bytes(prompt: str) -> None:
    app = page(COMPARE, prompt=prompt)
    assert not app.exception and not app.warning
    numbers = table(app)
    rest = prompt.split(" ", 1)[1]  # no first token of these is longer or shorter than its word, or both go on there
    for n, name in enumerate(models.NAMES):
        reading = read_prompt(name, prompt)
        log_p = reading.trace.logits[0].log_softmax(-1)
        count = len(models.load(name).tokenizer.encode(f" {rest}").ids)
        ids = reading.trace.idx[0]
        bits = -sum(log_p[at - 1, ids[at]].item() for at in range(len(ids) - count, len(ids))) / math.log(2)
        assert number(numbers["surprise per byte"][n]) == pytest.approx(bits / len(f" {rest}"), abs=0.0051)
        assert number(numbers["surprise per token"][n]) == pytest.approx(bits / count, abs=0.0051)
        perplexity = numbers["surprise per token"][n].split("perplexity ")[1].rstrip(")").replace(",", "")
        assert float(perplexity) == pytest.approx(2 ** (bits / count), rel=1e-5, abs=0.051)
        assert numbers["tokens"][n].startswith(f"{len(ids)} of ")
        now = readings.true_distributions(read_prompt(name, prompt))[-1]
        apart = divergence(now, log_p[-1]) / math.log(2)
        assert number(numbers["next word: from the truth"][n]) == pytest.approx(apart, abs=0.0051)


@pytest.mark.parametrize("prompt", [example.prompt for example in SIZES.values()])
def test_next_words_have_the_probability_and_rank_of_each_model(prompt: str) -> None:
    bars = chart(page(COMPARE, prompt=prompt), "caption")
    assert len(bars) == 3 * 6
    readings = {letter: read_prompt(name, prompt) for letter, name in zip("AB", models.NAMES)}
    for _, bar in bars[bars["whose"] != "truth"].iterrows():
        reading = readings[bar["whose"]]
        word = bar["word"][3:].replace("·", " ").replace("⏎", "\n")
        cut = reading.model.tokenizer.encode(word).ids
        if len(cut) > 1:
            assert bar["caption"].endswith("several tokens") and bar["probability"] == 0
            continue
        p = reading.trace.logits[0, -1].softmax(-1)
        assert bar["probability"] == pytest.approx(p[cut[0]].item(), abs=1e-6)
        assert bar["caption"].endswith(f", #{p.argsort(descending=True).tolist().index(cut[0]) + 1:,}")
    best = max(bars.loc[bars["whose"] == "A", "probability"])
    assert best == pytest.approx(readings["A"].trace.logits[0, -1].softmax(-1).max().item(), abs=1e-6)


def test_tokens_and_attention_of_both_models_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(tmp_path / "own")
    monkeypatch.setitem(models.CATALOG, "own", Entry("own", tmp_path / "own"))
    app = page(COMPARE, prompt="the cat lamp", model2="own")
    rows = drawn(app, "characters")["rows"]
    assert [row["name"] for row in rows] == [f"A · {A}", "B · own"]
    cuts = [[token["label"] for token in row["tokens"]] for row in rows]
    assert cuts == [["the", "·cat", "·lamp"], ["the", "·cat", "·", "l", "a", "m", "p"]]
    for n, (name, count) in enumerate(((A, 1), ("own", 5))):
        trace = read_prompt(name, "the cat lamp").trace
        log_p, ids = trace.logits[0].log_softmax(-1), trace.idx[0]
        bits = -sum(log_p[at - 1, ids[at]].item() for at in range(1, len(ids))) / math.log(2)
        assert number(table(app)["surprise per byte"][n]) == pytest.approx(bits / len(" cat lamp"), abs=0.0051)
        assert number(table(app)["surprise per token"][n]) == pytest.approx(bits / (1 + count), abs=0.0051)
    one, other = pictures(app)
    for picture, name, link in ((one, A, ""), (other, "own", "2")):
        length = int.from_bytes(picture[:4], "little")
        header = json.loads(picture[4 : 4 + length])
        config = models.load(name).decoder.config
        assert (header["layers"], header["heads"], header["link"]) == (config.n_layer, config.n_head, link)


def test_link_holds_both_models_and_an_unknown_one_gets_a_sentence() -> None:
    app = page(COMPARE, model=B, model2=A)
    assert [app.selectbox(key=key).value for key in ("model", "model2")] == [B, A] and not app.warning
    app = page(COMPARE)
    app.query_params["model2"] = "../../etc/passwd"
    app.run()
    assert not app.exception and "not available here" in app.warning[0].value and "passwd" not in app.warning[0].value
    assert app.selectbox(key="model2").value == B


def test_one_model_beside_itself_differs_in_nothing() -> None:
    app = page(COMPARE, model2=A)
    assert not app.exception
    assert all(one == other for one, other in table(app).values())
    bars = chart(app, "caption")
    one, other = (bars.loc[bars["whose"] == letter, "probability"].to_numpy() for letter in "AB")
    assert (one == other).all()


@pytest.mark.parametrize(
    "link", [{"model": "GPT-2", "model2": "GPT-2"}, {"model": "GPT-2"}, {"model2": "GPT-2"}], ids=str
)
def test_missing_model_is_offered_once_and_no_other_is_compared(hub_server: Hub, link: dict[str, str]) -> None:
    app = page(COMPARE, **link)
    assert not app.exception and not pictures(app) and not app.table
    assert [button.label for button in app.button].count("Fetch it") == 1
    (offer,) = [element.value for element in app.markdown if "is not on this server" in element.value]
    assert "nothing can be shown" in offer


def test_texts_of_the_examples_are_true() -> None:
    said = {}
    for example in SIZES.values():
        for name in models.NAMES:
            reading = read_prompt(name, example.prompt)
            guess = reading.trace.logits[0, -1].softmax(-1)
            said[example.name, name] = (
                reading.model.token(guess.argmax()),
                guess.max().item(),
                guess,
            )
    assert said["Who gets the key?", A][:2] == (" Tom", pytest.approx(1, abs=0.01))
    bits = comparison.entropy(said["Who gets the key?", B][2].log()) / math.log(2)
    assert f"{bits:.1f} bits" in SIZES["Who gets the key?"].look_for
    assert [said["Where is she?", name][0] for name in models.NAMES] == [" kitchen", " cellar"]
    assert said["Yesterday", A][0] == " walked" and said["Yesterday", B][0].endswith("ed")
    assert said["Sums", A][0] == " 12" and 0.9 < said["Sums", A][1] < 0.99
    assert said["Sums", B][0] != " 12" and said["Sums", B][0].strip().isdigit()
    assert {said["A capital", name][0] for name in models.NAMES} == {" Paris"}
    assert said["A capital", B][1] < said["A capital", A][1]


def test_names_and_prompts_are_no_markup() -> None:
    app = page(COMPARE, prompt="**b** :red[r] <i>")
    assert all("<i>" not in element.value for element in app.markdown)
    assert any(f"A · {A}" in unescaped(element.value) for element in app.markdown)


@pytest.mark.parametrize("text", [*HOSTILE.values(), "x", LONG], ids=[*HOSTILE, "one token", "long"])
def test_odd_text_is_compared(text: str) -> None:
    app = page(COMPARE, prompt=text)
    assert not app.exception and len(pictures(app)) == 2
    assert len(app.warning) == (text == LONG)  # one for both
    if text == LONG:
        assert app.warning[0].value.startswith(
            f"This prompt is longer than {prose.literal(A)} and {prose.literal(B)} can"
        )


def test_an_empty_prompt_gets_a_sentence() -> None:
    app = page(COMPARE, prompt="")
    app.text_input(key="prompt").set_value("").run()
    assert not app.exception and "The prompt is empty" in app.info[0].value


@pytest.mark.parametrize("link", [{"compare": "<b>"}, {"model2": "Vitrine, huge"}], ids=str)
def test_invalid_values_in_the_link_are_ignored(link: dict[str, str]) -> None:
    app = page(COMPARE, **link)
    assert not app.exception and len(pictures(app)) == 2


@pytest.mark.parametrize("link", [{}, {"prompt": "A cat", "prompt2": "A dog", "changed": "L1 H6"}], ids=str)
def test_old_link_to_two_prompts_opens_their_lesson(link: dict[str, str]) -> None:
    """A link without a second prompt meant the one that stood in the box at first."""
    app = page(COMPARE, compare="Two prompts", **link)
    assert not app.exception and not app.table and heat_maps(app)
    pair = examples(TWO_PROMPTS)["Who gives?"]
    expected = link.get("prompt", pair.prompt), link.get("prompt2", pair.also["prompt2"])
    assert (app.text_input(key="prompt").value, app.text_input(key="prompt2").value) == expected
    assert "changed" not in link or "L1 H6: B − A, in %" in heat_maps(app)


def test_with_a_llama_every_number_equals_transformers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name, prompt = llama.offer(monkeypatch, tmp_path), "The king and the queen"
    app = page(COMPARE, model2=name, prompt=prompt)
    assert not app.exception and not app.warning
    peer, idx = llama.reference(), llama.token_ids(prompt)
    with torch.inference_mode():
        output = peer(idx, output_attentions=True)
    p, log_p = output.logits[0, -1].softmax(-1), output.logits[0, :-1].log_softmax(-1)
    surprises = -log_p.gather(1, idx[0, 1:, None])[:, 0] / math.log(2)
    cost = {row: values[1] for row, values in table(app).items()}
    assert len(surprises) == 4  # a token for each word
    assert number(cost["surprise per byte"]) == pytest.approx(surprises.sum().item() / 19, abs=0.0051)
    assert number(cost["surprise per token"]) == pytest.approx(surprises.mean().item(), abs=0.0051)
    entropy = torch.distributions.Categorical(probs=p).entropy().item() / math.log(2)
    assert number(cost["next word: undecided by"]) == pytest.approx(entropy, abs=0.0051)
    assert cost["next word: from the truth"] == "not known"
    weights = sum(weight.numel() for weight in peer.parameters())
    assert cost["size"] == f"3 layers × 4 heads, {weights / 1e6:,.1f} M weights"
    bars = chart(app, "caption").query("whose == 'B'")
    names = visible(models.vocabulary(models.load(name)).texts)
    for _, bar in bars.iterrows():
        if not bar["caption"].endswith("several tokens"):
            ids = [id for id, token in enumerate(names) if token == bar["word"][3:]]  # several bytes are no text alone
            ranks = {1 + int((p > p[id]).sum()): p[id].item() for id in ids}
            rank = int(bar["caption"].split("#")[1].replace(",", ""))
            assert bar["probability"] == pytest.approx(ranks[rank], abs=1e-5)
    own = chart(page(COMPARE, model=name, model2=name, prompt=prompt), "caption").query("whose == 'B'")
    np.testing.assert_allclose(own["probability"], p.topk(6).values, atol=1e-5)
    payload = attention.payload(visible(read_prompt(name, prompt).tokens), torch.cat(output.attentions).numpy())
    sent, length = pictures(app)[1], int.from_bytes(payload[:4], "little")
    rest = np.frombuffer(payload[4 + length :], "<f4", 3 * 4 * 5)
    header = int.from_bytes(sent[:4], "little")
    np.testing.assert_allclose(np.frombuffer(sent[4 + header :], "<f4", 3 * 4 * 5), rest, atol=1e-6)
