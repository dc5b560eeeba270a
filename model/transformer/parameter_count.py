"""Well-known models by their sizes, whose parameters and KV cache the lessons count by formula.

Sources: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners" (GPT-2); Brown et al. 2020,
"Language Models are Few-Shot Learners", table 2.1 (GPT-3); Grattafiori et al. 2024, "The Llama 3 Herd of Models", table
3, and the config.json that is released with Llama 3.1 8B; Allal et al. 2025, "SmolLM2", and its config.json.
"""

from model.transformer.config import DecoderConfig
from model.transformer.gpt2 import GPT2_SMALL, GPT2Config
from model.transformer.llama import LlamaConfig

FAMILIES: dict[str, type[DecoderConfig]] = {"GPT": GPT2Config, "Llama": LlamaConfig}
PRESETS: dict[str, DecoderConfig] = {
    "A small GPT": GPT2Config(50_257, 512, n_layer=4, n_head=8, n_embd=256),
    "GPT-2": GPT2_SMALL,
    "GPT-2 XL": GPT2Config(50_257, 1024, n_layer=48, n_head=25, n_embd=1600),
    "GPT-3": GPT2Config(50_257, 2048, n_layer=96, n_head=96, n_embd=12_288),
    "SmolLM2 135M": LlamaConfig(
        49_152, 8192, n_layer=30, n_head=9, n_embd=576, n_kv_head=3, n_hidden=1536, rope_theta=100_000.0
    ),
    "Llama 3.1 8B": LlamaConfig(
        128_256,
        131_072,
        n_layer=32,
        n_head=32,
        n_embd=4096,
        n_kv_head=8,
        n_hidden=14_336,
        rope_theta=500_000.0,
        tied=False,
    ),
}


def family(config: DecoderConfig) -> str:
    """The name of a configuration's family in FAMILIES."""
    return next(name for name, kind in FAMILIES.items() if isinstance(config, kind))
