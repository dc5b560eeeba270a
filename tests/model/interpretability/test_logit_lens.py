"""The lens against plain loops, and the attribution against autograd and the logits themselves."""

import math

import pytest
import torch
from torch.nn import functional as F

from model.interpretability import attribution, logit_lens
from model.language.tokenization import pieces, single_token_ids
from model.loading import checkpoint
from model.loading.folders import BUILT_IN
from model.transformer.decoder import Decoder
from model.transformer.gpt2 import GPT2, GPT2Config
from model.transformer.intervention import Edit, Interventions
from model.transformer.record import Trace

SHIPPED = "The capital of France is"


@pytest.fixture(scope="module")
def trace(decoder: Decoder, idx: torch.Tensor) -> Trace:
    return decoder.trace(idx[:1])


@pytest.fixture(scope="module")
def shipped() -> tuple[Decoder, Trace]:
    gpt, tokenizer = (
        checkpoint.load(BUILT_IN),
        checkpoint.tokenizer(BUILT_IN, checkpoint.load(BUILT_IN).config.vocab_size),
    )
    return gpt, gpt.trace(torch.tensor([tokenizer.encode(SHIPPED).ids]))


def normed(decoder: Decoder, x: torch.Tensor) -> torch.Tensor:
    """The final norm of one vector, written out."""
    spread = x if decoder.W_pos is None else x - x.mean()  # an RMS norm leaves the mean
    scale = torch.sqrt((spread**2).mean() + decoder.config.layer_norm_epsilon)
    return spread / scale * decoder.ln_f.weight + decoder.ln_f.bias


@pytest.mark.parametrize("place", logit_lens.PLACES)
def test_each_reading_is_that_of_a_plain_loop(decoder: Decoder, trace: Trace, place: str) -> None:
    found = logit_lens.read(decoder, trace, place, slice(3, 9), token=11)
    layers = decoder.config.n_layer - (place == "resid_post")
    assert found.ids.shape == found.log_p.shape == (layers + 1, 6, logit_lens.TOP)
    for layer in range(layers + 1):
        for n, at in enumerate(range(3, 9)):
            output = trace.logits[0, at].double().softmax(-1)
            if layer < layers:
                p = (decoder.W_U @ normed(decoder, getattr(trace.blocks[layer], place)[0, at])).double().softmax(-1)
            else:
                p = output
            order = sorted(range(len(p)), key=lambda id: -p[id].item())
            assert found.ids[layer, n].tolist() == order[: logit_lens.TOP]
            assert found.log_p[layer, n].tolist() == pytest.approx(p[order[: logit_lens.TOP]].log().tolist(), abs=1e-4)
            assert found.rank[layer, n] == 1 + order.index(11)
            assert found.followed[layer, n].item() == pytest.approx(p[11].log().item(), abs=1e-4)
            assert found.entropy[layer, n].item() == pytest.approx(-sum(x * math.log(x) for x in p.tolist()), abs=1e-4)
            kl = sum(q * math.log(q / x) for q, x in zip(output.tolist(), p.tolist()))
            assert found.kl[layer, n].item() == pytest.approx(kl, abs=1e-4)


@pytest.mark.parametrize("place", logit_lens.PLACES)
def test_the_last_reading_is_the_output(decoder: Decoder, trace: Trace, place: str) -> None:
    found = logit_lens.read(decoder, trace, place, slice(None))
    best = trace.logits[0].log_softmax(-1).topk(logit_lens.TOP)
    assert torch.equal(found.ids[-1], best.indices) and torch.equal(found.log_p[-1], best.values)
    assert not found.kl[-1].any() and found.rank is found.followed is None
    torch.testing.assert_close(logit_lens.logits(decoder, trace.blocks[-1].resid_post), trace.logits)


def test_before_a_layer_is_after_the_one_before_it(decoder: Decoder, trace: Trace) -> None:
    before, after = (
        logit_lens.read(decoder, trace, place, slice(None), token=3) for place in ("resid_pre", "resid_post")
    )
    for one, other in zip(before, after):
        torch.testing.assert_close(one[1:], other)


def test_a_stream_of_nothing_is_undecided() -> None:
    """A final norm without weights makes all tokens alike: entropy ln V, and a KL that is the output's own."""
    torch.manual_seed(0)
    gpt = GPT2(GPT2Config(vocab_size=50, block_size=4, n_layer=2, n_head=1, n_embd=8)).eval()
    trace = gpt.trace(torch.tensor([[1, 2, 3]]))
    torch.nn.init.zeros_(gpt.ln_f.weight)
    found = logit_lens.read(gpt, trace, "resid_mid", slice(None), token=0)
    assert found.entropy[:-1].flatten().tolist() == pytest.approx([math.log(50)] * 6, abs=1e-5)
    assert (found.rank[:-1] == 1).all()  # nothing is likelier
    expected = math.log(50) - found.entropy[-1]
    torch.testing.assert_close(found.kl[0], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("position", [0, 5, -1])
def test_what_all_parts_add_is_the_difference(decoder: Decoder, trace: Trace, position: int) -> None:
    for toward, against in ((3, 90), (0, 1), (41, 7)):
        parts = attribution.attribute(decoder, trace, position, toward, against)
        apart = trace.logits[0, position, toward] - trace.logits[0, position, against]
        assert parts.total == pytest.approx(apart.item(), abs=1e-4)
        assert attribution.attribute(decoder, trace, position, against, toward).total == pytest.approx(
            -apart.item(), abs=1e-4
        )
    assert attribution.attribute(decoder, trace, position, 5, 5).total == 0


def test_attribution_adds_up_where_epsilon_outweighs_the_variance() -> None:
    """In a fresh model the stream is so small that the epsilon of the final norm decides about its scale."""
    torch.manual_seed(0)
    config = GPT2Config(97, 31, n_layer=2, n_head=5, n_embd=35, layer_norm_epsilon=1e-3)
    small = GPT2(config).eval().requires_grad_(False)
    trace = small.trace(torch.tensor([[5, 9, 2, 60]]))
    logits = trace.logits[0, -1]
    toward, against = logits.argmax().item(), logits.argmin().item()
    difference = (logits[toward] - logits[against]).item()
    assert difference > 0.1
    assert attribution.attribute(small, trace, 3, toward, against).total == pytest.approx(difference, abs=1e-5)


def test_it_adds_up_on_the_shipped_weights(shipped: tuple[Decoder, Trace]) -> None:
    gpt, trace = shipped
    for position in range(trace.idx.size(1)):
        logits = trace.logits[0, position]
        for toward, against in zip(*(logits.argsort(descending=way)[:20].tolist() for way in (True, False))):
            parts = attribution.attribute(gpt, trace, position, toward, against)
            assert parts.total == pytest.approx((logits[toward] - logits[against]).item(), abs=1e-4)


def test_each_part_is_what_autograd_says(decoder: Decoder, trace: Trace) -> None:
    """The difference is linear in what each part wrote as soon as the norm's scale is held: gradient times input."""
    at, toward, against = 6, 3, 90
    final = trace.blocks[-1].resid_post[0, at]
    rms = decoder.W_pos is None
    variance = final.square().mean() if rms else final.var(unbiased=False)
    scale = torch.sqrt(variance + decoder.config.layer_norm_epsilon)

    def difference(vector: torch.Tensor) -> torch.Tensor:
        normed = (vector if rms else vector - vector.mean()) / scale * decoder.ln_f.weight
        return (decoder.W_U[toward] - decoder.W_U[against]) @ normed

    stream = final.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(difference(stream), stream)
    parts = attribution.attribute(decoder, trace, at, toward, against)
    count = decoder.config.n_head
    heads = [(layer, head) for layer in range(3) for head in range(count)]
    torch.testing.assert_close(
        (attribution.written_by_heads(decoder, trace, at, heads) @ gradient).view(3, count), parts.heads
    )
    neurons = [(0, 0), (1, 66), (2, 40)]
    expected = torch.stack([parts.neurons[one] for one in neurons])
    torch.testing.assert_close(attribution.written_by_neurons(decoder, trace, at, neurons) @ gradient, expected)
    torch.testing.assert_close(trace.embed[0, at] @ gradient, parts.token)
    if rms:
        assert parts.position is None
    else:
        torch.testing.assert_close(trace.pos_embed[at] @ gradient, parts.position)
    for layer, block in enumerate(trace.blocks):
        torch.testing.assert_close(
            block.attn.out[0, at] @ gradient, parts.heads[layer].sum() + parts.attention_biases[layer]
        )
        torch.testing.assert_close(
            block.mlp_out[0, at] @ gradient, parts.neurons[layer].sum() + parts.mlp_biases[layer]
        )


def test_a_head_that_is_taken_out_takes_what_it_wrote(decoder: Decoder, trace: Trace) -> None:
    at, last = 6, decoder.config.n_layer - 1
    written = attribution.written_by_heads(decoder, trace, at, [(last, 2)])[0]
    without = decoder.trace(trace.idx, Interventions(edits=(Edit("z", last, 0.0, head=2),)))
    torch.testing.assert_close(trace.blocks[last].attn.out[0, at] - without.blocks[last].attn.out[0, at], written)


def test_the_strongest_are_first_whatever_their_sign() -> None:
    adds = torch.tensor([[0.5, -3.0, 0.0], [2.0, 0.1, -0.2]])
    assert attribution.strongest(adds, 3) == [(0, 1), (1, 0), (0, 0)]
    assert len(attribution.strongest(adds, 99)) == 6


def test_a_vector_promotes_the_tokens_whose_logits_it_raises(decoder: Decoder, trace: Trace) -> None:
    """A step of the stream along it, seen through the norm with its scale held, raises them most."""
    neurons = [(1, 7), (2, 60)]
    written = attribution.written_by_neurons(decoder, trace, 4, neurons)
    up, down = attribution.promoted_tokens(decoder, written, 3)

    def centered(vector: torch.Tensor) -> torch.Tensor:
        return vector if decoder.W_pos is None else vector - vector.mean()

    for vector, best, worst in zip(written, up.tolist(), down.tolist()):
        raised = [float(decoder.W_U[id] @ (centered(vector) * decoder.ln_f.weight)) for id in range(97)]
        order = sorted(range(97), key=raised.__getitem__)
        assert best == order[::-1][:3] and worst == order[:3]


def test_rollout_is_that_of_a_plain_loop(trace: Trace) -> None:
    patterns = torch.stack([block.attn.pattern[0] for block in trace.blocks]).double()
    count = patterns.size(-1)
    flow = [[float(i == j) for j in range(count)] for i in range(count)]
    for layer in patterns:
        mixed = [
            [0.5 * sum(head[i, j].item() for head in layer) / len(layer) + 0.5 * (i == j) for j in range(count)]
            for i in range(count)
        ]
        flow = [[sum(mixed[i][k] * flow[k][j] for k in range(count)) for j in range(count)] for i in range(count)]
    found = attribution.rollout(patterns.float())
    torch.testing.assert_close(found.double(), torch.tensor(flow, dtype=torch.double), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.sum(-1), torch.ones(count))
    assert not found.triu(1).any()


def test_rollout_in_closed_form() -> None:
    """Heads that all look at the first token leave each token half of itself in every layer."""
    first = torch.zeros(3, 2, 4, 4)
    first[..., 0] = 1
    expected = torch.eye(4) / 2**3
    expected[:, 0] += 1 - 1 / 2**3
    torch.testing.assert_close(attribution.rollout(first), expected)
    torch.testing.assert_close(attribution.rollout(torch.eye(4).expand(5, 2, 4, 4)), torch.eye(4))


def test_a_text_that_is_one_token_alone() -> None:
    tokenizer = checkpoint.tokenizer(BUILT_IN, checkpoint.load(BUILT_IN).config.vocab_size)
    assert [*pieces(tokenizer, single_token_ids(tokenizer, "Paris"))][-1] == " Paris"
    assert pieces(tokenizer, single_token_ids(tokenizer, " Paris")) == [" Paris"]
    for text in ("doghouse in Wales", "x" * 99, "\x00\x01"):
        with pytest.raises(ValueError, match=f"no token of this model but {len(tokenizer.encode(text).ids)} of them"):
            single_token_ids(tokenizer, text)


def test_the_lens_knows_the_capital_before_the_end(shipped: tuple[Decoder, Trace]) -> None:
    """What the page tells of the built-in model: it stands there after the attention of its third layer."""
    gpt, trace = shipped
    tokenizer = checkpoint.tokenizer(BUILT_IN, gpt.config.vocab_size)
    last = slice(trace.idx.size(1) - 1, None)
    paris = tokenizer.encode(" Paris").ids[0]
    amid = logit_lens.read(gpt, trace, "resid_mid", last, paris)
    before = logit_lens.read(gpt, trace, "resid_pre", slice(None))
    assert amid.rank[:, 0].tolist()[2:] == [1, 1, 1] and amid.rank[1, 0] > 1
    assert torch.equal(before.ids[0, :, 0], trace.idx[0])  # before layer 0 it says the word it was given
    assert F.cross_entropy(trace.logits[0, -1:], torch.tensor([paris])) < 0.1
