"""Cached computations of the lessons on interpretability: logit lens, ablation, patching, scores of heads."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch

from model.interpretability import attention_pairs, attribution, head_scores, logit_lens, patching, published_heads
from model.transformer.intervention import NO_INTERVENTIONS, Interventions
from model.transformer.record import Trace
from pages.shared.compute.readings import Reading, read
from pages.shared.models import Model
from pages.shared.prompts import INSIDE
from pages.shared.runtime import jobs, progress
from pages.shared.runtime.jobs import Job
from pages.shared.runtime.memo import memoize
from pages.shared.runtime.queue import permit
from viz.tokens import visible

REPLACEMENTS = ("zero", "mean of this prompt", "mean of ten prompts")  # of the activations of ablated heads and MLPs


QUESTION_REPLACEMENTS = (REPLACEMENTS[0], REPLACEMENTS[2])  # that need no prompt of the visitor
QUESTION_LENGTH = 15  # about how many tokens a question has
QUESTION_COUNTS = (20, 10, 8, 4, 2, 1)  # questions of a kind, as many as the size of the model allows


class PatchingEffects(NamedTuple):
    """The metrics of a corrupted run after each patch from the clean one, and of the two runs themselves."""

    positions: torch.Tensor  # (L, T, 2): patched is the residual stream before a layer, at one token
    heads: torch.Tensor  # (L, H, 2): patched is a head's z, at all tokens
    corrupted: torch.Tensor  # (2,)
    clean: torch.Tensor  # (2,)


class HeadSearch(NamedTuple):
    """With each head ablated alone (L, H): the mean probability of the right answers, and the share of right ones."""

    probability: torch.Tensor
    right: torch.Tensor


@memoize(64)
def read_lens(reading: Reading, place: str, first: int, count: int, token: int | None) -> logit_lens.Lens:
    """The logit lens at one place of each block, for `count` positions from the `first` on, following one token or
    none."""
    with permit():
        return logit_lens.read(reading.model.decoder, reading.trace, place, slice(first, first + count), token)


def attribute(reading: Reading, position: int, answer: int, rival: int) -> attribution.Attribution:
    """What each part of the model adds to logit(answer) − logit(rival) after a position."""
    with permit():
        return attribution.attribute(reading.model.decoder, reading.trace, position, answer, rival)


def attribution_by_block(parts: attribution.Attribution) -> dict[str, float]:
    """What attention and the MLP of each block add in the order of the forward pass, then the biases, if there are."""
    summed = {}
    for layer, (heads, neurons) in enumerate(zip(parts.heads, parts.neurons)):
        summed |= {f"L{layer} attention": heads.sum().item(), f"L{layer} MLP": neurons.sum().item()}
    biases = {
        "attention biases": parts.attention_biases,
        "MLP biases": parts.mlp_biases,
        "final norm's bias": parts.norm_bias,
    }
    return summed | {name: bias.sum().item() for name, bias in biases.items() if bias.any()}


def promoted(reading: Reading, written: torch.Tensor, count: int = 4) -> list[list[int]]:
    """For N vectors (N, C) the ids that each promotes most, N rows, and those that it suppresses most, N more rows."""
    up, down = attribution.promoted_tokens(reading.model.decoder, written, count)
    return up.tolist() + down.tolist()


def head_columns(reading: Reading, position: int, heads: list[tuple[int, int]]) -> dict[str, list[str]]:
    """The position and token that each head looks at most from a position."""
    attended = [reading.trace.patterns[layer, head, position].argmax().item() for layer, head in heads]
    return {
        "looks most at": [
            f"{at} {token}" for at, token in zip(attended, visible(reading.tokens[at] for at in attended))
        ]
    }


def neuron_columns(reading: Reading, position: int, neurons: list[tuple[int, int]]) -> dict[str, list[float]]:
    """The activation of each neuron at a position; of a gated MLP also its two factors, silu(gate) and up."""
    blocks = reading.trace.blocks
    columns = {"activation": [blocks[layer].mlp_post[0, position, n].item() for layer, n in neurons]}
    if blocks[0].mlp_up is not None:
        gates = [blocks[layer].activation(blocks[layer].mlp_pre[0, position, n]).item() for layer, n in neurons]
        columns |= {"silu(gate)": gates, "up": [blocks[layer].mlp_up[0, position, n].item() for layer, n in neurons]}
    return {name: [round(value, 2) for value in values] for name, values in columns.items()}


def attention_summaries(reading: Reading) -> dict[str, torch.Tensor]:
    """The mean of all attention patterns, and their rollout: two patterns (T, T) of the whole model."""
    patterns = reading.trace.patterns
    return {"mean": patterns.mean((0, 1)), "rollout": attribution.rollout(patterns)}


@memoize(256, doing="Asking the model")
def measure_claim(model: Model, claim: str, text: str) -> published_heads.Measurement:
    """A published claim measured on the heads of a model and a text; raises ValueError as the claim's measure does."""
    (measured,) = (candidate for candidate in published_heads.CLAIMS if candidate.name == claim)
    reading = read(model, text)
    if reading.cut_tokens or reading.cut_characters:
        raise ValueError(f"it is longer than the {len(reading.tokens)} tokens that are shown of this model at once")
    with permit():
        return measured.measure(attention_pairs.TracedText(model.decoder, model.tokenizer, text, reading.trace))


@memoize(8, doing="Scoring the heads")
def score_heads(model: Model) -> dict[str, torch.Tensor]:
    """For each kind of head, the score of every head (L, H)."""
    with permit():
        return {kind: head_scores.scores(model.decoder, model.tokenizer, kind) for kind in head_scores.KINDS}


@memoize(4)
def mean_activations(model: Model) -> patching.Replacements:
    """The mean output of each head and each MLP over the ten prompts in INSIDE."""
    return patching.mean_replacements([read(model, prompt).trace for prompt in INSIDE])


def replacement(model: Model, how: str, reading: Reading | None = None) -> patching.Replacements:
    """Replacement activations for ablated heads and MLPs, by one of REPLACEMENTS; that of this prompt needs its
    reading."""
    match how:
        case "mean of this prompt":
            return patching.mean_replacements([reading.trace])
        case "mean of ten prompts":
            return mean_activations(model)
    return patching.zero_replacements(model.decoder.config)


def intervene(reading: Reading, interventions: Interventions) -> Trace:
    """The forward pass over the prompt of a reading, with interventions."""
    with permit():
        return reading.model.decoder.trace(reading.trace.idx, interventions)


def compare_next_tokens(
    model: Model, runs: Mapping[str, Trace], count: int
) -> tuple[list[str], dict[str, list[float]]]:
    """The `count` likeliest next tokens of each run, the most probable first, and their probabilities in every run."""
    shares = {name: run.logits[0, -1].softmax(-1) for name, run in runs.items()}
    ids = {id for run in shares.values() for id in run.topk(count).indices.tolist()}
    ranked = sorted(ids, key=lambda id: -max(run[id].item() for run in shares.values()))
    return [model.token(id) for id in ranked], {name: run[ranked].tolist() for name, run in shares.items()}


def replace_last_token(reading: Reading, id: int) -> dict[str, list[float]]:
    """How far the prediction after each of the T tokens moves when the last token is replaced by another: KL in nats,
    with the causal mask and without it."""
    replaced = reading.trace.idx.clone()
    replaced[0, -1] = id
    moved = {}
    for name, interventions in {"mask on": NO_INTERVENTIONS, "mask off": Interventions(mask=False)}.items():
        with permit():
            traces = [reading.model.decoder.trace(idx, interventions) for idx in (reading.trace.idx, replaced)]
        moved[name] = patching.kl_divergence(*(trace.logits[0] for trace in traces)).tolist()
    return moved


def ablate_each_head(reading: Reading, how: str) -> Job[torch.Tensor]:
    """The job that computes, for each head (L, H), the drop in probability of the top next token when that head alone
    is ablated."""
    config = reading.model.decoder.config

    def steps() -> Iterator[tuple[float, torch.Tensor]]:
        z = replacement(reading.model, how, reading).z[:, :, None]
        return measure(patching.patch_each_head(reading.model.decoder, reading.trace, z))

    def measure(runs: Iterator[tuple[int, list[int], torch.Tensor]]) -> Iterator[tuple[float, torch.Tensor]]:
        before = reading.trace.logits[0, -1].softmax(-1)
        drop = torch.zeros(config.n_layer, config.n_head)
        for layer, heads, logits in runs:
            drop[layer, heads] = before.max() - logits[:, 0].softmax(-1)[:, before.argmax()]
            yield (layer * config.n_head + heads[-1] + 1) / drop.numel(), drop

    return jobs.run(("ablate_each_head", reading.cache_key, how), steps)


def patch_each_part(clean: Reading, corrupted: Reading, answer: int, rival: int) -> Job[PatchingEffects]:
    """The job that runs the corrupted prompt with each part of the clean one; raises ValueError if the prompts are not
    a pair."""
    decoder, runs = clean.model.decoder, [corrupted.trace, clean.trace]
    start = patching.first_difference(*(run.idx for run in runs))
    ends = [patching.metrics(run.logits[0, -1], answer, rival) for run in runs]
    layers, heads, tokens = decoder.config.n_layer, decoder.config.n_head, runs[0].idx.size(1)

    def steps() -> Iterator[tuple[float, PatchingEffects]]:
        effects = PatchingEffects(ends[0].repeat(layers, tokens, 1), torch.zeros(layers, heads, 2), *ends)
        for layer, at, logits in patching.patch_each_position(
            decoder, *runs, start
        ):  # before `start` the runs are equal
            effects.positions[layer, at] = patching.metrics(logits, answer, rival)
            yield (layer + (at[-1] + 1) / tokens) / layers / 2, effects
        z = [block.attn.z[0] for block in runs[1].blocks]
        for layer, some, logits in patching.patch_each_head(decoder, runs[0], z):
            effects.heads[layer, some] = patching.metrics(logits[:, 0], answer, rival)
            yield 0.5 + (layer + (some[-1] + 1) / heads) / layers / 2, effects

    return jobs.run(("patch_each_part", clean.cache_key, corrupted.cache_key, answer, rival), steps)


def answer_questions(
    model: Model, count: int, heads: tuple[patching.Head, ...], how: str
) -> Job[dict[str, list[head_scores.Prediction]]]:
    """The job that asks `count` questions of each kind while these heads are ablated; its result are the answers."""

    def steps() -> Iterator[tuple[float, dict[str, list[head_scores.Prediction]]]]:
        return ask(replacement(model, how))

    def ask(means: patching.Replacements) -> Iterator[tuple[float, dict[str, list[head_scores.Prediction]]]]:
        answers: dict[str, list[head_scores.Prediction]] = {}
        for n, kind in enumerate(head_scores.ASKED):
            batches = head_scores.question_batches(model.tokenizer, kind, count)
            for m, batch in enumerate(batches, 1):
                answers.setdefault(kind, []).extend(head_scores.predict(model.decoder, batch, heads, means))
                yield (n + m / len(batches)) / len(head_scores.ASKED), answers

    return jobs.run(("answer_questions", model.cache_key, count, heads, how), steps)


def search_heads(model: Model, kind: str, count: int, how: str) -> Job[HeadSearch]:
    """The job that asks `count` questions of a kind with each head ablated alone."""
    config = model.decoder.config

    def steps() -> Iterator[tuple[float, HeadSearch]]:
        return search(replacement(model, how))

    def search(means: patching.Replacements) -> Iterator[tuple[float, HeadSearch]]:
        result = HeadSearch(*torch.zeros(2, config.n_layer, config.n_head))
        batches = head_scores.question_batches(model.tokenizer, kind, count)
        total, done = len(batches) * config.n_layer * config.n_head, 0
        for layer, heads, probability, right in head_scores.ablate_each_head(model.decoder, batches, means):
            result.probability[layer, heads] += probability / count
            result.right[layer, heads] += right / count
            done += len(heads)
            yield done / total, result

    return jobs.run(("search_heads", model.cache_key, kind, count, how), steps)


def question_count(model: Model, most: int, rows: int) -> int:
    """How many questions of a kind can be asked, each in `rows` rows, so that a search over all heads ends in time."""
    config = model.decoder.config
    for count in QUESTION_COUNTS:
        if count <= most and patching.sweep_multiply_adds(config, count * rows, QUESTION_LENGTH) <= progress.MOST:
            return count
    return 1


def questions_work(model: Model, count: int) -> int:
    """The multiply-adds of asking `count` questions of each kind, of the untouched model and of the ablated one."""
    config = model.decoder.config
    sweep = patching.sweep_multiply_adds(config, count, QUESTION_LENGTH)
    return 2 * len(head_scores.ASKED) * sweep // config.n_layer


def search_work(model: Model, count: int) -> int:
    """The multiply-adds of `search_heads`."""
    config = model.decoder.config
    return patching.sweep_multiply_adds(config, count * config.n_head, QUESTION_LENGTH)


def accuracy(predictions: list[head_scores.Prediction]) -> float:
    """The share of right answers."""
    return sum(prediction.correct for prediction in predictions) / len(predictions)


def mean_probability(predictions: list[head_scores.Prediction]) -> float:
    """The mean probability of the right answers."""
    return sum(prediction.probability for prediction in predictions) / len(predictions)
