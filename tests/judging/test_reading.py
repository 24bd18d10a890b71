"""Grades and labels out of replies: by text, by log-probabilities, by likelihoods."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.judging.reading import grade, label, likelihoods, named, number
from evalsuite.records import Completion, Completions

LABELS = {"A": 1.0, "B": 0.0, "C": 0.5}


def steps(*tables: dict[str, float]) -> tuple[dict[str, float], ...]:
    return tuple({token: math.log(p) for token, p in table.items()} for table in tables)


def said(text: str, *tables: dict[str, float]) -> Completions:
    return Completions({"x": [Completion(text=text, top_logprobs=steps(*tables))]})


def scored(*probabilities: float) -> Completions:
    return Completions({"x": [Completion(logprobs=(math.log(p),)) for p in probabilities]})


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        ("7", 7),
        ("8.5", 8.5),
        ("7/10", 7),
        ("I'd give it 9 out of 10, as 2 of 3 hold.", 9),
        ("**Rating:** 8/10", 8),
        ("Grade: 6\nGrade: 6", 6),
        ("7\n\nIt has 3 faults.", 7),
        ("8.5/10", 8.5),
        ("Points: 5, 6", None),
        ("Score: 7-8", None),
        ("7 or 8", None),
        ("7/20", None),
        ("11", None),
        ("-3", None),
        ("7%", None),
        ("1.\nIt is true.", None),
        ("The answer is 9.", 9),
        ("This answer deserves a grade of 9, which is high.", 9),
        ("I would give it a 7.", 7),
        ("No, the answer does not deserve a grade of 10. The number", None),
        ("It isn't a grade of 10. Grade: 6", 6),
        ("The last answer does not deserve the grade 7.", None),
        ("The answer names 9.", None),
        ("1. It is true.\n2. It is short.", None),
        ("[[6]] [[7]]", None),
        ("It lists 10 items.", None),
        ("", None),
    ],
)
def test_grades(reply: str, wanted: float | None) -> None:
    """8.5 is not 5, 7/10 is not 10, a list's numbers and ranges are no grades (the field's parsers read them so)."""
    assert grade(reply, 1, 10) == wanted


@given(st.text(max_size=60), st.integers(1, 5), st.integers(6, 12))
def test_a_grade_is_on_its_scale_or_none(text: str, low: int, high: int) -> None:
    found = grade(text, low, high)
    assert found is None or low <= found <= high


def test_expected_grade_over_whole_tokens() -> None:
    found = number(said("8", {"8": 0.5, "7": 0.3, "9": 0.1, "The": 0.1}), "x", 1, 10)
    assert found is not None
    assert (found.mode, found.order) == ("logprobs", "")
    assert found.value == pytest.approx((8 * 0.5 + 7 * 0.3 + 9 * 0.1) / 0.9)
    assert number(said("8"), "x", 1, 10).value == 8.0  # type: ignore[union-attr]


def test_digits_of_their_own_leave_a_one_open() -> None:
    """10 as "1", "0": where it was said, the zero decides between 1 and 10; elsewhere the "1" counts for neither."""
    ten = number(said("10", {"1": 0.6, "9": 0.4}, {"0": 0.75, "\n": 0.25}), "x", 1, 10)
    assert ten is not None
    assert ten.value == pytest.approx(10 * 0.45 + 1 * 0.15 + 9 * 0.4)
    nine = number(said("9", {"9": 0.6, "1": 0.2, "8": 0.2}), "x", 1, 10)
    assert nine is not None
    assert nine.value == pytest.approx((9 * 0.6 + 8 * 0.2) / 0.8)
    whole = number(said("9", {"9": 0.6, "1": 0.1, "10": 0.3}), "x", 1, 10)
    assert whole is not None
    assert whole.value == pytest.approx(9 * 0.6 + 1 * 0.1 + 10 * 0.3)


def test_what_was_drawn_need_not_be_the_likeliest() -> None:
    """At a temperature: the place of the verdict is found by the reply's own text."""
    found = number(said("8", {"9": 0.7, "8": 0.3}), "x", 1, 10)
    assert found is not None
    assert (found.mode, found.value) == ("logprobs", pytest.approx(9 * 0.7 + 8 * 0.3))
    late = said("Grade: 8", {" Grade": 0.4, "8": 0.6}, {":": 1.0}, {" 9": 0.6, " 8": 0.3, "8": 0.1})
    assert number(late, "x", 1, 10).value == pytest.approx(9 * 0.6 + 8 * 0.4)  # type: ignore[union-attr]
    verdict = label(said("B", {"A": 0.8, "B": 0.2}), "x", LABELS)
    assert verdict is not None
    assert (verdict.mode, verdict.value, verdict.details) == ("logprobs", pytest.approx(0.8), {"label": "B"})


def test_log_probabilities_give_no_grade_that_the_text_does_not() -> None:
    assert number(said("Good", {"7": 0.9}), "x", 1, 10) is None


def test_likelihoods_are_shares() -> None:
    found = label(scored(0.6, 0.2, 0.1), "x", LABELS)
    assert found is not None
    assert (found.mode, found.details["label"]) == ("likelihood", "A")
    assert found.value == pytest.approx((0.6 + 0.05) / 0.9)
    assert number(scored(0.1, 0.1, 0.2, 0.5, 0.1), "x", 1, 5).value == pytest.approx(3.4)  # type: ignore[union-attr]


def test_a_word_that_begins_another_does_not_count_it_twice() -> None:
    """P("1") holds P("10") where the tokenizer splits digits: 0.5 is 0.1 for 1 and 0.4 for 10."""
    one, ten = Completion(logprobs=(math.log(0.5),)), Completion(logprobs=(math.log(0.5), math.log(0.8)))
    nine = Completion(logprobs=(math.log(0.5),))  # as likely, and no beginning of the other
    shares = likelihoods([one, ten])
    assert shares == pytest.approx([0.2, 0.8])
    assert sum(likelihoods([one, nine, Completion(logprobs=(math.log(0.1),))])) == pytest.approx(1.0)


def test_labels_in_brackets_must_agree() -> None:
    words = ("A>>B", "A>B", "A=B", "B>A", "B>>A")
    assert named("so [[ a >> b ]]", words) == "A>>B"
    assert named("B>A", words) == "B>A"
    for reply in ("[[A>B]] [[B>A]]", "[[A]]", "A>B or B>A", ""):
        assert named(reply, words) is None
