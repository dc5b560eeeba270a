"""GPT-2: learned position vectors, layer norm, GELU, and a head that is the token embedding.

Parameters are named as in the GPT-2 checkpoint; activations, shapes and the forward pass are in `record.py` and
`decoder.py`.

Sources: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.3 (architecture,
initialization); Vaswani et al. 2017, "Attention Is All You Need", equation 1; Hendrycks and Gimpel 2016, "Gaussian
Error Linear Units".
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from model.transformer.block import MLP, Attention, Block, split_heads
from model.transformer.config import DecoderConfig, Part
from model.transformer.decoder import Decoder
from model.transformer.intervention import EditSite, no_edit
from model.transformer.norms import LayerNorm


@dataclass(frozen=True)
class GPT2Config(DecoderConfig):
    """The sizes of a GPT-2."""

    def parts(self) -> list[Part]:
        """The parameters, part by part (Radford et al. 2019)."""
        v, t, layers, c = self.vocab_size, self.block_size, self.n_layer, self.n_embd
        return [
            Part("token embedding", "V · C", v * c),
            Part("positions", "T · C", t * c),
            Part("attention", "L · (4 · C · C + 4 · C)", layers * (4 * c * c + 4 * c)),
            Part("MLP", "L · (8 · C · C + 5 · C)", layers * (8 * c * c + 5 * c)),
            Part("layer norms", "(2 · L + 1) · 2 · C", (2 * layers + 1) * 2 * c),
            self.head_part(),
        ]


GPT2_SMALL = GPT2Config(vocab_size=50_257, block_size=1024, n_layer=12, n_head=12, n_embd=768)


class CausalSelfAttention(Attention):
    """Each token queries (q) the keys (k) of all tokens up to itself and mixes their values (v)."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.n_head = config.n_head
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd)

    def qkv(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (B, H, T, D), of normalized vectors x (B, T, C)."""
        q, k, v = self.c_attn(x).chunk(3, dim=-1)  # (B, T, 3C) -> three times (B, T, C)
        return tuple(split_heads(part, self.n_head) for part in (q, k, v))  # three times (B, H, T, D)

    @property
    def output(self) -> nn.Linear:
        """The matrix and the bias that write to the stream."""
        return self.c_proj


def gelu(x: Tensor) -> Tensor:
    """GELU, GPT-2's activation function, in its tanh approximation: x times the normal distribution's CDF at x."""
    return F.gelu(x, approximate="tanh")


class FeedForward(MLP):
    """GPT-2's MLP: a matrix to four times the width, GELU, and a matrix back."""

    activation = staticmethod(gelu)
    activation_name = "GELU"

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd)
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd)

    def forward(self, x: Tensor, edit: EditSite = no_edit) -> tuple[Tensor, None, Tensor]:
        """mlp_pre (B, T, 4C), no second factor, and mlp_out (B, T, C) for normalized vectors x (B, T, C)."""
        pre = edit("mlp_pre", self.c_fc(x))  # (B, T, C) -> (B, T, 4C)
        return pre, None, edit("mlp_out", self.c_proj(gelu(pre)))  # (B, T, 4C) -> (B, T, C)

    @property
    def output(self) -> nn.Linear:
        """The matrix and the bias that write to the stream."""
        return self.c_proj


def block(config: GPT2Config, attention: Callable[[GPT2Config], Attention] = CausalSelfAttention) -> Block:
    """A block of GPT-2."""
    ln_1, ln_2 = (LayerNorm(config.n_embd, eps=config.layer_norm_epsilon) for _ in range(2))
    return Block(ln_1, attention(config), ln_2, FeedForward(config))


class GPT2(Decoder):
    """GPT-2 with weights drawn with standard deviation 0.02, less for those that write to the residual stream."""

    def __init__(self, config: GPT2Config, attention: Callable[[GPT2Config], Attention] = CausalSelfAttention) -> None:
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.block_size, config.n_embd)
        self.h = nn.ModuleList(block(config, attention) for _ in range(config.n_layer))
        self.ln_f = LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.add_head()
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif "ln_" not in name:
                writes = name.endswith("c_proj.weight")
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * config.n_layer) if writes else 0.02)

    @property
    def W_pos(self) -> Tensor:
        """The learned position vectors (T, C)."""
        return self.wpe.weight

    def shortened(self, block_size: int) -> "GPT2":
        """The same model without the positions from block_size on; the weights are shared."""
        short = super().shortened(block_size)
        short.wpe = nn.Embedding.from_pretrained(self.W_pos[:block_size])
        return short
