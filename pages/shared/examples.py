"""Prompts worth looking at, and what to look for in each."""

from collections.abc import Mapping
from typing import NamedTuple


class Example(NamedTuple):
    """A text for a box, the name of its button, one sentence on what to look for; and what other boxes get, by key."""

    name: str
    prompt: str
    look_for: str
    also: Mapping[str, str] = {}


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
        "river apple violin lamp seven river apple violin",
        "An induction head looks at the word that came after the last time: the second violin looks at lamp.",
    ),
    Example(
        "Who was tired?",
        "The cat sat on the mat because it was",
        "What does “it” look at, and what does “was”? Compare the heads: does any of them find the cat?",
    ),
    Example(
        "Where is she?",
        "Anna is in the kitchen. Tom is in the cellar. Where is Anna? In the",
        "The answer stands in the text: find a head that looks from the question back to the kitchen.",
    ),
]


def _pair(example: Example, corrupted: str, look_for: str) -> Example:
    """An example to cut and to patch, and another prompt of as many tokens that has another answer."""
    return example._replace(look_for=look_for, also={"corrupted": corrupted, "answer": "", "rival": ""})


SCALPEL = [
    _pair(
        EXAMPLES[0],
        "When Anna and Tom went to the shop, Tom gave a key to",
        "The built-in model says Tom; switch the positions off, and it says Anna. Then patch from “Tom gave”: "
        "in which layer does the name come to the end?",
    ),
    _pair(
        EXAMPLES[1],
        "The key near the box",
        "“are”, since it is the keys. Patch from “The key”: where does the number stand, and does “box” ever know it?",
    ),
    _pair(
        EXAMPLES[2],
        "The capital of Italy is",
        "Switch the MLP of layer 1 off: the fact is gone. Patch from Italy: in which layer does it leave the country?",
    ),
    _pair(
        EXAMPLES[3],
        "river apple violin dog seven river apple violin",
        "Which head can it not copy without? Guess, then show what each does alone. Several heads copy, and most "
        "stand in for each other; all of them need one that looks one token back.",
    ),
    _pair(
        EXAMPLES[5],
        "Anna is in the kitchen. Tom is in the cellar. Where is Tom? In the",
        "It looks up the right room. Switch the mask off: it says a room, but the wrong one. Does it need positions?",
    ),
]

# The same prompts, looked at from within.
WITHIN = [
    Example(
        EXAMPLES[0].name,
        EXAMPLES[0].prompt,
        "At which layer does the last column turn to a name, and do heads push it there, or MLPs?",
    ),
    Example(
        EXAMPLES[1].name,
        EXAMPLES[1].prompt,
        "At which layer is “are” ahead of “is”? Show the rank of “is”. Click “keys”: what would come after it?",
    ),
    Example(
        EXAMPLES[2].name,
        EXAMPLES[2].prompt,
        "Read the stream after the attention, then after the MLP: which of the two brings Paris, and in which layer?",
    ),
    Example(
        EXAMPLES[3].name,
        EXAMPLES[3].prompt,
        "An induction head says again what came after the last time: which heads write towards lamp, looking where?",
    ),
    Example(
        EXAMPLES[4].name,
        EXAMPLES[4].prompt,
        "Here the model is undecided: show the entropy. Does it fall from layer to layer, or rise again?",
    ),
]

# Texts that a tokenizer cuts in ways one would not expect.
QUIRKS = [
    Example(
        "One word, five ways",
        "dog dogs Dog DOG doghouse",
        "A word with another first letter, or without the space before it, is another token, or several.",
    ),
    Example(
        "Numbers",
        "7 42 365 1234567 3.14 9.11 9.9",
        "Where the digits are cut has nothing to do with what the number is worth.",
    ),
    Example(
        "Beyond English",
        "Straße, café, Привет, こんにちは",
        "A letter outside plain English is two or three bytes, and each may be a token of its own.",
    ),
    Example(
        "Emoji",
        "Hi 👋🏽 👩‍👩‍👧‍👦!",
        "One picture can be many characters, and each of them several bytes. Hover the pieces to see them.",
    ),
    Example(
        "Code",
        "for i in range(10):    print(i)",
        "Spaces are tokens, too; the last one goes with the word behind it. What was never read falls into letters.",
    ),
    Example("A long word", "Donaudampfschifffahrt and antidisestablishmentarianism", "What is rare falls into pieces."),
]

# Texts in which a word stands more than once, so that only its position tells which is which.
ORDER = [
    Example(
        "Twice Anna",
        EXAMPLES[0].prompt,
        "“Anna” stands here twice. Under “none” every later word gives both the same weight, to the last digit.",
    ),
    Example(
        "Twice in the",
        "Anna is in the kitchen. Tom is in the cellar",
        "“is in the” stands here twice. Which of the schemes can tell the first from the second?",
    ),
    Example(
        "Said again",
        " river apple lamp river apple lamp river apple lamp",
        "The same three words again and again. Under “none” the columns repeat, too; the others tell them apart.",
    ),
]

# Texts that can go on in many ways, or in one.
OPEN = [
    Example(
        "A story",
        "Once upon a time there was a",
        "A long flat tail: how many tokens does a top-p of 0.9 keep, and how many a top-k of 10?",
    ),
    Example(
        "A name",
        "Hello, my name is",
        "Many names fit, and a top-k of 10 cuts most of them. With the built-in model the truth says so, too.",
    ),
    Example(
        "A colour",
        "My favourite colour is",
        "Many words can stand here. Draw 200 and compare with what was expected.",
    ),
    Example(
        "One answer",
        "The capital of France is",
        "The built-in model is nearly certain: how hot must it be to draw another city? No heat makes that right.",
    ),
    Example(
        "Two ways",
        "In the morning",
        "Take one of the likeliest tokens, go on, then go back and take another: the tree keeps both.",
    ),
    Example(
        "Not the toy world",
        "Pizza is better than",
        "No text of the toy world goes on like this, so there is no truth; the probabilities add up to 1 all the same.",
    ),
]

# Texts to be written on, pass by pass; each brings its context.
OWN = {"context": "the model's own"}
STEPWISE = [
    Example(
        "A story",
        "Once upon a time there was a",
        "After the prompt one column is new at each pass. Switch the cache off: the same words, and what was saved?",
        also=OWN,
    ),
    Example(
        "Say it again",
        EXAMPLES[3].prompt,
        "Look through the head on which the Attention lesson starts, an induction head: each new token looks at the "
        "word that came after it the last time.",
        also=OWN,
    ),
    Example(
        "A fact",
        EXAMPLES[2].prompt,
        "The answer is there after the first pass. Nothing stops the model at the end of a sentence: it goes on.",
        also=OWN,
    ),
    Example(
        "Full at once",
        "Anna is in the kitchen. Tom is in the cellar. Where is Anna?",
        "A context of 16 tokens is full at once: the cache is of no use then, and every pass costs as much as without.",
        also={"context": "16 tokens"},
    ),
]

# Texts whose next word is put together block by block.
WRITTEN = [
    Example(
        EXAMPLES[0].name,
        EXAMPLES[0].prompt,
        "Click along the row of the last “to”: which block is the first to write towards a name, and which name?",
    ),
    Example(
        "A fact",
        "The capital of France is",
        "Click along the row of “is”: where does Paris come from, attention or an MLP? And what comes with it?",
    ),
    Example(
        "A sum",
        "7 + 5 =",
        "What is near to the right number is promoted, too: watch how the blocks narrow it down.",
    ),
    Example(
        "Far agreement",
        "The keys near the box",
        "Which part decides for “are”, and how early is “is” still in the race?",
    ),
    Example(
        "Say it again",
        "river apple violin lamp seven river apple violin",
        "The induction head knows what comes: find the block whose attention writes towards lamp.",
    ),
]

# Texts to follow through the whole model.
WHOLE = [
    Example(
        EXAMPLES[0].name,
        EXAMPLES[0].prompt,
        "Click an earlier token: its next word is guessed, too. Which boxes hold the same numbers for both “to”?",
    ),
    Example(
        "A fact",
        "The capital of France is",
        "Open each pattern in turn: in which block does “is” look at France? Behind which is the vector longest?",
    ),
    Example(
        "Twice the same word",
        "river river river",
        "The vectors of wte are the same three times. Where do they begin to differ, and why there?",
    ),
    Example("One letter", "x", "With one token each pattern is one column of ones: there is nothing else to look at."),
]

# Texts that models of two sizes go on with differently.
SIZES = [
    Example(
        EXAMPLES[0].name,
        EXAMPLES[0].prompt,
        "Vitrine is sure who. The small one knows that a name must come, and not which: it is undecided by 6.5 bits.",
    ),
    Example(
        EXAMPLES[5].name,
        EXAMPLES[5].prompt,
        "Vitrine finds the room that was asked for; the small one says the one that was named last.",
    ),
    Example(
        "Yesterday",
        "Today I walk. Yesterday I",
        "The small one knows that a verb must come, in the past; Vitrine knows which one.",
    ),
    Example("Sums", "7 + 5 =", "Both say a number. Only Vitrine says 12, and even it is not quite sure."),
    Example(
        "A capital",
        "The capital of France is",
        "Both know it. The small one is less sure, and some of what it leaves goes to other capitals.",
    ),
]

# Pairs of texts that differ in little.
PAIRS = [
    Example(
        "Who gives?",
        EXAMPLES[0].prompt,
        "The guess turns round, yet no head moves a quarter of its attention: another name stands at the same place.",
        {"prompt2": "When Anna and Tom went to the shop, Tom gave a key to"},
    ),
    Example(
        "Where is whom?",
        EXAMPLES[5].prompt,
        "Take the row of the name that is asked for: Vitrine's L1 H1 and H3 look at the word behind its first mention.",
        {"prompt2": "Anna is in the kitchen. Tom is in the cellar. Where is Tom? In the"},
    ),
    Example(
        "One or many",
        "The key near the boxes",
        "Only an s is more. Take the last row: Vitrine's L3 H7 looks back at keys, and not at key.",
        {"prompt2": "The keys near the boxes"},
    ),
    Example(
        "France or Italy",
        EXAMPLES[2].prompt,
        "Nearly all of the guess moves, and no head moves 40 % of its attention: the same places say something else.",
        {"prompt2": "The capital of Italy is"},
    ),
    Example(
        "One word more",
        EXAMPLES[1].prompt,
        "The new word has no counterpart. Vitrine's L0 H2 looks one token back: now at another.",
        {"prompt2": "The keys near the old box"},
    ),
]

# Sums of words.
ARITHMETIC = [
    Example(
        "Queen?",
        "king - man + woman",
        "The word vectors say queen even with the inputs in the race. In a GPT's wte the inputs mostly win: switch.",
    ),
    Example(
        "Capitals",
        "Paris - France + Italy",
        "From a country to its capital is nearly the same step everywhere. In Vitrine's wte an input still wins.",
    ),
    Example(
        "Past tense",
        "walked - walk + jump",
        "Among the word vectors a miss: jumped is not the first, as others share the past. And in wte? Switch.",
    ),
    Example(
        "Half of each",
        "0.5 * cat + 0.5 * dog",
        "What lies between two animals? Mostly the two: a mean is near to what it was made of.",
    ),
    Example("Neighbours", "seven", "One word alone: its neighbours are the words that are used as it is."),
    Example(
        "Words in pieces",
        "woodchuck - wood + stone",
        "Choose wte: a word of several tokens is the mean of their vectors there, and marked. Word vectors lack it.",
    ),
]

# Words to lay on a map, of several kinds.
MAP = "king queen prince princess man woman boy girl uncle aunt cat dog horse Paris Rome France Italy one two three"

# A text in which words of the first example stand again, and mean something else.
ANOTHER = "Tom gave a ring to Anna. Anna went to"

# Word2Vec on next to nothing, and on little of the right kind.
SIX = """\
the king sat on the throne
the queen wore the crown
the man walked to the castle
the woman ran through the forest
paris is the capital of france
london is the capital of england"""
TWELVE = "\n".join(
    f"{who} and {his} {what}"
    for who, his, things in [
        ("king", "his", "crown throne palace"),
        ("queen", "her", "crown throne palace"),
        ("man", "his", "house street garden"),
        ("woman", "her", "house street garden"),
    ]
    for what in things.split()
)

# Prompts of the toy world, to hold against the truth.
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

# What visitors type, and the toy world never tells.
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

# What a tokenizer can learn its merges from, in place of a text of one's own.
CORPUS = (
    "How much wood would a woodchuck chuck if a woodchuck could chuck wood? A woodchuck would chuck all the wood that "
    "a woodchuck could chuck if a woodchuck could chuck wood."
)

# One sentence in many languages.
LANGUAGES = """\
English: The cat is sleeping in the garden today.
German: Die Katze schläft heute im Garten.
Spanish: El gato duerme hoy en el jardín.
Turkish: Kedi bugün bahçede uyuyor.
Greek: Η γάτα κοιμάται σήμερα στον κήπο.
Russian: Кошка сегодня спит в саду.
Arabic: القطة تنام اليوم في الحديقة.
Hindi: बिल्ली आज बगीचे में सो रही है।
Japanese: 猫は今日庭で寝ています。"""
