"""Check a downloaded GPT-2 against known facts: `python -m model.loading.verify_gpt2 [name on the hub or folder]`."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from model.loading import checkpoint, hub
from model.loading.gpt2_facts import FACTS
from model.loading.hub import KNOWN_MODELS
from model.transformer.decoder import Decoder
from model.transformer.gpt2 import GPT2_SMALL

# Another machine adds up in another order and moves a probability or a weight by less than 0.001. Weights that were
# rounded to half precision move one by up to 0.003 (measured on the built-in model, moved by as much at random). The
# facts are 72 numbers: other weights, a part left out or a wrong formula move some of them by far more.
TOLERANCE = 0.005


@dataclass(frozen=True)
class Finding:
    """A fact, what this model has in its place, and whether the two agree."""

    what: str
    expected: str
    actual: str
    passed: bool


def check(decoder: Decoder, tokenizer: Tokenizer) -> list[Finding]:
    """A finding for each fact; for a model whose sizes are not those of GPT-2 small, for the sizes only."""
    expected = vars(GPT2_SMALL) | {"tokens of the tokenizer": GPT2_SMALL.vocab_size}
    actual = {size: getattr(decoder.config, size) for size in vars(GPT2_SMALL)}
    actual |= {"tokens of the tokenizer": tokenizer.get_vocab_size()}
    findings = [
        Finding(size, str(expected[size]), str(actual[size]), expected[size] == actual[size]) for size in expected
    ]
    if decoder.config != GPT2_SMALL:
        return findings
    for fact in FACTS:
        ids = tokenizer.encode(fact.prompt).ids
        findings.append(Finding(f"ids of “{fact.prompt}”", _join(fact.ids), _join(ids), ids == list(fact.ids)))
        trace = decoder.trace(torch.tensor([fact.ids]))
        likely = trace.logits[0, -1].softmax(-1)
        for id, probability in fact.next.items():
            what = f"probability of id {id} after “{fact.prompt}”"
            findings.append(_compare_numbers(what, [probability], [likely[id].item()]))
        for (layer, head), row in fact.rows.items():
            what = f"last row of L{layer} H{head} for “{fact.prompt}”"
            findings.append(_compare_numbers(what, row, trace.blocks[layer].attn.pattern[0, head, -1].tolist()))
    return findings


def find_folder(name: str) -> Path:
    """The folder of that path, or of a model fetched from the hub; raises FileNotFoundError where there is none."""
    if Path(name).is_dir():
        return Path(name)
    try:
        folder = hub.cached_folder(KNOWN_MODELS[name].repo if name in KNOWN_MODELS else name)
    except ValueError:  # no name that the hub could have
        folder = None
    if folder is None:
        fetch = f"; `python -m model.loading.hub {name}` fetches it" if name in KNOWN_MODELS else ""
        raise FileNotFoundError(f"{name} is no folder, and no model that was fetched from the hub{fetch}")
    return folder


def _compare_numbers(what: str, expected: Sequence[float], actual: Sequence[float]) -> Finding:
    passed = all(abs(a - b) <= TOLERANCE for a, b in zip(expected, actual, strict=True))  # false for NaN
    return Finding(what, *(_join(f"{number:.4f}" for number in row) for row in (expected, actual)), passed)


def _join(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; it ends with 1 where the model differs, or is not there."""
    parser = argparse.ArgumentParser(
        prog="python -m model.loading.verify_gpt2", description="Is this really GPT-2 small?"
    )
    parser.add_argument("name", nargs="?", default="gpt2", help="a folder, or the name of a model fetched from the hub")
    name = parser.parse_args(arguments).name
    try:
        place = find_folder(name)
        decoder = checkpoint.load(place)
        findings = check(decoder, checkpoint.tokenizer(place, decoder.config.vocab_size))
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(f"not checked: {error}") from error
    differ = [finding for finding in findings if not finding.passed]
    for finding in differ:
        print(f"{finding.what}: expected {finding.expected}; found {finding.actual}")
    if differ:
        raise SystemExit(f"{name} is not GPT-2 small: {len(differ)} of {len(findings)} facts differ")
    print(f"pass: {name} is GPT-2 small, by {len(findings)} facts")


if __name__ == "__main__":
    main()
