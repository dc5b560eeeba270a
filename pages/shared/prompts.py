"""The prompts that several lessons share: six examples by name, and texts from inside and outside the toy world."""

from pages.shared import prose

EXAMPLES = prose.of(__file__).examples()

# Prompts of the toy world, for which the truth is known.
INSIDE = [
    "The capital of France is",
    "The keys near the box are",
    "When Anna and Tom went to the park, Anna gave a ring to",
    "Anna is in the kitchen. Tom is in the cellar. Where is Anna? In the",
    "Hello, my name is",
    "The cat sat on the mat because it was",
    "Once upon a time there was a king who had a",
    "7 + 5 =",
    "apple lamp river apple lamp river apple",
    "Today I walk. Yesterday I",
]

# Prompts that visitors type and that the grammar of the toy world never produces.
OUTSIDE = [
    "The president of the United States is",
    "My dog ate my homework and",
    "Explain quantum physics in simple words",
    "Why do cats purr?",
    "I feel lonely today",
    "The best football player in the world is",
    "Shakespeare wrote",
    "Pizza is better than",
    "To make a website you need",
    "In 1969, humans first",
    "The stock market will",
    "Who invented the telephone?",
    "Dear Santa, I would like",
    "The mitochondria is the powerhouse of the",
    "def add(a, b):",
    "Bonjour, je m'appelle",
    "What is 17 times 23?",
    "The password is",
    "Darth Vader said to Luke",
    "Can you do my homework?",
]
