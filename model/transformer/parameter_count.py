"""How many numbers a transformer has learned, part by part, by formula.

Letters: V vocabulary, T context, L blocks, C width of the stream, M width of the MLP, H heads, G heads of keys and
values.

Sources: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners" (GPT-2); Brown et al. 2020,
"Language Models are Few-Shot Learners", table 2.1 (GPT-3); Grattafiori et al. 2024, "The Llama 3 Herd of Models",
table 3, and the config.json that is released with Llama 3.1 8B.
"""

from dataclasses import dataclass
from typing import NamedTuple

from model.transformer.gpt2 import GPTConfig

KINDS = ("GPT", "Llama")


@dataclass(frozen=True)
class Sizes:
    """The sizes of a GPT or a Llama; raises ValueError where they make none."""

    kind: str  # one of KINDS
    vocab: int
    context: int  # of a GPT; a Llama learns nothing for its positions
    layers: int
    width: int
    heads: int
    key_heads: int = 0  # of a Llama: groups of heads share their keys and values
    hidden: int = 0  # of a Llama: how wide the MLP is; a GPT's is four times the stream
    tied: bool = True  # whether the logits are read off with the token embeddings, or with a table of their own

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"a width of {self.width:,} does not divide into {self.heads} heads")
        if self.kind == "Llama" and (not self.key_heads or self.heads % self.key_heads):
            raise ValueError(f"{self.heads} heads cannot share {self.key_heads} heads of keys and values evenly")


class Part(NamedTuple):
    """A part of a transformer, the formula of its parameters, and their number."""

    name: str
    formula: str
    count: int


def of(config: GPTConfig) -> Sizes:
    """The sizes of one of our GPTs."""
    return Sizes("GPT", config.vocab_size, config.block_size, config.n_layer, config.n_embd, config.n_head)


def count(sizes: Sizes) -> list[Part]:
    """The parts of a transformer, and the parameters in each."""
    v, t, layers, c = sizes.vocab, sizes.context, sizes.layers, sizes.width
    head = Part("head", "V · C", v * c) if not sizes.tied else Part("head", "0, it is the token embedding", 0)
    if sizes.kind == "GPT":
        return [
            Part("token embedding", "V · C", v * c),
            Part("positions", "T · C", t * c),
            Part("attention", "L · (4 · C · C + 4 · C)", layers * (4 * c * c + 4 * c)),
            Part("MLP", "L · (8 · C · C + 5 · C)", layers * (8 * c * c + 5 * c)),
            Part("layer norms", "(2 · L + 1) · 2 · C", (2 * layers + 1) * 2 * c),
            head,
        ]
    m, keys = sizes.hidden, c // sizes.heads * sizes.key_heads
    return [
        Part("token embedding", "V · C", v * c),
        Part("positions", "0, they turn q and k (RoPE)", 0),
        Part("attention", "L · (2 · C · C + 2 · C · C / H · G)", layers * (2 * c * c + 2 * c * keys)),
        Part("MLP", "L · 3 · C · M", layers * 3 * c * m),
        Part("layer norms", "(2 · L + 1) · C", (2 * layers + 1) * c),
        head,
    ]


def total(sizes: Sizes) -> int:
    """All parameters together."""
    return sum(part.count for part in count(sizes))


PRESETS = {
    "The notes' GPT": Sizes("GPT", 50_257, 512, 4, 256, 8),
    "GPT-2": Sizes("GPT", 50_257, 1024, 12, 768, 12),
    "GPT-2 XL": Sizes("GPT", 50_257, 1024, 48, 1600, 25),
    "GPT-3": Sizes("GPT", 50_257, 2048, 96, 12_288, 96),
    "Llama 3.1 8B": Sizes("Llama", 128_256, 131_072, 32, 4096, 32, key_heads=8, hidden=14_336, tied=False),
}
