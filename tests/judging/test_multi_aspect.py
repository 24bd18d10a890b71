"""Ratings of several answers at once: mapped back from their places, counted blocks, four aspects."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.errors import JudgeError
from evalsuite.judging.asking import How, judge_cases
from evalsuite.judging.contract import Annotation, Answer, Case, Verdict
from evalsuite.judging.judge import find
from evalsuite.records import Completion, Request, user

multi = find("multi_aspect").functions
WORTH = {"good": 5, "middling": 3, "bad": 1}
CASE = Case("s", (user("question"),), tuple(Answer(f"a {w} text", f"model-{w}") for w in WORTH))


def rate(prompt: str) -> str:
    """Rates what stands in each place by its own word."""
    shown = re.findall(r"<answer_\d>\na (\w+) text", prompt)
    return "\n\n".join(f"#### Answer {i}\nRating: {WORTH[w]}\nRationale: {w}" for i, w in enumerate(shown, start=1))


def judged(say: Callable[[str], str], **options: str) -> tuple[list[Annotation], list[str]]:
    asked: list[str] = []

    def ask(requests: list[Request]) -> list[Completion]:
        asked.extend(str(r.messages[-1]["content"]) for r in requests)
        return [Completion(say(str(r.messages[-1]["content"]))) for r in requests]

    return judge_cases([CASE], find("multi_aspect", options), ask, "m", How(attempts=2)), asked


def test_ratings_go_back_to_their_answers() -> None:
    rows, asked = judged(rate)
    assert len(asked) == 4
    assert len(rows) == 12
    assert {(r.model_a, r.score, r.details["rationale"]) for r in rows} == {
        (f"model-{w}", float(v), w) for w, v in WORTH.items()
    }
    orders = {a: tuple(r.details["place"] for r in rows if r.aspect == a) for a in multi.ASPECTS}
    assert len(set(orders.values())) > 1  # not one answer first on every aspect
    again, _ = judged(rate)
    assert again == rows
    other, _ = judged(rate, order_seed="1")
    assert [r.details["place"] for r in other] != [r.details["place"] for r in rows]


@given(st.integers(1, 8), st.text(max_size=8), st.integers(0, 99))
def test_every_answer_stands_in_one_place(count: int, name: str, seed: int) -> None:
    case = Case(name, (), tuple(Answer(str(i)) for i in range(count)))
    for aspect in multi.ASPECTS:
        assert sorted(multi.shown(case, aspect, {"order_seed": seed})) == list(range(count))


def test_a_wrong_number_of_blocks_is_unread_and_asked_again() -> None:
    rows, asked = judged(lambda p: rate(p).rpartition("####")[0])
    assert len(asked) == 8
    assert {r.status for r in rows} == {"judge_parse"}
    assert {r.score for r in rows} == {None}


def test_an_aspect_can_be_asked_alone_and_a_wrong_one_is_said() -> None:
    rows, asked = judged(rate, aspects="honesty")
    assert (len(asked), {r.aspect for r in rows}) == (1, {"honesty"})
    with pytest.raises(JudgeError, match="honesty"):
        judged(rate, aspects="honesti")


def test_critique_is_optional_and_apart() -> None:
    def say(prompt: str) -> str:
        return rate(prompt) if "<answer_1>" in prompt else "Feedback: clear,\nbut long.\nOverall: 9"

    rows, asked = judged(say, critique="yes")
    assert len(asked) == 4 + 3
    critiques = [r for r in rows if r.aspect == "critique"]
    assert [(r.model_a, r.score) for r in critiques] == [(f"model-{w}", 9.0) for w in WORTH]
    assert critiques[0].details["feedback"] == "clear,\nbut long."


def test_the_mean_over_aspects_leaves_the_critique_out() -> None:
    judge = find("multi_aspect", {"critique": "yes"})
    verdicts = [Verdict(v, order="", aspect=a) for a, v in zip(multi.ASPECTS, (5, 4, 3, 4), strict=True)]
    assert judge.aggregate([*verdicts, Verdict(10, order="", aspect="critique")]).preference == 4
    assert judge.aggregate([*verdicts, None]).preference is None


@pytest.mark.parametrize(
    ("reply", "grade"),
    [
        ("Feedback: x\nOverall: 10", 10.0),
        ("Overall: 1/10", 1.0),
        ("Overall: 11", None),
        ("Overall: 1\nOverall: 9", None),
        ("9", None),
    ],
)
def test_a_critiques_grade_is_read_by_its_line_and_range(reply: str, grade: float | None) -> None:
    found = multi.read_critique(reply)
    assert (found and found[0]) == grade
