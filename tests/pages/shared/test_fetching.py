"""Models that are picked: fetched first, opened beside others, let go again, and refused with a sentence."""

import gc
import json
import threading
import time
import weakref
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model.loading import checkpoint, hub
from pages.shared import fetching, models
from pages.shared.compute import readings
from pages.shared.runtime import catalog
from pages.shared.runtime.catalog import Entry
from tests.driver import page, pictures, read_prompt, unescaped
from tests.hub import Hub, repository

ATTENTION = "transformer/attention"
GPT2 = catalog.GPT2
FETCH = f"fetch {GPT2.repo} 3"


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    """Each test has its own models under the same names."""
    models.load.cache_clear()
    readings.forward_pass.cache_clear()


def offer(monkeypatch: pytest.MonkeyPatch, name: str, folder: Path) -> str:
    monkeypatch.setitem(models.CATALOG, name, Entry(name, folder))
    return name


def test_a_model_that_is_not_here_can_be_fetched_and_is_then_used(hub_server: Hub, tiny: dict[str, bytes]) -> None:
    app = page(ATTENTION, model=GPT2.name)
    said = unescaped(app.markdown[0].value)
    assert all(fact in said for fact in (GPT2.name, GPT2.repo, "550 MB", "MIT license", hub.cache_location()))
    assert f"you see {models.NAMES[0]}" in said and len(pictures(app)) == 1 and not hub_server.asked
    hub_server.pace = 100_000
    app.button(key=FETCH).click().run()
    under_way = hub.latest(GPT2.repo)
    while not under_way.received:
        time.sleep(0.01)
    app.run()
    assert f"of {sum(map(len, tiny.values())) / 1e6:.1f} MB" in app.get("progress")[0].proto.text
    assert not [button for button in app.button if button.key == FETCH] and len(pictures(app)) == 1
    another = page(ATTENTION, model=GPT2.name)
    assert "MB" in another.get("progress")[0].proto.text and hub.latest(GPT2.repo) is under_way
    while under_way.running:
        time.sleep(0.01)
    app.run()
    assert not app.get("progress") and not app.warning and len(pictures(app)) == 1
    assert b'"layers": 2, "heads": 3' in pictures(app)[0]


def test_what_went_wrong_is_said_and_it_can_be_tried_again(hub_server: Hub) -> None:
    hub_server.status = 404
    app = page(ATTENTION, model=GPT2.name)
    app.button(key=FETCH).click().run()
    while hub.latest(GPT2.repo).running:
        time.sleep(0.01)
    app.run()
    assert unescaped(app.warning[0].value) == f"The hub has no {GPT2.repo} (404)." and len(pictures(app)) == 1
    hub_server.status = None
    assert app.button(key=FETCH).label == "Try again"
    app.button(key=FETCH).click().run()
    while hub.latest(GPT2.repo).running:
        time.sleep(0.01)
    assert not app.run().warning


def test_a_link_alone_fetches_nothing(hub_server: Hub) -> None:
    for name in catalog.CATALOG:
        page(ATTENTION, model=name)
    assert not hub_server.asked


def untied(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(json.loads((folder / "config.json").read_text()) | {"n_layer": 7}))


BROKEN = {
    "model.safetensors is missing": lambda folder: (folder / "model.safetensors").unlink(),
    "a pickle is never opened": lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
    "model.safetensors cannot be read": lambda folder: (folder / "model.safetensors").write_bytes(b"\xff" * 99),
    "config.json is missing": lambda folder: (folder / "config.json").unlink(),
    "config.json cannot be read": lambda folder: (folder / "config.json").write_text("{"),
    "config.json holds a list": lambda folder: (folder / "config.json").write_text("[]"),
    "model_type is 'bert'": lambda folder: (folder / "config.json").write_text('{"model_type": "bert"}'),
    "the weights of 2 layers": untied,
    "is missing. You": lambda folder: save_file(
        {"h.0.ln_1.weight": torch.ones(3), "h.1.ln_1.weight": torch.ones(3)}, folder / "model.safetensors"
    ),
    "tokenizer.json is missing": lambda folder: (folder / "tokenizer.json").unlink(),
    "tokenizer.json cannot be read": lambda folder: (folder / "tokenizer.json").write_text("{}"),
}


@pytest.mark.parametrize("said", BROKEN)
def test_a_folder_that_holds_no_model_of_a_known_family_gets_a_sentence(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository(tmp_path / "own")
    BROKEN[said](tmp_path / "own")
    app = page(ATTENTION, model=offer(monkeypatch, "own", tmp_path / "own"))
    warning = unescaped(app.warning[0].value)
    assert said in warning and warning.startswith("own cannot be used: ") and warning.endswith("You see Vitrine.")
    assert str(tmp_path) not in warning and "\n" not in warning and len(warning) < 250
    assert not app.exception and len(pictures(app)) == 1


def test_a_model_that_is_too_large_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(tmp_path / "own")
    monkeypatch.setattr(models, "MODELS", 100_000)
    with pytest.raises(ValueError, match=r"takes 0.3 MB of the 0.1 MB for models here: it is too large"):
        models.load(offer(monkeypatch, "own", tmp_path / "own"))


def test_a_broken_model_lets_no_other_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("good", "bad"):
        repository(tmp_path / name)
        offer(monkeypatch, name, tmp_path / name)
    (tmp_path / "bad" / "tokenizer.json").write_text("{}")
    monkeypatch.setattr(models, "MODELS", 5 * checkpoint.sizes(tmp_path / "good").parameters)
    good = models.load("good")
    with pytest.raises(ValueError, match="tokenizer.json cannot be read"):
        models.load("bad")
    assert models.load("good") is good


def test_models_that_are_opened_at_once_fit_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(tmp_path / "own")
    size = 4 * checkpoint.sizes(tmp_path / "own").parameters
    monkeypatch.setattr(models, "MODELS", int(1.5 * size))
    with models.room(size):
        with pytest.raises(ValueError, match="other models are being opened; try again"):
            models.load(offer(monkeypatch, "own", tmp_path / "own"))
    assert models.load("own").name == "own"


def test_a_context_too_short_for_the_lessons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(tmp_path / "own")
    monkeypatch.setattr(models, "SHORTEST", 65)
    with pytest.raises(ValueError, match="its context must hold 65 tokens or more"):
        models.load(offer(monkeypatch, "own", tmp_path / "own"))


def test_what_the_person_who_runs_the_server_adds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "models.txt").write_text("# our own\nowner/model  # by a student\n\nours\n")
    (tmp_path / "ours").mkdir()
    monkeypatch.setattr(catalog, "ROOT", tmp_path)
    monkeypatch.setenv("VITRINE_MODELS", f"other/model, {tmp_path / 'ours'},/nowhere/at/all")
    assert catalog.added() == [
        Entry("owner/model", "owner/model"),
        Entry("ours", tmp_path / "ours"),
        Entry("other/model", "other/model"),
        Entry("ours", tmp_path / "ours"),
        Entry("all", Path("/nowhere/at/all")),
    ]


def test_many_models_in_turn_leave_no_more_than_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(tmp_path / "own")
    size = 4 * checkpoint.sizes(tmp_path / "own").parameters
    monkeypatch.setattr(models, "MODELS", 3 * size)
    monkeypatch.setattr(models.load.cache, "_Cache__maxsize", 3 * size)
    alive = []
    for n in range(10):
        name = offer(monkeypatch, f"own {n}", tmp_path / "own")
        page(ATTENTION, model=name)
        alive.append(weakref.ref(models.load(name).decoder))
        assert models.load.cache.currsize <= 3 * size
    gc.collect()
    assert [gpt() is not None for gpt in alive] == [False] * 7 + [True] * 3
    models.load("own 7")
    models.load(offer(monkeypatch, "own 10", tmp_path / "own"))
    gc.collect()
    assert [gpt() is not None for gpt in alive] == [False] * 7 + [True, False, True]  # the latest used stay


def test_a_reading_outlives_its_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(tmp_path / "own")
    reading = read_prompt(offer(monkeypatch, "own", tmp_path / "own"), "the cat")
    models.load.cache_clear()
    assert read_prompt("own", "the cat").trace is reading.trace and reading.model.name == "own"


def test_opening_one_model_keeps_nobody_from_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(tmp_path / "own")
    slow, quick = (offer(monkeypatch, name, tmp_path / "own") for name in ("slow", "quick"))
    opened, go_on, loads = threading.Event(), threading.Event(), []
    load = checkpoint.load

    def wait(folder: Path) -> object:
        loads.append(threading.current_thread().name)
        if threading.current_thread().name.startswith("slow"):
            opened.set()
            assert go_on.wait(10)
        return load(folder)

    monkeypatch.setattr(checkpoint, "load", wait)
    found = []
    students = [threading.Thread(target=lambda: found.append(models.load(slow)), name=f"slow {n}") for n in range(3)]
    for student in students:
        student.start()
    assert opened.wait(10)
    assert models.load(quick).name == "quick" and not found
    go_on.set()
    for student in students:
        student.join(10)
    assert len(found) == 3 and len({id(one) for one in found}) == 1 and len(loads) == 2


@pytest.mark.parametrize("tokens", [5, 64])
def test_what_is_shown_is_bounded_by_what_it_costs(
    tokens: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository(tmp_path / "own")
    model = models.load(offer(monkeypatch, "own", tmp_path / "own"))
    monkeypatch.setattr(models, "READING", model.decoder.config.trace_bytes(tokens))
    assert model.max_tokens == tokens
    app = page(ATTENTION, model="own", prompt="the cat sat on the mat " * 20)
    said = app.warning[0].value
    assert len(read_prompt("own", "the cat sat on the mat " * 20).tokens) == tokens
    assert ("5 of its 64 tokens" in said and "MB of the server's memory" in said) == (tokens == 5)
    assert ("can read at once (64 tokens)" in said) == (tokens == 64)


def test_readings_are_kept_by_their_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(tmp_path / "own")
    name = offer(monkeypatch, "own", tmp_path / "own")
    monkeypatch.setattr(readings, "LATEST", 100_000)
    for n in range(40):
        reading = read_prompt(name, f"the cat {n}")
    assert readings.forward_pass.cache.currsize == sum(
        reading.model.decoder.config.trace_bytes(len(kept.tokens)) for kept in readings.forward_pass.cache.values()
    )
    assert (
        readings.forward_pass.cache.maxsize == readings.READINGS
        and read_prompt(name, "the cat 39").trace is reading.trace
    )


def test_no_more_readings_are_kept_than_a_class_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(tmp_path / "own")
    name = offer(monkeypatch, "own", tmp_path / "own")
    for n in range(readings.LATEST + 5):
        read_prompt(name, f"the cat {n}")
    assert len(readings.forward_pass.cache) == readings.LATEST


def test_ready_is_the_picked_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(tmp_path / "own")
    assert fetching.ready(offer(monkeypatch, "own", tmp_path / "own")).name == "own"
