"""The course: its sections and lessons in the order in which they are taught.

This is the one list of lessons. Navigation, the map on the home page, the link to the next lesson, the README and the
tests are made from it; a new lesson is one new line here.

Why this order. A text becomes tokens, tokens become vectors, and attention mixes these vectors; so language comes
before the transformer. Inside the transformer, attention is first seen in use, then computed by hand, then examined
step by step (scale, mask, what leaks without the mask, positions); the block puts attention beside the MLP, whose
neurons are then looked at; stacks of blocks show what norms and residual connections are for, and the whole GPT is such
a stack. To ask which part does what, one has to know the parts: interpretability first observes heads, scores them and
sums them up, then reads the layers between and splits an answer into its parts, and at last intervenes: ablation shows
which part is needed, patching which part is enough. Decoding comes after that: it uses the finished distribution over
next tokens.
"""

from typing import NamedTuple


class Lesson(NamedTuple):
    """A lesson: its script (without .py), title, icon (of Material Symbols), and the question that it answers."""

    path: str
    title: str
    icon: str
    question: str

    @property
    def url(self) -> str:
        """The URL path: the name of the script, and "" for home, which is the address of the server itself.

        Streamlit allows no slash in it, so names are unique over all sections.
        """
        return "" if self is HOME else self.path.rpartition("/")[2]


class Section(NamedTuple):
    """A section of the course: its title, the question that it answers, and its lessons; none yet if it is not open."""

    title: str
    question: str
    lessons: tuple[Lesson, ...] = ()


HOME = Lesson("start/home", "Home", "home", "What does a GPT do with what you type?")
SECTIONS = (
    Section(
        "Start",
        "What does a GPT do, and how good is this one?",
        (
            HOME,
            Lesson("start/knows", "What it knows", "school", "What does this model know?"),
        ),
    ),
    Section("Learning", "How does a machine learn from examples, and what is a neural network?"),
    Section(
        "Language",
        "How do words become numbers?",
        (
            Lesson(
                "language/tokens", "Tokens", "content_cut", "How is a text cut into tokens before a model reads it?"
            ),
            Lesson(
                "language/word2vec",
                "Word2Vec",
                "scatter_plot",
                "Does king − man + woman = queen come from the text, or from chance?",
            ),
            Lesson("language/embeddings", "Embeddings", "explore", "Can you calculate with words?"),
            Lesson("language/analogies", "Analogies", "rule", "How often does a sum of words come out right?"),
            Lesson(
                "language/contexts",
                "A word in context",
                "compare",
                "What becomes of a word's vector in two different texts?",
            ),
        ),
    ),
    Section(
        "Transformer",
        "What happens between the prompt and the next word?",
        (
            Lesson("transformer/attention", "Attention", "hub", "Which earlier words does each word look at?"),
            Lesson("transformer/hand", "Attention by hand", "calculate", "What does a head compute?"),
            Lesson(
                "transformer/attention_on_prompt",
                "Attention on your prompt",
                "edit_note",
                "What does a head of the model compute on your prompt?",
            ),
            Lesson("transformer/heads_add_up", "Heads add up", "add_circle", "What does each head add to a word?"),
            Lesson(
                "transformer/scale",
                "Scale and mask",
                "balance",
                "Why are scores divided by √d, and what can go wrong with a mask?",
            ),
            Lesson(
                "transformer/mask_leak",
                "The mask leak",
                "visibility",
                "What does a model learn that can see the next word?",
            ),
            Lesson(
                "transformer/positions",
                "Positions",
                "format_list_numbered",
                "How does the model know the order of the words?",
            ),
            Lesson(
                "transformer/word_order",
                "Word order",
                "swap_vert",
                "What tells a model that the same words stand in another order?",
            ),
            Lesson(
                "transformer/beyond_length",
                "Beyond the length",
                "straighten",
                "How well does a model read on where its training never went?",
            ),
            Lesson("transformer/block", "The block", "layers", "What do attention and the MLP add to each word?"),
            Lesson(
                "transformer/mlp", "Norms and MLP", "lightbulb", "What does each neuron read, and what does it write?"
            ),
            Lesson(
                "transformer/untrained_stacks",
                "Untrained stacks",
                "stacked_line_chart",
                "Why residual connections, and where does the norm go?",
            ),
            Lesson(
                "transformer/gpt", "The whole GPT", "account_tree", "What happens between the prompt and the next word?"
            ),
            Lesson(
                "transformer/parameters", "Parameters", "pin", "How many numbers has a model learned, and for what?"
            ),
        ),
    ),
    Section(
        "Interpretability",
        "Which part of the model does what?",
        (
            Lesson(
                "interpretability/known", "Known heads", "biotech", "Do the findings about GPT-2 hold in this model?"
            ),
            Lesson(
                "interpretability/zoo", "Head zoo", "pets", "What does each head look at, and which answers need it?"
            ),
            Lesson("interpretability/missed_heads", "Missed heads", "troubleshoot", "Which head is missed most?"),
            Lesson(
                "interpretability/rollout",
                "Rollout",
                "route",
                "What do all heads of all layers look at, taken together?",
            ),
            Lesson("interpretability/lens", "Logit lens", "search", "At which layer does the answer appear?"),
            Lesson(
                "interpretability/attribution",
                "Attribution",
                "bar_chart",
                "Which heads and neurons pushed the answer?",
            ),
            Lesson("interpretability/scalpel", "Ablation", "surgical", "What breaks when a part is switched off?"),
            Lesson(
                "interpretability/patching",
                "Patching",
                "swap_horiz",
                "Which part of a run is enough to bring its answer back?",
            ),
            Lesson(
                "interpretability/compare",
                "Two models",
                "compare_arrows",
                "What differs between two models on one prompt?",
            ),
            Lesson(
                "interpretability/two_prompts",
                "Two prompts",
                "difference",
                "What does one changed word change in a model?",
            ),
        ),
    ),
    Section(
        "Decoding",
        "How does a probability become a text?",
        (
            Lesson("decoding/sampling", "Sampling", "casino", "How does a model choose the next word?"),
            Lesson("decoding/generation", "Generation", "stacks", "What does each new token cost?"),
            Lesson("decoding/kv_size", "KV cache size", "memory", "How much memory does the past of a text take?"),
            Lesson("decoding/naive_generate", "A naive generate()", "bug_report", "What goes wrong in a simple loop?"),
        ),
    ),
    Section("Training", "How does it learn to write, and to answer?"),
    Section("Using", "What can be built with it, and where does it fail?"),
    Section("Reference", "What does a term mean, and where was it published?"),
)

LESSONS = tuple(lesson for section in SECTIONS for lesson in section.lessons)
NUMBERS = {
    lesson.path: f"{section}.{number}"
    for section, (_, _, lessons) in enumerate(SECTIONS)
    for number, lesson in enumerate(lessons, start=0 if HOME in lessons else 1)
}


def outline() -> str:
    """The course as a list in Markdown, for the README: each open section with its lessons, by number and question."""
    lines = []
    for section in SECTIONS:
        if section.lessons:
            lines.append(f"- **{section.title}.** {section.question}")
            numbered = [lesson for lesson in section.lessons if lesson is not HOME]
            lines += [f"  - {NUMBERS[lesson.path]} {lesson.title}: {lesson.question}" for lesson in numbered]
    return "\n".join(lines)


def lesson_at(path: str) -> Lesson:
    """The lesson with that script; raises KeyError if there is none."""
    for lesson in LESSONS:
        if lesson.path == path:
            return lesson
    raise KeyError(f"{path!r} is no lesson of pages/shared/course.py")


def next_lesson(path: str) -> Lesson | None:
    """The lesson after the one with that script, in the order of the course; None after the last."""
    place = LESSONS.index(lesson_at(path)) + 1
    return LESSONS[place] if place < len(LESSONS) else None
