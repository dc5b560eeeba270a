"""The sizes of a decoder-only transformer, and what follows from them: parameters, memory, multiplications."""

from dataclasses import dataclass
from typing import NamedTuple


class Part(NamedTuple):
    """A part of a transformer, the formula of its parameter count, and the count."""

    name: str
    formula: str
    count: int


@dataclass(frozen=True)
class DecoderConfig:
    """The sizes that every family has; raises ValueError where they are below 1 or do not fit together.

    In formulas: V vocab_size, T block_size, L n_layer, C n_embd, H n_head, G n_kv_head, D head_size, M n_hidden.
    """

    vocab_size: int
    block_size: int  # the context, in tokens
    n_layer: int
    n_head: int
    n_embd: int
    layer_norm_epsilon: float = 1e-5
    tied: bool = True  # whether the unembedding is the token embedding

    mlp_matrices = 2  # up and down; a gated MLP has a third
    adds_positions = True  # position vectors are added to those of the tokens

    def __post_init__(self) -> None:
        for name in ("vocab_size", "block_size", "n_layer", "n_head", "n_embd"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.n_embd % self.n_head:
            raise ValueError(f"n_embd {self.n_embd} cannot be divided into n_head {self.n_head} heads")

    @property
    def head_size(self) -> int:
        """The dimensions of each head's queries, keys and values."""
        return self.n_embd // self.n_head

    @property
    def n_kv_head(self) -> int:
        """The heads of keys and values; with grouped-query attention they are fewer than n_head."""
        return self.n_head

    @property
    def n_hidden(self) -> int:
        """The neurons of each MLP."""
        return 4 * self.n_embd

    def parts(self) -> list[Part]:
        """The parameters, part by part."""
        raise NotImplementedError

    def head_part(self) -> Part:
        """The parameters of the unembedding."""
        if self.tied:
            return Part("head", "0, it is the token embedding", 0)
        return Part("head", "V · C", self.vocab_size * self.n_embd)

    @property
    def parameters(self) -> int:
        """The number of all parameters; a tied head counts once."""
        return sum(part.count for part in self.parts())

    def trace_bytes(self, tokens: int) -> int:
        """The bytes in float32 that a `Trace` of this many tokens keeps."""
        c, queries, keys = self.n_embd, self.n_head * self.head_size, self.n_kv_head * self.head_size
        attention = 2 * queries + 2 * keys + 2 * self.n_head * tokens  # q and z, k and v, scores and pattern
        block = 4 * c + attention + (self.mlp_matrices - 1) * self.n_hidden  # two streams, two outputs
        ends = (1 + self.adds_positions) * c + self.vocab_size  # embed unless it is the stream itself, ln_f, logits
        return 4 * tokens * (self.n_layer * block + ends)

    def kv_bytes(self, tokens: int, bytes_each: int = 4) -> int:
        """The bytes of the KV cache of this many tokens; each number takes bytes_each (2 in float16).

        Sources: Pope et al. 2022, "Efficiently Scaling Transformer Inference"; Ainslie et al. 2023, "GQA: Training
        Generalized Multi-Query Transformer Models" (heads that share keys and values).
        """
        return 2 * self.n_layer * tokens * self.n_kv_head * self.head_size * bytes_each

    def multiply_adds(self, new: int, cached: int = 0, read_off: int = 1) -> int:
        """The multiplications, each with its addition, of one pass over `new` tokens after the cached ones.

        For each block: its matrices for each new token, and 2 D for each query head and each token that it attends to
        (query times key, weight times value; what the mask hides is computed too). C V for each position at which
        logits are read off. Elementwise work (norms, softmax, activation, sums) is left out.
        """
        queries, keys = self.n_head * self.head_size, self.n_kv_head * self.head_size
        matrices = self.n_embd * (2 * queries + 2 * keys + self.mlp_matrices * self.n_hidden)
        block = new * matrices + 2 * queries * new * (cached + new)
        return self.n_layer * block + self.n_embd * self.vocab_size * read_off
