"""Stages, retries, windows, draws and shortcuts: what happens between cases and annotations."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.errors import JudgeError
from evalsuite.judging import Annotation, Answer, Case, How, Judge, Step, Verdict, annotate, find, judge_cases, pair
from evalsuite.judging.rows import places
from evalsuite.records import Completion, Completions, Request, Sampling, user

PAIRWISE = find("pairwise")


def case(number: int = 0, a: str = "one", b: str = "two") -> Case:
    return pair(f"q{number}", (user(f"Question {number}"),), Answer(a, "m"), Answer(b, "n"))


def text_of(request: Request) -> str:
    return str(request.messages[-1]["content"])


class Model:
    """A scripted judge model that keeps what it was asked, round by round."""

    def __init__(self, reply: Callable[[Request], Any]) -> None:
        self.reply = reply
        self.rounds: list[list[Request]] = []

    def __call__(self, requests: list[Request]) -> list[Any]:
        self.rounds.append(list(requests))
        return [self.reply(request) for request in requests]

    @property
    def asked(self) -> list[Request]:
        return [request for round_ in self.rounds for request in round_]


def stages(**spec: Any) -> Judge:
    """Criteria (shared by a question's answers), then a grade; either may be made unreadable by its reply."""

    def requests(case: Case) -> list[Request]:
        return [Request("generate", (user(f"criteria for {case.messages[0]['content']}"),), key="criteria")]

    def follow_up(case: Case, completions: Completions) -> list[Request]:
        if "criteria" not in completions or "grade" in completions:
            return []
        return [Request("generate", (user(f"grade {case.a} by {completions['criteria'].text}"),), key="grade")]

    def parse(case: Case, completions: Completions, key: str) -> Any:
        text = completions[key].text
        if text == "?":
            return None
        return Step(text) if key == "criteria" else Verdict(float(text), order="")

    functions = SimpleNamespace(requests=requests, follow_up=follow_up, parse=parse)
    table = {"version": 1, "protocol": "stages", "answers": [1, 1], "scale": [1, 5], **spec}
    return Judge("stages", table, functions)


def single(number: int, text: str = "an answer", model: str = "m") -> Case:
    return Case(f"q{number}", (user(f"Question {number}"),), (Answer(text, model),))


# -- retries ----------------------------------------------------------------------------------------------------------


def test_an_unread_reply_is_asked_for_again_with_another_seed_and_warmer() -> None:
    order = {"ab": ["well", "hm", "A"], "ba": ["B"]}
    model = Model(lambda r: Completion(text=order[r.key].pop(0), tokens=2, prompt_tokens=10))
    rows = judge_cases([case()], PAIRWISE, model, how=How(attempts=3))
    assert [(r.status, r.preference, r.attempts, r.tokens, r.prompt_tokens) for r in rows] == [
        ("parsed", 1.0, 3, 6, 30),
        ("parsed", 1.0, 1, 2, 10),
    ]
    asked = [r.sampling for r in model.asked if r.key == "ab"]
    assert [s.seed for s in asked] == [0, 1, 2]
    assert asked[0].temperature == 0
    assert all(s.temperature >= 0.7 for s in asked[1:])
    assert rows[0].seed == 2


@pytest.mark.parametrize("attempts", [1, 2, 4])
def test_attempts_are_bounded_and_then_there_is_no_verdict(attempts: int) -> None:
    model = Model(lambda r: Completion(text="Both"))
    rows = judge_cases([case()], PAIRWISE, model, how=How(attempts=attempts))
    assert len(model.asked) == 2 * attempts
    assert [(r.status, r.preference, r.score, r.attempts) for r in rows] == [("judge_parse", None, None, attempts)] * 2
    assert [r.order for r in rows] == ["ab", "ba"]


def test_what_failed_says_why() -> None:
    """Regression 5: truncated, refused, failed and too long are told apart, and errors are not asked again."""
    replies = [
        (Completion(text="I think that", finish_reason="length"), "truncated", 3),
        (Completion(text="I'm sorry, but I can't help with that."), "judge_refusal", 3),
        (Completion(error="status 500", finish_reason="error"), "backend_error", 1),
        (Completion(error="too_long: 9000 tokens", finish_reason="error"), "too_long", 1),
        (None, "too_long", 1),
        ((), "too_long", 1),
    ]
    for reply, status, asked in replies:
        model = Model(lambda _, reply=reply: reply)
        rows = judge_cases([case()], PAIRWISE, model)
        assert {r.status for r in rows} == {status}
        assert len(model.asked) == 2 * asked


# -- stages -----------------------------------------------------------------------------------------------------------


def test_later_stages_build_on_steps_and_shared_work_counts_once() -> None:
    model = Model(
        lambda r: Completion(text="be clear" if r.key == "criteria" else "4", tokens=5 if r.key == "criteria" else 1)
    )
    cases = [single(0, "first", "m"), single(0, "second", "n")]
    rows = judge_cases(cases, stages(), model, how=How(prices=(0.0, 1e6)))
    assert [len(r) for r in model.rounds] == [2, 2]
    assert [(r.model_a, r.score, r.preference, r.tokens, r.cost) for r in rows] == [
        ("m", 4.0, None, 6, 6.0),  # bears the criteria
        ("n", 4.0, None, 1, 1.0),
    ]
    assert text_of(model.rounds[1][1]) == "grade second by be clear"


def test_a_step_that_fails_ends_its_case() -> None:
    model = Model(lambda r: Completion(text="?"))
    (row,) = judge_cases([single(0)], stages(), model, how=How(attempts=2))
    assert (row.status, row.score, row.details["request"]) == ("judge_parse", None, "criteria")
    assert [r.key for r in model.asked] == ["criteria", "criteria"]


def test_steps_without_a_verdict_are_a_row_that_says_so() -> None:
    judge = stages()
    judge.functions.follow_up = lambda *_: []
    (row,) = judge_cases([single(0)], judge, Model(lambda r: Completion(text="be clear")))
    assert (row.status, row.score, row.mode) == ("skipped", None, "none")


def test_keys_are_told_apart() -> None:
    judge = stages()
    judge.functions.requests = lambda case: [Request("generate", case.messages, key="x")] * 2
    with pytest.raises(ValueError, match="two requests of one case are called 'x'"):
        judge_cases([single(0)], judge, Model(lambda r: Completion(text="4")))
    assert places("ab:clarity") == ("ab", 0)
    assert places("answer 2") == ("", 2)
    assert places("baseline") == ("", 0)


# -- windows ----------------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.integers(1, 7), st.lists(st.integers(0, 3), min_size=1, max_size=9))
def test_rows_do_not_depend_on_the_window(window: int, misses: list[int]) -> None:
    """A law: however many cases are held at a time, the rows are the same and in the cases' order."""

    def reply(request: Request) -> Completion:
        name = int(text_of(request).split("Question ")[1].split("\n")[0])
        return Completion(text="A" if request.sampling.seed >= misses[name] else "hm", tokens=1)

    cases = [case(i) for i in range(len(misses))]
    rows = judge_cases(cases, PAIRWISE, Model(reply), how=How(window=window))
    assert rows == judge_cases(cases, PAIRWISE, Model(reply))
    assert [r.sample for r in rows] == [c.id for c in cases for _ in range(2)]


def test_cases_stream_and_retries_travel_with_later_cases() -> None:
    """Neither all cases nor all rows are held; a round never waits for one case alone while others could be asked."""
    drawn: list[int] = []

    def many() -> Iterator[Case]:
        for i in range(100):
            drawn.append(i)
            yield case(i)

    def reply(request: Request) -> Completion:
        return Completion(text="A" if request.sampling.seed or "Question 3\n" not in text_of(request) else "hm")

    model = Model(reply)
    rows = annotate(many(), PAIRWISE, model, how=How(window=10))
    first = next(rows)
    assert first.sample == "q0"
    assert len(drawn) == 10
    assert sum(1 for _ in rows) == 199
    assert [len(r) for r in model.rounds][:2] == [20, 2 + 2 * 3]  # two retries beside the three cases that had room


# -- what needs no judge ----------------------------------------------------------------------------------------------


def never(requests: list[Request]) -> list[Completion]:
    raise AssertionError(requests)


def test_an_empty_answer_loses_without_a_call() -> None:
    rows = judge_cases([case(a=" \n", b="x"), case(1, "x", "")], PAIRWISE, never)
    assert [(r.status, r.order, r.preference, r.attempts) for r in rows] == [
        ("empty", "ab", 0.0, 0),
        ("empty", "ba", 0.0, 0),
        ("empty", "ab", 1.0, 0),
        ("empty", "ba", 1.0, 0),
    ]
    (row,) = judge_cases([single(0, " ")], stages(), never)
    assert (row.status, row.score, row.preference) == ("empty", 1.0, None)
    assert {r.preference for r in judge_cases([case(a="", b="  ")], PAIRWISE, never)} == {0.5}


def test_a_judge_may_want_to_see_empty_answers() -> None:
    model = Model(lambda r: Completion(text="c" if r.key == "criteria" else "2"))
    (row,) = judge_cases([single(0, "")], stages(shortcuts=False), model)
    assert (row.status, row.score) == ("parsed", 2.0)


def test_the_same_text_after_other_words_is_no_tie() -> None:
    same = case(a="x", b="x")
    other = replace(same, answers=(same.answers[0], replace(same.answers[1], messages=(user("Else"),))))
    assert {r.status for r in judge_cases([same], PAIRWISE, never)} == {"identical"}
    assert {r.status for r in judge_cases([other], PAIRWISE, Model(lambda r: Completion(text="C")))} == {"parsed"}


# -- orders, draws, verdicts ------------------------------------------------------------------------------------------


def test_orders() -> None:
    model = Model(lambda r: Completion(text="A"))
    cases = [case(i) for i in range(40)]
    for order, value in (("ab", 1.0), ("ba", 0.0)):
        rows = judge_cases(cases, PAIRWISE, model, how=How(orders=order))
        assert {(r.order, r.preference) for r in rows} == {(order, value)}
        assert len(rows) == 40
    drawn = [
        [r.order for r in judge_cases(cases, PAIRWISE, model, how=How(orders="seeded", seed=s))] for s in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert set(drawn[0]) == {"ab", "ba"}
    assert judge_cases([case(a="x", b="x")], PAIRWISE, never, how=How(orders="ba"))[0].order == "ba"


def test_repeats_are_other_draws() -> None:
    model = Model(lambda r: Completion(text="A"))
    rows = judge_cases([case(0), case(1)], PAIRWISE, model, how=How(repeats=3, orders="ab"))
    assert [(r.sample, r.repeat) for r in rows] == [(f"q{i}", n) for i in range(2) for n in range(3)]
    assert [r.repeat for r in model.asked[:3]] == [0, 1, 2]
    assert {r.sampling.temperature for r in model.asked} == {0.7}


def test_ways_of_reading() -> None:
    for verdicts, kind, top, words in (
        ("logprobs", "generate", 10, ()),
        ("text", "generate", 0, ()),
        ("likelihood", "loglikelihood", 10, ("A", "B", "C")),
    ):
        if kind == "generate":
            model = Model(lambda r: Completion(text="A"))
        else:
            model = Model(lambda r: [Completion(logprobs=(p,)) for p in (-1.0, -2.0, -3.0)])
        rows = judge_cases([case()], PAIRWISE, model, how=How(verdicts=verdicts))  # type: ignore[arg-type]
        (asked,) = {(r.kind, r.sampling.top_logprobs, r.continuations) for r in model.asked}
        assert asked == (kind, top, words)
        assert {r.mode for r in rows} == {"likelihood" if kind == "loglikelihood" else "text"}
        if kind == "loglikelihood":
            assert rows[0].raw == '{"A": -1.0, "B": -2.0, "C": -3.0}'
            assert 0.5 < rows[0].preference < 1  # type: ignore[operator]


def test_a_judge_without_fixed_words_is_read_by_text_where_likelihoods_are_wanted() -> None:
    graded = find("pairwise_graded")
    model = Model(lambda r: Completion(text="[[A>B]]"))
    rows = judge_cases([case()], graded, model, how=How(verdicts="likelihood"))
    assert {r.kind for r in model.asked} == {"generate"}
    assert [(r.mode, r.details) for r in rows] == [("text", {"label": "A>B", "strength": 1})] * 2


# -- what a case must have --------------------------------------------------------------------------------------------


def test_a_case_lacks_what_the_judge_needs() -> None:
    with pytest.raises(JudgeError, match=r"judge reference: sample q0 has no reference; give --references FILE"):
        judge_cases([single(0)], find("reference"), never)
    with pytest.raises(JudgeError, match=r"judge pairwise: sample q0 has 1 answers; it takes 2"):
        judge_cases([single(0)], PAIRWISE, never)
    with pytest.raises(ValueError, match="1 replies to 2 requests"):
        judge_cases([case()], PAIRWISE, lambda requests: [None])


def test_several_verdicts_of_one_reply_are_several_rows() -> None:
    def parse(case: Case, completions: Completions, key: str) -> list[Verdict]:
        return [Verdict(4.0, order="", answer=i, aspect="truth") for i in range(2)]

    functions = SimpleNamespace(
        requests=lambda case: [Request("generate", case.messages, key="rate", sampling=Sampling())], parse=parse
    )
    judge = Judge("both", {"version": 1, "protocol": "aspects", "answers": [1, 4]}, functions)
    asked = replace(case(a="x", b="longer"), category="maths")
    rows: list[Annotation] = judge_cases([asked], judge, Model(lambda r: Completion(text="4 4", tokens=7)))
    assert [(r.model_a, r.model_b, r.score, r.aspect, r.length_a, r.tokens, r.raw, r.category) for r in rows] == [
        ("m", "", 4.0, "truth", 1, 7, "4 4", "maths"),
        ("n", "", 4.0, "truth", 6, 0, "", "maths"),
    ]
