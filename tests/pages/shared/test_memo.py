"""The cache: one computation for all who ask at once, which a visitor who leaves does not undo."""

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import pytest

from pages.shared import models
from pages.shared.compute import decoding, interpretability, language, readings, start, transformer
from pages.shared.runtime import memo, queue
from pages.shared.runtime.catalog import Entry
from pages.shared.runtime.memo import memoize
from tests.driver import read_prompt
from tests.hub import repository
from tests.pages.shared.test_queue import Gone, wait_until


def test_callers_with_the_same_key_share_one_computation_and_see_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    sentences, computed, go = [], [], threading.Event()
    monkeypatch.setattr(memo, "PATIENCE", 0.01)
    monkeypatch.setattr(memo, "INTERVAL", 0.01)
    monkeypatch.setattr(memo, "spinner", lambda text, **_: sentences.append(text) or nullcontext())

    @memoize(1)
    def upper(name: str) -> str:
        computed.append(name)
        go.wait(10)
        return name.upper()

    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(upper("same"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(sentences) >= 2)
    go.set()
    for thread in threads:
        thread.join(10)
    assert answers == ["SAME"] * 3 and computed == ["same"]
    assert set(sentences) == {"Another visitor asked for the same, which is being computed"}


def test_a_result_is_cached_when_its_visitor_leaves_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def spinner(text: str, **_: object) -> Iterator[None]:
        yield
        raise Gone

    monkeypatch.setattr(memo.st, "spinner", spinner)
    computed = []

    @memoize(1, doing="Computing")
    def upper(name: str) -> str:
        computed.append(name)
        return name.upper()

    with pytest.raises(Gone):
        upper("it")
    assert upper("it") == "IT" and computed == ["it"]


NAME, PROMPT = models.NAMES[0], "When Anna and Tom went to the shop, Anna gave a key to"
MODULES = (models, decoding, interpretability, language, readings, start, transformer)
ON_PROGRESS = [].append
WORK: list[tuple[Callable, Callable[[models.Model, readings.Reading], tuple]]] = [
    (readings.forward_pass, lambda model, reading: (model, "turn")),
    (readings.next_probability, lambda model, reading: (model, "turn", 5)),
    (decoding.write, lambda model, reading: (reading, (("temperature", 1.25),), 7, 2)),
    (decoding.search_beams, lambda model, reading: (reading, 2, 2)),
    (decoding.generate, lambda model, reading: (ON_PROGRESS, reading, None, 1.25, 7, 2)),
    (decoding.try_naive_generate, lambda model, reading: (model, (5, 6, 7))),
    (start.question_answers, lambda model, reading: (model, 29)),
    (start.held_out_losses, lambda model, reading: (model, 29)),
    (start.divergences_from_truth, lambda model, reading: (model,)),
    (start.continuation, lambda model, reading: (model, "turn")),
    (interpretability.measure_claim, lambda model, reading: (model, "Induction", PROMPT)),
    (interpretability.read_lens, lambda model, reading: (reading, "resid_post", 0, 3, None)),
    (interpretability.score_heads, lambda model, reading: (model,)),
    (transformer.without_residual, lambda model, reading: (reading,)),
    (transformer.effect_of_last_token, lambda model, reading: (reading, True)),
    (transformer.measure_stacks, lambda model, reading: (2, 1.0, 29)),
    (language.learn_merges, lambda model, reading: ("to turn in turn", 3)),
    (language.answer_analogies, lambda model, reading: (None,)),
]


@pytest.mark.parametrize(("compute", "arguments"), WORK, ids=[compute.__name__ for compute, _ in WORK])
def test_a_computation_takes_a_permit(compute: Callable, arguments: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    args = arguments(models.load(NAME), read_prompt(NAME, PROMPT))
    taken: list[int] = []

    @contextmanager
    def refused() -> Iterator[None]:
        taken.append(1)
        raise Gone
        yield

    for module in MODULES:
        if hasattr(module, "permit"):
            monkeypatch.setattr(module, "permit", refused)
    monkeypatch.setattr(queue.SEMAPHORE, "permit", refused)
    compute.cache_clear()
    with pytest.raises(Gone):
        compute(*args)
    assert taken == [1]
    monkeypatch.undo()
    assert compute(*args) is not None  # and it is not in the way of the next


def test_a_cache_holds_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(tmp_path / "own")
    monkeypatch.setitem(models.CATALOG, "own", Entry("own", tmp_path / "own"))
    model = models.load("own")
    reading = readings.read(model, "the cat sat")
    for compute, arguments in WORK:
        if compute is not interpretability.measure_claim and compute is not start.divergences_from_truth:
            with suppress(ValueError):  # of texts that this model cannot read
                compute(*arguments(model, reading))
    models.vocabulary(model)
    models.load.cache_clear()
    decoder = weakref.ref(model.decoder)
    del model, reading
    gc.collect()
    assert decoder() is None
