"""The scalpel, run whole by Streamlit's own test driver, with good input and bad."""

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from streamlit.testing.v1 import AppTest

from model.interpretability import patching
from model.training import mask_leak as leak
from model.transformer.intervention import Edit, Interventions
from pages.shared import models, prose
from pages.shared.compute import interpretability
from pages.shared.compute.interpretability import REPLACEMENTS
from pages.shared.runtime import progress
from tests.driver import CONTEXT, HOSTILE, drawn, examples, heat_maps, page, pictures, read_prompt
from tests.driver import SCALPEL as LESSON
from viz.tokens import visible

NAME = models.NAMES[0]
EXAMPLES = examples(LESSON)
PROMPT = EXAMPLES["Who gets the key?"].prompt


def charts(app: AppTest) -> list[pd.DataFrame]:
    return [
        pa.ipc.open_stream(chart.proto.datasets[0].data.data).read_all().to_pandas()
        for chart in app.get("vega_lite_chart")
    ]


def said(app: AppTest, start: str) -> bool:
    return any(start in element.value for kind in (app.markdown, app.caption, app.info) for element in kind)


def changed(changes: Interventions, prompt: str = PROMPT) -> torch.Tensor:
    """The logits (T, V) of the built-in model with these changes."""
    reading = read_prompt(NAME, prompt)
    return reading.model.decoder.trace(reading.trace.idx, changes).logits[0]


def shown(app: AppTest, run: str) -> list[float]:
    table = charts(app)[0]
    return list(table[table["run"] == run]["probability"])


def test_untouched_it_is_the_same_to_the_bit() -> None:
    app = page(LESSON)
    assert not app.exception and not app.warning
    assert said(app, "Nothing is switched off: over all logits at all positions the largest difference is 0.")
    assert said(app, "the largest difference of any logit is 0.")  # and everything patched is the other run
    assert shown(app, "untouched") == shown(app, "changed")
    assert drawn(app, "layers")["off"] == [] and drawn(app, "layers")["effects"] is None


@pytest.mark.parametrize(
    ("link", "changes"),
    [
        ({"positions": "false"}, Interventions(positions=False)),
        ({"mask": "false"}, Interventions(mask=False)),
        ({"residual": "false"}, Interventions(residual=False)),
        ({"off": "0.1 2.3"}, Interventions(edits=(Edit("z", 0, 0.0, head=1), Edit("z", 2, 0.0, head=3)))),
        ({"mlps": "L0"}, Interventions(edits=(Edit("mlp_out", 0, 0.0),))),
    ],
    ids=str,
)
def test_a_part_in_the_link_is_off(link: dict[str, str], changes: Interventions) -> None:
    app = page(LESSON, **link)
    assert not app.exception
    before, after = changed(Interventions()), changed(changes)
    both = {"untouched": before[-1].softmax(-1), "changed": after[-1].softmax(-1)}
    ids = {id for of in both.values() for id in of.topk(4).indices.tolist()}
    ids = sorted(ids, key=lambda id: -max(of[id].item() for of in both.values()))
    for run, of in both.items():
        assert shown(app, run) == pytest.approx(of[ids].tolist(), abs=1e-6)
    kl = torch.nn.functional.kl_div(after.log_softmax(-1), before.softmax(-1), reduction="none").sum(-1)
    assert [row["value"] for row in drawn(app, "tokens")["tokens"]] == pytest.approx(kl.tolist(), abs=1e-4)
    assert not said(app, "Nothing is switched off")


@pytest.mark.parametrize("how", REPLACEMENTS)
def test_what_each_head_does_alone_is_computed_now(how: str) -> None:
    app = page(LESSON, alone="true", instead=how)
    effects = np.array(drawn(app, "layers")["effects"])
    reading = read_prompt(NAME, PROMPT)
    instead = interpretability.replacement(models.load(NAME), how, read_prompt(NAME, PROMPT))
    before = changed(Interventions())[-1].softmax(-1)
    layer, head = divmod(int(effects.argmax()), effects.shape[1])
    for one in ((layer, head), (0, 0), (reading.model.start)):
        after = changed(Interventions(edits=patching.ablation_edits([one], (), instead)))[-1].softmax(-1)
        assert effects[one] == pytest.approx((before.max() - after[before.argmax()]).item(), abs=1e-4)


def test_a_token_stands_between_quotes_so_that_a_full_stop_is_told_from_the_end() -> None:
    off = [(layer, head) for layer in range(2) for head in range(8)]
    app = page(LESSON, off=" ".join(f"{layer}.{head}" for layer, head in off))
    zeros = interpretability.replacement(models.load(NAME), REPLACEMENTS[0])
    now = changed(Interventions(edits=patching.ablation_edits(off, (), zeros)))[-1].argmax()
    token = prose.literal(visible([models.load(NAME).token(now)])[0])
    assert now != changed(Interventions())[-1].argmax() and said(app, f"The likeliest is now “**{token}**”.")


@pytest.mark.parametrize("off", ["9.9", "0.99 99.0", "<b>", "٣.٣", "-1.0x", "." * 5000])
def test_heads_that_are_not_there_are_not_switched_off(off: str) -> None:
    app = page(LESSON, off=off)
    assert not app.exception and said(app, "Nothing is switched off") == ("1.0" not in off)


def test_everything_is_put_back() -> None:
    app = page(LESSON, off="0.1 1.1", mask="false", mlps="L1")
    assert not said(app, "Nothing is switched off")
    (button,) = [button for button in app.button if button.label == "Put everything back"]
    button.click().run()
    assert not app.exception and said(app, "Nothing is switched off") and "off" not in app.query_params


def test_attention_of_the_changed_run_is_drawn_without_the_mask_too() -> None:
    app = page(LESSON, looks="true")
    assert len(pictures(app)) == 1
    app = page(LESSON, looks="true", mask="false")
    assert not app.exception and not pictures(app)
    layer, head = models.load(NAME).start
    reading = read_prompt(NAME, PROMPT)
    pattern = (
        reading.model.decoder.trace(reading.trace.idx, Interventions(mask=False)).blocks[layer].attn.pattern[0, head]
    )
    found = heat_maps(app)
    np.testing.assert_allclose(found["without the mask"], pattern, atol=1e-6)
    assert np.triu(found["without the mask"], 1).sum() > 0.1 and not np.triu(found["untouched"], 1).any()


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=lambda example: example.name)
def test_an_example_brings_its_second_prompt_and_both_maps(example) -> None:
    app = page(LESSON)
    app.button(key=f"example {example.name}").click().run()
    assert not app.exception and app.text_input(key="corrupted").value == example.also["corrupted"]
    clean, corrupted = (read_prompt(NAME, text).trace for text in (example.prompt, example.also["corrupted"]))
    answer, rival = (run.logits[0, -1].argmax().item() for run in (clean, corrupted))
    assert answer != rival
    ends = [(run.logits[0, -1, answer] - run.logits[0, -1, rival]).item() for run in (corrupted, clean)]
    tables = [table for table in charts(app) if "score" in table]
    of = {
        name: table.pivot(index="layer", columns=name, values="score")
        for name, table in zip(("position", "head"), tables)
    }
    gpt = models.load(NAME).decoder
    for name, site in (("position", "resid_pre"), ("head", "z")):
        layer, column = divmod(int(of[name].to_numpy().argmax()), of[name].shape[1])
        block = clean.blocks[layer]
        edit = (
            Edit(site, layer, block.resid_pre[:, column], position=column)
            if site == "resid_pre"
            else Edit(site, layer, block.attn.z[:, column], head=column)
        )
        logits = gpt.trace(corrupted.idx, Interventions(edits=(edit,))).logits[0, -1]
        share = ((logits[answer] - logits[rival]).item() - ends[0]) / (ends[1] - ends[0])
        assert of[name].to_numpy()[layer, column] == pytest.approx(share, abs=1e-3)
    start = (clean.idx != corrupted.idx)[0].nonzero()[0].item()
    assert (of["position"].to_numpy()[:, :start] == 0).all()
    assert of["position"].to_numpy()[0, start] > 0.9 or (clean.idx != corrupted.idx).sum() > 1


def test_the_probability_is_a_measure_too_and_words_can_be_named() -> None:
    app = page(LESSON, metric="probability", answer="Anna", rival="Tom")
    assert not app.exception and said(app, "The probability of “**·Anna**” is")
    app.text_input(key="answer").set_value("Donaudampfschiff <b>").run()
    assert not app.exception and said(app, "the first one counts")
    app.segmented_control(key="metric").set_value("logit difference").run()
    app.text_input(key="answer").set_value("Tom").run()
    assert not app.exception and said(app, "nothing to bring back")  # answer and rival are one token


@pytest.mark.parametrize(
    ("corrupted", "sentence"),
    [
        (PROMPT, "are the same; change a word"),
        ("When Anna and Tom", "must have the same number"),
        ("cat " * 5000, "must have the same number"),
        ("</script><img src=x onerror=alert(1)>", "must have the same number"),
    ],
)
def test_two_prompts_that_are_no_pair_get_a_sentence(corrupted: str, sentence: str) -> None:
    app = page(LESSON, corrupted=corrupted)
    assert not app.exception and said(app, sentence)
    app.text_input(key="corrupted").set_value("").run()
    assert not app.exception and said(app, "Type a second prompt")


@pytest.mark.parametrize("prompt", [*HOSTILE.values(), "cat " * 5000], ids=[*HOSTILE, "long"])
def test_odd_text_can_be_cut(prompt: str) -> None:
    app = page(LESSON, prompt=prompt, alone="true", off="0.1", corrupted=f"{prompt}x")
    assert not app.exception
    assert len(drawn(app, "tokens")["tokens"]) <= CONTEXT


def test_a_later_word_is_seen_only_without_the_mask() -> None:
    app = page(LESSON)
    rows = drawn(app, "columns")
    on, off = ([column[n]["value"] for column in rows["columns"]] for n in (0, 1))
    assert rows["names"] == ["mask on", "mask off"]
    assert on[:-1] == [0] * (len(on) - 1) and on[-1] > 0.1
    assert sum(off[:-1]) > 0.1


def test_the_leak_is_revealed_after_a_guess() -> None:
    app = page(LESSON)
    assert not said(app, "Over the last 20 steps")
    guess = app.pills(key="guess")
    guess.set_value(guess.options[1]).run()
    assert not app.exception
    (sentence,) = [element.value for element in app.markdown if "Over the last 20 steps" in element.value]
    assert "Right" in sentence
    without, with_mask = (float(part.split("**")[0]) for part in sentence.split("steps: **")[1].split(", **")[:2])
    assert without == pytest.approx(math.log(16) / 12, abs=0.03) and with_mask == pytest.approx(math.log(16), abs=0.03)
    assert leak.HONEST_LOSS == math.log(16)


def test_what_takes_too_long_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUICK", 0)
    app = page(LESSON, alone="true")
    assert not app.exception and {"alone anyway", "patch anyway"} <= {toggle.key for toggle in app.toggle}
    assert drawn(app, "layers")["effects"] is None
    monkeypatch.setattr(progress, "MOST", 1)
    app.run()
    assert not app.exception and said(app, "Take a shorter prompt, or a smaller model")


def test_what_the_examples_say_is_so() -> None:
    """On the built-in model, whichever its heads are."""
    likeliest = {
        example.name: read_prompt(NAME, example.prompt).trace.logits[0, -1].argmax().item()
        for example in EXAMPLES.values()
    }
    names = ("Far agreement", "A fact", "Say it again", "Where is she?")
    agrees, fact, copies, where = (EXAMPLES[name] for name in names)
    tokenizer = models.load(NAME).tokenizer

    def says(logits: torch.Tensor) -> str:
        return tokenizer.decode([logits[-1].argmax().item()]).strip()

    assert says(changed(Interventions())) == "Tom" and says(changed(Interventions(positions=False))) == "Anna"
    without = changed(Interventions(edits=(Edit("mlp_out", 1, 0.0),)), fact.prompt)[-1].softmax(-1)
    assert without[likeliest[fact.name]] < 0.5
    rooms = [says(changed(changes, where.prompt)) for changes in (Interventions(), Interventions(mask=False))]
    assert rooms == ["kitchen", "cellar"]
    alone = interpretability.ablate_each_head(read_prompt(NAME, copies.prompt), "zero").get(60)
    induction = interpretability.score_heads(models.load(NAME))["induction"]
    spared = alone[induction > 0.5] < 0.1
    assert spared.sum() > len(spared) / 2 > 2
    looks_back = interpretability.score_heads(models.load(NAME))["previous token"]
    assert alone[looks_back > 0.9].max() > 0.9
    is_are = [
        read_prompt(NAME, text).trace.logits[0, -1].argmax().item()
        for text in (agrees.prompt, agrees.also["corrupted"])
    ]
    assert [tokenizer.decode([id]).strip() for id in is_are] == ["are", "is"]
