"""The truth beside a million tellings, and what it takes: `python -m bench.truth`."""

import math
import time
from collections import Counter
from itertools import islice

from tokenizers import Tokenizer

from model.loading.folders import BUILT_IN
from model.toy_world import grammar
from model.toy_world.exact import Truth

PROMPTS = ["", "The", "I", "When", "Hello, my name is", "The capital of", "Once upon a time there was a"]


def main(count: int = 1_000_000) -> None:
    """For each prompt the chi-square of what follows it in so many documents, against its exact probabilities."""
    tokenizer = Tokenizer.from_file(str(BUILT_IN / "tokenizer.json"))
    truth = Truth(tokenizer)
    starts = {prompt: tokenizer.encode(prompt).ids for prompt in PROMPTS}
    after: dict[str, Counter[int]] = {prompt: Counter() for prompt in PROMPTS}
    documents = grammar.documents("bench")
    for _ in range(0, count, 10_000):
        texts = [f"{text}\n" for text in islice(documents, 10_000)]
        for prompt, start in starts.items():
            some = [text for text in texts if text.startswith(prompt)]
            for encoding in tokenizer.encode_batch(some):
                if encoding.ids[: len(start)] == start:
                    after[prompt][encoding.ids[len(start)]] += 1
    print(f"{count:,} documents")
    print("prompt                           followed   tokens   chi-square / degrees (deviation)")
    for prompt, counts in after.items():
        total, next = counts.total(), truth.follow(prompt)[-1]
        assert counts.keys() <= next.keys() and abs(sum(next.values()) - 1) < 1e-9
        common = {id: p * total for id, p in next.items() if p * total >= 5}
        rare = sum(next.values()) - sum(common.values()) / total
        square = sum((counts[id] - expected) ** 2 / expected for id, expected in common.items())
        if rare * total >= 5:
            square += (total - sum(counts[id] for id in common) - rare * total) ** 2 / (rare * total)
        degrees = max(1, len(common) + (rare * total >= 5) - 1)
        deviation = (square - degrees) / math.sqrt(2 * degrees)
        print(f"{prompt!r:32} {total:9,} {len(next):8,}   {square:9.1f} / {degrees} ({deviation:+.1f} sigma)")

    long = [text for text in islice(grammar.documents("long"), 3000) if 28 <= text.count(" ") <= 32]
    took = []
    for text in long:
        began = time.perf_counter()
        truth.follow(text)
        took.append(time.perf_counter() - began)
    took.sort()
    middle, longest = 1000 * took[len(took) // 2], 1000 * took[-1]
    print(f"{len(took)} texts of about 30 words: median {middle:.1f} ms, longest {longest:.1f} ms")


if __name__ == "__main__":
    main()
