"""The words of a lesson, and its examples."""

import pytest

from pages.shared import course, prompts, prose

TEXT = """Before.

## What to notice {#notice}

One.

## What it is not {#myth}

Two.
"""


def test_sections_are_found_by_id_in_the_order_of_the_file() -> None:
    assert prose.parse(TEXT, "a.md") == {
        "intro": ("", "Before."),
        "notice": ("What to notice", "One."),
        "myth": ("What it is not", "Two."),
    }


def test_title_may_change_without_changing_the_id() -> None:
    changed = prose.parse(TEXT.replace("What to notice", "Was auffällt: `a` {b}"), "a.md")
    assert list(changed) == list(prose.parse(TEXT, "a.md"))
    assert changed["notice"] == ("Was auffällt: `a` {b}", "One.")


def test_unknown_id_is_an_error_that_lists_the_ids() -> None:
    words = prose.Prose("a", prose.parse(TEXT, "a.md"))
    with pytest.raises(KeyError, match=r"a\.md has no section \{#notices\}; its sections are: intro, notice, myth"):
        words.section("notices")


@pytest.mark.parametrize("heading", ["What to notice", "What to notice {notice}", "{#notice}", "Notice {#Not Ice}"])
def test_heading_without_an_id_is_an_error_that_names_it(heading: str) -> None:
    with pytest.raises(ValueError, match=r"a\.md: the heading .* has no id"):
        prose.parse(f"## {heading}\n\nOne.\n", "a.md")


def test_id_that_stands_twice_is_an_error() -> None:
    with pytest.raises(ValueError, match="two sections have the id"):
        prose.parse(TEXT.replace("#myth", "#notice"), "a.md")


EXAMPLES = """
### Far agreement

> The keys near the box
> corrupted: The key near the box
> answer:

Which heads look
past the box?

### Lines

>  river: one
> English: The cat
"""


def test_examples_have_a_text_further_boxes_and_what_to_look_for() -> None:
    agreement, lines = prose.parse_examples(EXAMPLES, "a.md").values()
    boxes = {"corrupted": "The key near the box", "answer": ""}
    assert agreement == ("Far agreement", "The keys near the box", "Which heads look past the box?", boxes)
    assert lines == ("Lines", " river: one\nEnglish: The cat", "", {})


@pytest.mark.parametrize("body", ["### A\n\nNo text.\n", "### A\n\n> a\n\n### A\n\n> b\n", "Before.\n\n### A\n\n> a\n"])
def test_malformed_example_is_an_error_that_names_the_file(body: str) -> None:
    with pytest.raises(ValueError, match=r"a\.md"):
        prose.parse_examples(body, "a.md")


def test_unknown_examples_are_an_error() -> None:
    with pytest.raises(KeyError, match=r"a\.md has no examples \{#examples-x\}; it has: none"):
        prose.Prose("a", {}).examples("examples-x")


def test_examples_of_the_same_name_as_a_shared_one_have_its_prompt() -> None:
    for lesson in course.LESSONS:
        for group in prose.of(str(prose.PAGES / f"{lesson.path}.py")).groups.values():
            for name in group.keys() & prompts.EXAMPLES.keys():
                assert group[name].prompt == prompts.EXAMPLES[name].prompt, f"{lesson.path}: {name}"
