"""The lesson on generation, run whole by Streamlit's own test driver, with good input and bad."""

import re

import pytest
import torch
from streamlit.testing.v1 import AppTest

from model.decoding import naive_generate
from pages.shared import models
from pages.shared.compute import decoding
from tests.driver import CONTEXT, HOSTILE, drawn, examples, page, read_prompt, unescaped
from viz.tokens import visible

GENERATION = "decoding/generation"

NAME, STORY = models.NAMES[0], "Once upon a time there was a"
STEPWISE = examples("decoding/generation")


def picture(app: AppTest) -> dict:
    return drawn(app, "passes")


def said(app: AppTest, words: str) -> str:
    (found,) = [element.value for element in app.markdown if words in element.value]
    return unescaped(found)


def test_the_picture_is_what_the_model_does() -> None:
    app = page(GENERATION, prompt=STORY)
    assert not app.exception and not app.warning
    drawing, reading = picture(app), read_prompt(NAME, STORY)
    gpt, texts = reading.model.decoder, models.vocabulary(models.load(NAME)).texts
    prompt = reading.trace.idx[0].tolist()
    text = gpt.generate(reading.trace.idx, 32)
    written = text[0, len(prompt) :].tolist()
    assert drawing["text"] == visible(texts[id] for id in text[0, :-1].tolist()) and drawing["prompt"] == len(prompt)
    assert len(drawing["passes"]) == 32
    whole = gpt.trace(text[:, :-1])
    looks = torch.stack([block.attn.pattern[0] for block in whole.blocks]).mean((0, 1))
    for n, one in enumerate(drawing["passes"]):
        at = len(prompt) - 1 + n
        assert (one["first"], one["cached"], one["new"]) == ((0, at, 1) if n else (0, 0, len(prompt)))
        assert one["looks"] == pytest.approx(looks[at, : at + 1].tolist(), abs=1e-4)
        shares = whole.logits[0, at].softmax(-1).sort(descending=True).values[:5].tolist()
        assert [share for _, share in one["likeliest"]] == pytest.approx(shares, abs=1e-4)
        assert one["likeliest"][one["taken"]][0] == visible([texts[written[n]]])[0]
        assert one["work"] == [gpt.config.multiply_adds(*way) for way in ((one["new"], one["cached"]), (at + 1,))]
    assert drawing["each"] * len(prompt) == sum(k.nbytes + v.nbytes for k, v in reading.trace.cache)


def test_one_head_is_looked_through() -> None:
    one = decoding.generate(print, read_prompt(NAME, STORY), None, 0.0, 0, 32)[7]
    app = page(GENERATION, prompt=STORY, head="L2 H5")
    assert picture(app)["passes"][7]["looks"] == pytest.approx(one.pattern[2, 5].tolist(), abs=6e-5)


def test_a_seed_draws_and_draws_again() -> None:
    texts = {
        seed: [picture(page(GENERATION, prompt=STORY, temperature="1.5", seed=seed))["text"] for _ in range(2)]
        for seed in ("3", "4")
    }
    assert texts["3"][0] == texts["3"][1] != texts["4"][0]
    assert texts["3"][0] != picture(page(GENERATION, prompt=STORY, seed="3"))["text"]


def test_a_full_context_is_read_anew() -> None:
    app = page(GENERATION, prompt=STORY, context="16 tokens")
    assert not app.exception
    passes = picture(app)["passes"]
    assert picture(app)["context"] == 16
    for n, one in enumerate(passes):
        end = passes[0]["new"] + n
        assert one["first"] == max(0, end - 16) and one["first"] + one["cached"] + one["new"] == end
        assert one["new"] == (1 if 0 < n and end <= 16 else end - one["first"])
        if end > 16:
            assert one["work"][0] == one["work"][1]


def test_of_a_prompt_as_long_as_the_context_every_pass_reads_all() -> None:
    app = page(GENERATION, prompt="cat " * 200)
    assert not app.exception and "left out" in app.warning[0].value
    assert all(one["new"] == CONTEXT and not one["cached"] for one in picture(app)["passes"])


def test_both_ways_are_measured_and_say_the_same() -> None:
    app = page(GENERATION, prompt=STORY)
    measured = said(app, "a token takes")
    less, more, times = map(float, re.findall(r"\*\*([\d.]+) [m×]", measured))
    assert less < more and times == pytest.approx(more / less, rel=0.05)
    passes = picture(app)["passes"][1:]
    counted = sum(one["work"][1] for one in passes) / sum(one["work"][0] for one in passes)
    assert measured.endswith(f"it is {counted:.1f} ×.")
    same = said(app, "It changes nothing")
    assert "in **32 of 32**" in same and 0 < float(re.search(r"logit is \*\*([\d.e-]+)", same)[1]) < 1e-3


def test_each_case_is_run_both_ways() -> None:
    app = page(GENERATION, prompt=STORY)
    cells = [unescaped(element.value) for element in app.markdown]
    theirs = [cell.removeprefix(":red[the notes:] ") for cell in cells if cell.startswith(":red[the notes:]")]
    ours = [cell.removeprefix(":green[ours:] ") for cell in cells if cell.startswith(":green[ours:]")]
    assert len(theirs) == len(ours) == len(naive_generate.CASES)
    assert theirs[0].startswith("IndexError") and theirs[1].startswith("RuntimeError")
    passes = decoding.generate(print, read_prompt(NAME, STORY), None, 0.0, 0, 32)
    first = visible([models.load(NAME).token(passes[0].id)])[0]
    assert ours[1].startswith(f"**{first}**") and "number 1 of 6,144" in ours[1]
    assert int(re.search(r"number ([\d,]+) of", theirs[2])[1].replace(",", "")) > 6144 - 50
    assert ours[2].startswith("ValueError: temperature is -1.0")


def test_known_models_are_told_what_they_keep() -> None:
    app = page(GENERATION, prompt=STORY, tokens="131,072", each="1")
    (table,) = [element.value for element in app.dataframe]
    found = table.set_index("model")
    assert found.loc["Llama 3.1 8B", "MB kept"] == pytest.approx(2 * 32 * 8 * 128 * 131_072 / 1e6, abs=0.06)
    assert found.loc["Llama 3.1 8B", "MB if no heads shared"] == pytest.approx(
        4 * found.loc["Llama 3.1 8B", "MB kept"], abs=0.3
    )
    assert found.loc["GPT-2", "tokens"] == 1024 and found.loc["GPT-2", "MB kept"] == 18.9
    assert found.loc["Llama 3.1 8B", "MB kept"] > found.loc["Llama 3.1 8B", "MB of the weights"]


@pytest.mark.parametrize("asked", ["L9 H9", "<b>", "-1", "nan", "1e99", "../x", "٣"])
def test_a_link_that_asks_for_nothing_there_is_gets_the_page(asked: str) -> None:
    names = ("head", "context", "temperature", "seed", "tokens", "each", "step", "cache")
    app = page(GENERATION, prompt=STORY, **dict.fromkeys(names, asked))
    assert not app.exception and len(picture(app)["passes"]) == 32


@pytest.mark.parametrize("prompt", ["a", *HOSTILE.values()], ids=["one token", *HOSTILE])
def test_odd_text_is_written_on(prompt: str) -> None:
    app = page(GENERATION, prompt=prompt, temperature="2", context="16 tokens")
    assert not app.exception
    drawing = picture(app)
    assert drawing["text"][: drawing["prompt"]] == visible(read_prompt(NAME, prompt).tokens)


def test_an_empty_prompt_gets_a_sentence() -> None:
    app = page(GENERATION, prompt="")
    assert not app.exception and "The prompt is empty" in app.info[0].value


def test_long_work_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large model few passes are made, and nothing else, until it is asked for."""
    monkeypatch.setattr("pages.shared.runtime.progress.QUICK", 1)
    asked = told_of(monkeypatch)
    app = page(GENERATION, prompt="The dog and the cat")
    assert not app.exception and len(picture(app)["passes"]) == 8
    assert not [element for element in app.markdown if "a token takes" in element.value or "ours:" in element.value]
    few = picture(app)["text"]
    for key, shown in (("both", "over all 8 passes"), ("many", "over all 32 passes")):
        app.toggle(key=key).set_value(True).run()
        assert not app.exception and shown in said(app, "It changes nothing")
    assert picture(app)["text"][: len(few)] == few and len(picture(app)["passes"]) == 32
    assert not asked
    app.toggle(key="notes").set_value(True).run()
    assert not app.exception and said(app, "IndexError") and len(asked) == 1


def test_who_leaves_while_it_is_written_ends_it_and_who_comes_then_gets_it() -> None:
    asked, shares = (read_prompt(NAME, "Tom and Anna went"), None, 0.0, 0, 4), []

    def leaves(share: float) -> None:
        shares.append(share)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        decoding.generate(leaves, *asked)
    passes = decoding.generate(shares.append, *asked)
    assert shares == [1 / 4, 1 / 4, 2 / 4, 3 / 4, 1] and len(passes) == 4
    assert decoding.generate(leaves, *asked) is passes


def told_of(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Of which tokens it is tried what goes wrong, from now on."""
    tried, asked = naive_generate.run_cases, []
    monkeypatch.setattr(naive_generate, "run_cases", lambda gpt, idx: asked.append(idx[0].tolist()) or tried(gpt, idx))
    decoding.try_naive_generate.cache_clear()
    return asked


def test_prompts_that_end_alike_are_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = told_of(monkeypatch)
    for start in ("", "Tom is in the garden."):
        prompt = f"{start} Anna is in the kitchen. Tom is in the cellar. Where is Anna?"
        assert not page(GENERATION, prompt=prompt).exception
    (once,) = asked
    assert once == read_prompt(NAME, prompt).trace.idx[0, -16:].tolist()


def test_an_example_brings_its_context() -> None:
    app = page(GENERATION, prompt=STORY)
    for example in (STEPWISE["Full at once"], *STEPWISE.values()):
        app.button(key=f"example {example.name}").click().run()
        assert not app.exception and not app.warning
        drawing = picture(app)
        full = example.name == "Full at once"
        assert drawing["context"] == (16 if full else CONTEXT) and (drawing["prompt"] == 16) == full
        assert all(one["new"] == 16 for one in drawing["passes"]) == full


def test_a_seed_is_asked_for_where_something_is_drawn_and_says_what_it_may_be() -> None:
    app = page(GENERATION, prompt=STORY)
    assert not app.number_input
    app.slider(key="temperature").set_value(1.0).run()
    (box,) = app.number_input
    assert not box.disabled and box.label == f"Seed, {box.min:.0f} to {box.max:.0f}"


def test_every_model_of_the_picker_writes() -> None:
    for name in models.NAMES:
        app = page(GENERATION, model=name, prompt=STORY)
        assert not app.exception and not app.warning
        assert picture(app)["layers"] == models.load(name).decoder.config.n_layer
