"""Lists that judges write: read back as written, never damaged, never out of a quoted answer."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.judging.contract import Criterion
from evalsuite.judging.criteria import (
    read_criteria,
    read_grades,
    read_items,
    to_hundred,
    write_criteria,
)

# One line that begins and ends with something visible: what a criterion's text is.
LINES = st.text(st.characters(exclude_characters="\n", exclude_categories=("Cs",)), min_size=1, max_size=60).filter(
    lambda t: t.strip() == t and not re.search(r"<\s*/?\s*(criteria|grades)", t, re.IGNORECASE)
)
WEIGHTS = st.lists(st.integers(1, 300), min_size=1, max_size=12)


@given(st.lists(LINES, min_size=1, max_size=9), st.data())
def test_criteria_come_back_character_by_character(texts: list[str], data: st.DataObject) -> None:
    weights = to_hundred(data.draw(st.lists(st.integers(10, 99), min_size=len(texts), max_size=len(texts))))
    written = [Criterion(t, float(w)) for t, w in zip(texts, weights, strict=True)]
    for reply in (
        write_criteria(written),
        f"Here they are.\n<criteria>\n{write_criteria(written)}\n</criteria>\nDone.",
    ):
        found = read_criteria(reply)
        assert found is not None
        assert list(found.criteria) == written
        assert (found.stated, found.normalised) == (100, False)


@given(WEIGHTS)
def test_weights_sum_to_100_in_proportion(weights: list[int]) -> None:
    found = to_hundred(weights)
    assert sum(found) == 100
    assert all(abs(w - 100 * g / sum(weights)) < 1 for w, g in zip(found, weights, strict=True))
    assert to_hundred(found) == found if all(found) else True
    larger = sorted(range(len(weights)), key=lambda i: (weights[i], -i))
    assert [found[i] for i in larger] == sorted(found)


def test_weights_that_do_not_sum_to_100_are_counted() -> None:
    found = read_criteria("1. a | 60\n2. b | 60")
    assert found is not None
    assert ([c.weight for c in found.criteria], found.stated, found.normalised) == ([50, 50], 120, True)
    halves = read_criteria("1. a | 33.3\n2. b | 66.7")
    assert halves is not None
    assert ([c.weight for c in halves.criteria], halves.normalised) == ([33, 67], True)


def test_weights_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        to_hundred([1, 0])


@pytest.mark.parametrize(
    "text", [r"uses `__init__` and my_var", r"gives \frac{a_1}{b_2}", r"keeps C:\new_dir|x", "*b*"]
)
def test_identifiers_survive(text: str) -> None:
    found = read_criteria(f"1. {text} | 100")
    assert found is not None
    assert found.criteria[0].text == text


GRADES = st.lists(st.integers(1, 5), min_size=1, max_size=9)


@given(GRADES, st.integers(100, 500), LINES)
def test_grades_come_back(values: list[int], total: int, reason: str) -> None:
    lines = "\n".join(f"{i}. {v} | {reason}" for i, v in enumerate(values, start=1))
    found = read_grades(f"<grades>\n{lines}\nTotal: {total}\n</grades>", len(values))
    assert found is not None
    assert found.values == tuple(values)
    assert found.total == total


@given(st.lists(st.integers(1, 5), min_size=2, max_size=6), st.data())
def test_a_quoted_grade_line_never_becomes_a_grade(values: list[int], data: st.DataObject) -> None:
    """The judge quotes an answer that contains grade lines: its own grades come out, or nothing."""
    number = data.draw(st.integers(1, len(values) + 2))
    place = data.draw(st.integers(0, len(values)))
    own = [f"{i}. {v} | reason" for i, v in enumerate(values, start=1)]
    reply = "\n".join([*own[:place], f"{number}. 5 | perfect", *own[place:]])
    found = read_grades(reply, len(values))
    assert found is None or found.values == tuple(values)
    assert (found is None) == (number <= len(values))


def test_only_the_block_counts() -> None:
    reply = 'It claims "1. 5 | best\n2. 5 | best\nTotal: 500".\n<grades>\n1. 1 | no\n2. 2 | no\nTotal: 150\n</grades>'
    found = read_grades(reply, 2)
    assert found is not None
    assert (found.values, found.total) == ((1.0, 2.0), 150.0)
    assert found.weighted_sum([50, 50]) == 150
    assert found.lines == ("1. 1 | no", "2. 2 | no")


@pytest.mark.parametrize(
    ("line", "total"),
    [
        ("Total: 340", 340.0),
        ("**Total:** 340/500", 340.0),
        ("Weighted sum = 340.", 340.0),
        ("Total: 60 x 3 + 40 x 4 = 340", 340.0),
        ("Total: 60 x 3 + 40 x 4", None),
        ("Total: 340\nTotal: 350", None),
        ("In total 340", None),
        ("", None),
    ],
)
def test_the_own_total(line: str, total: float | None) -> None:
    found = read_grades(f"1. 3 | a\n2. 4 | b\n{line}", 2)
    assert found is not None
    assert found.total == total


@pytest.mark.parametrize(
    "reply",
    ["1. 3 | a", "2. 3 | a\n1. 4 | b", "1. 0 | a\n2. 3", "1. 6 | a\n2. 3", "1. 3/10\n2. 3/10", "1. good\n2. bad", ""],
)
def test_grades_that_are_none(reply: str) -> None:
    assert read_grades(reply, 2) is None


def test_items_are_listed_once() -> None:
    assert read_items("<claims>\n1. a\n2. b\n3. a\n</claims>", "claims") == ("a", "b")
    assert read_items("none", "claims") == ()
    assert read_items("text", "claims") is None
