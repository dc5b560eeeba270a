"""Cached computations of the lessons on decoding: sampled texts, beams, passes with a KV cache."""

from collections.abc import Iterator, Sequence
from itertools import islice

import torch

from model.decoding import beam_search, kv_cache, naive_generate, sampling
from model.transformer.decoder import Decoder
from pages.shared.compute.readings import Reading
from pages.shared.models import Model, vocabulary
from pages.shared.runtime import jobs
from pages.shared.runtime.jobs import Job
from pages.shared.runtime.memo import memoize, without_progress
from pages.shared.runtime.progress import OnProgress
from pages.shared.runtime.queue import permit, permit_each
from viz.components.kv_cache import Pass

PASSES = 64_000_000  # bytes of all cached passes
LIKELIEST = 5  # next tokens that the picture of a pass shows
WEIGHTS = 8  # a token alone takes about as long as so many at once: all weights have to come from the memory for it


@memoize(64)
def write(reading: Reading, chain: sampling.Chain, seed: int, count: int) -> list[tuple[int, float]]:
    """The id and the surprise, in nats, of each of `count` tokens that are sampled after a prompt; raises ValueError as
    `sampling.sample_tokens` does."""
    tokens = sampling.sample_tokens(reading.model.decoder, reading.ids, chain, seed)
    return list(permit_each(islice(tokens, count)))


@memoize(64)
def search_beams(reading: Reading, width: int, length: int) -> beam_search.Search:
    """A beam search after a prompt."""
    with permit():
        return beam_search.search(reading.model.decoder, reading.ids, width, length)


def in_context(model: Model, context: int | None) -> Decoder:
    """The model's decoder, with another context length if one is given."""
    return model.decoder.shortened(context) if context else model.decoder


@memoize(PASSES, lambda passes: sum(step.bytes for step in passes), without_progress)
def generate(
    on_progress: OnProgress, reading: Reading, context: int | None, temperature: float, seed: int, count: int
) -> list[kv_cache.Step]:
    """The passes in which the model, perhaps with a shorter context, writes `count` tokens after a prompt."""
    decoder, chain = in_context(reading.model, context), [("temperature", temperature)]
    steps = kv_cache.steps(decoder, reading.ids, chain, seed, None if context else reading.trace)
    passes = []
    for step in permit_each(islice(steps, count)):
        passes.append(step)
        on_progress(len(passes) / count)
    return passes


def generation_work(reading: Reading, context: int | None, count: int) -> int:
    """The multiply-adds that take as long as `generate` does for `count` tokens."""
    config, prompt = reading.model.decoder.config, len(reading.tokens)
    size = context or config.block_size
    new = [1 if prompt + n <= size else size for n in range(count)]
    return sum(config.multiply_adds(max(n, WEIGHTS)) for n in new)


def describe_pass(model: Model, step: kv_cache.Step, head: int | None) -> Pass:
    """A pass as its picture needs it: attention of one head, by its number over all layers, or (None) of their mean;
    the likeliest tokens by the model's own probabilities, and the drawn one; the multiply-adds with and without cache.
    """
    texts, config = vocabulary(model).texts, model.decoder.config
    probabilities = step.logits.softmax(-1)
    ids = probabilities.topk(min(LIKELIEST, len(probabilities))).indices.tolist()
    ids = ids if step.id in ids else [*ids[:-1], step.id]
    likeliest = [(texts[id], probabilities[id].item()) for id in ids]
    work = config.multiply_adds(step.new, step.cached), config.multiply_adds(step.new + step.cached)
    pattern = step.pattern.flatten(0, 1)
    attention = pattern.mean(0) if head is None else pattern[head]
    return Pass(step.first, step.cached, step.new, attention.numpy(), likeliest, ids.index(step.id), work)


def time_generation(
    reading: Reading, passes: Sequence[kv_cache.Step], context: int | None, temperature: float, seed: int
) -> Job[list[kv_cache.Timed]]:
    """The job that times the passes of `generate`, made with these settings, with the KV cache and without."""
    text = [*reading.ids, *(step.id for step in passes)]

    def steps() -> Iterator[tuple[float, list[kv_cache.Timed]]]:
        timed = []
        for step in kv_cache.timed(in_context(reading.model, context), text, len(reading.ids)):
            timed.append(step)
            yield len(timed) / len(passes), timed

    return jobs.run(("time_generation", reading.cache_key, context, temperature, seed, len(passes)), steps)


@memoize(64, doing="Running both on the end of the prompt")
def try_naive_generate(
    model: Model, ids: tuple[int, ...]
) -> tuple[torch.Tensor, list[tuple[naive_generate.Outcome, naive_generate.Outcome]]]:
    """The model's logits (V) after some tokens, and the outcome of each of `naive_generate.CASES`, naive and ours."""
    idx = torch.tensor([ids])
    with permit():
        return model.decoder.step(idx)[0][0], naive_generate.run_cases(model.decoder, idx)
