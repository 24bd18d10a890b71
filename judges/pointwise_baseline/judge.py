"""How good is an answer, from 1 to 10, beside a baseline answer whose grade is shown?

The baseline is graded once for each question, by the same request whoever is graded beside it, so its calls do not grow
with the number of models. Its grade then stands in the prompt of every other answer as an anchor.
"""

from collections.abc import Sequence
from dataclasses import replace
from string import Template
from typing import Any

from evalsuite.judging.contract import Answer, Case, Outcome, Step, Verdict, mean_grade
from evalsuite.judging.quoting import conversation, quote
from evalsuite.judging.reading import grade, number
from evalsuite.judging.templates import beside
from evalsuite.records import Completion, Completions, Request, Sampling, system, user

JUDGE: dict[str, Any] = {
    "version": 1,
    "protocol": "pointwise_baseline",
    "answers": [1, 1],
    "needs": ["baseline"],
    "scale": [1, 10],
    "later": 1,
}

LOW, HIGH = 1, 10
SAMPLING = Sampling(max_tokens=16, temperature=0.0, top_logprobs=10)
_file = beside(__file__)


def requests(case: Case) -> list[Request]:
    """The baseline's grade."""
    fields = {"conversation": _asked(case), "answer": quote(_baseline(case))}
    return [_request("baseline", "alone.md", fields)]


def follow_up(case: Case, completions: Completions) -> list[Request]:
    """The answer's own grade, once the baseline has one."""
    if "baseline" not in completions or "grade" in completions:
        return []
    found = number(completions, "baseline", LOW, HIGH)
    if found is None:
        return []
    fields = {
        "conversation": _asked(case),
        "baseline": quote(_baseline(case)),
        "baseline_grade": f"{found.value:.0f}",
        "answer": quote(case.a),
    }
    return [_request("grade", "anchored.md", fields)]


def parse(case: Case, completions: Completions, key: str) -> Verdict | Step | None:
    """The baseline's grade is a step, the answer's the verdict; its details keep the anchor."""
    found = number(completions, key, LOW, HIGH)
    if found is None or key == "baseline":
        return found and Step(found.value)
    anchor = number(completions, "baseline", LOW, HIGH)
    details = {"baseline": case.baseline.model if case.baseline else ""}
    return replace(found, details={**details, "baseline_grade": round(anchor.value, 6) if anchor else None})


def aggregate(verdicts: Sequence[Verdict | None]) -> Outcome:
    """The mean over repeats."""
    return mean_grade(verdicts)


def _asked(case: Case) -> str:
    return conversation(case.conversation())


def _baseline(case: Case) -> str:
    return case.baseline.text if case.baseline is not None else ""


def _request(key: str, name: str, fields: dict[str, str]) -> Request:
    return Request(
        "generate",
        (system(_file("system.md")), user(Template(_file(name)).substitute(fields))),
        key=key,
        continuations=tuple(str(n) for n in range(LOW, HIGH + 1)),
        sampling=SAMPLING,
        role="judge",
    )


def read(reply: str) -> float | None:
    """A reply's grade."""
    return grade(reply, LOW, HIGH)


PARSER = {
    "function": read,
    "table": [
        ("7", 7.0),
        ("Grade: 8/10", 8.0),
        ("**10**", 10.0),
        ("[[2]]", 2.0),
        ("3\nWorse than the baseline's 6.", 3.0),
        ("The baseline has 6, this one 8.", None),
        ("Better than the baseline", None),
        ("0", None),
        ("6.5 to 7", None),
        ("", None),
    ],
}


def replay() -> list[str]:
    """Recorded replies: an anchor, then a grade; no grade without an anchor."""
    case = Case("recorded", (user("Question"),), (Answer("one", "a"),), baseline=Answer("two", "b"))
    faults = []
    for anchor, reply, wanted in (("6", "8", 8.0), ("6", "good", None), ("good", "8", None)):
        said = Completions({"baseline": [Completion(text=anchor)]})
        if not isinstance(parse(case, said, "baseline"), Step):
            if wanted is not None or follow_up(case, said):
                faults.append(f"anchor {anchor!r}: not understood, and asked on")
            continue
        shown = str(follow_up(case, said)[0].messages[-1]["content"])
        both = Completions({"baseline": [Completion(text=anchor)], "grade": [Completion(text=reply)]})
        found = parse(case, both, "grade")
        value = found.value if isinstance(found, Verdict) else None
        if value != wanted or f"grade {anchor}" not in shown:
            faults.append(f"{anchor!r} then {reply!r}: {value}, not {wanted}")
    return faults
