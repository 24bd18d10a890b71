"""PC2 through the real pipeline: stages, variants, sums, sharing, the report's arithmetic."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.errors import JudgeError
from evalsuite.judging import pc2
from evalsuite.judging.asking import How, judge_cases
from evalsuite.judging.contract import Annotation, Answer, Case, Criterion
from evalsuite.judging.judge import find
from evalsuite.records import Completion, Request, user

LISTED = "<criteria>\n1. names `a_b\\c` | 60\n2. is short | 40\n</criteria>"
AUXILIARY = tuple(Answer(f"auxiliary text {i}", f"aux-{i}") for i in range(3))
CASES = [
    Case(
        f"q{q}",
        (user(f"question {q}"),),
        (Answer(f"answer of {m} to {q}", m),),
        baseline=Answer(f"baseline text {q}", "base"),
        auxiliary=AUXILIARY,
    )
    for q in range(2)
    for m in ("x", "y", "base")
]


def stage(request: Request) -> str:
    text = str(request.messages[-1]["content"])
    return "grade" if "<criteria>" in text and "<answer>" in text else "criteria"


class Replies:
    """A judge model that says what it is told to; `asked` are the prompts, each once."""

    def __init__(self, say: Callable[[str], str]) -> None:
        self.say = say
        self.asked: Counter[str] = Counter()

    def __call__(self, requests: list[Request]) -> list[Completion]:
        found = []
        for request in requests:
            prompt = str(request.messages[-1]["content"])
            self.asked[prompt] += 1
            found.append(Completion(self.say(prompt), tokens=10, prompt_tokens=100))
        return found


def say(prompt: str) -> str:
    if "<answer>" not in prompt:
        return LISTED
    first = 5 if "answer of x" in prompt else 3
    return f"<grades>\n1. {first} | right\n2. 2 | long\nTotal: {60 * first + 80}\n</grades>"


def judged(
    reply: Callable[[str], str] = say, how: How | None = None, **options: str
) -> tuple[list[Annotation], Replies]:
    ask = Replies(reply)
    return judge_cases(CASES, find("pc2", options), ask, "judge-model", how), ask


def test_three_stages_of_which_two_are_shared() -> None:
    rows, ask = judged()
    assert [r.score for r in rows] == [380, 260, 260] * 2
    assert {r.status for r in rows} == {"parsed"}
    # Distinct prompts: criteria and baseline once for a question, a grade for each model and question.
    assert len(ask.asked) == 2 + 2 + 6
    grades = [p for p in ask.asked if "<baseline_grades>" in p]
    assert len(grades) == 6
    assert all("Total: 260" in p and "1. 3 | right" in p and "names `a_b\\c` | 60" in p for p in grades)
    assert all("answer of" not in p for p in ask.asked if "<baseline_grades>" not in p)


def test_the_sum_is_the_codes_and_the_judges_own_is_kept() -> None:
    rows, _ = judged(lambda p: say(p).replace("380", "390"))
    assert [r.score for r in rows] == [380, 260, 260] * 2
    assert [r.details["agrees"] for r in rows] == [False, True, True] * 2
    found = pc2.report(rows)
    assert found.disagreement.value == pytest.approx(1 / 3)
    assert found.disagreement.n == 2  # questions: their rows belong together
    assert (found.n, found.questions, found.models, found.unstated) == (6, 2, 3, 0)
    assert found.calls == {"criteria": 2, "baseline": 2, "grade": 6} == pc2.calls(2, 3)


def test_weights_are_normalised_and_counted() -> None:
    rows, _ = judged(lambda p: say(p).replace("| 60", "| 90").replace("| 40", "| 60"))
    assert [r.score for r in rows[:1]] == [380]
    assert pc2.report(rows).normalised.value == 1
    assert rows[0].details["stated_weights"] == 150


def test_variants_of_the_ablation() -> None:
    rows, ask = judged(baseline="no")
    assert [r.score for r in rows] == [380, 260, 260] * 2
    assert len(ask.asked) == 2 + 6
    assert not any("baseline" in p for p in ask.asked)
    rows, ask = judged(auxiliaries="0", baseline="no")
    assert not any("auxiliary text" in p for p in ask.asked)
    assert rows[0].details["auxiliary"] == []
    _, ask = judged(auxiliaries="2")
    assert any("auxiliary text 1" in p for p in ask.asked)
    assert not any("auxiliary text 2" in p for p in ask.asked)
    assert len({find("pc2", o).identity for o in ({}, {"auxiliaries": "0"}, {"baseline": "no"})}) == 3


def test_given_criteria_skip_the_first_stage() -> None:
    case = replace(CASES[0], criteria=(Criterion("short", 3), Criterion("true", 1)), auxiliary=())
    ask = Replies(say)
    rows = judge_cases([case], find("pc2", {}), ask, "j")
    assert rows[0].score == 5 * 75 + 2 * 25
    assert len(ask.asked) == 2


@pytest.mark.parametrize(
    ("change", "named"), [({"auxiliary": ()}, "auxiliaries=0"), ({"baseline": None}, "baseline=no")]
)
def test_what_is_missing_is_said(change: dict[str, Any], named: str) -> None:
    with pytest.raises(JudgeError, match=named):
        judge_cases([replace(CASES[0], **change)], find("pc2", {}), Replies(say))


@pytest.mark.parametrize("broken", ["criteria", "baseline", "grade"])
def test_a_stage_that_is_never_understood_ends_the_case(broken: str) -> None:
    def reply(prompt: str) -> str:
        at = "criteria" if "<answer>" not in prompt else "grade" if "<baseline_grades>" in prompt else "baseline"
        return "Hm." if at == broken else say(prompt)

    rows, ask = judged(reply, How(attempts=2))
    assert {r.score for r in rows} == {None}
    assert {r.status for r in rows} <= {"judge_parse", "skipped"}
    assert max(ask.asked.values()) <= 2 * len(CASES)


def test_models_that_had_a_hand_in_it_are_named() -> None:
    rows, _ = judged()
    assert pc2.involved(rows) == {
        "judge": ("judge-model",),
        "baseline": ("base",),
        "auxiliary": ("aux-0", "aux-1", "aux-2"),
    }
    assert {r.model_a for r in pc2.contestants(rows)} == {"x", "y"}
    assert {r.model_a for r in pc2.contestants([replace(r, judge_model="x") for r in rows])} == {"y"}


def test_a_cut_off_list_is_no_list() -> None:
    def ask(requests: list[Request]) -> list[Completion]:
        return [Completion(LISTED, finish_reason="length") for _ in requests]

    rows = judge_cases(CASES[:1], find("pc2", {}), ask, "j")
    assert [(r.score, r.status) for r in rows] == [(None, "truncated")]


def test_published_arithmetic_of_costs() -> None:
    pairwise, per_model = 2027.05, 3479.80
    assert [round(pc2.saving(n, pairwise, per_model), 2) for n in (8, 9, 10)] == [2.04, 2.33, 2.62]
    assert pc2.break_even(pairwise, per_model) == pytest.approx(1 + 2 * per_model / pairwise)
    assert round(pc2.break_even(pairwise, per_model), 2) == 4.43


@given(st.floats(1, 1e5), st.floats(0, 1e5), st.floats(0, 1e5))
def test_at_the_break_even_both_cost_the_same(pairwise: float, per_model: float, shared: float) -> None:
    n = pc2.break_even(pairwise, per_model, shared)
    assert n >= 1
    assert pairwise * n * (n - 1) / 2 == pytest.approx(shared + per_model * n, rel=1e-6, abs=1e-3)


def test_measured_tokens_part_what_is_shared() -> None:
    rows, _ = judged()
    cost = pc2.report(rows, pairwise_tokens=220).cost
    assert (cost.shared, cost.per_model) == (220, 110)
    assert cost.break_even == pytest.approx(pc2.break_even(220, 110, 220))
    assert cost.tokens(3) * 2 == sum(r.tokens + r.prompt_tokens for r in rows)


def test_a_report_needs_grades() -> None:
    with pytest.raises(ValueError, match="PC2"):
        pc2.report([])
