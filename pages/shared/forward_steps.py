"""The steps of the forward pass, as the boxes of a picture: what each computes, and where."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from model.transformer.gpt2 import GPT, MLP, Block, BlockTrace, CausalSelfAttention, gelu


class Step(NamedTuple):
    """A box: what is computed there, in which statements, and where its values and what it learned are found."""

    name: str
    role: str  # its colour
    shape: str
    says: str
    code: list[tuple[Callable, str]]
    values: Callable[..., Tensor]
    learned: Callable[..., nn.Module] | None = None
    before: str = "→"  # what stands between it and the box before


ATTEND, FORWARD, POST = CausalSelfAttention.forward, Block.forward, BlockTrace.resid_post.fget
TOKEN = Step(
    "wte",
    "embedding",
    "B T C",
    "Of each token the row of `wte` with its id: a vector that was learned for it.",
    [(GPT._embed, "self.wte(idx)")],
    lambda trace: trace.embed,
    lambda gpt: gpt.wte,
    before="",
)
POSITION = Step(
    "wpe",
    "embedding",
    "1 T C",
    "Of each position a vector that was learned for it. It is added to that of the token.",
    [(GPT._embed, "self.wpe.weight"), (GPT.trace, "embed + pos_embed")],
    lambda trace: trace.pos_embed[None],
    lambda gpt: gpt.wpe,
    before="+",
)
FINAL = Step(
    "ln_f",
    "norm",
    "B T C",
    "The stream at the end, normalised once more: mean 0, standard deviation 1, times γ, plus β.",
    [(GPT.trace, "self.ln_f(")],
    lambda trace: trace.ln_f,
    lambda gpt: gpt.ln_f,
)
LOGITS = Step(
    "logits",
    "norm",
    "B T V",
    "The dot product with the vector of every token in `wte`: the table of the beginning, once more.",
    [(GPT._logits, "F.linear")],
    lambda trace: trace.logits,
)
INSIDE = [
    Step(
        "resid_pre",
        "stream",
        "B T C",
        "The residual stream as it comes in.",
        [(FORWARD, '"resid_pre"')],
        lambda block, made: made.resid_pre,
        before="",
    ),
    Step(
        "ln_1",
        "norm",
        "B T C",
        "The stream, normalised, for attention to read.",
        [(FORWARD, "self.ln_1(resid_pre)")],
        lambda block, made: block.ln_1(made.resid_pre),
        lambda block: block.ln_1,
    ),
    Step(
        "q",
        "query",
        "B H T D",
        "The :blue[query]: what this token looks for. The heads stand one after the other.",
        [(ATTEND, "self.c_attn(x)")],
        lambda block, made: made.attn.q,
    ),
    Step(
        "k",
        "key",
        "B H T D",
        "The :red[key]: by what this token is found. The heads stand one after the other.",
        [(ATTEND, "self.c_attn(x)")],
        lambda block, made: made.attn.k,
        before="",
    ),
    Step(
        "v",
        "value",
        "B H T D",
        "The :green[value]: what this token gives to those that find it. The heads stand one after the other.",
        [(ATTEND, "self.c_attn(x)")],
        lambda block, made: made.attn.v,
        before="",
    ),
    Step(
        "pattern",
        "attention",
        "B H T T",
        "How :violet[this token looks] at each token up to it: a row for each head, which adds up to 1.",
        [(CausalSelfAttention.scores, "return"), (ATTEND, "future ="), (ATTEND, "softmax")],
        lambda block, made: made.attn.pattern,
    ),
    Step(
        "z",
        "attention",
        "B H T D",
        "The mean of the values, by those weights. The heads stand one after the other.",
        [(ATTEND, "pattern @ v")],
        lambda block, made: made.attn.z,
    ),
    Step(
        "out",
        "attention",
        "B T C",
        "The heads, mixed: this is what attention adds.",
        [(ATTEND, "self.c_proj(")],
        lambda block, made: made.attn.out,
        lambda block: block.attn,
    ),
    Step(
        "resid_mid",
        "stream",
        "B T C",
        "The stream, with what attention added.",
        [(FORWARD, "resid_mid =")],
        lambda block, made: made.resid_mid,
        before="+",
    ),
    Step(
        "ln_2",
        "norm",
        "B T C",
        "The stream, normalised, for the MLP to read.",
        [(FORWARD, "self.ln_2(resid_mid)")],
        lambda block, made: block.ln_2(made.resid_mid),
        lambda block: block.ln_2,
    ),
    Step(
        "mlp_pre",
        "MLP",
        "B T 4C",
        "What each neuron reads. There are four times as many as the stream is wide.",
        [(MLP.forward, "self.c_fc(x)")],
        lambda block, made: made.mlp_pre,
        lambda block: block.mlp.c_fc,
    ),
    Step(
        "mlp_post",
        "MLP",
        "B T 4C",
        "What each neuron passes on: through the GELU.",
        [(gelu, "F.gelu")],
        lambda block, made: made.mlp_post,
    ),
    Step(
        "mlp_out",
        "MLP",
        "B T C",
        "Back to the width of the stream: this is what the MLP adds.",
        [(MLP.forward, "self.c_proj(gelu")],
        lambda block, made: made.mlp_out,
        lambda block: block.mlp.c_proj,
    ),
    Step(
        "resid_post",
        "stream",
        "B T C",
        "The stream, with what the MLP added. The next block reads it.",
        [(POST, "self.mlp_out")],
        lambda block, made: made.resid_post,
        before="+",
    ),
]


def block_step(layer: int) -> Step:
    """A whole block as one box of the road."""
    return Step(
        f"L{layer}",
        "stream",
        "B T C",
        "The residual stream behind this block: as it came in, and what attention and the MLP added to it.",
        [(GPT._walk, "self.h[layer]"), (POST, "self.mlp_out")],
        lambda trace: trace.blocks[layer].resid_post,
        lambda gpt: gpt.h[layer],
    )
