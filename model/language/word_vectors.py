"""Word vectors of the toy world: `python -m model.language.word_vectors` trains them again.

Skip-gram with negative sampling: the dot product of a word's input vector and another word's output vector says whether
the other word stands near it or was drawn at random. A word's vector is the sum of its two vectors. The loss depends
only on how often each two words stand near each other; so the pairs are counted first, and every step learns from all
of them at once instead of a few random ones.

Sources: Mikolov et al. 2013, "Distributed Representations of Words and Phrases and their Compositionality", section
2.2; that counts are enough: Levy and Goldberg 2014, "Neural Word Embedding as Implicit Matrix Factorization", section
3.1; input + output: Pennington et al. 2014, "GloVe: Global Vectors for Word Representation", section 4.2.
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

from model.language.analogies import accuracy
from model.language.embeddings import Embeddings
from model.loading.folders import CHECKPOINTS
from model.toy_world import grammar

PATH = CHECKPOINTS / "words.safetensors"
WORD = re.compile(r"[A-Za-z0-9]+")
LEARNING_RATE = 0.05
SUBSAMPLING = 3e-5  # the paper's threshold t: a word that is more frequent is left out now and then
LEAST = 5  # occurrences of a word that gets a vector


def load(path: Path = PATH) -> Embeddings:
    """The word vectors that come with Vitrine; raises FileNotFoundError if the file is missing."""
    with safe_open(path, "pt") as file:
        return Embeddings(json.loads(file.metadata()["words"]), file.get_tensor("vectors").float())


def pair_counts(ids: Tensor, documents: Tensor, words: int, window: int) -> Tensor:
    """Weighted counts (words, words) of the pairs of words at most `window` apart in the same document.

    From `ids` (T) and the number of each one's document (T). Neighbors count 1, words `window` apart count 1 / window:
    the mean over windows of a random size, as in word2vec.

    >>> pair_counts(torch.tensor([0, 1, 2]), torch.zeros(3), words=3, window=2)
    tensor([[0.0000, 1.0000, 0.5000],
            [1.0000, 0.0000, 1.0000],
            [0.5000, 1.0000, 0.0000]])
    """
    counts = torch.zeros(words * words)
    for distance in range(1, window + 1):
        same = documents[:-distance] == documents[distance:]
        pairs = ids[:-distance][same] * words + ids[distance:][same]
        counts += torch.bincount(pairs, minlength=words * words) * ((window - distance + 1) / window)
    counts = counts.view(words, words)
    return counts + counts.T


def keep_probability(frequency: Tensor) -> Tensor:
    """Probability (words) that an occurrence of a word is kept, from the words' counts: sqrt(t / share), at most 1.

    Source: Mikolov et al. 2013, "Distributed Representations", equation 5.

    >>> keep_probability(torch.tensor([750_000.0, 249_970.0, 30.0]))
    tensor([0.0063, 0.0110, 1.0000])
    """
    return (SUBSAMPLING / (frequency / frequency.sum())).sqrt().clamp(max=1)


def _corpus(documents: int, seed: int) -> tuple[list[str], Tensor, Tensor]:
    """The words that occur at least LEAST times in so many documents; their ids (T), and the document (T) of each."""
    id_of: dict[str, int] = {}
    all_ids, all_documents = array("q"), array("q")
    for number, text in enumerate(islice(grammar.documents(f"{seed} word vectors"), documents)):
        for word in WORD.findall(text):
            all_ids.append(id_of.setdefault(word, len(id_of)))
            all_documents.append(number)
    ids, document = torch.tensor(all_ids), torch.tensor(all_documents)
    frequent = (ids.bincount() >= LEAST).nonzero()[:, 0]
    if not len(frequent):
        raise ValueError(f"{documents} documents are too few: no word is in them five times")
    names = list(id_of)
    used = torch.isin(ids, frequent)
    return [names[id] for id in frequent], torch.searchsorted(frequent, ids[used]), document[used]


def train(documents: int, size: int, steps: int, window: int = 8, negatives: int = 5, seed: int = 1) -> Embeddings:
    """Vectors (size) of all words that occur at least five times in so many documents.

    Raises ValueError if there is no such word.
    """
    words, ids, document = _corpus(documents, seed)
    frequency = ids.bincount().float()
    keep = keep_probability(frequency)
    positive = pair_counts(ids, document, len(words), window) * keep[:, None] * keep
    noise = frequency**0.75  # negatives are drawn by this power of the frequency, as in the paper
    negative = negatives * positive.sum(1, keepdim=True) * (noise / noise.sum())

    generator = torch.Generator().manual_seed(seed)
    inputs, outputs = (torch.nn.Parameter(0.01 * torch.randn(len(words), size, generator=generator)) for _ in range(2))
    optimizer = torch.optim.Adam([inputs, outputs], eps=1e-15)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * (1 - step / steps)
        # Gradient of -positive log sigmoid(x) - negative log sigmoid(-x) with respect to each x = input . output
        gradient = (inputs @ outputs.T).detach().sigmoid() * (positive + negative) - positive
        inputs.grad, outputs.grad = gradient @ outputs.detach(), gradient.T @ inputs.detach()
        optimizer.step()
        if (step + 1) % 20 == 0:
            print(f"step {step + 1} of {steps}", flush=True)
    return Embeddings(words, (inputs + outputs).detach())


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m model.language.word_vectors", description="Train the word vectors again."
    )
    parser.add_argument("--path", type=Path, default=PATH, help="the file to write")
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=120, help="numbers in a vector")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="another number changes the last bits of the result")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    options.path.parent.mkdir(parents=True, exist_ok=True)
    try:
        trained = train(options.documents, options.size, options.steps, seed=options.seed)
    except ValueError as error:
        parser.error(str(error))
    save_file({"vectors": trained.vectors.half()}, options.path, metadata={"words": json.dumps(trained.words)})
    print(f"{len(trained.words):,} words", accuracy(load(options.path)))


if __name__ == "__main__":
    main()
