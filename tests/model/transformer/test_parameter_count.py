"""The counts, by formula, against the modules themselves, which are built without memory on the device "meta"."""

import re

import pytest
import torch
from torch import nn
from transformers import GPT2Config as TransformersGPT2Config
from transformers import GPT2LMHeadModel, LlamaForCausalLM
from transformers import LlamaConfig as TransformersLlamaConfig

from model.transformer.config import DecoderConfig
from model.transformer.gpt2 import GPT2, GPT2Config
from model.transformer.llama import LlamaConfig
from model.transformer.parameter_count import PRESETS

ODD = GPT2Config(97, 31, n_layer=3, n_head=5, n_embd=35)
LLAMAS = [
    LlamaConfig(97, 31, n_layer=3, n_head=10, n_embd=40, n_kv_head=5, n_hidden=67),
    LlamaConfig(97, 31, n_layer=3, n_head=10, n_embd=40, n_kv_head=10, n_hidden=67, tied=False),
    PRESETS["Llama 3.1 8B"],
]


def numbers(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())  # each once, tied or not


def llama(sizes: DecoderConfig) -> LlamaForCausalLM:
    return LlamaForCausalLM(
        TransformersLlamaConfig(
            vocab_size=sizes.vocab_size,
            max_position_embeddings=sizes.block_size,
            num_hidden_layers=sizes.n_layer,
            hidden_size=sizes.n_embd,
            num_attention_heads=sizes.n_head,
            num_key_value_heads=sizes.n_kv_head,
            intermediate_size=sizes.n_hidden,
            tie_word_embeddings=sizes.tied,
        )
    )


@pytest.mark.parametrize("sizes", [ODD, *(PRESETS[name] for name in ("A small GPT", "GPT-2", "GPT-2 XL", "GPT-3"))])
def test_a_gpt_has_the_parameters_of_its_modules_part_by_part(sizes: DecoderConfig) -> None:
    with torch.device("meta"):
        gpt = GPT2(sizes)
    found = {part.name: part.count for part in sizes.parts()}
    assert found["token embedding"] == numbers(gpt.wte) and found["positions"] == numbers(gpt.wpe)
    assert found["attention"] == sum(numbers(block.attn) for block in gpt.h)
    assert found["MLP"] == sum(numbers(block.mlp) for block in gpt.h)
    norms = [gpt.ln_f, *(norm for block in gpt.h for norm in (block.ln_1, block.ln_2))]
    assert found["layer norms"] == sum(map(numbers, norms)) and found["head"] == 0
    assert sizes.parameters == numbers(gpt)


@pytest.mark.parametrize("tied", [True, False])
def test_a_gpt_has_the_parameters_of_transformers(tied: bool) -> None:
    config = TransformersGPT2Config(
        vocab_size=97, n_positions=31, n_layer=3, n_embd=35, n_head=5, tie_word_embeddings=tied, bos_token_id=0
    )
    with torch.device("meta"):
        module = GPT2LMHeadModel(config)
    assert GPT2Config(97, 31, 3, 5, 35, tied=tied).parameters == numbers(module)


@pytest.mark.parametrize("sizes", LLAMAS)
def test_a_llama_has_the_parameters_of_transformers_part_by_part(sizes: DecoderConfig) -> None:
    with torch.device("meta"):
        module = llama(sizes)
    found = {part.name: part.count for part in sizes.parts()}
    layers = module.model.layers
    assert found["token embedding"] == numbers(module.model.embed_tokens) and found["positions"] == 0
    assert found["attention"] == sum(numbers(layer.self_attn) for layer in layers)
    assert found["MLP"] == sum(numbers(layer.mlp) for layer in layers)
    assert found["head"] == (0 if sizes.tied else numbers(module.lm_head))
    assert sizes.parameters == numbers(module)


def test_the_published_and_corrected_numbers() -> None:
    assert PRESETS["A small GPT"].parameters == 16_156_416  # and not some 12 million
    embedding = PRESETS["A small GPT"].parts()[0].count
    assert embedding == 12_865_792 and round(embedding / 16_156_416, 3) == 0.796
    assert PRESETS["GPT-2"].parameters == 124_439_808 and PRESETS["GPT-2 XL"].parameters == 1_557_611_200
    assert round(PRESETS["GPT-3"].parameters / 1e9) == 175
    assert PRESETS["Llama 3.1 8B"].parameters == 8_030_261_248


@pytest.mark.parametrize("sizes", [ODD, *LLAMAS, *PRESETS.values()], ids=str)
def test_the_formula_that_is_shown_is_the_one_that_counts(sizes: DecoderConfig) -> None:
    letters = {"V": sizes.vocab_size, "T": sizes.block_size, "L": sizes.n_layer, "C": sizes.n_embd}
    letters |= {"M": sizes.n_hidden, "H": sizes.n_head, "G": sizes.n_kv_head}
    for part in sizes.parts():
        shown = part.formula.partition(",")[0].replace("·", "*")
        assert re.fullmatch(r"[VTLCMHG0-9*/+() ]+", shown)
        assert eval(shown, {}, letters) == part.count


def test_heads_change_nothing_in_a_gpt_and_sizes_that_do_not_fit_are_refused() -> None:
    assert GPT2Config(97, 31, 3, 5, 40).parameters == GPT2Config(97, 31, 3, 10, 40).parameters
    with pytest.raises(ValueError, match="n_embd 35 cannot be divided into n_head 4 heads"):
        GPT2Config(97, 31, 3, 4, 35)
    with pytest.raises(ValueError, match="10 heads cannot share 3 heads"):
        LlamaConfig(97, 31, 3, 10, 40, n_kv_head=3)
    with pytest.raises(ValueError, match="n_kv_head is 0"):
        LlamaConfig(97, 31, 3, 10, 40, n_kv_head=0)
    with pytest.raises(ValueError, match="heads of size 5 cannot be rotated"):
        LlamaConfig(97, 31, 3, 5, 25)
