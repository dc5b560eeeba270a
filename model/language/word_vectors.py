"""Word vectors of the toy world: `python -m model.language.word_vectors` trains them again.

Skip-gram with negative sampling: of a word and one that stands near it, or one drawn at random,
the dot product of an input and an output vector says which. A word's vector is the sum of its two.
The loss asks only how often each two words stand near each other; so they are counted first, and
every step learns from all the pairs at once, in place of a few drawn ones.

Sources: Mikolov et al. 2013, "Distributed Representations of Words and Phrases and their
Compositionality", section 2.2; that counts are enough: Levy and Goldberg 2014, "Neural Word Embedding
as Implicit Matrix Factorization", section 3.1; input + output: Pennington et al. 2014, "GloVe", section 4.2.
"""

import argparse
import json
import re
from array import array
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from model.language.analogies import score
from model.language.embeddings import Embeddings
from model.toy_world import grammar as world

PATH = Path(__file__).parents[1] / "checkpoints" / "words.safetensors"
WORD = re.compile(r"[A-Za-z0-9]+")
LEARNING_RATE, COMMON = 0.05, 3e-5


def load(path: Path = PATH) -> Embeddings:
    """The word vectors; raises FileNotFoundError where there are none."""
    with safe_open(path, "pt") as file:
        return Embeddings(json.loads(file.metadata()["words"]), file.get_tensor("vectors").float())


def near(ids: Tensor, document: Tensor, words: int, window: int) -> Tensor:
    """How often (words, words) one word stands near another in the same document.

    From `ids` (T) and the number of the document (T) that each stands in. Words next to each other count 1, those
    `window` apart 1 / window, as if each word chose at random how far it looks.
    """
    counts = torch.zeros(words * words)
    for apart in range(1, window + 1):
        same = document[:-apart] == document[apart:]
        pairs = ids[:-apart][same] * words + ids[apart:][same]
        counts += torch.bincount(pairs, minlength=words * words) * ((window - apart + 1) / window)
    counts = counts.view(words, words)
    return counts + counts.T


def train(documents: int, size: int, steps: int, window: int = 8, negatives: int = 5, seed: int = 1) -> Embeddings:
    """The vectors (size) of all words that so many documents hold at least five times.

    Raises ValueError where there is no such word.
    """
    id_of: dict[str, int] = {}
    read, stands_in = array("q"), array("q")
    for number, text in enumerate(islice(world.documents(f"{seed} word vectors"), documents)):
        for word in WORD.findall(text):
            read.append(id_of.setdefault(word, len(id_of)))
            stands_in.append(number)
    ids, document = (torch.tensor(numbers) for numbers in (read, stands_in))
    known = (ids.bincount() >= 5).nonzero()[:, 0]
    if not len(known):
        raise ValueError(f"{documents} documents are too few: no word is in them five times")
    names = list(id_of)
    words = [names[id] for id in known]
    here = torch.isin(ids, known)
    ids, document = torch.searchsorted(known, ids[here]), document[here]
    frequency = ids.bincount().float()
    # Of frequent words, which say little, most occurrences are left out (the first paper's equation 5).
    keep = (COMMON / (frequency / frequency.sum())).sqrt().clamp(max=1)
    together = near(ids, document, len(words), window) * keep[:, None] * keep
    # What would be if the other word were drawn at random, by the paper's power of its frequency.
    noise = frequency**0.75
    apart = negatives * together.sum(1, keepdim=True) * (noise / noise.sum())

    generator = torch.Generator().manual_seed(seed)
    inside, outside = (torch.nn.Parameter(0.01 * torch.randn(len(words), size, generator=generator)) for _ in range(2))
    optimizer = torch.optim.Adam([inside, outside], eps=1e-15)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * (1 - step / steps)
        # d/dx of together * -log sigmoid(x) + apart * -log sigmoid(-x), at each x = inside . outside
        slope = (inside @ outside.T).detach().sigmoid() * (together + apart) - together
        inside.grad, outside.grad = slope @ outside.detach(), slope.T @ inside.detach()
        optimizer.step()
        if (step + 1) % 20 == 0:
            print(f"step {step + 1} of {steps}", flush=True)
    return Embeddings(words, (inside + outside).detach())


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m model.language.word_vectors", description="Train the word vectors again."
    )
    parser.add_argument("--path", type=Path, default=PATH, help="where they are written")
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=120, help="of a vector")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="another number changes the last bits of the result")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    chosen.path.parent.mkdir(parents=True, exist_ok=True)
    try:
        trained = train(chosen.documents, chosen.size, chosen.steps, seed=chosen.seed)
    except ValueError as error:
        parser.error(str(error))
    save_file({"vectors": trained.vectors.half()}, chosen.path, metadata={"words": json.dumps(trained.words)})
    print(f"{len(trained.words):,} words", score(load(chosen.path)))


if __name__ == "__main__":
    main()
