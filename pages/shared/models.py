"""Models in memory: opened once, shared by all visitors, and evicted when others need the room."""

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from operator import itemgetter
from typing import Any, NamedTuple

from cachetools.keys import hashkey
from tokenizers import Tokenizer

from model.language.embeddings import Embeddings, token_embeddings
from model.language.tokenization import is_typable, pieces
from model.loading import checkpoint
from model.training import evaluation
from model.transformer.decoder import Decoder
from pages.shared.runtime.catalog import CARDS, CATALOG, NAMES
from pages.shared.runtime.memo import memoize
from pages.shared.runtime.queue import permit

MODELS, READING = 2_000_000_000, 128_000_000  # bytes of all models together, and of the record of one forward pass
SHORTEST = 16  # tokens that the context of a model must hold for the lessons


class Model(NamedTuple):
    """A decoder with its tokenizer, the score of its best head of each kind on random tokens, and the (layer, head) its
    pictures start on: the best induction head; in the first layer, the best previous-token head.

    `card` is None for a model that was not trained on the toy world. `words` are the rows of its token embedding.
    A cache must not hold a model, or its weights would outlive it: caches are keyed by `cache_key`.
    """

    name: str
    decoder: Decoder
    tokenizer: Tokenizer
    card: dict[str, Any] | None
    heads: dict[str, float]
    start: tuple[int, int]
    looks_back: int
    words: Embeddings

    @property
    def cache_key(self) -> str:
        """The name, which stands for the model in the keys of caches."""
        return self.name

    @property
    def bytes(self) -> int:
        """The memory of its weights."""
        return sum(weight.nbytes for weight in self.decoder.parameters())

    @property
    def max_tokens(self) -> int:
        """The number of tokens that a page shows at most: of its context, as many as have a record within READING."""
        config = self.decoder.config
        return max(1, bisect_right(range(1, config.block_size + 1), READING, key=config.trace_bytes))

    def token(self, id: int) -> str:
        """The text of a token."""
        return vocabulary(self).texts[id]


class Vocabulary(NamedTuple):
    """The text of each of the V tokens, and whether typing that text gives that token."""

    texts: list[str]
    typable: list[bool]


_reserved: list[int] = []  # bytes of the models that are being opened


@contextmanager
def room(needed: int) -> Iterator[None]:
    """Reserve memory for a model of `needed` bytes in the block; the least recently used models are evicted for it.

    Raises ValueError if the model is larger than MODELS, or if too many are being opened at once.
    """
    with load.cache_condition:
        if needed + sum(_reserved) > MODELS:
            why = "other models are being opened; try again" if needed <= MODELS else "it is too large"
            raise ValueError(f"it takes {needed / 1e6:,.1f} MB of the {MODELS / 1e6:,.1f} MB for models here: {why}")
        while load.cache.currsize + sum(_reserved) + needed > MODELS:
            load.cache.popitem()
        _reserved.append(needed)
    try:
        yield
    finally:
        with load.cache_condition:
            _reserved.remove(needed)


@memoize(MODELS, lambda model: model.bytes)
def load(name: str) -> Model:
    """Open the model of that name in the catalog; raises ValueError or FileNotFoundError if it cannot be used."""
    folder = CATALOG[name].folder() if name in CATALOG else None
    if folder is None:
        raise ValueError(f"there is no model {name!r} here; there is {', '.join(NAMES)}")
    sizes = checkpoint.sizes(folder)
    tokenizer = checkpoint.tokenizer(folder, sizes.vocab_size)  # what is small can be refused before others are evicted
    if sizes.block_size < SHORTEST or sizes.n_embd // sizes.n_head % 2:
        raise ValueError(f"its context must hold {SHORTEST} tokens or more, and its heads must have an even size")
    with room(4 * sizes.parameters):
        decoder = checkpoint.load(folder)
        with permit():
            scores = evaluation.repeated_token_scores(decoder, tokenizer)
    heads = {kind: max(score for _, _, score in scored) for kind, scored in scores.items()}
    layer, head, _ = max(scores["induction head"], key=itemgetter(2))
    first_layer = [scored for scored in scores["previous-token head"] if scored[0] == 0]
    _, looks_back, _ = max(first_layer, key=itemgetter(2))
    words = token_embeddings(decoder, tokenizer)
    return Model(name, decoder, tokenizer, CARDS.get(folder), heads, (layer, head), looks_back, words)


def is_open(name: str) -> bool:
    """Whether the model of that name is in memory."""
    return hashkey(name) in load.cache


@memoize(4)
def vocabulary(model: Model) -> Vocabulary:
    """The vocabulary of a model; an id beyond its tokenizer, as some models have, is written <id 50000>."""
    size = model.decoder.config.vocab_size
    ids = range(min(model.tokenizer.get_vocab_size(), size))
    spare = range(len(ids), size)
    return Vocabulary(
        [*pieces(model.tokenizer, ids), *(f"<id {id}>" for id in spare)],
        [*(is_typable(model.tokenizer, id) for id in ids), *(False for _ in spare)],
    )
