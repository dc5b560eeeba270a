"""Download of a model from the hub: `python -m model.loading.hub gpt2` fetches one before class.

Nothing else in Vitrine uses the network, and this only on request. The hub's own client lists the files and stores them
in the shared cache of this machine; but it starts an interrupted file again, so the bytes are received here.
"""

import argparse
import hashlib
import json
import math
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import httpx2
import huggingface_hub
from huggingface_hub import constants, errors
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import WeakFileLock, build_hf_headers, hf_raise_for_status

from model.loading import checkpoint

FILES = ("config.json", "tokenizer.json", "model.safetensors")  # in this order: the small ones can refuse the large one
TIMEOUT = 9  # seconds without a sign of the hub, after which it counts as gone


class HubModel(NamedTuple):
    """A model of GPT-2's family: its name, its repository, its size in MB, and its license."""

    name: str
    repo: str
    megabytes: int
    license: str


# By their short names. Sizes and licenses as the hub's pages of these models gave them in 2026.
KNOWN_MODELS = {
    "gpt2": HubModel("GPT-2", "openai-community/gpt2", 550, "MIT"),
    "distilgpt2": HubModel("DistilGPT-2", "distilbert/distilgpt2", 354, "Apache 2.0"),
    "gpt2-medium": HubModel("GPT-2 medium", "openai-community/gpt2-medium", 1522, "MIT"),
}


class DownloadError(Exception):
    """A download failed; the message is one sentence for the visitor."""


@dataclass(frozen=True)
class File:
    """A file on the hub: its size in bytes, and its checksum, which is its name in the cache."""

    name: str
    size: int
    etag: str  # SHA-256 in hexadecimal, or, of a small file, git's SHA-1


def cached_folder(repo: str, files: Sequence[str] = FILES) -> Path | None:
    """Folder in the hub's cache with these files of a model; None if one of them is missing."""
    try:
        paths = [huggingface_hub.try_to_load_from_cache(repo, file) for file in files]
    except errors.HFValidationError:
        return None  # no name that the hub could have
    return Path(paths[0]).parent if all(isinstance(path, str) and Path(path).is_file() for path in paths) else None


def cache_location() -> str:
    """Location of the hub's cache for display; a path outside the home directory is not shown."""
    cache = Path(constants.HF_HUB_CACHE)
    return f"~/{cache.relative_to(Path.home())}" if cache.is_relative_to(Path.home()) else "HF_HUB_CACHE"


def describe_files(repo: str, files: Sequence[str] = FILES) -> list[File]:
    """Sizes and checksums of these files on the hub; raises DownloadError if one of them does not exist there."""
    info = huggingface_hub.HfApi(endpoint=constants.ENDPOINT).model_info(repo, files_metadata=True, timeout=TIMEOUT + 1)
    siblings = {file.rfilename: file for file in info.siblings or []}
    for name in files:
        if name not in siblings:
            pickled = name == "model.safetensors" and "pytorch_model.bin" in siblings
            why = "; it has a pickle, which could run anything and is never opened" if pickled else ""
            raise DownloadError(f"{repo} has no {name} on the hub{why}.")
    described = [
        File(name, siblings[name].size, siblings[name].lfs.sha256 if siblings[name].lfs else siblings[name].blob_id)
        for name in files
    ]
    for file in described:  # the checksum becomes the name of a file
        if not (file.size and re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", str(file.etag))):
            raise DownloadError(f"The hub tells no size or no checksum of {file.name} of {repo}.")
    return described


class Download:
    """A download in a thread of its own, shared by everyone who waits for the same model.

    `received` of `total` bytes have arrived; at the end `here` is its folder, or `error` a sentence.
    """

    def __init__(self, repo: str, files: Sequence[str] = FILES, largest: int | None = None) -> None:
        self.repo, self.files, self.largest = repo, files, largest
        self.total = self.received = self.kept = 0  # kept: bytes of an earlier attempt
        self.here: Path | None = None
        self._error: str | None = None
        self.began = self._heard = time.monotonic()
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def error(self) -> str | None:
        """Why it came to nothing; a hub that is silent for TIMEOUT seconds counts as one that is not there."""
        if not (self._error or self.here) and time.monotonic() - self._heard > TIMEOUT:
            self._error = f"The hub did not answer for {TIMEOUT} seconds."
        return self._error

    @property
    def running(self) -> bool:
        return not (self.error or self.here)

    @property
    def seconds_left(self) -> float | None:
        """Remaining time in seconds at the rate so far; None before any byte has arrived."""
        arrived = self.received - self.kept
        return (self.total - self.received) * (time.monotonic() - self.began) / arrived if arrived else None

    def _run(self) -> None:
        try:
            self._fetch()
        except DownloadError as error:
            self._error = self._error or str(error)
        except Exception as error:
            self._error = self._error or _explain(self.repo, error)

    def _fetch(self) -> None:
        if huggingface_hub.is_offline_mode():
            raise DownloadError(
                "This server is set to work offline (HF_HUB_OFFLINE), so nothing is fetched from the hub."
            )
        files = describe_files(self.repo, self.files)
        self._heard = time.monotonic()
        self.total = sum(file.size for file in files)
        cache = Path(constants.HF_HUB_CACHE)
        cache.mkdir(parents=True, exist_ok=True)
        blobs = cache / repo_folder_name(repo_id=self.repo, repo_type="model") / "blobs"
        blobs.mkdir(parents=True, exist_ok=True)
        partial = {file: blobs / f"{file.etag}.incomplete" for file in files}
        missing = [file for file in files if not (blobs / file.etag).is_file()]
        for file in missing:
            if _file_size(partial[file]) > file.size:
                partial[file].unlink()  # no beginning of this file
        self.kept = self.received = self.total - sum(file.size - _file_size(partial[file]) for file in missing)
        free = shutil.disk_usage(cache).free
        if free < self.total - self.received:
            raise DownloadError(
                f"{self.repo} needs {(self.total - self.received) / 1e6:,.0f} MB more on the server's disk, "
                f"which has {free / 1e6:,.0f} MB left: make room, and try again."
            )
        for file in files:
            with WeakFileLock(partial[file].with_suffix(".lock"), timeout=2):
                if not (blobs / file.etag).is_file():  # another program may have fetched it meanwhile
                    self._receive(file, partial[file])
                    self._heard = math.inf  # from here on it is this machine's own work
                    _verify(file, partial[file])
                    partial[file].replace(blobs / file.etag)
            self._heard = time.monotonic()
            here = huggingface_hub.hf_hub_download(self.repo, file.name, etag_timeout=TIMEOUT)
            if file.name == "config.json":
                self._refuse_others(Path(here))
        self.here = Path(here).parent

    def _refuse_others(self, config: Path) -> None:
        """Raise DownloadError for a model that is not a GPT-2, or too large for the memory, before its weights come."""
        try:
            sizes = checkpoint.config(json.loads(config.read_text("utf-8")))
        except ValueError as error:
            raise DownloadError(f"{self.repo} is not a model for this app: {error}.") from error
        needed = 4 * sizes.parameters
        if self.largest and needed > self.largest:
            needed, may = needed / 1e9, self.largest / 1e9
            raise DownloadError(
                f"{self.repo} takes {needed:.2f} GB of memory; on this server a model may take {may:.2f} GB."
            )

    def _receive(self, file: File, partial: Path) -> None:
        """Append the rest of a file to its partial copy; resume a broken connection as long as bytes arrive."""
        url = huggingface_hub.hf_hub_url(self.repo, file.name)
        while (had := _file_size(partial)) < file.size:
            headers = build_hf_headers() | {"Accept-Encoding": "identity"} | ({"Range": f"bytes={had}-"} if had else {})
            try:
                client = huggingface_hub.get_session()
                with client.stream("GET", url, headers=headers, timeout=TIMEOUT + 1) as response:
                    hf_raise_for_status(response)
                    if had and response.status_code != 206:  # the hub sends it from its beginning
                        self.received -= had
                        partial.unlink()
                    with partial.open("ab") as out:
                        for chunk in response.iter_bytes():
                            out.write(chunk)
                            self.received += len(chunk)
                            self._heard = time.monotonic()
                            if self._error:
                                raise DownloadError(self._error)  # nobody waits any more
                            if out.tell() > file.size:
                                return
                if _file_size(partial) <= had:
                    raise DownloadError(f"The hub sends less of {file.name} than it says that there is.")
            except httpx2.TransportError:  # the line broke
                if self._error or _file_size(partial) <= had:
                    raise
                time.sleep(0.5)


def _file_size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _verify(file: File, partial: Path) -> None:
    """Delete a partial file whose checksum is not that of the hub; raises DownloadError then."""
    with partial.open("rb") as received:
        if len(file.etag) == 64:
            digest = hashlib.file_digest(received, "sha256")
        else:
            digest = hashlib.sha1(b"blob %d\0" % _file_size(partial))
            digest.update(received.read())
    if digest.hexdigest() != file.etag:
        partial.unlink()
        raise DownloadError(f"{file.name} came with a wrong checksum and was thrown away; try again.")


def _explain(repo: str, error: Exception) -> str:
    if isinstance(error, errors.LocalEntryNotFoundError):
        error = error.__cause__ or error  # what the client met when it wanted to lay the file
    match error:
        case errors.HFValidationError():
            return f"{repo!r} is not a name on the hub, such as {KNOWN_MODELS['gpt2'].repo}."
        case errors.HfHubHTTPError() if error.response.status_code in (401, 403):
            return (
                f"The hub does not give {repo} to this server ({error.response.status_code}): it is gated, private or "
                "not there; where it is gated, accept its terms there and set HF_TOKEN here."
            )
        case errors.HfHubHTTPError() if error.response.status_code == 404:
            return f"The hub has no {repo} (404)."
        case errors.HfHubHTTPError():
            return f"The hub answered {error.response.status_code} for {repo}; try again later."
        case errors.OfflineModeIsEnabled():
            return "This server is set to work offline (HF_HUB_OFFLINE), so nothing is fetched from the hub."
        case errors.FileMetadataError() | KeyError() | ValueError():
            return f"The hub's answer for {repo} was not understood."
        case TimeoutError():  # of the lock
            return f"Another program on the server is fetching {repo}; try again when it is done."
        case OSError():
            return f"{repo} could not be written to the server's disk: {error.strerror or type(error).__name__}."
        case httpx2.TransportError():
            return f"The hub could not be reached ({type(error).__name__})."
        case _:
            return f"{repo} could not be fetched ({type(error).__name__})."


_downloads: dict[tuple[str, Sequence[str]], Download] = {}
_lock = threading.Lock()


def latest(repo: str, files: Sequence[str] = FILES) -> Download | None:
    """The latest download of a model in this process; None if there was none."""
    return _downloads.get((repo, files))


def start(repo: str, files: tuple[str, ...] = FILES, largest: int | None = None) -> Download:
    """Start the download of a model, or join the one that is running."""
    with _lock:
        download = latest(repo, files)
        if download is None or not download.running:
            download = _downloads[repo, files] = Download(repo, files, largest)
        return download


def forget() -> None:
    """Forget all downloads of this process; running ones go on."""
    _downloads.clear()


def main(name: str, write: Callable[..., object] = print) -> int:
    """Download a model by its short name or repository; returns 0 on success, 1 on failure."""
    repo = KNOWN_MODELS[name].repo if name in KNOWN_MODELS else name
    download = start(repo)
    while download.running and sys.stdout.isatty():
        left = f", {download.seconds_left:,.0f} s left" if download.seconds_left is not None else ""
        received, total = download.received / 1e6, download.total / 1e6
        write(f"\r{repo}: {received:,.0f} of {total:,.0f} MB{left}    ", end="", flush=True)
        time.sleep(0.25)
    while download.running:
        time.sleep(0.25)
    write(f"\n{download.error or f'{repo} is here, in {constants.HF_HUB_CACHE}.'}")
    return 1 if download.error else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m model.loading.hub", description="Fetch a model from the hub.")
    parser.add_argument("name", help=f"{', '.join(KNOWN_MODELS)}, or a name on the hub")
    try:
        sys.exit(main(parser.parse_args().name))
    except KeyboardInterrupt:
        sys.exit("\nstopped; the same command goes on from there")
