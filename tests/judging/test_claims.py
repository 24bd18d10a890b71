"""Claims: split, each checked once, rejected ones counted."""

import math
from collections.abc import Callable

import pytest

from evalsuite.errors import JudgeError
from evalsuite.judging.asking import How, judge_cases
from evalsuite.judging.contract import Annotation, Answer, Case, Verdict
from evalsuite.judging.judge import find
from evalsuite.records import Completion, Request, user

TRUE = {"Ivy keeps a cat.": 0.9, "Ivy lives in Ashford.": 0.7, "Ivy plays the horn.": 0.2}


def case(text: str, model: str = "x", question: str = "Tell me about Ivy.", reference: str | None = None) -> Case:
    return Case(question, (user(question),), (Answer(text, model),), reference=reference)


def split(prompt: str) -> str:
    """Each sentence of the answer is a claim."""
    answer = prompt.partition("<answer>\n")[2].partition("\n</answer>")[0]
    claims = [f"{s.strip()}." for s in answer.split(".") if s.strip()]
    listed = "\n".join(f"{i}. {c}" for i, c in enumerate(claims, start=1))
    return f"<claims>\n{listed if claims != ['Hello.'] else 'none'}\n</claims>"


def check(prompt: str) -> Completion:
    p = TRUE[prompt.partition("<claim>\n")[2].partition("\n</claim>")[0]]
    said = "yes" if p > 0.5 else "no"
    return Completion(
        said, top_logprobs=({" Yes": math.log(p * 0.8), "no": math.log((1 - p) * 0.8), "well": math.log(0.2)},)
    )


def judged(
    cases: list[Case], how: How | None = None, say: Callable[[str], Completion] = check, **options: str
) -> tuple[list[Annotation], list[str]]:
    asked: list[str] = []

    def ask(requests: list[Request]) -> list[Completion]:
        prompts = [str(r.messages[-1]["content"]) for r in requests]
        asked.extend(prompts)
        return [say(p) if "<claim>" in p else Completion(split(p)) for p in prompts]

    return judge_cases(cases, find("claims", options), ask, "m", how), asked


def outcome(rows: list[Annotation], **options: str) -> float | None:
    verdicts = [None if r.score is None else Verdict(r.score, r.mode, "", aspect=r.aspect) for r in rows]
    return find("claims", options).aggregate(verdicts).preference


def test_each_claim_has_its_expected_yes() -> None:
    rows, asked = judged([case("Ivy keeps a cat. Ivy plays the horn.")])
    assert [r.score for r in rows] == pytest.approx([0.9, 0.2])
    assert [r.aspect for r in rows] == ["claim 1", "claim 2"]
    assert {r.mode for r in rows} == {"logprobs"}
    assert [r.details["rejected"] for r in rows] == [False, True]
    assert all("plays the horn" not in p for p in asked[1:2])
    assert outcome(rows) == -1
    assert outcome(rows, score="share") == -0.5
    assert outcome(rows, threshold="0.1") == 0


def test_text_alone_is_read_where_there_are_no_log_probabilities() -> None:
    rows, _ = judged([case("Ivy keeps a cat. Ivy plays the horn.")], say=lambda p: Completion(check(p).text))
    assert [(r.score, r.mode) for r in rows] == [(1.0, "text"), (0.0, "text")]


def test_equal_claims_are_one_request() -> None:
    cases = [case("Ivy keeps a cat. Ivy lives in Ashford.", "x"), case("Ivy plays the horn. Ivy keeps a cat.", "y")]
    _, asked = judged(cases)
    checks = [p for p in asked if "<claim>" in p]
    assert (len(checks), len(set(checks))) == (4, 3)
    twice, asked = judged([case("Ivy keeps a cat. Ivy keeps a cat.")])
    assert (len(twice), len(asked)) == (1, 2)
    others = [case("Ivy keeps a cat.", question=q) for q in ("Who is Ivy?", "What about Ivy?")]
    for context, number in (("yes", 2), ("no", 1)):
        _, asked = judged(others, context=context)
        assert len({p for p in asked if "<claim>" in p}) == number


def test_a_reference_is_shown_to_the_check_alone() -> None:
    _, asked = judged([case("Ivy keeps a cat.", reference="She has a cat and a horn.")])
    assert ["a cat and a horn" in p for p in asked] == [False, True]


@pytest.mark.parametrize("text", ["", "  \n", "Hello."])
def test_an_answer_without_claims_has_nothing_rejected(text: str) -> None:
    rows, asked = judged([case(text)])
    assert len(asked) == (1 if text.strip() else 0)
    assert [(r.aspect, r.status, r.mode) for r in rows] == [("no claim", "parsed", "none")]
    assert outcome(rows) == 0


def test_a_claim_without_a_verdict_leaves_the_case_without_an_outcome() -> None:
    def say(prompt: str) -> Completion:
        return Completion("perhaps") if "horn" in prompt.partition("<claim>")[2] else check(prompt)

    rows, asked = judged([case("Ivy keeps a cat. Ivy plays the horn.")], How(attempts=2), say)
    assert [r.status for r in rows] == ["parsed", "judge_parse"]
    assert len(asked) == 4
    assert outcome(rows) is None


def test_a_split_that_is_never_read_is_one_missing_row() -> None:
    def ask(requests: list[Request]) -> list[Completion]:
        return [Completion("1. Ivy keeps a cat.", finish_reason="length") for _ in requests]

    rows = judge_cases([case("Ivy keeps a cat.")], find("claims"), ask, "m", How(attempts=2))
    assert [(r.status, r.score, r.attempts) for r in rows] == [("truncated", None, 2)]


def test_an_unknown_score_is_said() -> None:
    with pytest.raises(JudgeError, match="count, share"):
        judged([case("Ivy keeps a cat.")], score="sum")


def test_likelihoods_of_both_words_are_read_where_they_are_asked_for() -> None:
    def ask(requests: list[Request]) -> list[Completion | list[Completion]]:
        found: list[Completion | list[Completion]] = []
        for request in requests:
            prompt = str(request.messages[-1]["content"])
            if request.kind == "generate":
                found.append(Completion(split(prompt)))
            else:
                assert request.continuations == ("yes", "no")
                found.append([Completion(logprobs=(math.log(p),)) for p in (0.3, 0.1)])
        return found

    rows = judge_cases([case("Ivy keeps a cat.")], find("claims"), ask, "m", How(verdicts="likelihood"))
    assert [(r.mode, r.score) for r in rows] == [("likelihood", pytest.approx(0.75))]
