"""The lesson on ablation, run whole by Streamlit's own test driver, with good input and bad."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest
from transformers import LlamaForCausalLM

from model.interpretability import patching
from model.transformer.intervention import Edit, Interventions
from pages.shared import models, prose
from pages.shared.compute import interpretability
from pages.shared.compute.interpretability import REPLACEMENTS
from pages.shared.runtime import progress
from tests import llama
from tests.driver import (
    CONTEXT,
    HOSTILE,
    MASK_LEAK,
    PATCHING,
    SCALPEL,
    charts,
    drawn,
    examples,
    heat_maps,
    page,
    pictures,
    read_prompt,
    shows,
)
from viz.tokens import visible

NAME = models.NAMES[0]
EXAMPLES = examples(SCALPEL)
PROMPT = EXAMPLES["Who gets the key?"].prompt


def changed(changes: Interventions, prompt: str = PROMPT) -> torch.Tensor:
    """The logits (T, V) of the built-in model with these changes."""
    reading = read_prompt(NAME, prompt)
    return reading.model.decoder.trace(reading.trace.idx, changes).logits[0]


def shown(app: AppTest, run: str) -> list[float]:
    table = charts(app)[0]
    return list(table[table["run"] == run]["probability"])


def test_without_interventions_the_run_is_the_same_bit_for_bit() -> None:
    app = page(SCALPEL)
    assert not app.exception and not app.warning
    assert shows(app, "Nothing is switched off: over all logits at all positions the largest difference is 0.")
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
    app = page(SCALPEL, **link)
    assert not app.exception
    before, after = changed(Interventions()), changed(changes)
    both = {"untouched": before[-1].softmax(-1), "changed": after[-1].softmax(-1)}
    ids = {id for shares in both.values() for id in shares.topk(4).indices.tolist()}
    ids = sorted(ids, key=lambda id: -max(shares[id].item() for shares in both.values()))
    for run, shares in both.items():
        assert shown(app, run) == pytest.approx(shares[ids].tolist(), abs=1e-6)
    kl = torch.nn.functional.kl_div(after.log_softmax(-1), before.softmax(-1), reduction="none").sum(-1)
    assert [row["value"] for row in drawn(app, "tokens")["tokens"]] == pytest.approx(kl.tolist(), abs=1e-4)
    assert not shows(app, "Nothing is switched off")


@pytest.mark.parametrize("how", REPLACEMENTS)
def test_each_heads_effect_alone_is_that_of_its_own_run(how: str) -> None:
    app = page(SCALPEL, alone="true", instead=how)
    effects = np.array(drawn(app, "layers")["effects"])
    reading = read_prompt(NAME, PROMPT)
    instead = interpretability.replacement(models.load(NAME), how, read_prompt(NAME, PROMPT))
    before = changed(Interventions())[-1].softmax(-1)
    layer, head = divmod(int(effects.argmax()), effects.shape[1])
    for ablated in ((layer, head), (0, 0), reading.model.start):
        after = changed(Interventions(edits=patching.ablation_edits([ablated], (), instead)))[-1].softmax(-1)
        assert effects[ablated] == pytest.approx((before.max() - after[before.argmax()]).item(), abs=1e-4)


def test_a_token_is_quoted_so_that_a_full_stop_differs_from_the_end() -> None:
    off = [(layer, head) for layer in range(2) for head in range(8)]
    app = page(SCALPEL, off=" ".join(f"{layer}.{head}" for layer, head in off))
    zeros = interpretability.replacement(models.load(NAME), REPLACEMENTS[0])
    now = changed(Interventions(edits=patching.ablation_edits(off, (), zeros)))[-1].argmax()
    token = prose.literal(visible([models.load(NAME).token(now)])[0])
    assert now != changed(Interventions())[-1].argmax() and shows(app, f"The likeliest is now “**{token}**”.")


@pytest.mark.parametrize("off", ["9.9", "0.99 99.0", "<b>", "٣.٣", "-1.0x", "." * 5000])
def test_heads_that_the_model_does_not_have_are_ignored(off: str) -> None:
    app = page(SCALPEL, off=off)
    assert not app.exception and shows(app, "Nothing is switched off") == ("1.0" not in off)


def test_everything_is_put_back() -> None:
    app = page(SCALPEL, off="0.1 1.1", mask="false", mlps="L1")
    assert not shows(app, "Nothing is switched off")
    (button,) = [button for button in app.button if button.label == "Put everything back"]
    button.click().run()
    assert not app.exception and shows(app, "Nothing is switched off") and "off" not in app.query_params


def test_attention_of_the_changed_run_is_drawn_without_the_mask_too() -> None:
    app = page(SCALPEL, looks="true")
    assert len(pictures(app)) == 1
    app = page(SCALPEL, looks="true", mask="false")
    assert not app.exception and not pictures(app)
    layer, head = models.load(NAME).start
    reading = read_prompt(NAME, PROMPT)
    pattern = (
        reading.model.decoder.trace(reading.trace.idx, Interventions(mask=False)).blocks[layer].attn.pattern[0, head]
    )
    maps = heat_maps(app)
    np.testing.assert_allclose(maps["without the mask"], pattern, atol=1e-6)
    assert np.triu(maps["without the mask"], 1).sum() > 0.1 and not np.triu(maps["untouched"], 1).any()


@pytest.mark.parametrize("prompt", [*HOSTILE.values(), "cat " * 5000], ids=[*HOSTILE, "long"])
def test_parts_are_ablated_with_odd_text(prompt: str) -> None:
    app = page(SCALPEL, prompt=prompt, alone="true", off="0.1")
    assert not app.exception
    assert len(drawn(app, "tokens")["tokens"]) <= CONTEXT


def test_too_long_work_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUICK", 0)
    app = page(SCALPEL, alone="true")
    assert not app.exception and "alone anyway" in {toggle.key for toggle in app.toggle}
    assert drawn(app, "layers")["effects"] is None
    monkeypatch.setattr(progress, "MOST", 1)
    app.run()
    assert not app.exception and shows(app, "Take a shorter prompt, or a smaller model")


def test_what_the_examples_promise_holds_for_the_built_in_model() -> None:
    likeliest = {
        example.name: read_prompt(NAME, example.prompt).trace.logits[0, -1].argmax().item()
        for example in EXAMPLES.values()
    }
    names = ("Far agreement", "A fact", "Say it again", "Where is she?")
    _, fact, copies, where = (EXAMPLES[name] for name in names)
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


@pytest.mark.parametrize(
    ("lesson", "link"),
    [
        (PATCHING, {"corrupted": "When Anna and Tom went to the shop, Bob gave a key to"}),
        (PATCHING, {"metric": "probability", "answer": "Anna"}),
        (PATCHING, {"rival": "Bob"}),
        (MASK_LEAK, {"last": "cat"}),
    ],
    ids=str,
)
def test_an_old_link_to_a_part_that_moved_opens_that_lesson(lesson: str, link: dict[str, str]) -> None:
    app, expected = page(SCALPEL, **link), page(lesson, **link)
    assert not app.exception and app.subheader[0].value == expected.subheader[0].value
    widgets = {box.key: box.value for kind in (app.text_input, app.segmented_control) for box in kind}
    assert link.items() <= widgets.items()


def test_an_old_link_with_ablated_heads_stays_and_offers_the_part_that_moved() -> None:
    app = page(SCALPEL, off="0.1", corrupted="Tom", metric="probability")
    assert not app.exception and drawn(app, "layers")["off"] == [[0, 1]]
    offered, *_ = app.get("page_link")
    assert offered.proto.page == "patching" and "corrupted=Tom" in offered.proto.query_string


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> LlamaForCausalLM:
    llama.offer(monkeypatch, tmp_path)
    return llama.reference()


KING = "The king and the queen said"
Ablate = Callable[[LlamaForCausalLM, ExitStack], None]


def ablate_heads(*heads: tuple[int, int]) -> Ablate:
    def ablate(reference: LlamaForCausalLM, stack: ExitStack) -> None:
        size = reference.config.head_dim
        for layer, head in heads:

            def zero(module: object, inputs: tuple[torch.Tensor], head: int = head) -> tuple[torch.Tensor]:
                z = inputs[0].clone()
                z[..., head * size : (head + 1) * size] = 0
                return (z,)

            stack.enter_context(reference.model.layers[layer].self_attn.o_proj.register_forward_pre_hook(zero))

    return ablate


def ablate_mlp(layer: int) -> Ablate:
    def ablate(reference: LlamaForCausalLM, stack: ExitStack) -> None:
        mlp = reference.model.layers[layer].mlp
        stack.enter_context(mlp.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output)))

    return ablate


def no_rotation(reference: LlamaForCausalLM, stack: ExitStack) -> None:
    rotary = reference.model.rotary_emb

    def still(x: torch.Tensor, position_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        ones = torch.ones(1, position_ids.size(-1), reference.config.head_dim)
        return ones, torch.zeros_like(ones)

    stack.enter_context(patch.object(rotary, "forward", still))


def no_residual(reference: LlamaForCausalLM, stack: ExitStack) -> None:
    for layer in reference.model.layers:

        def forward(hidden_states: torch.Tensor, layer: torch.nn.Module = layer, **rest: object) -> torch.Tensor:
            attention, _ = layer.self_attn(hidden_states=layer.input_layernorm(hidden_states), **rest)
            return layer.mlp(layer.post_attention_layernorm(attention))

        stack.enter_context(patch.object(layer, "forward", forward))


def untouched(reference: LlamaForCausalLM, stack: ExitStack) -> None:
    pass


@torch.inference_mode()
def logits(reference: LlamaForCausalLM, ablate: Ablate, mask: bool = True) -> torch.Tensor:
    """The logits (T, V) of transformers' Llama after KING."""
    idx = llama.token_ids(KING)
    see_all = {} if mask else {"attention_mask": torch.zeros(1, 1, idx.size(1), idx.size(1))}
    with ExitStack() as stack:
        ablate(reference, stack)
        return reference(idx, **see_all).logits[0]


@pytest.mark.parametrize(
    ("link", "ablate", "mask"),
    [
        ({"off": "0.1 2.3"}, ablate_heads((0, 1), (2, 3)), True),
        ({"mlps": "L1"}, ablate_mlp(1), True),
        ({"positions": "false"}, no_rotation, True),
        ({"residual": "false"}, no_residual, True),
        ({"mask": "false"}, untouched, False),
    ],
    ids=str,
)
def test_a_part_of_a_llama_is_off_as_in_transformers(
    reference: LlamaForCausalLM, link: dict[str, str], ablate: Ablate, mask: bool
) -> None:
    app = page(SCALPEL, model=llama.LLAMA, prompt=KING, **link)
    assert not app.exception and not app.warning
    before, after = logits(reference, untouched), logits(reference, ablate, mask)
    names = visible(models.vocabulary(models.load(llama.LLAMA)).texts)
    table = charts(app)[0]
    for run, expected in {"untouched": before, "changed": after}.items():
        rows = table[table["run"] == run]
        shares = expected[-1].softmax(-1)
        assert rows["probability"].max() == pytest.approx(shares.max().item(), abs=1e-5)
        for word, share in zip(rows["word"], rows["probability"]):
            assert share == pytest.approx(shares[names.index(word)].item(), abs=1e-5)
    kl = torch.nn.functional.kl_div(after.log_softmax(-1), before.log_softmax(-1), reduction="none", log_target=True)
    values = [row["value"] for row in drawn(app, "tokens")["tokens"]]
    assert values == pytest.approx(kl.sum(-1).tolist(), abs=1e-5) and max(values) > 1e-3


def test_each_heads_effect_alone_in_a_llama_is_that_of_transformers(reference: LlamaForCausalLM) -> None:
    app = page(SCALPEL, model=llama.LLAMA, prompt=KING, alone="true")
    before = logits(reference, untouched)[-1].softmax(-1)
    for layer, row in enumerate(drawn(app, "layers")["effects"]):
        for head, effect in enumerate(row):
            after = logits(reference, ablate_heads((layer, head)))[-1].softmax(-1)
            assert effect == pytest.approx((before.max() - after[before.argmax()]).item(), abs=1e-4)


def test_attention_of_a_llama_without_the_mask_is_that_of_transformers(reference: LlamaForCausalLM) -> None:
    app = page(SCALPEL, model=llama.LLAMA, prompt=KING, looks="true", mask="false")
    layer, head = models.load(llama.LLAMA).start
    idx = llama.token_ids(KING)
    with torch.inference_mode():
        expected = {
            "untouched": reference(idx, output_attentions=True),
            "without the mask": reference(
                idx, attention_mask=torch.zeros(1, 1, idx.size(1), idx.size(1)), output_attentions=True
            ),
        }
    for name, output in expected.items():
        np.testing.assert_allclose(heat_maps(app)[name], output.attentions[layer][0, head], atol=1e-5)


def test_a_llama_has_its_counterpart_of_positions_named(reference: LlamaForCausalLM) -> None:
    assert shows(page(SCALPEL, model=llama.LLAMA, prompt=KING), "queries and keys are not rotated (RoPE)")
    assert not shows(page(SCALPEL), "RoPE")
