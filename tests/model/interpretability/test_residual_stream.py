"""What a block adds, against what it must add up to: the stream, the logits."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.interpretability.residual_stream import neurons, residual_stream, to_logits
from model.transformer.decoder import Decoder
from model.transformer.gpt2 import GPT2, GPT2Config, gelu
from model.transformer.record import Trace


@pytest.fixture(scope="module")
def trace(decoder: Decoder, idx: Tensor) -> Trace:
    return decoder.trace(idx)


def test_all_that_is_added_is_the_stream_at_every_place(decoder: Decoder, trace: Trace) -> None:
    found = residual_stream(trace)
    assert found.written.shape == found.stream.shape == (17, len(found.places), decoder.config.n_embd)
    assert torch.allclose(found.written.cumsum(1), found.stream, atol=1e-4)
    assert torch.equal(found.stream[:, -1], trace.blocks[-1].resid_post[0])
    embeddings = ["token"] if decoder.W_pos is None else ["token", "position"]
    names = [*embeddings, "L0 attention", "L0 MLP", "L1 attention", "L1 MLP", "L2 attention", "L2 MLP"]
    assert [place.name for place in found.places] == names
    assert torch.equal(found.written[:, len(embeddings) + 2], trace.blocks[1].attn.out[0])


def test_the_shares_of_a_token_add_up_to_one_and_cosines_are_those_of_their_definition(trace: Trace) -> None:
    found = residual_stream(trace)
    assert torch.allclose(found.shares.sum(1), torch.ones(17), atol=1e-5)
    one, end = found.written[5, 3], found.stream[5, -1]
    assert found.cosines[5, 3].item() == pytest.approx((one @ end / (one.norm() * end.norm())).item(), abs=1e-5)
    assert found.shares[5, 3].item() == pytest.approx((one @ end / (end @ end)).item(), abs=1e-5)


def test_a_norm_standardizes_then_weighs(decoder: Decoder, trace: Trace) -> None:
    norm, x = decoder.blocks[1].ln_2, trace.blocks[1].resid_mid[0]
    plain, weighted = norm.standardize(x), norm(x)
    if decoder.W_pos is not None:  # an RMS norm leaves the mean
        assert plain.mean(-1).abs().max() < 1e-5
    assert torch.allclose(
        plain.norm(dim=-1), torch.full((17,), decoder.config.n_embd**0.5), rtol=1e-3
    )  # all are √C long
    assert torch.allclose(weighted, plain * norm.weight + norm.bias, atol=1e-5)


def test_what_is_written_adds_up_to_the_logits(decoder: Decoder, trace: Trace) -> None:
    found = residual_stream(trace)
    for position in (0, 16):
        parts = to_logits(decoder, found.stream[position, -1], found.written[position])
        whole = parts.sum(0) + F.linear(decoder.ln_f.bias, decoder.W_U)
        assert torch.allclose(whole, trace.logits[0, position], atol=1e-4)


def test_contributions_add_up_to_the_logits_where_epsilon_outweighs_the_variance() -> None:
    """In a fresh model the stream is so small that the epsilon of the final norm decides about its scale."""
    torch.manual_seed(0)
    config = GPT2Config(97, 31, n_layer=2, n_head=5, n_embd=35, layer_norm_epsilon=1e-3)
    small = GPT2(config).eval().requires_grad_(False)
    trace = small.trace(torch.tensor([[5, 9, 2, 60]]))
    found = residual_stream(trace)
    end = found.stream[3, -1]
    assert end.var(unbiased=False) < 1.5e-3
    parts = to_logits(small, end, found.written[3])
    assert torch.allclose(parts.sum(0), trace.logits[0, 3], atol=1e-5)


def mlp_post(decoder: Decoder, trace: Trace, layer: int, position: int, neuron: int) -> float:
    """The activation of one neuron, from the stream and its own rows of the matrices."""
    block = decoder.blocks[layer]
    x = block.ln_2(trace.blocks[layer].resid_mid[0, position])
    if decoder.W_pos is not None:
        return gelu(x @ block.mlp.c_fc.weight[neuron] + block.mlp.c_fc.bias[neuron]).item()
    return (F.silu(x @ block.mlp.gate_proj.weight[neuron]) * (x @ block.mlp.up_proj.weight[neuron])).item()


def test_the_neurons_of_a_layer_write_what_its_mlp_adds(decoder: Decoder, trace: Trace) -> None:
    layer, position = 1, 9
    every = neurons(decoder, trace, layer, position, count=decoder.config.n_hidden, words=97)
    active = torch.tensor([neuron.post for neuron in every])
    active = active if trace.blocks[layer].mlp_up is None else active.abs()
    assert active.tolist() == sorted(active.tolist(), reverse=True)
    assert sorted(neuron.number for neuron in every) == list(range(decoder.config.n_hidden))
    effects = torch.zeros(97)
    for neuron in every:
        ids, added = zip(*neuron.towards.promoted)
        assert list(added) == sorted(added, reverse=True)
        assert sorted(neuron.towards.promoted) == sorted(neuron.towards.suppressed)  # all words, in the other order
        effects[list(ids)] += torch.tensor(added)
        assert neuron.post == pytest.approx(mlp_post(decoder, trace, layer, position, neuron.number), abs=1e-4)
    end = trace.blocks[-1].resid_post[0, position]
    written = trace.blocks[layer].mlp_out[0, position] - decoder.blocks[layer].b_out
    assert torch.allclose(effects, to_logits(decoder, end, written), atol=1e-3)
    one = every[0]
    column = decoder.blocks[layer].mlp.output.weight[:, one.number]
    assert one.length == pytest.approx(abs(one.post) * column.norm().item(), rel=1e-4)


def test_gelu_is_torchs_and_has_its_lowest_point_where_it_must() -> None:
    x = torch.linspace(-6, 6, 120_001, dtype=torch.float64)
    assert torch.equal(gelu(x), nn.GELU(approximate="tanh")(x))
    assert (gelu(x) - nn.GELU()(x)).abs().max() < 5e-4  # from the exact one
    lowest = nn.GELU()(x).argmin()
    assert x[lowest].item() == pytest.approx(-0.7518, abs=1e-4)
    assert nn.GELU()(x)[lowest].item() == pytest.approx(-0.17, abs=5e-5)
