"""Our GPT against transformers', on the same weights."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, GPT2Model

from model import gpt2, probes, tokens
from model.gpt import GPT

SHIPPED = Path(gpt2.__file__).parent / "checkpoints" / "vitrine"


def random_hugging_face(kind: type = GPT2LMHeadModel, **sizes: Any) -> Any:
    torch.manual_seed(0)
    sizes = {"vocab_size": 89, "n_positions": 29, "n_layer": 2, "n_head": 3, "n_embd": 21, **sizes}
    model = kind(GPT2Config(bos_token_id=None, eos_token_id=None, **sizes)).eval()
    model.set_attn_implementation("eager")  # the default returns no attentions, without an error
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def assert_equal(gpt: GPT, hugging_face: Any, idx: Tensor) -> None:
    """Logits, all patterns, and the residual stream before each block and at its end."""
    with torch.inference_mode():
        theirs = hugging_face(idx, output_attentions=True, output_hidden_states=True)
    ours = gpt.trace(idx)

    def close(found: Tensor, expected: Tensor) -> None:
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)

    close(ours.logits, theirs.logits)
    for block, pattern, resid_pre in zip(ours.blocks, theirs.attentions, theirs.hidden_states[:-1], strict=True):
        close(block.attn.pattern, pattern)
        close(block.resid_pre, resid_pre)
    close(ours.ln_f, theirs.hidden_states[-1])  # transformers' last one is already after ln_f


@pytest.mark.parametrize("sizes", [{}, {"n_layer": 5, "n_head": 1}, {"n_head": 7, "layer_norm_epsilon": 1e-3}])
def test_tiny_random_models_of_odd_sizes(sizes: dict[str, Any]) -> None:
    theirs = random_hugging_face(**sizes)
    assert_equal(gpt2.from_hugging_face(theirs), theirs, torch.randint(89, (3, 23)))


def test_a_model_without_its_head() -> None:
    theirs = random_hugging_face(GPT2Model)
    idx = torch.randint(89, (1, 7))
    with torch.inference_mode():
        expected = theirs(idx).last_hidden_state
    torch.testing.assert_close(gpt2.from_hugging_face(theirs).trace(idx).ln_f, expected, rtol=1e-5, atol=1e-5)


def test_the_shipped_checkpoint() -> None:
    # In float64: trained logits are large, and in float32 the order of a sum alone moves them by 2e-5.
    theirs = AutoModelForCausalLM.from_pretrained(SHIPPED, attn_implementation="eager", dtype=torch.float64).eval()
    idx = torch.randint(3072, (2, 64), generator=torch.Generator().manual_seed(5))
    assert_equal(gpt2.load(SHIPPED).double(), theirs, idx)


def test_transformers_opens_what_save_wrote(gpt: GPT, idx: Tensor, tmp_path: Path) -> None:
    gpt2.save(gpt, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation="eager", dtype=torch.float32).eval()
    again = gpt2.load(tmp_path)
    assert_equal(again, theirs, idx)
    for name, weight in gpt.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight.half().float()), name


def test_a_folder_that_transformers_wrote(tmp_path: Path) -> None:
    theirs = random_hugging_face()
    theirs.save_pretrained(tmp_path)
    assert_equal(gpt2.load(tmp_path), theirs, torch.randint(89, (2, 11)))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model_type": "llama"}, "model_type is 'llama'"),
        ({"activation_function": "relu"}, "activation_function"),
        ({"n_inner": 5}, "n_inner"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn"),
        ({"n_layer": 3}, "do not fit"),
        ({"n_head": 2}, "n_embd 21"),
        ({"n_embd": None}, "n_embd is None"),
        ({"n_head": "3"}, "n_head is '3'"),
        ({"n_layer": 2.0}, "n_layer is 2.0"),
        ({"layer_norm_epsilon": "small"}, "layer_norm_epsilon"),
    ],
)
def test_a_configuration_that_is_not_this_models(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    random_hugging_face().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text()) | changed
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None or key == "n_inner"}))
    with pytest.raises(ValueError, match=said):
        gpt2.load(tmp_path)


def test_weights_that_are_missing_truncated_or_untied(tmp_path: Path) -> None:
    random_hugging_face().save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(ValueError, match="cannot be read"):
        gpt2.load(tmp_path)
    path.write_bytes(whole)
    state = load_file(path)
    save_file(state | {"lm_head.weight": torch.zeros(89, 21)}, path)
    with pytest.raises(ValueError, match="ties"):
        gpt2.load(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ValueError, match="holds a list"):
        gpt2.load(tmp_path)
    random_hugging_face().config.save_pretrained(tmp_path)
    del state["transformer.ln_f.bias"]
    save_file(state, path)
    with pytest.raises(ValueError, match="ln_f.bias"):
        gpt2.load(tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        gpt2.load(tmp_path)


class Hub:
    """A stand-in for the model hub on this machine: one file, or an answer that is no file; counts what is asked."""

    def __init__(self, status: int = 200, body: bytes = b"") -> None:
        self.asked: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                hub.asked.append(f"{self.command} {self.path}")
                self.send_response(status)
                self.send_header("ETag", '"0123456789abcdef"')
                self.send_header("X-Repo-Commit", "f" * 40)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()

            def do_GET(self) -> None:
                self.do_HEAD()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Hub]]:
    """Makes the hub that the client of this process asks, with an empty cache of its own."""
    made: list[Hub] = []

    def start(*answer: Any) -> Hub:
        made.append(Hub(*answer))
        monkeypatch.setattr(constants, "ENDPOINT", made[-1].address)
        path = "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", made[-1].address + path)
        return made[-1]

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield start
    for one in made:
        one.server.shutdown()
        one.server.server_close()


def test_the_tokenizer_is_fetched_once_and_kept(hub: Callable[..., Hub]) -> None:
    trained = tokens.train_bpe(["the cat sat on the mat"] * 9, 270)
    asked = hub(200, trained.to_str().encode()).asked
    with pytest.raises(FileNotFoundError):
        gpt2.tokenizer()
    gpt2.fetch_tokenizer()
    assert {path for path in asked} >= {"GET /openai-community/gpt2/resolve/main/tokenizer.json"}
    before = len(asked)
    assert gpt2.tokenizer().to_str() == trained.to_str()
    assert len(asked) == before  # read from this machine


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_hub_that_refuses_is_said_in_a_sentence(hub: Callable[..., Hub], status: int) -> None:
    hub(status)
    with pytest.raises(OSError, match=f"it answered {status}"):
        gpt2.fetch_tokenizer()


def test_a_hub_that_is_not_there_is_said_in_a_sentence(hub: Callable[..., Hub]) -> None:
    one = hub()
    one.server.shutdown()
    one.server.server_close()
    with pytest.raises(OSError, match="could not be reached"):
        gpt2.fetch_tokenizer()


def test_offline_nothing_is_asked(hub: Callable[..., Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    one = hub()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OSError, match="HF_HUB_OFFLINE"):
        gpt2.fetch_tokenizer()
    assert not one.asked


def test_matrices_are_laid_out_for_one_row_at_a_time() -> None:
    gpt = gpt2.load(probes.FOLDER)
    matrices = {name: weight for name, weight in gpt.named_parameters() if "h." in name and weight.dim() == 2}
    assert len(matrices) == 4 * gpt.config.n_layer
    for weight in [*matrices.values(), gpt.wte.weight]:
        assert weight.dtype == torch.float32 and weight.t().is_contiguous() and not weight.is_contiguous()
