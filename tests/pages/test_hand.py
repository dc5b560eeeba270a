"""Attention by hand, and scale and mask, run whole by Streamlit's own test driver, with good input and bad."""

import math
import re

import numpy as np
import pyarrow as pa
import pytest
import torch
from streamlit.testing.v1 import AppTest
from torch.nn import functional as F

from model.transformer import attention_steps, mask_pitfalls, score_scaling
from pages.shared import link, matrix_editor, models
from tests.driver import drawn, heat_maps, page

NAME = models.NAMES[0]
HAND, SCALE = "transformer/hand", "transformer/scale"
PROMPT, HEADS = "On your prompt", "Several heads"


def said(app: AppTest) -> str:
    return " ".join(element.value for kind in (app.markdown, app.caption, app.info) for element in kind)


def curves(app: AppTest) -> list[dict[str, list[float]]]:
    """Of each chart of several curves the numbers of each."""
    tables = [
        pa.ipc.open_stream(chart.proto.datasets[0].data.data).read_all().to_pandas()
        for chart in app.get("vega_lite_chart")
    ]
    return [{name: of["y"].tolist() for name, of in table.groupby("name")} for table in tables if "name" in table]


def array(rows: list) -> np.ndarray:
    return np.array([[float(str(value).replace("Infinity", "inf")) for value in row] for row in rows])


def holds(sent: dict, divisor: float, causal: bool) -> None:
    """The numbers of the picture are those of torch's own attention on its q, k and v."""
    q, k, v = (torch.tensor(array(sent[name])) for name in "qkv")
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=1 / divisor)
    np.testing.assert_allclose(array(sent["z"]), expected, rtol=2e-3, atol=2e-4)
    np.testing.assert_allclose(array(sent["products"]), q @ k.T, rtol=2e-3, atol=2e-4)
    np.testing.assert_allclose(array(sent["weights"]).sum(-1), 1, atol=1e-4)
    assert sent["divisor"] == pytest.approx(divisor)


@pytest.mark.parametrize(
    ("link", "divisor", "causal"),
    [
        ({}, 3**0.5, True),
        ({"mask": "none"}, 3**0.5, False),
        ({"scaled": "false", "tokens": "6", "width": "4", "drawn": "7"}, 1, True),
        ({"example": "The library"}, 3**0.5, False),
        ({"example": "The contract"}, 3**0.5, True),
    ],
    ids=str,
)
def test_the_steps_are_drawn_as_torch_has_them(link: dict[str, str], divisor: float, causal: bool) -> None:
    app = page(HAND, **link)
    assert not app.exception and not app.warning
    holds(drawn(app, "products"), divisor, causal)
    assert "numbers" not in app.query_params


def test_queries_are_multiplied_and_wrong_masks_are_called_wrong() -> None:
    one, five = (drawn(page(HAND, times=times), "products") for times in ("1", "5"))
    np.testing.assert_allclose(array(five["products"]), 5 * array(one["products"]))
    app = page(HAND, mask=attention_steps.MASKS[2])
    sent = drawn(app, "products")
    scaled, masked = (array(sent[name]) for name in ("scaled", "masked"))
    np.testing.assert_allclose(masked - scaled, -1e9 * np.tri(4), rtol=0, atol=1e-4)  # to the digits of a score
    assert [link.proto.label for link in app.get("page_link") if "written wrongly" in link.proto.label]


def test_edited_numbers_are_those_of_the_link() -> None:
    start = attention_steps.random_example(4, 3, 0)
    q, k, v = (torch.arange(12.0).view(4, 3) - 3, start.k, -start.v)
    app = page(HAND, numbers=link.write_matrices([q, k, v]))
    assert not app.exception and not app.warning
    sent = drawn(app, "products")
    assert sent["q"] == q.tolist() and sent["v"] == (-start.v).tolist()
    holds(sent, 3**0.5, True)
    assert app.query_params["numbers"] == link.write_matrices([q, k, v])


@pytest.mark.parametrize(
    "numbers", ["1 2", "x", "<b>;;", "nan " * 12 + ";" + "1 " * 12 + ";" + "1 " * 12, "1e9 " * 12, "1 " * 50_000]
)
def test_numbers_that_do_not_fit_get_a_sentence(numbers: str) -> None:
    app = page(HAND, numbers=numbers)
    assert not app.exception and "do not fit" in app.warning[0].value
    assert drawn(app, "products")["q"] == attention_steps.random_example(4, 3, 0).q.tolist()
    assert "numbers" not in app.query_params


def test_what_a_cell_may_hold() -> None:
    assert [matrix_editor._number(text) for text in ("2", "-1.5", "−1", " 7e2 ", "", None)] == [2, -1.5, -1, 700, 0, 0]
    for text in ("1/3", "1,5", "x", "99999", "1e9", "nan", "inf"):
        with pytest.raises(ValueError):
            matrix_editor._number(text)
    with pytest.raises(ValueError, match="-999 to 999"):
        link.read_matrices("1000", [torch.zeros(1)])


@pytest.mark.parametrize(
    "link",
    [
        {"view": "<b>"},
        {"example": "x"},
        {"tokens": "99"},
        {"width": "-1"},
        {"mask": "all"},
        {"times": "0"},
        {"row": "x"},
    ],
    ids=str,
)
def test_a_link_that_makes_no_sense_shows_the_first_view(link: dict[str, str]) -> None:
    app = page(HAND, **link)
    assert not app.exception
    assert len(drawn(app, "products")["queries"]) == 4


def test_an_example_brings_its_mask() -> None:
    app = page(HAND, mask="none", times="7")
    app.segmented_control(key="example").set_value("The contract").run()
    assert not app.exception and app.selectbox(key="mask").value == "causal"
    app.segmented_control(key="example").set_value("The library").run()
    assert not app.exception and app.selectbox(key="mask").value == "none"
    sent = drawn(app, "products")
    assert sent["keys"] == list(attention_steps.LIBRARY.keys) and sent["q"] == attention_steps.LIBRARY.q.tolist()


def test_the_library_becomes_hard_only_where_one_key_fits_best() -> None:
    (largest,) = curves(page(HAND, example="The library"))
    assert {name: len(of) for name, of in largest.items()} == dict.fromkeys(attention_steps.LIBRARY.queries, 20)
    assert largest["cars?"][-1] > 0.999 > 0.7 > largest["cars?"][0]
    assert largest["food?"][-1] == pytest.approx(0.5) and largest["both?"][-1] == pytest.approx(1 / 3)
    assert largest["nothing"] == pytest.approx([0.25] * 20)


@pytest.mark.parametrize("fit", ["4.0", "7.5"])
def test_the_contract_is_computed_from_its_slider(fit: str) -> None:
    app = page(HAND, example="The contract", fit=fit)
    (by,) = curves(app)
    as_it_is, penalised = (by[name] for name in sorted(by))
    assert as_it_is == pytest.approx([attention_steps.answer_weight(100, 50, float(fit))] * 99)
    assert (
        penalised[9] == pytest.approx(attention_steps.answer_weight(100, 10, float(fit), 1 / 8))
        and penalised[0] > penalised[-1]
    )
    assert f"**{attention_steps.answer_weight(10_000, 9_999, float(fit)):.4f}** of 10,000" in said(app)
    power, both = (float(n) for n in re.search(r"= ([\d.]+) / ([\d.]+) = ", said(app)).groups())
    assert power == pytest.approx(math.exp(float(fit)), abs=0.005)
    assert power / both == pytest.approx(as_it_is[0], abs=6e-4)


@pytest.mark.parametrize(
    ("link", "lesson"),
    [
        ({"view": "On your prompt"}, "attention_on_prompt"),
        ({"view": "On your prompt", "picked": "L1 H2", "prompt": "7 + 5 ="}, "attention_on_prompt"),
        ({"view": "Several heads", "of layer": "L0", "at": "3  ·Tom"}, "heads_add_up"),
    ],
    ids=str,
)
def test_old_link_to_a_view_opens_the_lesson_that_it_has_become(link: dict[str, str], lesson: str) -> None:
    app = page(HAND, **link)
    assert not app.exception and not app.warning
    choices = {key: value for key, value in link.items() if key != "view"}
    new = page(f"transformer/{lesson}", **choices)
    assert [element.value for element in app.subheader] == [element.value for element in new.subheader]
    assert [element.value for element in app.markdown] == [element.value for element in new.markdown]
    boxes = [*app.selectbox, *app.text_input]
    assert {box.key: box.value for box in boxes if box.key in choices} == choices
    assert "view" not in app.query_params


@pytest.mark.parametrize(("width", "seed"), [(64, 0), (1024, 5)])
def test_the_curves_over_the_width_are_measured_now(width: int, seed: int) -> None:
    app = page(SCALE, wide=str(width), seed=str(seed))
    assert not app.exception
    spread, entropy, gradient = curves(app)
    for name, divided in {"divided by √d": True, "as they are": False}.items():
        found = score_scaling.by_width(seed, divided)
        assert spread[name] == pytest.approx([of.spread for of in found])
        assert entropy[name] == pytest.approx([of.entropy for of in found])
        assert gradient[name] == pytest.approx([math.log10(of.gradient) for of in found])
        here = found[int(math.log2(width))]
        assert f"**{here.spread:.3g}** {'divided by √d' if divided else name}" in said(app)
        assert f"{here.gradient:.3g}" in said(app) and f"{math.log10(here.gradient):.2f}" in said(app)
    row = score_scaling.random_scores(width, seed)[0]
    columns = drawn(app, "columns")["columns"]
    assert [column[0]["value"] for column in columns] == pytest.approx((row / width**0.5).softmax(-1).tolist())
    assert [column[1]["value"] for column in columns] == pytest.approx(row.softmax(-1).tolist())
    spread, largest = score_scaling.untrained_layer(0.1, seed)
    assert f"**{spread:.1f}**" in said(app) and f"**{largest:.2f}**" in said(app)
    spread, largest = score_scaling.untrained_layer(1 / math.sqrt(512), seed)
    assert f"With 1/√512 instead of 0.1 the two numbers are **{spread:.2f}** and **{largest:.2f}**" in said(app)


@pytest.mark.parametrize("name", mask_pitfalls.PITFALLS)
def test_each_trap_is_computed_now(name: str) -> None:
    app = page(SCALE, view="Mask traps", trap=name, seed="3")
    assert not app.exception
    random = torch.Generator().manual_seed(3)
    trap = mask_pitfalls.PITFALLS[name](torch.randn(4, 4, generator=random, dtype=torch.double).numpy())
    shown = heat_maps(app)
    assert list(shown) == list(trap.weights)
    for way, weights in trap.weights.items():
        np.testing.assert_allclose(shown[way], weights, atol=1e-6)
    assert trap.note in said(app)
    assert name in [element.value for element in app.subheader]


@pytest.mark.parametrize("link", [{"view": "x"}, {"trap": "<b>", "view": "Mask traps"}, {"wide": "3"}, {"seed": "-1"}])
def test_a_link_that_makes_no_sense_is_left_out(link: dict[str, str]) -> None:
    assert not page(SCALE, **link).exception
