"""The lesson on patching, run whole by Streamlit's own test driver, with good input and bad."""

from pathlib import Path

import pytest
import torch

from model.transformer.intervention import Edit, Interventions
from pages.shared import models
from pages.shared.runtime import progress
from tests import llama
from tests.driver import CONTEXT, HOSTILE, PATCHING, charts, examples, page, read_prompt, shows

NAME = models.NAMES[0]
EXAMPLES = examples(PATCHING)
PROMPT = EXAMPLES["Who gets the key?"].prompt


def test_all_parts_patched_at_once_give_the_clean_run() -> None:
    app = page(PATCHING)
    assert not app.exception and not app.warning
    assert shows(app, "the largest difference of any logit is 0.")


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=lambda example: example.name)
def test_an_example_brings_its_second_prompt_and_both_maps(example) -> None:
    app = page(PATCHING)
    app.button(key=f"example {example.name}").click().run()
    assert not app.exception and app.text_input(key="corrupted").value == example.also["corrupted"]
    clean, corrupted = (read_prompt(NAME, text).trace for text in (example.prompt, example.also["corrupted"]))
    answer, rival = (run.logits[0, -1].argmax().item() for run in (clean, corrupted))
    assert answer != rival
    ends = [(run.logits[0, -1, answer] - run.logits[0, -1, rival]).item() for run in (corrupted, clean)]
    tables = [table for table in charts(app) if "score" in table]
    maps = {
        name: table.pivot(index="layer", columns=name, values="score")
        for name, table in zip(("position", "head"), tables)
    }
    gpt = models.load(NAME).decoder
    for name, site in (("position", "resid_pre"), ("head", "z")):
        layer, column = divmod(int(maps[name].to_numpy().argmax()), maps[name].shape[1])
        block = clean.blocks[layer]
        edit = (
            Edit(site, layer, block.resid_pre[:, column], position=column)
            if site == "resid_pre"
            else Edit(site, layer, block.attn.z[:, column], head=column)
        )
        logits = gpt.trace(corrupted.idx, Interventions(edits=(edit,))).logits[0, -1]
        share = ((logits[answer] - logits[rival]).item() - ends[0]) / (ends[1] - ends[0])
        assert maps[name].to_numpy()[layer, column] == pytest.approx(share, abs=1e-3)
    start = (clean.idx != corrupted.idx)[0].nonzero()[0].item()
    assert (maps["position"].to_numpy()[:, :start] == 0).all()
    assert maps["position"].to_numpy()[0, start] > 0.9 or (clean.idx != corrupted.idx).sum() > 1


def test_the_metric_can_be_the_probability_and_answer_and_rival_can_be_typed() -> None:
    app = page(PATCHING, metric="probability", answer="Anna", rival="Tom")
    assert not app.exception and shows(app, "The probability of “**·Anna**” is")
    app.text_input(key="answer").set_value("Donaudampfschiff <b>").run()
    assert not app.exception and shows(app, "the first one counts")
    app.segmented_control(key="metric").set_value("logit difference").run()
    app.text_input(key="answer").set_value("Tom").run()
    assert not app.exception and shows(app, "nothing to bring back")  # answer and rival are one token


@pytest.mark.parametrize(
    ("corrupted", "sentence"),
    [
        (PROMPT, "are the same; change a word"),
        ("When Anna and Tom", "must have the same number"),
        ("cat " * 5000, "must have the same number"),
        ("</script><img src=x onerror=alert(1)>", "must have the same number"),
    ],
)
def test_two_prompts_that_cannot_be_patched_get_a_sentence(corrupted: str, sentence: str) -> None:
    app = page(PATCHING, corrupted=corrupted)
    assert not app.exception and shows(app, sentence)
    app.text_input(key="corrupted").set_value("").run()
    assert not app.exception and shows(app, "Type a second prompt")


@pytest.mark.parametrize("prompt", [*HOSTILE.values(), "cat " * 5000], ids=[*HOSTILE, "long"])
def test_odd_text_is_patched_or_gets_a_sentence(prompt: str) -> None:
    app = page(PATCHING, prompt=prompt, corrupted=f"{prompt}x")
    assert not app.exception
    tables = [table for table in charts(app) if "position" in table]
    assert shows(app, "There is nothing to patch") or len({*tables[0]["position"]}) <= CONTEXT


def test_too_long_work_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUICK", 0)
    app = page(PATCHING)
    assert not app.exception and "patch anyway" in {toggle.key for toggle in app.toggle} and not charts(app)
    monkeypatch.setattr(progress, "MOST", 1)
    app.run()
    assert not app.exception and shows(app, "Take a shorter prompt, or a smaller model")


def test_what_the_examples_promise_holds_for_the_built_in_model() -> None:
    agrees, tokenizer = EXAMPLES["Far agreement"], models.load(NAME).tokenizer
    is_are = [
        read_prompt(NAME, text).trace.logits[0, -1].argmax().item()
        for text in (agrees.prompt, agrees.also["corrupted"])
    ]
    assert [tokenizer.decode([id]).strip() for id in is_are] == ["are", "is"]


@torch.inference_mode()
@pytest.mark.parametrize("metric", ["logit difference", "probability"])
def test_both_maps_of_a_llama_are_those_of_transformers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, metric: str
) -> None:
    texts = {"clean": "The king and the queen said", "corrupted": "The man and the queen said"}
    name, reference = llama.offer(monkeypatch, tmp_path), llama.reference()
    app = page(PATCHING, model=name, prompt=texts["clean"], corrupted=texts["corrupted"], metric=metric)
    assert not app.exception and not app.warning and shows(app, "the largest difference of any logit is 0.")
    layers, size = reference.model.layers, reference.config.head_dim
    idx = {run: llama.token_ids(text) for run, text in texts.items()}
    streams, z = [], []
    hooks = [layer.register_forward_pre_hook(lambda _, inputs: streams.append(inputs[0])) for layer in layers]
    hooks += [
        layer.self_attn.o_proj.register_forward_pre_hook(lambda _, inputs: z.append(inputs[0])) for layer in layers
    ]
    ends = {"clean": reference(idx["clean"]).logits[0, -1]}
    for hook in hooks:
        hook.remove()
    ends["corrupted"] = reference(idx["corrupted"]).logits[0, -1]
    answer = ends["clean"].argmax().item()
    rival = next(id for id in ends["corrupted"].topk(2).indices.tolist() if id != answer)

    def measure(logits: torch.Tensor) -> float:
        difference = (logits[answer] - logits[rival]).item()
        return difference if metric == "logit difference" else logits.softmax(-1)[answer].item()

    def restored(module: torch.nn.Module, activation: torch.Tensor, place: tuple[slice | int, ...]) -> float:
        """The share that transformers' run restores with a part of a module's input replaced by the clean one."""

        def put_in(_: object, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            edited = inputs[0].clone()
            edited[place] = activation[place]
            return edited, *inputs[1:]

        hook = module.register_forward_pre_hook(put_in)
        patched = measure(reference(idx["corrupted"]).logits[0, -1])
        hook.remove()
        return (patched - measure(ends["corrupted"])) / (measure(ends["clean"]) - measure(ends["corrupted"]))

    maps = [table for table in charts(app) if "score" in table]
    tables = dict(zip(("position", "head"), maps, strict=True))
    assert len(tables["position"]) == 3 * idx["clean"].size(1) and len(tables["head"]) == 3 * 4
    for _, row in tables["position"].iterrows():
        expected = restored(layers[row["layer"]], streams[row["layer"]], (slice(None), row["position"]))
        assert row["score"] == pytest.approx(expected, abs=1e-3)
    for _, row in tables["head"].iterrows():
        part = slice(row["head"] * size, (row["head"] + 1) * size)
        expected = restored(layers[row["layer"]].self_attn.o_proj, z[row["layer"]], (..., part))
        assert row["score"] == pytest.approx(expected, abs=1e-3)
