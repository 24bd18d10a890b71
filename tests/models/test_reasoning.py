"""Splitting thoughts from answers: a table of ugly texts, and laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.models import split_reasoning
from evalsuite.models.reasoning import find_marks

MARKS = ("<think>", "</think>")


@pytest.mark.parametrize(
    ("text", "opened", "expected"),
    [
        ("Four.", False, (None, "Four.", True)),
        ("<think>2+2</think>\n\nFour.", False, ("2+2", "Four.", True)),
        ("<think>\n\n</think>\n\nFour.", False, ("", "Four.", True)),
        ("<think>2+2 is", False, ("2+2 is", "", False)),
        ("2+2</think>Four.", True, ("2+2", "Four.", True)),
        ("2+2 is Four.", True, ("2+2 is Four.", "", False)),
        ("<think>2+2</think>Four.", True, ("2+2", "Four.", True)),  # repeats the mark that the prompt wrote
        ("\n<think>2+2", True, ("2+2", "", False)),
        ("2+2</think>Four.", False, ("2+2", "Four.", True)),  # the opening mark was left out
        ("<think>a</think>b<think>c</think>d", False, ("a\n\nc", "bd", True)),
        ("<think>a</think>The answer is A<think>wait", False, ("a\n\nwait", "", False)),
        ("", False, (None, "", True)),
        ("", True, ("", "", False)),
    ],
)
def test_table(text: str, opened: bool, expected: tuple[str | None, str, bool]) -> None:
    """Regression 13: an unclosed mark leaves an empty answer and says so; nothing inside it is read as an answer."""
    assert split_reasoning(text, MARKS, opened) == expected


def test_without_marks_text_is_answer() -> None:
    assert split_reasoning("<think>x", None) == (None, "<think>x", True)


@given(st.text(alphabet="ab \n", max_size=20), st.text(alphabet="ab \n", max_size=20))
def test_round_trip(thought: str, answer: str) -> None:
    assert split_reasoning(f"<think>{thought}</think>{answer}", MARKS) == (thought.strip(), answer.strip(), True)


@given(st.lists(st.sampled_from(["<think>", "</think>", "a", "B ", "\n"]), max_size=12), st.booleans())
def test_no_mark_reaches_a_closed_answer(pieces: list[str], opened: bool) -> None:
    """Law: an answer never holds an opening mark; an unclosed text has no answer."""
    _, answer, closed = split_reasoning("".join(pieces), MARKS, opened)
    assert MARKS[0] not in answer
    assert closed or answer == ""


def test_marks_are_found_in_templates_and_vocabularies() -> None:
    assert find_marks("{{ content.split('</think>')[-1] }}") == MARKS
    assert find_marks("{{ content }}", {"[THINK]", "[/THINK]"}) == ("[THINK]", "[/THINK]")
    assert find_marks("{{ content }}") is None
