"""What GPT-2 small says of three prompts: the facts that a downloaded copy is held against.

Source: the released weights of `openai-community/gpt2`, run in float32 by transformers; the probabilities rounded to
five digits, the attention to four.
"""

from dataclasses import dataclass

Head = tuple[int, int]  # layer, head


@dataclass(frozen=True)
class Fact:
    """Of a prompt of T tokens: their ids, the probabilities of the five likeliest next ids, and last rows of patterns.

    The rows (T) are those of a head that looks mostly one token back, one that does nothing else, and one that rests
    on the first token.
    """

    prompt: str
    ids: tuple[int, ...]
    next: dict[int, float]
    rows: dict[Head, tuple[float, ...]]


FACTS = (
    Fact(
        "Data visualization empowers users to",
        (6601, 32704, 795, 30132, 2985, 284),
        {38350: 0.15784, 2251: 0.07305, 766: 0.04720, 787: 0.02787, 3538: 0.02734},
        {
            (2, 2): (0.1347, 0.0104, 0.0480, 0.2788, 0.3814, 0.1467),
            (4, 11): (0.0000, 0.0000, 0.0000, 0.0000, 1.0000, 0.0000),
            (5, 1): (0.9880, 0.0000, 0.0000, 0.0001, 0.0035, 0.0084),
        },
    ),
    Fact(
        "Artificial Intelligence is transforming the",
        (8001, 9542, 9345, 318, 25449, 262),
        {835: 0.24566, 995: 0.20720, 3160: 0.02077, 2214: 0.01252, 2003: 0.01135},
        {
            (2, 2): (0.0182, 0.0011, 0.0060, 0.0728, 0.8723, 0.0295),
            (4, 11): (0.0000, 0.0000, 0.0000, 0.0000, 0.9999, 0.0001),
            (5, 1): (0.9987, 0.0000, 0.0000, 0.0000, 0.0001, 0.0012),
        },
    ),
    Fact(
        "On the deserted planet they discovered a",
        (2202, 262, 36043, 5440, 484, 5071, 257),
        {6283: 0.03472, 11428: 0.02724, 5440: 0.02718, 1588: 0.02711, 4858: 0.02623},
        {
            (2, 2): (0.0341, 0.0002, 0.0055, 0.0086, 0.1712, 0.7189, 0.0615),
            (4, 11): (0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.9996, 0.0004),
            (5, 1): (0.9993, 0.0000, 0.0000, 0.0000, 0.0000, 0.0001, 0.0005),
        },
    ),
)
