"""Our GPT against transformers', on the same weights."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoModelForCausalLM, GPT2LMHeadModel, GPT2Model
from transformers import GPT2Config as TransformersGPT2Config

from model.loading import checkpoint, files, gpt2_format
from model.loading.folders import BUILT_IN
from model.transformer.decoder import Decoder
from model.transformer.gpt2 import GPT2Config


def random_hugging_face(kind: type = GPT2LMHeadModel, **sizes: Any) -> Any:
    torch.manual_seed(0)
    sizes = {"vocab_size": 89, "n_positions": 29, "n_layer": 2, "n_head": 3, "n_embd": 21, **sizes}
    model = kind(TransformersGPT2Config(bos_token_id=None, eos_token_id=None, **sizes)).eval()
    model.set_attn_implementation("eager")  # the default returns no attentions, without an error
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def assert_equal(gpt: Decoder, hugging_face: Any, idx: Tensor) -> None:
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
    assert_equal(gpt2_format.from_hugging_face(theirs), theirs, torch.randint(89, (3, 23)))


def test_a_model_without_its_head() -> None:
    theirs = random_hugging_face(GPT2Model)
    idx = torch.randint(89, (1, 7))
    with torch.inference_mode():
        expected = theirs(idx).last_hidden_state
    torch.testing.assert_close(gpt2_format.from_hugging_face(theirs).trace(idx).ln_f, expected, rtol=1e-5, atol=1e-5)


def test_the_shipped_checkpoint() -> None:
    # In float64: trained logits are large, and in float32 the order of a sum alone moves them by 2e-5.
    theirs = AutoModelForCausalLM.from_pretrained(BUILT_IN, attn_implementation="eager", dtype=torch.float64).eval()
    idx = torch.randint(3072, (2, 64), generator=torch.Generator().manual_seed(5))
    assert_equal(checkpoint.load(BUILT_IN).double(), theirs, idx)


def test_transformers_opens_what_save_wrote(gpt: Decoder, idx: Tensor, tmp_path: Path) -> None:
    gpt2_format.save(gpt, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation="eager", dtype=torch.float32).eval()
    again = checkpoint.load(tmp_path)
    assert_equal(again, theirs, idx)
    for name, weight in gpt.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight.half().float()), name


def test_a_folder_that_transformers_wrote(tmp_path: Path) -> None:
    theirs = random_hugging_face()
    theirs.save_pretrained(tmp_path)
    assert_equal(checkpoint.load(tmp_path), theirs, torch.randint(89, (2, 11)))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model_type": "bert"}, "model_type is 'bert'"),
        ({"activation_function": "relu"}, "activation_function"),
        ({"n_inner": 5}, "n_inner"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn"),
        ({"n_layer": 3}, "the weights of 2 layers"),
        ({"n_layer": 10**6}, "the weights of 2 layers"),
        ({"n_positions": 5}, r"wpe.weight is \(29, 21\) where the configuration makes it \(5, 21\)"),
        ({"vocab_size": 90}, "wte.weight"),
        ({"n_head": 2}, "n_embd 21"),
        ({"n_embd": None}, "n_embd is None"),
        ({"n_head": "3"}, "n_head is '3'"),
        ({"n_layer": 2.0}, "n_layer is 2.0"),
        ({"layer_norm_epsilon": "small"}, "layer_norm_epsilon"),
        ({"layer_norm_epsilon": -1.0}, "layer_norm_epsilon is -1.0"),
        ({"layer_norm_epsilon": 0.0}, "layer_norm_epsilon is 0.0"),
        ({"layer_norm_epsilon": 1.0}, "layer_norm_epsilon is 1.0"),
        ({"vocab_size": 10**30}, "vocab_size is 1000000"),
        ({"model_type": "x" * 10_000}, "model_type is 'x{60}' in"),
    ],
)
def test_a_configuration_that_is_not_this_models(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    random_hugging_face().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text()) | changed
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None or key == "n_inner"}))
    with pytest.raises(ValueError, match=said):
        checkpoint.load(tmp_path)


def test_weights_that_are_missing_truncated_or_untied(tmp_path: Path) -> None:
    random_hugging_face().save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(ValueError, match="cannot be read"):
        checkpoint.load(tmp_path)
    path.write_bytes(whole)
    state = load_file(path)
    save_file(state | {"lm_head.weight": torch.zeros(89, 21)}, path)
    with pytest.raises(ValueError, match="ties"):
        checkpoint.load(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ValueError, match="holds a list"):
        checkpoint.load(tmp_path)
    random_hugging_face().config.save_pretrained(tmp_path)
    whole_state = dict(state)
    del state["transformer.ln_f.bias"]
    save_file(state, path)
    with pytest.raises(ValueError, match="ln_f.bias is missing"):
        checkpoint.load(tmp_path)
    save_file(whole_state | {"transformer.h.0.mlp.c_fc.weight": torch.zeros(84)}, path)
    with pytest.raises(ValueError, match=r"c_fc.weight is \(84,\) where"):
        checkpoint.load(tmp_path)
    save_file(whole_state | {"transformer.h.0.lora": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="h.0.lora is not a weight of a GPT-2"):
        checkpoint.load(tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="^model.safetensors is missing$"):
        checkpoint.load(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(FileNotFoundError, match="a pickle is never opened"):
        checkpoint.load(tmp_path)


def test_a_tokenizer_that_does_not_fit(tmp_path: Path, tiny: dict[str, bytes]) -> None:
    path = tmp_path / "tokenizer.json"
    with pytest.raises(FileNotFoundError, match="tokenizer.json is missing"):
        checkpoint.tokenizer(tmp_path, 290)
    path.write_bytes(tiny["tokenizer.json"])
    assert checkpoint.tokenizer(tmp_path, 276).get_vocab_size() == 276
    with pytest.raises(ValueError, match="ids up to 275, the model an embedding for 275"):
        checkpoint.tokenizer(tmp_path, 275)
    path.write_bytes(b"{")
    with pytest.raises(ValueError, match="tokenizer.json cannot be read"):
        checkpoint.tokenizer(tmp_path, 290)


def test_the_number_of_parameters_is_known_from_the_sizes(tmp_path: Path) -> None:
    theirs = random_hugging_face()
    theirs.config.save_pretrained(tmp_path)
    assert checkpoint.sizes(tmp_path).parameters == theirs.num_parameters()
    assert GPT2Config(50257, 1024, n_layer=12, n_head=12, n_embd=768).parameters == 124_439_808


@pytest.mark.parametrize("odd", [torch.nan, torch.inf])
def test_weights_that_are_no_finite_numbers(odd: float, tmp_path: Path) -> None:
    random_hugging_face().save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    state["transformer.h.1.mlp.c_fc.bias"][3] = odd
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="h.1.mlp.c_fc.bias is not made of finite numbers"):
        checkpoint.load(tmp_path)
    save_file(
        state | {"transformer.h.1.mlp.c_fc.bias": torch.ones(84, dtype=torch.int8)}, tmp_path / "model.safetensors"
    )
    with pytest.raises(ValueError, match="not made of finite numbers"):
        checkpoint.load(tmp_path)


def test_a_tokenizer_neither_cuts_nor_pads(tmp_path: Path, tiny: dict[str, bytes]) -> None:
    (tmp_path / "tokenizer.json").write_bytes(tiny["tokenizer.json"])
    cutting = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    cutting.enable_truncation(2)
    cutting.enable_padding(length=9)
    cutting.save(str(tmp_path / "tokenizer.json"))
    assert len(checkpoint.tokenizer(tmp_path, 276).encode("the cat sat").ids) == 3


def test_matrices_are_laid_out_for_one_row_at_a_time() -> None:
    gpt = checkpoint.load(BUILT_IN)
    matrices = {name: weight for name, weight in gpt.named_parameters() if "h." in name and weight.dim() == 2}
    assert len(matrices) == 4 * gpt.config.n_layer
    for weight in [*matrices.values(), gpt.wte.weight]:
        assert weight.dtype == torch.float32 and weight.t().is_contiguous() and not weight.is_contiguous()


def test_weights_that_are_not_those_of_the_card_are_refused(gpt: Decoder, tmp_path: Path) -> None:
    gpt2_format.save(gpt, tmp_path)
    weights = tmp_path / "model.safetensors"
    (tmp_path / "card.json").write_text(json.dumps({"sha256": files.sha256(weights)}))
    assert checkpoint.load(tmp_path).config == gpt.config
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1  # still a readable file
    weights.write_bytes(content)
    with pytest.raises(ValueError, match="not the file that card.json describes"):
        checkpoint.load(tmp_path)
    (tmp_path / "card.json").write_text("[1]")
    with pytest.raises(ValueError, match="card.json cannot be read"):
        checkpoint.load(tmp_path)
