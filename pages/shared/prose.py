"""The words of a lesson: the .md beside its page, cut at its headings. A section is found by its id, not by its title.

    ## What to notice {#notice}

Titles may change or be translated; ids are short English words that pages use. A section whose id begins with
"examples" holds examples, which pages use by name. Each has its text, texts for further boxes by their keys, and what
to look for:

    ### Far agreement

    > The keys near the box
    > corrupted: The key near the box

    Which heads look past the box?
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import streamlit as st

from viz.tokens import visible

PAGES = Path(__file__).resolve().parents[1]
HEADING = re.compile(r"^## (.+)\n", re.M)
TITLE_AND_ID = re.compile(r"(.+?) +\{#([a-z0-9-]+)\}")
EXAMPLE = re.compile(r"^### (.+)\n", re.M)
QUOTED = re.compile(r"((?:>[^\n]*\n)*)(.*)", re.S)
BOX = re.compile(r"([a-z0-9]+):(?: (.*))?")  # a further box: its key, which is one lower-case word, and its text
EXAMPLES = "examples"  # the id of a section of examples, or its beginning
ABOUT = "about"  # the id of the section on what one can do in the lesson
INTRO = "intro"  # the id of what stands before the first heading


class Section(NamedTuple):
    """A section: its title and its body in Markdown. What stands before the first heading has no title."""

    title: str
    body: str


class Example(NamedTuple):
    """A text for a box, the name of its button, what to look for, and the texts of further boxes by their keys."""

    name: str
    prompt: str
    look_for: str
    also: Mapping[str, str] = {}


class Prose(NamedTuple):
    """The sections of a lesson by id, in the order of its file, and its groups of examples. Its page is a path such as
    "transformer/attention".
    """

    page: str
    sections: Mapping[str, Section]
    groups: Mapping[str, Mapping[str, Example]] = {}
    about: str = ""  # what one can do in the lesson: the section {#about}, which the map of the course shows

    def section(self, id: str) -> None:
        """Draw one section; raises KeyError, with the ids that there are, for an unknown id."""
        if id not in self.sections:
            raise KeyError(f"{self.page}.md has no section {{#{id}}}; its sections are: {', '.join(self.sections)}")
        title, body = self.sections[id]
        if title:
            st.subheader(title)
        st.markdown(body)

    def examples(self, id: str = EXAMPLES) -> Mapping[str, Example]:
        """The examples of one section by name; raises KeyError for an unknown id."""
        if id not in self.groups:
            raise KeyError(f"{self.page}.md has no examples {{#{id}}}; it has: {', '.join(self.groups) or 'none'}")
        return self.groups[id]


@cache
def of(script: str) -> Prose:
    """The prose of a page: `PROSE = prose.of(__file__)`."""
    file = Path(script).with_suffix(".md")
    sections = parse(file.read_text("utf-8"), file.name)
    about = " ".join(sections.pop(ABOUT, Section("", "")).body.split())
    groups = {id: parse_examples(body, file.name) for id, (_, body) in sections.items() if id.startswith(EXAMPLES)}
    page = str(file.resolve().relative_to(PAGES).with_suffix(""))
    return Prose(page, {id: section for id, section in sections.items() if id not in groups}, groups, about)


def parse(text: str, file: str) -> dict[str, Section]:
    """The sections of a text by id; raises ValueError for a heading without an id and for an id that stands twice."""
    intro, *others = HEADING.split(text)
    sections = {INTRO: Section("", intro.strip())} if intro.strip() else {}
    for heading, body in zip(others[::2], others[1::2]):
        match = TITLE_AND_ID.fullmatch(heading)
        if not match:
            raise ValueError(f"{file}: the heading {heading!r} has no id, such as {{#notice}}")
        title, id = match.groups()
        if id in sections:
            raise ValueError(f"{file}: two sections have the id {{#{id}}}")
        sections[id] = Section(title, body.strip())
    return sections


def parse_examples(body: str, file: str) -> dict[str, Example]:
    """The examples of a section by name; raises ValueError for one without a text and for a name that stands twice."""
    before, *parts = EXAMPLE.split(body)
    if before.strip():
        raise ValueError(f"{file}: {before.strip()[:40]!r} stands before the first example")
    examples: dict[str, Example] = {}
    for name, part in zip(parts[::2], parts[1::2]):
        quoted, look_for = QUOTED.fullmatch(part.strip("\n") + "\n").groups()
        first, *others = [line.removeprefix(">").removeprefix(" ") for line in quoted.splitlines()] or [""]
        if not first or name in examples:
            raise ValueError(f"{file}: the example {name!r} has no text behind a >, or its name stands twice")
        keyed = [BOX.fullmatch(line) for line in others]
        prompt = "\n".join([first, *(line for line, box in zip(others, keyed) if not box)])
        also = {box[1]: box[2] or "" for box in keyed if box}
        examples[name] = Example(name, prompt, " ".join(look_for.split()), also)
    return examples


def literal(text: object) -> str:
    """Text of a visitor as Markdown in which every character stands for itself."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", str(text))


def bold(*tokens: str) -> str:
    """Tokens in a sentence, in bold."""
    return f"**{literal('  '.join(visible(tokens)))}**"


def quoted(token: str) -> str:
    """A token in a sentence: bold, between quotes, which tell a token that is a full stop from the end."""
    return f"“{bold(token)}”"
