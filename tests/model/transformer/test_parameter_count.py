"""The counts, by formula, against the modules themselves, which are built without memory on the device "meta"."""

import re

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from model.transformer.gpt2 import GPT, GPTConfig
from model.transformer.parameter_count import PRESETS, Sizes, count, of, total

ODD = Sizes("GPT", vocab=97, context=31, layers=3, width=35, heads=5)
LLAMAS = [
    Sizes("Llama", 97, 31, 3, 40, 10, key_heads=5, hidden=67),
    Sizes("Llama", 97, 31, 3, 40, 10, key_heads=10, hidden=67, tied=False),
    PRESETS["Llama 3.1 8B"],
]


def numbers(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())  # each once, tied or not


def llama(sizes: Sizes) -> LlamaForCausalLM:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=sizes.vocab,
            max_position_embeddings=sizes.context,
            num_hidden_layers=sizes.layers,
            hidden_size=sizes.width,
            num_attention_heads=sizes.heads,
            num_key_value_heads=sizes.key_heads,
            intermediate_size=sizes.hidden,
            tie_word_embeddings=sizes.tied,
        )
    )


@pytest.mark.parametrize("sizes", [ODD, *(PRESETS[name] for name in ("The notes' GPT", "GPT-2", "GPT-2 XL", "GPT-3"))])
def test_a_gpt_has_the_parameters_of_its_modules_part_by_part(sizes: Sizes) -> None:
    with torch.device("meta"):
        gpt = GPT(GPTConfig(sizes.vocab, sizes.context, sizes.layers, sizes.heads, sizes.width))
    assert of(gpt.config) == sizes
    found = {part.name: part.count for part in count(sizes)}
    assert found["token embedding"] == numbers(gpt.wte) and found["positions"] == numbers(gpt.wpe)
    assert found["attention"] == sum(numbers(block.attn) for block in gpt.h)
    assert found["MLP"] == sum(numbers(block.mlp) for block in gpt.h)
    norms = [gpt.ln_f, *(norm for block in gpt.h for norm in (block.ln_1, block.ln_2))]
    assert found["layer norms"] == sum(map(numbers, norms)) and found["head"] == 0
    assert total(sizes) == numbers(gpt)


@pytest.mark.parametrize("tied", [True, False])
def test_a_gpt_has_the_parameters_of_transformers(tied: bool) -> None:
    config = GPT2Config(
        vocab_size=97, n_positions=31, n_layer=3, n_embd=35, n_head=5, tie_word_embeddings=tied, bos_token_id=0
    )
    with torch.device("meta"):
        module = GPT2LMHeadModel(config)
    assert total(Sizes("GPT", 97, 31, 3, 35, 5, tied=tied)) == numbers(module)


@pytest.mark.parametrize("sizes", LLAMAS)
def test_a_llama_has_the_parameters_of_transformers_part_by_part(sizes: Sizes) -> None:
    with torch.device("meta"):
        module = llama(sizes)
    found = {part.name: part.count for part in count(sizes)}
    layers = module.model.layers
    assert found["token embedding"] == numbers(module.model.embed_tokens) and found["positions"] == 0
    assert found["attention"] == sum(numbers(layer.self_attn) for layer in layers)
    assert found["MLP"] == sum(numbers(layer.mlp) for layer in layers)
    assert found["head"] == (0 if sizes.tied else numbers(module.lm_head))
    assert total(sizes) == numbers(module)


def test_the_published_and_corrected_numbers() -> None:
    assert total(PRESETS["The notes' GPT"]) == 16_156_416  # and not some 12 million
    embedding = count(PRESETS["The notes' GPT"])[0].count
    assert embedding == 12_865_792 and round(embedding / 16_156_416, 3) == 0.796
    assert total(PRESETS["GPT-2"]) == 124_439_808 and total(PRESETS["GPT-2 XL"]) == 1_557_611_200
    assert round(total(PRESETS["GPT-3"]) / 1e9) == 175
    assert total(PRESETS["Llama 3.1 8B"]) == 8_030_261_248


@pytest.mark.parametrize("sizes", [ODD, *LLAMAS, *PRESETS.values()], ids=str)
def test_the_formula_that_is_shown_is_the_one_that_counts(sizes: Sizes) -> None:
    letters = {"V": sizes.vocab, "T": sizes.context, "L": sizes.layers, "C": sizes.width}
    letters |= {"M": sizes.hidden, "H": sizes.heads, "G": sizes.key_heads}
    for part in count(sizes):
        shown = part.formula.partition(",")[0].replace("·", "*")
        assert re.fullmatch(r"[VTLCMHG0-9*/+() ]+", shown)
        assert eval(shown, {}, letters) == part.count


def test_heads_change_nothing_in_a_gpt_and_sizes_that_make_none_are_refused() -> None:
    assert total(Sizes("GPT", 97, 31, 3, 40, 5)) == total(Sizes("GPT", 97, 31, 3, 40, 10))
    with pytest.raises(ValueError, match="a width of 35 does not divide into 4 heads"):
        Sizes("GPT", 97, 31, 3, 35, 4)
    with pytest.raises(ValueError, match="10 heads cannot share 3 heads"):
        Sizes("Llama", 97, 31, 3, 40, 10, key_heads=3)
    with pytest.raises(ValueError, match="10 heads cannot share 0 heads"):
        Sizes("Llama", 97, 31, 3, 40, 10)
