"""The lesson on attribution, run whole by Streamlit's own test driver, with good input and bad."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from model.interpretability import attribution
from pages.shared import models
from tests import llama
from tests.driver import ATTRIBUTION, CONTEXT, HOSTILE, all_drawn, charts, ids, page, read_prompt, shows, unescaped
from viz.tokens import visible

LESSON, NAME = ATTRIBUTION, models.NAMES[0]
FRANCE = "The capital of France is"


def difference(app: AppTest) -> tuple[float, float]:
    """The two numbers of the sentence: the difference of the logits, and what the parts add up to."""
    (sentence,) = [element.value for element in app.markdown if "less that of" in element.value]
    first, second = sentence.split("is **")[1].split("**: ")[0], sentence.split("add is **")[1].split("**")[0]
    return float(first), float(second)


def test_the_parts_add_up_to_the_difference_and_are_drawn() -> None:
    app = page(LESSON, prompt=FRANCE)
    reading = read_prompt(NAME, FRANCE)
    logits = reading.trace.logits[0, -1]
    best, second = logits.topk(2).indices.tolist()
    apart, total = difference(app)
    assert apart == pytest.approx((logits[best] - logits[second]).item(), abs=6e-5)
    assert total == pytest.approx(apart, abs=1.1e-4)
    bars, heads = (table.to_dict("list") for table in charts(app))
    parts = attribution.attribute(reading.model.decoder, reading.trace, len(reading.tokens) - 1, best, second)
    assert sum(bars["value"]) == pytest.approx(apart, abs=2e-4)
    assert bars["part"][:4] == ["token ·is", "position 4", "L0 attention", "L0 MLP"] and len(bars["part"]) == 2 + 8 + 3
    for layer in range(4):
        assert bars["value"][2 + 2 * layer] == pytest.approx(parts.heads[layer].sum().item(), abs=1e-5)
    np.testing.assert_allclose(heads["score"], parts.heads.flatten(), atol=1e-5)
    by_head, by_neuron = (element.value for element in app.dataframe)
    for table, adds, letter in ((by_head, parts.heads, "H"), (by_neuron, parts.neurons, "N")):
        strongest = adds.flatten()[adds.flatten().abs().argsort(descending=True)][:8]
        assert list(table["adds"]) == pytest.approx(strongest.tolist(), abs=6e-4)
        layer, number = map(int, table.iloc[0, 0].removeprefix("L").split(f" {letter}"))
        assert table["adds"][0] == pytest.approx(adds[layer, number].item(), abs=6e-4)


@pytest.mark.parametrize("link", [{}, {"answer": "French", "rival": "Italy"}, {"answer": "Italy", "rival": "Paris"}])
def test_the_likelier_token_is_so_many_times_as_likely(link: dict[str, str]) -> None:
    app = page(LESSON, prompt=FRANCE, **link)
    probabilities = read_prompt(NAME, FRANCE).trace.logits[0, -1].double().softmax(-1)
    answer, rival = probabilities.topk(2).indices.tolist()
    if link:
        answer, rival = (ids(NAME, f" {link[key]}")[0] for key in ("answer", "rival"))
    (sentence,) = [element.value for element in app.markdown if "times as likely" in element.value]
    name, times = re.search(r"\*\*: \*\*(.+?)\*\* is (\S+) times as likely", sentence).groups()
    likelier, other = (answer, rival) if probabilities[answer] > probabilities[rival] else (rival, answer)
    assert ids(NAME, unescaped(name).replace("·", " ")) == [likelier]
    ratio = (probabilities[likelier] / probabilities[other]).item()
    assert float(times.replace(",", "")) == pytest.approx(ratio, rel=0.06 if ratio < 100 else 0.01)


def test_answer_and_rival_are_chosen_by_name() -> None:
    app = page(LESSON, prompt=FRANCE, answer="French", rival="Italy")
    assert not app.exception and not app.warning
    logits = read_prompt(NAME, FRANCE).trace.logits[0, -1]
    french, italy = ids(NAME, " French")[0], ids(NAME, " Italy")[0]
    assert difference(app)[0] == pytest.approx((logits[french] - logits[italy]).item(), abs=6e-5)
    app.selectbox(key="answer").set_value(None).run()
    assert difference(app)[0] == pytest.approx((logits.max() - logits[italy]).item(), abs=6e-5)
    app.selectbox(key="rival").set_value(app.selectbox(key="rival").options[0]).run()
    assert "The rival is the answer itself" in app.info[0].value and not app.exception


def at(position: str, **link: str) -> AppTest:
    """The page with that position in its link; the driver takes the parts of a link one after the other."""
    app = page(LESSON, **({"prompt": FRANCE} | link))
    app.query_params["position"] = position
    return app.run()


def test_the_position_of_the_link_is_explained() -> None:
    app = at("1")
    logits = read_prompt(NAME, FRANCE).trace.logits[0, 1].sort(descending=True).values
    assert difference(app)[0] == pytest.approx((logits[0] - logits[1]).item(), abs=6e-5)
    assert "·capital" in charts(app)[0]["part"][0]
    app.text_input(key="prompt").set_value("The keys near the box").run()
    assert app.query_params["position"] == "4" and shows(app, "(position 4)")
    app.selectbox(key="position picker").select_index(2).run()
    assert app.query_params["position"] == "2" and shows(app, "(position 2)")


def test_a_position_of_a_long_prompt_is_explained() -> None:
    prompt = "cat " * 200 + "The capital of France is"
    logits = read_prompt(NAME, prompt).trace.logits[0, 36].sort(descending=True).values
    assert difference(at("36", prompt=prompt))[0] == pytest.approx((logits[0] - logits[1]).item(), abs=6e-5)
    assert shows(at("9999", prompt=prompt), f"(position {CONTEXT - 1})")


@pytest.mark.parametrize("text", ["doghouse in Wales", "</script><b>x", "x" * 10_000])
def test_text_that_is_not_one_token_gets_a_sentence(text: str) -> None:
    app = page(LESSON, rival=text)
    assert not app.exception
    (warning,) = app.warning
    assert "Rival" in warning.value and len(warning.value) < 300


@pytest.mark.parametrize("prompt", ["a", *HOSTILE.values()], ids=["one token", *HOSTILE])
def test_odd_text_is_split(prompt: str) -> None:
    app = page(LESSON, prompt=prompt)
    assert not app.exception
    apart, total = difference(app)
    assert total == pytest.approx(apart, abs=1.1e-4)


@torch.inference_mode()
def test_each_part_of_a_llama_is_that_of_transformers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name, reference = llama.offer(monkeypatch, tmp_path), llama.reference()
    prompt = "The king and the queen said"
    app = page(LESSON, model=name, prompt=prompt)
    assert not app.exception and not app.warning
    z, neurons, final, gates, ups = [], [], [], [], []
    layers, size = reference.model.layers, reference.config.head_dim
    for layer in layers:
        layer.self_attn.o_proj.register_forward_pre_hook(lambda _, inputs: z.append(inputs[0][0, -1]))
        layer.mlp.down_proj.register_forward_pre_hook(lambda _, inputs: neurons.append(inputs[0][0, -1]))
        layer.mlp.act_fn.register_forward_hook(lambda _, inputs, output: gates.append(output[0, -1]))
        layer.mlp.up_proj.register_forward_hook(lambda _, inputs, output: ups.append(output[0, -1]))
    reference.model.norm.register_forward_pre_hook(lambda _, inputs: final.append(inputs[0][0, -1]))
    output = reference(llama.token_ids(prompt), output_attentions=True)
    logits = output.logits[0, -1]
    answer, rival = logits.topk(2).indices.tolist()
    scale = (final[0].square().mean() + reference.config.rms_norm_eps).sqrt()
    direction = (
        (reference.lm_head.weight[answer] - reference.lm_head.weight[rival]) * reference.model.norm.weight / scale
    )
    apart, total = difference(app)
    assert apart == pytest.approx((logits[answer] - logits[rival]).item(), abs=1e-4)
    assert total == pytest.approx(apart, abs=1.1e-4)
    bars, heads = (table.to_dict("list") for table in charts(app))
    assert len(bars["part"]) == 1 + 2 * len(layers)
    written = [
        [
            vector @ layer.self_attn.o_proj.weight.T[part : part + size]
            for part, vector in zip(range(0, 48, size), values.split(size))
        ]
        for layer, values in zip(layers, z)
    ]
    by_head = torch.stack([torch.stack(row) @ direction for row in written])
    by_neuron = torch.stack(
        [values * (layer.mlp.down_proj.weight.T @ direction) for layer, values in zip(layers, neurons)]
    )
    np.testing.assert_allclose(heads["score"], by_head.flatten(), atol=1e-4)
    expected = [reference.model.embed_tokens(llama.token_ids(prompt))[0, -1] @ direction]
    for row in range(len(layers)):
        expected += [by_head[row].sum(), by_neuron[row].sum()]
    assert bars["value"] == pytest.approx([value.item() for value in expected], abs=1e-4)
    head_table, neuron_table = (element.value for element in app.dataframe)
    strongest = by_neuron.flatten()[by_neuron.flatten().abs().argsort(descending=True)][:8]
    assert list(neuron_table["adds"]) == pytest.approx(strongest.tolist(), abs=6e-4)
    layer, number = map(int, neuron_table.iloc[0, 0].removeprefix("L").split(" N"))
    for column, values in {"activation": neurons, "silu(gate)": gates, "up": ups}.items():
        assert neuron_table[column][0] == pytest.approx(values[layer][number].item(), abs=6e-3)
    raised = reference.lm_head.weight @ (
        layers[layer].mlp.down_proj.weight[:, number] * neurons[layer][number] * reference.model.norm.weight
    )
    texts = models.vocabulary(models.load(name)).texts
    assert neuron_table["writes towards"][0] == "  ".join(visible(texts[id] for id in raised.topk(4).indices.tolist()))
    layer, number = map(int, head_table.iloc[0, 0].removeprefix("L").split(" H"))
    assert head_table["adds"][0] == pytest.approx(by_head[layer, number].item(), abs=6e-4)
    pattern = output.attentions[layer][0, number, -1]
    assert head_table["looks most at"][0].split()[0] == str(pattern.argmax().item())
    bar_values = [bar["value"] for bar in all_drawn(app, "tokens")[-1]["tokens"]]
    assert bar_values == pytest.approx(pattern.tolist(), abs=1e-5)
    assert shows(app, "no position vectors and no biases")
