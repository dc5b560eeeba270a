"""The built-in models as they are shipped: their cards and the lessons say of them what is so."""

import json
import re
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from model.language import word_vectors
from model.language.analogies import accuracy
from model.language.embeddings import token_embeddings
from model.loading import checkpoint
from model.loading.folders import BUILT_IN, GROWING
from model.toy_world.questions import QUESTIONS
from model.training import evaluation
from model.training.evaluation import held_out_documents, repeated_token_scores
from model.transformer.decoder import Decoder
from model.transformer.gpt2 import GPT2Config
from model.transformer.position_schemes import SCHEMES, first_attention
from pages.shared.prompts import OUTSIDE
from tests.driver import examples

CARD = json.loads((BUILT_IN / "card.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def built_in() -> Decoder:
    return checkpoint.load(BUILT_IN)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(BUILT_IN / "tokenizer.json"))


@pytest.mark.parametrize(
    ("prompt", "word"),
    [
        ("The capital of France is", " Paris"),
        ("The keys near the box", " are"),
        ("When Anna and Tom went to the shop, Anna gave a key to", " Tom"),
    ],
)
def test_the_built_in_model_answers_the_prompts_of_the_lessons(
    built_in: Decoder, tokenizer: Tokenizer, prompt: str, word: str
) -> None:
    probabilities = built_in(torch.tensor([tokenizer.encode(prompt).ids]))[0, -1].softmax(-1)
    assert probabilities[tokenizer.token_to_id(word.replace(" ", "Ġ"))] > 0.9


def test_the_card_holds_what_is_measured(built_in: Decoder, tokenizer: Tokenizer) -> None:
    """On the first 200 of its 1,000 documents; the tolerance is their spread."""
    assert CARD["parameters"] == sum(parameter.numel() for parameter in built_in.parameters())
    held_out = evaluation.losses(built_in, tokenizer, held_out_documents(200))["held out"]
    on_card = CARD["nats_per_token"]["held out"]
    assert held_out.above == pytest.approx(on_card["loss"] - on_card["floor"], abs=0.02)
    heads = repeated_token_scores(built_in, tokenizer)
    measured = evaluation.question_accuracy(built_in, tokenizer)
    measured |= {kind: max(head.score for head in scores) for kind, scores in heads.items()}
    assert measured == pytest.approx({name: CARD["probes"][name] for name in measured}, abs=0.011)
    analogies = accuracy(token_embeddings(built_in, tokenizer))
    assert CARD["probes"].keys() == measured.keys() | analogies.keys()


@pytest.mark.parametrize("folder", [BUILT_IN, GROWING], ids=lambda folder: folder.name)
def test_the_cards_hold_the_accuracy_on_analogies(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text("utf-8"))["probes"]
    words = token_embeddings(checkpoint.load(folder), Tokenizer.from_file(str(folder / "tokenizer.json")))
    for name, share in accuracy(words).items():
        assert card[name] == pytest.approx(share, abs=5e-4), name


@pytest.mark.parametrize("kind", QUESTIONS)
def test_the_built_in_model_answers_each_kind_of_question(kind: str) -> None:
    always = ("capital", "agreement across an attractor", "coreference", "indirect object")
    assert CARD["probes"][kind] >= (0.98 if kind in always else 0.9)


@pytest.mark.parametrize(("documents", "most"), [("held out", 0.03), ("held out and never read", 0.06)])
def test_the_loss_is_near_the_floor(documents: str, most: float) -> None:
    """Rare documents, which no training can have read, have many open choices, and each costs the model a little."""
    nats = CARD["nats_per_token"][documents]
    assert 0 < nats["loss"] - nats["floor"] < most


def test_the_best_head_of_each_kind_stands_out(built_in: Decoder, tokenizer: Tokenizer) -> None:
    for kind, heads in repeated_token_scores(built_in, tokenizer).items():
        scores = sorted(head.score for head in heads)
        assert scores[-1] > {"induction head": 0.6, "previous-token head": 0.5}[kind], kind
        assert scores[-1] > 5 * scores[len(scores) // 2], kind


def test_perfect_heads_score_1_and_others_0(tokenizer: Tokenizer) -> None:
    class Perfect:
        """Layer 0 has a previous-token head, layer 1 an induction head for repeats of 6 tokens."""

        config = GPT2Config(vocab_size=1, block_size=128, n_layer=2, n_head=1, n_embd=1)

        def trace(self, idx: torch.Tensor):
            T = idx.size(1)
            patterns = [torch.eye(T).roll(1, 0), torch.eye(T).roll(5, 0)]

            def block(pattern: torch.Tensor):
                return type("Block", (), {"attn": type("Attn", (), {"pattern": pattern.expand(1, 1, T, T)})})

            return type("Trace", (), {"blocks": [block(pattern) for pattern in patterns]})

    scores = repeated_token_scores(Perfect(), tokenizer, length=6)
    assert scores["previous-token head"] == [(0, 0, 1.0), (1, 0, 0.0)]
    assert scores["induction head"] == [(0, 0, 0.0), (1, 0, 1.0)]


def test_replies_outside_the_toy_world_are_words(built_in: Decoder, tokenizer: Tokenizer) -> None:
    documents = held_out_documents(30_000, "words")
    known = {word.lower() for text in documents for word in re.findall(r"[A-Za-z]+", text)}
    replies = {prompt: evaluation.greedy_reply(built_in, tokenizer, prompt, 16).lower() for prompt in OUTSIDE}
    words = [(prompt, word.strip(".,!?:;\"'")) for prompt, reply in replies.items() for word in reply.split()]
    words = [(prompt, word) for prompt, word in words if word]
    strange = [word for prompt, word in words if not (word.isdigit() or word in known or word in prompt.lower())]
    assert len(words) > 60 and len(strange) <= 0.05 * len(words), strange


def test_the_shipped_files_are_small() -> None:
    def size(folder: Path) -> int:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

    assert size(BUILT_IN) < 10_000_000
    assert size(GROWING) < 10_000_000
    assert word_vectors.PATH.stat().st_size < 1_000_000


@pytest.mark.parametrize("example", examples("transformer/positions").values(), ids=lambda example: example.name)
def test_only_positions_distinguish_a_repeated_token(built_in: Decoder, tokenizer: Tokenizer, example) -> None:
    ids = tokenizer.encode(example.prompt).ids
    repeats = [(position, ids.index(id)) for position, id in enumerate(ids) if ids.index(id) < position]
    assert len(repeats) >= 2
    for scheme in SCHEMES:
        last = first_attention(built_in, torch.tensor([ids]), scheme).pattern[0, :, -1]
        difference = max((last[:, a] - last[:, b]).abs().max().item() for a, b in repeats)
        assert difference < 1e-6 if scheme == "none" else difference > 0.01, scheme


def test_the_word_vectors_answer_analogies_as_the_readme_says() -> None:
    shares = accuracy(word_vectors.load())
    assert shares == pytest.approx({"analogies": 138 / 160, "analogies, inputs not left out": 111 / 160})


def test_during_training_the_loss_falls_and_the_heads_form() -> None:
    steps = sorted((GROWING / "steps").iterdir(), key=lambda folder: int(folder.name))
    assert len(steps) >= 7 and steps[0].name == "0"
    snapshots = [checkpoint.load(folder) for folder in [*steps, GROWING]]
    own_tokenizer = Tokenizer.from_file(str(GROWING / "tokenizer.json"))
    documents = held_out_documents(40)
    losses = [evaluation.mean_loss(gpt, own_tokenizer, documents) for gpt in snapshots]
    for part in (losses[:5], losses[5:]):  # between steps 500 and 1,000 it reads mostly random rows
        assert part == sorted(part, reverse=True)
    assert losses[-1] < losses[0] / 4
    scores = [repeated_token_scores(gpt, own_tokenizer) for gpt in snapshots]
    for kind in ("previous-token head", "induction head"):
        best = [max(head.score for head in heads[kind]) for heads in scores]
        assert best[0] < 0.1 and best[-1] > 0.6, (kind, best)
