"""Fetching a model, with the real client, from a hub on this machine that fails in every way."""

import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants

from model.loading import checkpoint, hub
from model.loading.hub import FILES, Download
from tests.hub import Hub, repository

REPO = hub.KNOWN_MODELS["gpt2"].repo


def ended(begun: Download, within: float = 10.0) -> Download:
    """A download when it is over, one way or the other."""
    until = time.monotonic() + within
    while begun.running:
        assert time.monotonic() < until, "it neither came nor failed in time"
        time.sleep(0.01)
    return begun


def reached(met: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not met():
        assert time.monotonic() < until
        time.sleep(0.005)


def gets(hub_server: Hub) -> list[str]:
    """The files that were asked for."""
    return [
        asked.rpartition("/")[2] for asked in hub_server.asked if asked.startswith("GET /") and "/resolve/" in asked
    ]


def test_a_model_is_fetched_once_and_lies_where_the_client_finds_it(hub_server: Hub, tiny: dict[str, bytes]) -> None:
    assert hub.cached_folder(REPO) is None
    one = ended(hub.start(REPO))
    assert one.error is None and one.received == one.total == hub_server.sent == sum(map(len, tiny.values()))
    assert hub.cached_folder(REPO) == one.here
    assert {name: (one.here / name).read_bytes() for name in FILES} == tiny
    assert Path(huggingface_hub.snapshot_download(REPO, local_files_only=True, allow_patterns=list(FILES))) == one.here
    gpt = checkpoint.load(one.here)
    assert checkpoint.tokenizer(one.here, gpt.config.vocab_size).encode(" cat").tokens == ["Ġcat"]
    asked = len(hub_server.asked)
    again = ended(hub.start(REPO))
    assert again.here == one.here and len(gets(hub_server)) == len(FILES) and len(hub_server.asked) > asked


def test_before_anyone_asks_for_it_nothing_is_asked(hub_server: Hub) -> None:
    assert hub.cached_folder(REPO) is None and hub.latest(REPO) is None and hub.cache_location()
    assert not hub_server.asked


def test_who_asks_at_once_waits_for_the_same(hub_server: Hub, tiny: dict[str, bytes]) -> None:
    hub_server.pace = 400_000
    with ThreadPoolExecutor(8) as students:
        begun = set(students.map(hub.start, [REPO] * 8))
    assert len(begun) == 1
    ended(*begun)
    assert gets(hub_server) == list(FILES) and hub_server.sent == sum(map(len, tiny.values()))


def test_what_is_under_way_is_told(hub_server: Hub) -> None:
    hub_server.pace = 150_000
    one = hub.start(REPO)
    reached(lambda: one.received > 30_000)
    assert one.running and one.received < one.total and 0 < one.seconds_left < 10
    ended(one)
    assert one.seconds_left == 0


def test_an_interrupted_one_goes_on_where_it_was(hub_server: Hub, tiny: dict[str, bytes]) -> None:
    hub_server.pace, hub_server.cut = 300_000, 60_000
    one = hub.start(REPO)
    reached(lambda: one.received > 60_000)
    hub_server.status = 503  # and does not come back
    assert ended(one).error == f"The hub answered 503 for {REPO}; try again later."
    had, sent = one.received, hub_server.sent
    assert had < one.total
    hub_server.status = hub_server.cut = hub_server.pace = None
    again = ended(hub.start(REPO))
    assert again.error is None and again.kept >= had - 1
    assert hub_server.sent - sent == again.total - again.kept  # not a byte twice
    assert (again.here / "model.safetensors").read_bytes() == tiny["model.safetensors"]


def test_a_line_that_breaks_again_and_again_is_taken_up_each_time(hub_server: Hub, tiny: dict[str, bytes]) -> None:
    hub_server.cut = 50_000
    one = ended(hub.start(REPO))
    assert one.error is None and gets(hub_server).count("model.safetensors") == -(
        -len(tiny["model.safetensors"]) // hub_server.cut
    )
    assert hub_server.sent == one.total


def test_a_hub_that_cannot_begin_in_the_middle_begins_again(hub_server: Hub, tiny: dict[str, bytes]) -> None:
    hub_server.cut = 100_000
    hub_server.ranges = False
    one = hub.start(REPO)
    reached(lambda: hub_server.sent > 100_000)  # the small files, and what came before the line broke
    hub_server.cut = None
    assert ended(one).error is None and one.received == one.total
    assert (one.here / "model.safetensors").read_bytes() == tiny["model.safetensors"]


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "gated, private"), (403, "HF_TOKEN"), (404, "has no"), (429, "answered 429"), (500, "500")],
)
def test_a_hub_that_refuses(hub_server: Hub, status: int, said: str) -> None:
    hub_server.status = status
    one = ended(hub.start(REPO))
    assert said in one.error and str(status) in one.error and REPO in one.error and one.here is None


@pytest.mark.parametrize("refused", [401, 404])
def test_a_hub_that_shows_a_model_but_does_not_give_it(hub_server: Hub, refused: int) -> None:
    hub_server.pace = 100_000
    one = hub.start(REPO)
    reached(lambda: one.total > 0)
    hub_server.status = refused
    assert str(refused) in ended(one).error
    assert hub.cached_folder(REPO) is None


def test_a_hub_that_is_not_there(hub_server: Hub) -> None:
    hub_server.close()
    assert ended(hub.start(REPO)).error == "The hub could not be reached (ConnectError)."


@pytest.mark.parametrize("after", [0, 40_000])
def test_a_hub_that_hangs(hub_server: Hub, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hub.TIMEOUT < 10
    monkeypatch.setattr(hub, "TIMEOUT", 0.7)
    hub_server.pace = 400_000
    if not after:
        hub_server.silent.set()
    one = hub.start(REPO)
    reached(lambda: one.received >= after)
    hub_server.silent.set()
    began = time.monotonic()
    assert ended(one).error == "The hub did not answer for 0.7 seconds."
    assert time.monotonic() - began < 1.5
    hub_server.silent.clear()
    hub_server.pace = None
    time.sleep(1.2)  # the thread that hung has noticed
    again = ended(hub.start(REPO))
    assert again.error is None and again.kept >= after


def test_a_wrong_checksum(hub_server: Hub) -> None:
    hub_server.changed = "config.json"
    one = ended(hub.start(REPO))
    assert one.error == "config.json came with a wrong checksum and was thrown away; try again."
    assert not [path for path in Path(constants.HF_HUB_CACHE).rglob("*") if path.suffix == ".incomplete"]
    hub_server.changed = "model.safetensors"  # which has a checksum of another kind
    one = ended(hub.start(REPO))
    assert one.error == "model.safetensors came with a wrong checksum and was thrown away; try again."


def test_a_disk_without_room(hub_server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "model.loading.hub.describe_files", lambda repo, files: [hub.File("config.json", 7_300_000, "0" * 40)]
    )
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 2_100_000, 2_100_000))
    assert "needs 7 MB more on the server's disk, which has 2 MB left" in ended(hub.start(REPO)).error
    assert not gets(hub_server)


def test_a_disk_that_is_full_halfway(hub_server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open

    def full(path: Path, mode: str = "r", *rest: object, **others: object) -> object:
        if path.suffix == ".incomplete" and mode == "ab":
            raise OSError(28, "No space left on device", str(path))
        return opened(path, mode, *rest, **others)

    monkeypatch.setattr(Path, "open", full)
    one = ended(hub.start(REPO))
    assert one.error == f"{REPO} could not be written to the server's disk: No space left on device."


def test_what_is_no_model_for_this_app(hub_server: Hub, tiny: dict[str, bytes]) -> None:
    pickled = {name: content for name, content in tiny.items() if name != "model.safetensors"}
    bert = json.dumps({"model_type": "bert", "hidden_size": 4096}).encode()
    hub_server.repositories |= {
        "o/pickled": pickled | {"pytorch_model.bin": b"\x80"},
        "o/bare": pickled,
        "o/bert": tiny | {"config.json": bert},
        "o/broken": tiny | {"config.json": b"[1, 2"},
    }
    assert "a pickle, which could run anything" in ended(hub.start("o/pickled")).error
    assert ended(hub.start("o/bare")).error == "o/bare has no model.safetensors on the hub."
    assert "model_type is 'bert'" in ended(hub.start("o/bert")).error
    assert "o/broken is not a model for this app" in ended(hub.start("o/broken")).error
    assert "model.safetensors" not in gets(hub_server)  # refused by the small file
    assert "takes 0.00 GB of memory" in ended(hub.start(REPO, largest=1000)).error
    assert gets(hub_server)[-1] == "config.json"
    assert "is not a name on the hub" in ended(hub.start("../../etc/passwd")).error


def test_a_checksum_cannot_name_a_file_elsewhere(hub_server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.hub._described", lambda name, content: {"size": len(content), "blobId": "../../../evil"})
    assert "no checksum of config.json" in ended(hub.start(REPO)).error
    assert not gets(hub_server)


def test_offline_nothing_is_asked(hub_server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in ended(hub.start(REPO)).error
    assert not hub_server.asked


def test_the_command(hub_server: Hub, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert hub.main("gpt2") == 0
    assert f"{REPO} is here" in capsys.readouterr().out
    assert hub.main("o/none") == 1
    assert "The hub has no o/none (404)." in capsys.readouterr().out
    hub_server.repositories["o/own"] = repository(tmp_path / "own", layers=3)
    assert hub.main("o/own") == 0
    assert checkpoint.load(hub.cached_folder("o/own")).config.n_layer == 3


def test_a_hub_that_sends_less_than_it_says(hub_server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    described = hub.describe_files
    monkeypatch.setattr(
        hub, "describe_files", lambda *asked: [replace(file, size=file.size + 10) for file in described(*asked)]
    )
    assert ended(hub.start(REPO)).error == "The hub sends less of config.json than it says that there is."
    assert len(gets(hub_server)) <= 2


def test_what_another_program_fetched_meanwhile_is_not_fetched_again(hub_server: Hub, tiny: dict[str, bytes]) -> None:
    hub_server.pace = 400_000
    one, other = Download(REPO), Download(REPO)  # as two programs would, which do not know of each other
    ended(one), ended(other)
    assert one.here and (other.here or "Another program" in other.error)
    assert hub_server.sent == sum(map(len, tiny.values()))


def test_a_beginning_longer_than_the_file_is_thrown_away(hub_server: Hub) -> None:
    (config, *_) = hub.describe_files(REPO)
    blobs = Path(constants.HF_HUB_CACHE) / "models--openai-community--gpt2" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{config.etag}.incomplete").write_bytes(b"x" * 10_000_000)
    one = ended(hub.start(REPO))
    assert one.error is None and one.received == one.total


def test_an_answer_that_is_not_a_hubs(hub_server: Hub) -> None:
    hub_server.status = 200
    assert ended(hub.start(REPO)).error == f"The hub's answer for {REPO} was not understood."


def test_a_name_that_the_hub_cannot_have_is_not_here() -> None:
    assert not any(map(hub.cached_folder, ["a--b/c", "\u00e9/x", "..", "x" * 200]))
