"""The lesson on generation, run whole by Streamlit's own test driver, with good input and bad."""

import re
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

from pages.shared import models
from pages.shared.compute import decoding
from tests import llama
from tests.driver import CONTEXT, HOSTILE, all_drawn, drawn, examples, page, read_prompt, unescaped
from viz.tokens import visible

GENERATION = "decoding/generation"

NAME, STORY = models.NAMES[0], "Once upon a time there was a"
LLAMA_PROMPT = "the king and the queen"
STEPWISE = examples("decoding/generation")


def picture(app: AppTest) -> dict:
    return drawn(app, "passes")


def shown_text(app: AppTest, words: str) -> str:
    """The one paragraph that holds these words."""
    (paragraph,) = [element.value for element in app.markdown if words in element.value]
    return unescaped(paragraph)


def test_passes_equal_the_forward_pass_over_the_whole_text() -> None:
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


def test_attention_of_one_head_is_drawn() -> None:
    one = decoding.generate(print, read_prompt(NAME, STORY), None, 0.0, 0, 32)[7]
    app = page(GENERATION, prompt=STORY, head="L2 H5")
    assert picture(app)["passes"][7]["looks"] == pytest.approx(one.pattern[2, 5].tolist(), abs=6e-5)


def test_same_seed_draws_the_same_text() -> None:
    texts = {
        seed: [picture(page(GENERATION, prompt=STORY, temperature="1.5", seed=seed))["text"] for _ in range(2)]
        for seed in ("3", "4")
    }
    assert texts["3"][0] == texts["3"][1] != texts["4"][0]
    assert texts["3"][0] != picture(page(GENERATION, prompt=STORY, seed="3"))["text"]


def test_full_context_is_read_anew() -> None:
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


def test_prompt_as_long_as_the_context_is_read_whole_in_every_pass() -> None:
    app = page(GENERATION, prompt="cat " * 200)
    assert not app.exception and "left out" in app.warning[0].value
    assert all(one["new"] == CONTEXT and not one["cached"] for one in picture(app)["passes"])


def test_times_with_and_without_cache_are_shown_and_logits_agree() -> None:
    app = page(GENERATION, prompt=STORY)
    measured = shown_text(app, "a token takes")
    less, more, times = map(float, re.findall(r"\*\*([\d.]+) [m×]", measured))
    assert less < more and times == pytest.approx(more / less, rel=0.05)
    passes = picture(app)["passes"][1:]
    counted = sum(one["work"][1] for one in passes) / sum(one["work"][0] for one in passes)
    assert measured.endswith(f"it is {counted:.1f} ×.")
    same = shown_text(app, "It changes nothing")
    assert "in **32 of 32**" in same and 0 < float(re.search(r"logit is \*\*([\d.e-]+)", same)[1]) < 1e-3


@pytest.mark.parametrize("asked", ["L9 H9", "<b>", "-1", "nan", "1e99", "../x", "٣"])
def test_invalid_values_in_the_link_are_ignored(asked: str) -> None:
    names = ("head", "context", "temperature", "seed", "tokens", "each", "step", "cache")
    app = page(GENERATION, prompt=STORY, **dict.fromkeys(names, asked))
    assert not app.exception and len(picture(app)["passes"]) == 32


@pytest.mark.parametrize("prompt", ["a", *HOSTILE.values()], ids=["one token", *HOSTILE])
def test_odd_text_is_continued(prompt: str) -> None:
    app = page(GENERATION, prompt=prompt, temperature="2", context="16 tokens")
    assert not app.exception
    drawing = picture(app)
    assert drawing["text"][: drawing["prompt"]] == visible(read_prompt(NAME, prompt).tokens)


def test_an_empty_prompt_gets_a_sentence() -> None:
    app = page(GENERATION, prompt="")
    assert not app.exception and "The prompt is empty" in app.info[0].value


def test_long_work_waits_until_the_visitor_opts_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large model makes few passes, and nothing else, until the visitor opts in."""
    monkeypatch.setattr("pages.shared.runtime.progress.QUICK", 1)
    app = page(GENERATION, prompt="The dog and the cat")
    assert not app.exception and len(picture(app)["passes"]) == 8
    assert not [element for element in app.markdown if "a token takes" in element.value]
    few = picture(app)["text"]
    for key, shown in (("both", "over all 8 passes"), ("many", "over all 32 passes")):
        app.toggle(key=key).set_value(True).run()
        assert not app.exception and shown in shown_text(app, "It changes nothing")
    assert picture(app)["text"][: len(few)] == few and len(picture(app)["passes"]) == 32


def test_visitor_who_leaves_stops_generation_and_the_next_one_gets_all_passes() -> None:
    asked, shares = (read_prompt(NAME, "Tom and Anna went"), None, 0.0, 0, 4), []

    def leaves(share: float) -> None:
        shares.append(share)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        decoding.generate(leaves, *asked)
    passes = decoding.generate(shares.append, *asked)
    assert shares == [1 / 4, 1 / 4, 2 / 4, 3 / 4, 1] and len(passes) == 4
    assert decoding.generate(leaves, *asked) is passes


def test_example_sets_its_context() -> None:
    app = page(GENERATION, prompt=STORY)
    for example in (STEPWISE["Full at once"], *STEPWISE.values()):
        app.button(key=f"example {example.name}").click().run()
        assert not app.exception and not app.warning
        drawing = picture(app)
        full = example.name == "Full at once"
        assert drawing["context"] == (16 if full else CONTEXT) and (drawing["prompt"] == 16) == full
        assert all(one["new"] == 16 for one in drawing["passes"]) == full


def test_seed_is_asked_for_only_above_temperature_0_and_names_its_range() -> None:
    app = page(GENERATION, prompt=STORY)
    assert not app.number_input
    app.slider(key="temperature").set_value(1.0).run()
    (box,) = app.number_input
    assert not box.disabled and box.label == f"Seed, {box.min:.0f} to {box.max:.0f}"


def test_every_model_of_the_picker_generates() -> None:
    for name in models.NAMES:
        app = page(GENERATION, model=name, prompt=STORY)
        assert not app.exception and not app.warning
        assert picture(app)["layers"] == models.load(name).decoder.config.n_layer


def test_old_link_to_the_cache_sizes_opens_their_lesson() -> None:
    app = page(GENERATION, tokens="131,072", each="1", prompt=STORY)
    assert not app.exception and not all_drawn(app, "passes")
    assert app.select_slider(key="tokens").value == 131_072
    stays = page(GENERATION, tokens="131,072", head="L2 H5", prompt=STORY)
    assert picture(stays) and "tokens=131%2C072" in stays.get("page_link")[0].proto.query_string


@pytest.mark.parametrize("head", ["mean of all heads", "L2 H3"])
@pytest.mark.parametrize("context", ["the model's own", "16 tokens"])
def test_with_a_llama_every_pass_equals_transformers(
    head: str, context: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Transformers reads the whole window in each pass, without a cache."""
    name = llama.offer(monkeypatch, tmp_path)
    app = page(GENERATION, model=name, prompt=LLAMA_PROMPT, head=head, context=context)
    assert not app.exception and not app.warning
    drawing, peer, ids = picture(app), llama.reference(), llama.token_ids(LLAMA_PROMPT)
    texts, size = models.vocabulary(models.load(name)).texts, 16 if context == "16 tokens" else 96
    assert len(drawing["passes"]) == 32 and drawing["context"] == size
    assert drawing["each"] == 2 * 3 * 2 * 12 * 4  # K and V, 3 layers, 2 shared heads of size 12, float32
    for step in drawing["passes"]:
        window = ids[:, -size:]
        with torch.inference_mode():
            output = peer(window, output_attentions=True)
        pattern = torch.cat(output.attentions)[:, :, -1]
        attention = pattern[2, 3] if head == "L2 H3" else pattern.mean((0, 1))
        assert step["looks"] == pytest.approx(attention.tolist(), abs=1e-4)
        shares = output.logits[0, -1].softmax(-1).topk(5)
        assert [share for _, share in step["likeliest"]] == pytest.approx(shares.values.tolist(), abs=1e-4)
        assert [token for token, _ in step["likeliest"]] == visible(texts[id] for id in shares.indices.tolist())
        assert step["first"] == ids.size(1) - window.size(1)
        ids = torch.cat([ids, shares.indices[None, :1]], dim=1)
    assert drawing["text"] == visible(texts[id] for id in ids[0, :-1].tolist())
    assert "in **32 of 32**" in shown_text(app, "It changes nothing")
    assert any("rotates queries and keys (RoPE)" in caption.value for caption in app.caption)


def test_with_a_llama_the_work_is_that_of_its_matrices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name = llama.offer(monkeypatch, tmp_path)
    passes = picture(page(GENERATION, model=name, prompt=LLAMA_PROMPT))["passes"]
    config = models.load(name).decoder.config
    # Q and O; K and V of 2 heads of size 12; gate, up and down; then attention, and the head for one position
    matrices = 2 * 48 * 48 + 2 * 48 * 24 + 3 * 48 * 70
    for step in passes:
        end = step["cached"] + step["new"]
        expected = [3 * (new * matrices + 2 * 48 * new * end) + 48 * config.vocab_size for new in (step["new"], end)]
        assert step["work"] == expected
