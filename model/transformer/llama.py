"""Llama: RMS norm, rotary positions, grouped-query attention, a gated MLP (SwiGLU), no biases.

Parameters of attention and MLP are named as in the Llama checkpoint; activations, shapes and the forward pass are in
`record.py` and `decoder.py`.

Sources: Touvron et al. 2023, "LLaMA: Open and Efficient Foundation Language Models"; Su et al. 2021, "RoFormer"
(rotary positions); Ainslie et al. 2023, "GQA: Training Generalized Multi-Query Transformer Models"; Shazeer 2020, "GLU
Variants Improve Transformer"; Zhang and Sennrich 2019, "Root Mean Square Layer Normalization".
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.transformer.block import MLP, Attention, Block, split_heads
from model.transformer.config import DecoderConfig, Part
from model.transformer.decoder import Decoder
from model.transformer.intervention import EditSite, no_edit
from model.transformer.norms import RMSNorm
from model.transformer.positions import Rotation, rotation


@dataclass(frozen=True)
class LlamaConfig(DecoderConfig):
    """The sizes of a Llama; raises ValueError where they do not fit together."""

    n_kv_head: int = 1
    n_hidden: int = 1
    rope_theta: float = 10_000.0  # the base of the rotation angles

    mlp_matrices = 3  # gate, up and down
    adds_positions = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("n_kv_head", "n_hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.n_head % self.n_kv_head:
            raise ValueError(f"{self.n_head} heads cannot share {self.n_kv_head} heads of keys and values evenly")
        if self.head_size % 2:
            raise ValueError(f"heads of size {self.head_size} cannot be rotated in pairs; the size must be even")

    def parts(self) -> list[Part]:
        """The parameters, part by part (Grattafiori et al. 2024, "The Llama 3 Herd of Models", table 3)."""
        v, layers, c, m = self.vocab_size, self.n_layer, self.n_embd, self.n_hidden
        keys = self.head_size * self.n_kv_head
        return [
            Part("token embedding", "V · C", v * c),
            Part("positions", "0, they rotate q and k (RoPE)", 0),
            Part("attention", "L · (2 · C · C + 2 · C · C / H · G)", layers * (2 * c * c + 2 * c * keys)),
            Part("MLP", "L · 3 · C · M", layers * 3 * c * m),
            Part("RMS norms", "(2 · L + 1) · C", (2 * layers + 1) * c),
            self.head_part(),
        ]


class GroupedQueryAttention(Attention):
    """H query heads share the keys and values of G heads; queries and keys are rotated by their positions."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.n_head, self.n_kv_head = config.n_head, config.n_kv_head
        keys = config.head_size * config.n_kv_head
        self.q_proj = nn.Linear(config.n_embd, config.n_embd, bias=False)
        self.k_proj = nn.Linear(config.n_embd, keys, bias=False)
        self.v_proj = nn.Linear(config.n_embd, keys, bias=False)
        self.o_proj = nn.Linear(config.n_embd, config.n_embd, bias=False)

    def qkv(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, H, T, D), keys and values (B, G, T, D), not rotated yet, of normalized vectors x (B, T, C)."""
        q = split_heads(self.q_proj(x), self.n_head)  # (B, T, C) -> (B, H, T, D)
        k, v = (
            split_heads(part(x), self.n_kv_head) for part in (self.k_proj, self.v_proj)
        )  # (B, T, C) -> (B, G, T, D)
        return q, k, v

    @property
    def output(self) -> nn.Linear:
        """The matrix that writes to the stream."""
        return self.o_proj


class SwiGLU(MLP):
    """Llama's MLP: silu(gate) times up, and a matrix back to the stream."""

    activation = staticmethod(F.silu)
    activation_name = "SiLU"

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.n_embd, config.n_hidden, bias=False)
        self.up_proj = nn.Linear(config.n_embd, config.n_hidden, bias=False)
        self.down_proj = nn.Linear(config.n_hidden, config.n_embd, bias=False)

    def forward(self, x: Tensor, edit: EditSite = no_edit) -> tuple[Tensor, Tensor, Tensor]:
        """mlp_pre (the gate) and mlp_up, both (B, T, M), and mlp_out (B, T, C) for normalized vectors x (B, T, C)."""
        gate, up = edit("mlp_pre", self.gate_proj(x)), self.up_proj(x)  # (B, T, C) -> (B, T, M)
        return gate, up, edit("mlp_out", self.down_proj(F.silu(gate) * up))  # (B, T, M) -> (B, T, C)

    @property
    def output(self) -> nn.Linear:
        """The matrix that writes to the stream."""
        return self.down_proj


def block(config: LlamaConfig) -> Block:
    """A block of a Llama."""
    ln_1, ln_2 = (RMSNorm(config.n_embd, eps=config.layer_norm_epsilon) for _ in range(2))
    return Block(ln_1, GroupedQueryAttention(config), ln_2, SwiGLU(config))


class Llama(Decoder):
    """A Llama with weights drawn with standard deviation 0.02; the head is tied or a matrix of its own."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.h = nn.ModuleList(block(config) for _ in range(config.n_layer))
        self.ln_f = RMSNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.add_head()
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)

    def rotation(self, start: int, end: int) -> Rotation:
        """Cosine and signed sine (T, D) of the rotation angles at positions start to end - 1."""
        cos, sin = rotation(torch.arange(start, end), self.config.head_size, self.config.rope_theta)
        return cos.to(self.wte.weight), sin.to(self.wte.weight)
