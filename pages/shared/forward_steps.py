"""The steps of the forward pass, as the boxes of a picture: what each computes, and in which lines of code."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from torch import Tensor, nn

from model.transformer.block import Attention, Block, grouped_matmul
from model.transformer.decoder import Decoder
from model.transformer.gpt2 import CausalSelfAttention, FeedForward, gelu
from model.transformer.llama import GroupedQueryAttention, SwiGLU
from model.transformer.positions import rotate_by
from model.transformer.record import BlockTrace

Code = list[tuple[Callable, str]]  # functions, and words of the statement that is shown of each


class Step(NamedTuple):
    """A box: what is computed there, in which statements, its values in the record, and its parameters."""

    name: str
    role: str  # its color
    shape: str
    says: str
    code: Code
    values: Callable[..., Tensor]
    learned: Callable[..., Iterable[Tensor]] | None = None
    before: str = "→"  # what stands between it and the box before


class Family(NamedTuple):
    """What the boxes of one family of models say and show differently."""

    norm: str
    rotated: str  # what is added to the sentences on q and k
    q: Code
    k: Code
    v: Code
    neurons: str
    mlp_pre: Code
    mlp_post: Code
    post: str
    mlp_out: Code


GPT2_FAMILY = Family(
    norm="mean 0, standard deviation 1, times γ, plus β",
    rotated="",
    q=[(CausalSelfAttention.qkv, "self.c_attn(x)")],
    k=[(CausalSelfAttention.qkv, "self.c_attn(x)")],
    v=[(CausalSelfAttention.qkv, "self.c_attn(x)")],
    neurons="What each neuron reads. There are four times as many as the stream is wide.",
    mlp_pre=[(FeedForward.forward, "self.c_fc(x)")],
    mlp_post=[(gelu, "F.gelu")],
    post="What each neuron passes on: through the GELU.",
    mlp_out=[(FeedForward.forward, "self.c_proj(gelu")],
)
LLAMA_FAMILY = Family(
    norm="root mean square 1, times γ",
    rotated=" It is rotated by its position (RoPE).",
    q=[(GroupedQueryAttention.qkv, "self.q_proj(x)"), (rotate_by, "torch.addcmul")],
    k=[(GroupedQueryAttention.qkv, "self.k_proj"), (rotate_by, "torch.addcmul")],
    v=[(GroupedQueryAttention.qkv, "self.v_proj")],
    neurons="The gate of each neuron: what its activation function (SiLU) reads.",
    mlp_pre=[(SwiGLU.forward, "self.gate_proj(x)")],
    mlp_post=[(BlockTrace.mlp_post.fget, "self.activation"), (BlockTrace.mlp_post.fget, "self.mlp_up")],
    post="What each neuron passes on: SiLU of its gate, times its other factor (SwiGLU).",
    mlp_out=[(SwiGLU.forward, "self.down_proj")],
)
ATTEND, FORWARD, POST = Attention.forward, Block.forward, BlockTrace.resid_post.fget
HEADS = "The heads are shown one after the other."
TOKEN = Step(
    "wte",
    "embedding",
    "B T C",
    "For each token, the row of the token embedding with its id: a learned vector.",
    [(Decoder.embed, "return self.wte(idx), None")],
    lambda trace: trace.embed,
    lambda decoder: [decoder.W_E],
    before="",
)
POSITION = Step(
    "wpe",
    "embedding",
    "1 T C",
    "For each position, a learned vector. It is added to the vector of the token.",
    [(Decoder.embed, "self.W_pos[start:end]"), (Decoder._stream, "embed + pos_embed")],
    lambda trace: trace.pos_embed[None],
    lambda decoder: [decoder.W_pos],
    before="+",
)
LOGITS = Step(
    "logits",
    "norm",
    "B T V",
    "The dot product with a vector for every token, the unembedding. Often it is the token embedding again.",
    [(Decoder.unembed, "F.linear")],
    lambda trace: trace.logits,
    lambda decoder: [] if decoder.config.tied else [decoder.W_U],
)


def _family(decoder: Decoder) -> Family:
    return GPT2_FAMILY if decoder.W_pos is not None else LLAMA_FAMILY


def road(decoder: Decoder) -> list[Step]:
    """The boxes of the whole model: the embeddings, each block, the final norm and the logits."""
    final = Step(
        "ln_f",
        "norm",
        "B T C",
        f"The stream at the end, normalized once more: {_family(decoder).norm}.",
        [(Decoder.trace, "self.ln_f(")],
        lambda trace: trace.ln_f,
        lambda decoder: decoder.ln_f.parameters(),
    )
    beside_positions = TOKEN._replace(code=[(Decoder.embed, "self.wte(idx), positions if")])
    embeddings = [TOKEN] if decoder.W_pos is None else [beside_positions, POSITION]
    return [*embeddings, *map(block_step, range(decoder.config.n_layer)), final, LOGITS]


def block_step(layer: int) -> Step:
    """A whole block as one box."""
    return Step(
        f"L{layer}",
        "stream",
        "B T C",
        "The residual stream after this block: its input, plus what attention and the MLP added.",
        [(Decoder.walk, "self.h[layer]"), (POST, "self.mlp_out")],
        lambda trace: trace.blocks[layer].resid_post,
        lambda decoder: decoder.blocks[layer].parameters(),
    )


def inside(decoder: Decoder) -> list[Step]:
    """The boxes of one block."""
    return [*_attention_steps(_family(decoder)), *_mlp_steps(decoder, _family(decoder))]


def _attention_steps(family: Family) -> list[Step]:
    return [
        Step(
            "resid_pre",
            "stream",
            "B T C",
            "The residual stream as it comes in.",
            [(FORWARD, '"resid_pre"')],
            lambda block, record: record.resid_pre,
            before="",
        ),
        Step(
            "ln_1",
            "norm",
            "B T C",
            "The stream, normalized, for attention to read.",
            [(FORWARD, "self.ln_1(resid_pre)")],
            lambda block, record: block.ln_1(record.resid_pre),
            lambda block: block.ln_1.parameters(),
        ),
        Step(
            "q",
            "query",
            "B H T D",
            f"The :blue[query]: what this token looks for.{family.rotated} {HEADS}",
            family.q,
            lambda block, record: record.attn.q,
        ),
        Step(
            "k",
            "key",
            "B G T D",
            f"The :red[key]: what this token offers to the queries.{family.rotated} {HEADS}",
            family.k,
            lambda block, record: record.attn.k,
            before="",
        ),
        Step(
            "v",
            "value",
            "B G T D",
            f"The :green[value]: what this token gives to the tokens that look at it. {HEADS}",
            family.v,
            lambda block, record: record.attn.v,
            before="",
        ),
        Step(
            "pattern",
            "attention",
            "B H T T",
            "How :violet[this token looks] at each token up to it: one row for each head, and each row sums to 1.",
            [(ATTEND, "scores ="), (ATTEND, "future ="), (ATTEND, "softmax")],
            lambda block, record: record.attn.pattern,
        ),
        Step(
            "z",
            "attention",
            "B H T D",
            f"The mean of the values, weighted by the pattern. {HEADS}",
            [(ATTEND, "grouped_matmul(pattern, v)"), (grouped_matmul, "return heads @ groups")],
            lambda block, record: record.attn.z,
        ),
        Step(
            "out",
            "attention",
            "B T C",
            "The heads, mixed: this is what attention adds.",
            [(ATTEND, "self.output(")],
            lambda block, record: record.attn.out,
            lambda block: block.attn.parameters(),
        ),
        Step(
            "resid_mid",
            "stream",
            "B T C",
            "The stream, with what attention added.",
            [(FORWARD, "resid_mid =")],
            lambda block, record: record.resid_mid,
            before="+",
        ),
    ]


def _mlp_steps(decoder: Decoder, family: Family) -> list[Step]:
    up = Step(
        "mlp_up",
        "MLP",
        "B T M",
        "The other factor of each neuron, which its gate lets through or holds back.",
        [(SwiGLU.forward, "self.up_proj(x)")],
        lambda block, record: record.mlp_up,
        before="",
    )
    return [
        Step(
            "ln_2",
            "norm",
            "B T C",
            "The stream, normalized, for the MLP to read.",
            [(FORWARD, "self.ln_2(resid_mid)")],
            lambda block, record: block.ln_2(record.resid_mid),
            lambda block: block.ln_2.parameters(),
        ),
        Step(
            "mlp_pre",
            "MLP",
            "B T M",
            family.neurons,
            family.mlp_pre,
            lambda block, record: record.mlp_pre,
            lambda block: _first_matrices(block.mlp),
        ),
        *([up] if decoder.config.mlp_matrices == 3 else []),
        Step(
            "mlp_post",
            "MLP",
            "B T M",
            family.post,
            family.mlp_post,
            lambda block, record: record.mlp_post,
        ),
        Step(
            "mlp_out",
            "MLP",
            "B T C",
            "Back to the width of the stream: this is what the MLP adds.",
            family.mlp_out,
            lambda block, record: record.mlp_out,
            lambda block: block.mlp.output.parameters(),
        ),
        Step(
            "resid_post",
            "stream",
            "B T C",
            "The stream, with what the MLP added. The next block reads it.",
            [(POST, "self.mlp_out")],
            lambda block, record: record.resid_post,
            before="+",
        ),
    ]


def _first_matrices(mlp: nn.Module) -> list[Tensor]:
    last = {id(parameter) for parameter in mlp.output.parameters()}
    return [parameter for parameter in mlp.parameters() if id(parameter) not in last]
