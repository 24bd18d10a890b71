"""HREF: each category is compared in its own way, by a table; similarity asks nobody."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.errors import JudgeError
from evalsuite.judging.asking import How, judge_cases
from evalsuite.judging.contract import Annotation, Answer, Case
from evalsuite.judging.judge import find
from evalsuite.judging.summary import summarise
from evalsuite.records import Completion, Request, user

href = find("href").functions
CATEGORIES = ("Brainstorm", "Open QA", "Closed QA", "something else")


def case(
    category: str, a: str = "He keeps a cat.", b: str = "A dog, I think.", reference: str | None = "A cat."
) -> Case:
    answers = (Answer(a, "x"), Answer(b, "y"))
    return Case(category or "none", (user("Which pet does he keep?"),), answers, category=category, reference=reference)


def judged(
    cases: list[Case], say: Callable[[str], str] = lambda _: "A", how: How | None = None, **options: str
) -> tuple[list[Annotation], list[str]]:
    asked: list[str] = []

    def ask(requests: list[Request]) -> list[Completion]:
        asked.extend(str(r.messages[-1]["content"]) for r in requests)
        return [Completion(say(str(r.messages[-1]["content"]))) for r in requests]

    return judge_cases(cases, find("href", options), ask, "m", how), asked


def test_the_table_decides_who_is_asked_and_what_is_shown() -> None:
    rows, asked = judged([case(c) for c in CATEGORIES])
    assert [(r.category, r.details["method"]) for r in rows] == [
        ("Brainstorm", "judge"),
        ("Brainstorm", "judge"),
        ("Open QA", "similarity"),
        ("Closed QA", "reference"),
        ("Closed QA", "reference"),
        ("something else", "judge"),
        ("something else", "judge"),
    ]
    assert [("<reference>" in p) for p in asked] == [False, False, True, True, False, False]
    near = rows[2]
    assert (near.preference, near.mode, near.attempts, near.order) == (1.0, "none", 0, "ab")
    assert (near.model_a, near.model_b, near.status) == ("x", "y", "parsed")


@pytest.mark.parametrize(
    ("suite", "method"), [("href", "similarity"), ("href_new", "reference"), ("all_judge", "judge")]
)
def test_suites_route_one_category_differently(suite: str, method: str) -> None:
    rows, _ = judged([case("open_qa")], suite=suite)
    assert {r.details["method"] for r in rows} == {method}
    assert find("href", {"suite": suite}).identity != find("href", {"suite": "all_reference"}).identity


def test_single_routes_change() -> None:
    rows, _ = judged([case("Open QA"), case("Brainstorm")], routes="Open QA: judge; brainstorm: similarity")
    assert [r.details["method"] for r in rows] == ["judge", "judge", "similarity"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"suite": "hreff"}, "href_new"),
        ({"routes": "Open QA: bertscore"}, "similarity"),
        ({"likeness": "bleu"}, "rougeL"),
        ({"none": "win"}, "loss"),
    ],
)
def test_a_wrong_option_is_said(options: dict[str, str], named: str) -> None:
    with pytest.raises(JudgeError, match=named):
        judged([case("Brainstorm")], **options)


@pytest.mark.parametrize("category", ["Open QA", "Closed QA"])
def test_a_missing_reference_is_said(category: str) -> None:
    with pytest.raises(JudgeError, match="--references"):
        judged([case(category, reference=None)])


@pytest.mark.parametrize(("none", "wanted"), [("exclude", None), ("tie", 0.75), ("loss", 0.5)])
def test_what_a_missing_verdict_counts_as(none: str, wanted: float | None) -> None:
    def say(prompt: str) -> str:
        return "A" if prompt.index("a cat.") < prompt.index("A dog") else "Hm."

    rows, _ = judged([case("Brainstorm")], say, How(attempts=2), none=none)
    judge = find("href", {"none": none})
    found = summarise(rows, judge.aggregate)
    assert found.win_rate.value == wanted
    assert found.win_rate.n == (0 if wanted is None else 1)


def test_scores_count_ties_half_whatever_they_were_coded_as() -> None:
    """HREF's (wins + ties / 2) / n."""
    replies = {"one": "A", "two": "C", "three": "B"}
    cases = [Case(k, (user(k),), (Answer(f"x {k}", "x"), Answer(f"y {k}", "y"))) for k in replies]

    def say(prompt: str) -> str:
        letter = next(v for k, v in replies.items() if f"x {k}" in prompt)
        flipped = {"A": "B", "B": "A", "C": "C"}[letter]
        return letter if prompt.index("x ") < prompt.index("y ") else flipped

    rows, _ = judged(cases, lambda p: say(p.partition("<answer_a>")[2]))
    assert summarise(rows, find("href").aggregate).win_rate.value == pytest.approx((1 + 0.5) / 3)


def test_log_probabilities_give_an_expectation() -> None:
    def ask(requests: list[Request]) -> list[Completion]:
        table = {"A": -0.5108256, " B": -1.2039728, "C": -2.3025851}  # .6, .3, .1
        return [Completion("A", top_logprobs=(table,)) for _ in requests]

    rows = judge_cases([case("Brainstorm")], find("href"), ask)
    assert [r.mode for r in rows] == ["logprobs"] * 2
    assert rows[0].preference == pytest.approx(0.65)
    assert rows[1].preference == pytest.approx(0.35)


@given(st.text(max_size=40), st.text(max_size=40), st.sampled_from(["rouge1", "rouge2", "rougeL"]))
def test_likeness_is_symmetric_and_bounded(a: str, b: str, kind: str) -> None:
    found = href.likeness(a, b, kind)
    assert 0 <= found <= 1
    assert found == pytest.approx(href.likeness(b, a, kind))
    assert href.likeness(a, a, kind) in (0, 1)


def test_likeness_by_hand() -> None:
    a, b = "the cat sat on the mat", "the cat lay on a mat"
    assert href.likeness(a, b) == pytest.approx(4 / 6)
    assert href.likeness(a, b, "rouge2") == pytest.approx(1 / 5)
    assert href.likeness(a, b, "rougeL") == pytest.approx(4 / 6)
    assert href.likeness("猫が好き", "猫が嫌い") == pytest.approx(0.5)
