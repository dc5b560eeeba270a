"""What the tests share: a tiny random model of each family, of odd sizes so that no swapped axis hides, and a hub."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from tokenizers import Tokenizer

from model.loading import checkpoint, hub
from model.transformer.decoder import Decoder
from model.transformer.gpt2 import GPT2, GPT2Config
from model.transformer.llama import Llama, LlamaConfig
from pages.shared.compute import language
from pages.shared.runtime import job_view, jobs
from tests.hub import Hub, repository

torch.set_num_threads(1)
SIZES = GPT2Config(vocab_size=97, block_size=31, n_layer=3, n_head=5, n_embd=35)
LLAMA_SIZES = LlamaConfig(
    vocab_size=97, block_size=31, n_layer=3, n_head=6, n_embd=48, n_kv_head=2, n_hidden=67, tied=False
)


def far_from_initialization(decoder: Decoder) -> Decoder:
    """The model with large random weights: at initialization everything is nearly uniform, which hides mistakes."""
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return decoder.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def gpt() -> Decoder:
    torch.manual_seed(0)
    return far_from_initialization(GPT2(SIZES))


@pytest.fixture(scope="session")
def llama() -> Decoder:
    torch.manual_seed(0)
    return far_from_initialization(Llama(LLAMA_SIZES))


@pytest.fixture(scope="session", params=["gpt", "llama"])
def decoder(request: pytest.FixtureRequest) -> Decoder:
    """A model of each family in turn: every analysis is tested on both."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def idx() -> torch.Tensor:
    return torch.randint(SIZES.vocab_size, (2, 17), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="session")
def gpt2_small() -> tuple[Decoder, Tokenizer]:
    """GPT-2 small as it was fetched from the hub on this machine; without it the test is skipped."""
    folder = hub.cached_folder(hub.KNOWN_MODELS["gpt2"].repo)
    if folder is None:
        pytest.skip("the weights of GPT-2 are not in this machine's cache of the hub")
    gpt = checkpoint.load(folder)
    return gpt, checkpoint.tokenizer(folder, gpt.config.vocab_size)


@pytest.fixture(autouse=True)
def nothing_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever this machine has fetched from the hub, the tests have not, and they cannot reach it."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub.forget()
    language.gpt2_tokenizer.cache_clear()


@pytest.fixture(autouse=True)
def jobs_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A page that is run by a test waits until its jobs have ended, and no test sees the jobs of another."""
    monkeypatch.setattr(job_view, "PATIENCE", 120.0)
    yield
    jobs.JOBS.clear()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a tiny GPT-2."""
    return repository(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def hub_server(monkeypatch: pytest.MonkeyPatch, tiny: dict[str, bytes], nothing_fetched: None) -> Iterator[Hub]:
    """The hub that the client of this process asks; it has a tiny model under GPT-2's name."""
    one = Hub({hub.KNOWN_MODELS["gpt2"].repo: tiny})
    monkeypatch.setattr(constants, "ENDPOINT", one.address)
    template = one.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield one
    one.close()
