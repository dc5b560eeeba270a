"""Prompts worth looking at, and what to look for in each."""

from typing import NamedTuple


class Example(NamedTuple):
    """A prompt, the name of its button, and one sentence on what to look for."""

    name: str
    prompt: str
    look_for: str


EXAMPLES = [
    Example(
        "Who gets the key?",
        "When Anna and Tom went to the shop, Anna gave a key to",
        "The last word must be a name, and not the one that gives: find the heads in which “to” looks back at Tom.",
    ),
    Example(
        "Far agreement",
        "The keys near the box",
        "“are” or “is”? The word next to the verb says box, the subject says keys: which heads look past the box?",
    ),
    Example(
        "A fact",
        "The capital of France is",
        "Paris stands nowhere in the prompt: attention brings France and capital to “is”, and the MLPs know the rest.",
    ),
    Example(
        "Say it again",
        "Rome apple doctor lamp seven Rome apple doctor",
        "An induction head looks at the word that came after the last time: the second doctor looks at lamp.",
    ),
    Example(
        "Who was tired?",
        "The cat sat on the mat because it was",
        "What does “it” look at, and what does “was”? Compare the heads: does any of them find the cat?",
    ),
    Example(
        "Where is she?",
        "Anna is in the kitchen. Tom is in the garden. Where is Anna? In the",
        "The answer stands in the text: find a head that looks from the question back to the kitchen.",
    ),
]
