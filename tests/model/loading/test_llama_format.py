"""Our Llama against transformers', on the same weights."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaForCausalLM
from transformers import LlamaConfig as TransformersLlamaConfig

from model.decoding import beam_search, kv_cache
from model.loading import checkpoint, llama_format
from model.transformer.decoder import Decoder
from model.transformer.intervention import Edit, Interventions
from model.transformer.llama import Llama, LlamaConfig
from tests.model.loading.test_gpt2_format import assert_equal

HEADS = {  # query heads and key/value heads, width, MLP width; one to one, two to one, three to one as in SmolLM2
    "1:1": {"num_attention_heads": 5, "num_key_value_heads": 5, "hidden_size": 30, "intermediate_size": 37},
    "2:1": {"num_attention_heads": 6, "num_key_value_heads": 3, "hidden_size": 24, "intermediate_size": 41},
    "9:3": {"num_attention_heads": 9, "num_key_value_heads": 3, "hidden_size": 36, "intermediate_size": 53},
}


def random_hugging_face(heads: str = "9:3", tied: bool = True, **sizes: Any) -> LlamaForCausalLM:
    """A tiny random Llama of transformers, with large weights."""
    torch.manual_seed(0)
    sizes = {"vocab_size": 89, "max_position_embeddings": 29, "num_hidden_layers": 2, **HEADS[heads], **sizes}
    config = TransformersLlamaConfig(tie_word_embeddings=tied, bos_token_id=None, eos_token_id=None, **sizes)
    model = LlamaForCausalLM(config).eval()
    model.set_attn_implementation("eager")  # the default returns no attentions, without an error
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("heads", HEADS)
def test_logits_patterns_and_stream_equal_transformers(heads: str, tied: bool) -> None:
    theirs = random_hugging_face(heads, tied)
    assert_equal(llama_format.from_hugging_face(theirs), theirs, torch.randint(89, (3, 23)))


@pytest.mark.parametrize(
    "wanted", [{"rms_norm_eps": 1e-2}, {"rope_theta": 100_000.0}, {"num_hidden_layers": 5}], ids=str
)
def test_other_settings_equal_transformers(wanted: dict[str, Any]) -> None:
    if "rope_theta" in wanted:
        wanted = {"rope_parameters": {"rope_type": "default", **wanted}}
    theirs = random_hugging_face(**wanted)
    assert_equal(llama_format.from_hugging_face(theirs), theirs, torch.randint(89, (2, 29)))


@pytest.mark.parametrize("heads", HEADS)
def test_cache_and_generation_equal_transformers(heads: str) -> None:
    theirs = random_hugging_face(heads)
    ours, ids = llama_format.from_hugging_face(theirs), torch.randint(89, (1, 7))
    settings = {"attention_mask": torch.ones(1, 7), "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    expected = theirs.generate(ids, max_new_tokens=20, use_cache=True, **settings)
    assert torch.equal(ours.generate(ids, 20), expected)
    steps = islice(kv_cache.steps(ours, ids[0].tolist(), [("temperature", 0.0)], 0), 20)
    assert [step.id for step in steps] == expected[0, 7:].tolist()
    beams = theirs.generate(ids, max_new_tokens=6, num_beams=4, num_return_sequences=4, **settings)
    search = beam_search.search(ours, ids[0].tolist(), 4, 6)
    assert [path for path, _ in search.ranked] == beams[:, 7:].tolist()


@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("layer", [0, 1])
def test_an_ablated_head_equals_a_hook_in_transformers(heads: str, layer: int) -> None:
    theirs, idx = random_hugging_face(heads), torch.randint(89, (2, 13))
    size = theirs.config.hidden_size // theirs.config.num_attention_heads

    def ablate(module: torch.nn.Module, arguments: tuple) -> tuple:
        z = arguments[0].clone()
        z[..., 2 * size : 3 * size] = 0
        return (z,)

    handle = theirs.model.layers[layer].self_attn.o_proj.register_forward_pre_hook(ablate)
    with torch.inference_mode():
        expected = theirs(idx).logits
    handle.remove()
    edited = Interventions(edits=(Edit("z", layer, 0.0, head=2),))
    torch.testing.assert_close(llama_format.from_hugging_face(theirs)(idx, edited), expected, rtol=1e-5, atol=1e-5)


def test_transformers_opens_what_save_wrote(llama: Decoder, idx: torch.Tensor, tmp_path: Path) -> None:
    llama_format.save(llama, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation="eager", dtype=torch.float32).eval()
    again = checkpoint.load(tmp_path)
    assert isinstance(again, Llama) and again.config == llama.config == checkpoint.sizes(tmp_path)
    assert_equal(again, theirs, idx)


@pytest.mark.parametrize("tied", [True, False])
def test_the_number_of_parameters_is_known_from_the_sizes(tied: bool, tmp_path: Path) -> None:
    theirs = random_hugging_face(tied=tied)
    theirs.save_pretrained(tmp_path)
    assert checkpoint.sizes(tmp_path).parameters == theirs.num_parameters()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu' in this checkpoint; a Llama has 'silu'"),
        ({"attention_bias": True}, "attention_bias is 'True'"),
        ({"mlp_bias": True}, "mlp_bias is 'True'"),
        ({"head_dim": 8}, "head_dim is 8"),
        ({"rope_parameters": {"rope_type": "llama3", "factor": 8.0}}, "rope_type is 'llama3'"),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": "big"}}, "rope_theta is 'big'"),
        ({"num_key_value_heads": 4}, "9 heads cannot share 4 heads"),
        ({"num_key_value_heads": 0}, "n_kv_head is 0"),
        ({"hidden_size": "36"}, "hidden_size is '36'"),
        ({"rms_norm_eps": 0}, "rms_norm_eps is 0"),
        ({"num_hidden_layers": 3}, "n_layer is 3, but these are the weights of 2 layers"),
        ({"intermediate_size": 54}, r"down_proj.weight is \(36, 53\) where the configuration makes it \(36, 54\)"),
        ({"model_type": "bert"}, "model_type is 'bert' in this checkpoint; it must be 'gpt2' or 'llama'"),
    ],
)
def test_a_configuration_that_is_not_computed_is_refused(changed: dict, message: str, tmp_path: Path) -> None:
    random_hugging_face().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(ValueError, match=message):
        checkpoint.load(tmp_path)


def test_a_head_that_is_not_the_tied_embedding_is_refused(tmp_path: Path) -> None:
    random_hugging_face().save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    save_file(load_file(path) | {"lm_head.weight": torch.zeros(89, 36)}, path)
    with pytest.raises(ValueError, match="says that they are tied"):
        checkpoint.load(tmp_path)


def test_matrices_are_laid_out_for_one_row_at_a_time(llama: Decoder, tmp_path: Path) -> None:
    llama_format.save(llama, tmp_path)
    matrices = [weight for weight in checkpoint.load(tmp_path).parameters() if weight.dim() == 2]
    assert len(matrices) == 2 + 7 * 3
    assert all(weight.t().is_contiguous() and not weight.is_contiguous() for weight in matrices)


def test_sizes_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValueError, match="heads of size 7 cannot be rotated in pairs"):
        LlamaConfig(97, 31, n_layer=1, n_head=5, n_embd=35)
