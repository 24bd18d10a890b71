r"""How good is an answer, by criteria that comparing other answers brought out, on a scale that a baseline holds?

PC2 (Feedbacker / SCAN, arXiv 2505.06698): the judge compares `auxiliaries` answers and writes weighted criteria; grades
the baseline's answer on each once; then grades an answer with the baseline and its grades in view. Criteria and
baseline are the same request for every answer to a question, so they are asked once, and cost is linear in models.

Variants: `auxiliaries=0` (criteria from the request alone), `baseline=false` (no anchor). A case with criteria of its
own skips the first stage.
"""

from collections.abc import Mapping, Sequence
from string import Template
from typing import Any

from evalsuite.errors import JudgeError
from evalsuite.judging.contract import Case, Criterion, Outcome, Step, Verdict, mean_grade
from evalsuite.judging.criteria import (
    Grades,
    Weighted,
    read_criteria,
    read_grades,
    to_hundred,
    with_weight,
    write_criteria,
)
from evalsuite.judging.quoting import block, conversation, quote
from evalsuite.judging.templates import beside
from evalsuite.records import Completion, Completions, Request, Sampling, system, user

JUDGE: dict[str, Any] = {
    "version": 1,
    "protocol": "pc2",
    "answers": [1, 1],
    "scale": [100, 500],
    "later": 2,  # the baseline's grades, the answer's
    "files": ["system.md", "criteria.md", "criteria_alone.md", "grade.md", "anchored.md"],
    "options": {"auxiliaries": 3, "baseline": True},
}

Options = Mapping[str, Any]
LOW, HIGH = 1, 5
LISTING = Sampling(max_tokens=512, temperature=0.0)
GRADING = Sampling(max_tokens=640, temperature=0.0)
TOLERANCE = 0.5  # of 400: a total that was rounded is no disagreement
_file = beside(__file__)


def requests(case: Case, options: Options = JUDGE["options"]) -> list[Request]:
    """The criteria; where the case brings them, what comes next. Raises JudgeError where answers are missing."""
    wanted = int(options["auxiliaries"])
    if not case.criteria and len(case.auxiliary) < wanted:
        raise JudgeError(
            f"judge pc2: sample {case.id} has {len(case.auxiliary)} auxiliary answers, {wanted} are compared; "
            "give --auxiliary FILE, or --judge-args auxiliaries=0"
        )
    if options["baseline"] and case.baseline is None:
        raise JudgeError(
            f"judge pc2: sample {case.id} has no baseline; give --baseline FILE, or --judge-args baseline=no"
        )
    if case.criteria:
        return _graders(case, _given(case.criteria), Completions({}), options)
    fields = {"conversation": conversation(case.messages)}
    if not wanted:
        return [_request("criteria", "criteria_alone.md", fields, LISTING)]
    answers = "\n\n".join(block(f"answer_{i}", a.text) for i, a in enumerate(case.auxiliary[:wanted], start=1))
    return [_request("criteria", "criteria.md", {**fields, "answers": answers, "count": str(wanted)}, LISTING)]


def follow_up(case: Case, completions: Completions, options: Options = JUDGE["options"]) -> list[Request]:
    """After the criteria the baseline's grades, then the answer's; nothing where a step was not understood."""
    found = _criteria(case, completions)
    return _graders(case, found, completions, options) if found is not None else []


def parse(case: Case, completions: Completions, key: str, options: Options = JUDGE["options"]) -> Step | Verdict | None:
    """Criteria and the baseline's grades are steps; the answer's weighted sum is the verdict."""
    found = _criteria(case, completions)
    if found is None:
        return None
    if key == "criteria":
        return Step([[c.text, c.weight] for c in found.criteria])
    grades = _grades(completions[key], found)
    if grades is None:
        return None
    if key == "baseline":
        return Step(list(grades.values))
    weights = [c.weight for c in found.criteria]
    total = grades.weighted_sum(weights)
    return Verdict(total, order="", details=_details(case, completions, found, grades, options))


def aggregate(verdicts: Sequence[Verdict | None]) -> Outcome:
    """The mean over repeats."""
    return mean_grade(verdicts)


def _graders(case: Case, found: Weighted, completions: Completions, options: Options) -> list[Request]:
    fields = {"conversation": conversation(case.messages), "criteria": quote(write_criteria(found.criteria))}
    if not options["baseline"] or case.baseline is None:
        return [] if "grade" in completions else [_grade("grade", fields, case.a)]
    if "baseline" not in completions:
        return [_grade("baseline", fields, case.baseline.text)]
    grades = _grades(completions["baseline"], found)
    if grades is None or "grade" in completions:
        return []
    # The total in view is the right one, whatever the judge had added up.
    total = grades.weighted_sum([c.weight for c in found.criteria])
    fields["baseline"] = quote(case.baseline.text)
    fields["evaluation"] = quote("\n".join((*grades.lines, f"Total: {total:g}")))
    return [_request("grade", "anchored.md", {**fields, "answer": quote(case.a)}, GRADING)]


def _grade(key: str, fields: Mapping[str, str], answer: str) -> Request:
    return _request(key, "grade.md", {**fields, "answer": quote(answer)}, GRADING)


def _request(key: str, name: str, fields: Mapping[str, str], sampling: Sampling) -> Request:
    prompt = Template(_file(name)).substitute(fields)
    return Request("generate", (system(_file("system.md")), user(prompt)), key=key, sampling=sampling, role="judge")


def _criteria(case: Case, completions: Completions) -> Weighted | None:
    if case.criteria:
        return _given(case.criteria)
    if "criteria" not in completions or completions["criteria"].finish_reason == "length":
        return None  # half a list has other weights than the whole one
    return read_criteria(completions["criteria"].text)


def _given(criteria: Sequence[Criterion]) -> Weighted:
    weights = [c.weight for c in criteria]
    return Weighted(with_weight(criteria, weights), sum(weights), to_hundred(weights) != weights)


def _grades(completion: Completion, found: Weighted) -> Grades | None:
    return read_grades(completion.text, len(found.criteria), LOW, HIGH)


def _details(case: Case, completions: Completions, found: Weighted, grades: Grades, options: Options) -> dict[str, Any]:
    """What stands beside a grade: its parts, the judge's own total, the models that had a hand in it, tokens."""
    total = grades.weighted_sum([c.weight for c in found.criteria])
    anchored = bool(options["baseline"]) and case.baseline is not None
    used = case.auxiliary[: int(options["auxiliaries"])] if not case.criteria else ()
    return {
        "criteria": [c.text for c in found.criteria],
        "weights": [c.weight for c in found.criteria],
        "grades": list(grades.values),
        "total": grades.total,
        "agrees": None if grades.total is None else abs(grades.total - total) <= TOLERANCE,
        "stated_weights": found.stated,
        "normalised": found.normalised,
        "auxiliary": [a.model for a in used],
        "baseline": case.baseline.model if anchored and case.baseline else "",
        "tokens": {
            key: c.prompt_tokens + c.tokens + c.reasoning_tokens for key in completions for c in [completions[key]]
        },
    }


def read(reply: str) -> tuple[tuple[str, float], ...] | None:
    """A reply's criteria and weights, as the parser table names them."""
    found = read_criteria(reply)
    return None if found is None else tuple((c.text, c.weight) for c in found.criteria)


PARSER = {
    "function": read,
    "table": [
        ("<criteria>\n1. true | 60\n2. short | 40\n</criteria>", (("true", 60.0), ("short", 40.0))),
        ("1. calls `my_func_1` | 100", (("calls `my_func_1`", 100.0),)),
        ("1. writes \\frac{a_1}{b} | 100%", (("writes \\frac{a_1}{b}", 100.0),)),
        ("1. a | b holds | 70\n2. c | 70", (("a | b holds", 50.0), ("c", 50.0))),
        ("1. one | 1\n2. two | 1\n3. three | 1", (("one", 34.0), ("two", 33.0), ("three", 33.0))),
        ("**1. Truth**: no error | 50\n**2.** Style | weight: 50", (("Truth: no error", 50.0), ("Style", 50.0))),
        ("| 1 | true | 30 |\n| 2 | kind | 70 |", (("true", 30.0), ("kind", 70.0))),
        ("1. true | 60\n2. of no weight | 0\n3. short | 40", (("true", 60.0), ("short", 40.0))),
        ("<criteria>\n1. a | 100\n</criteria>\n<criteria>\n1. b | 100\n</criteria>", None),
        ("1. true\n2. short", None),
        ("The answer should be true | 100", None),
        ("", None),
        ("I'm sorry, but I can't do that.", None),
    ],
}


def replay() -> list[str]:
    """Recorded replies to one question must give these grades: all stages, the judge's own sums right and wrong."""
    listed = "<criteria>\n1. says `a_b` | 60\n2. is short | 40\n</criteria>"
    recorded = [
        ("<grades>\n1. 5 | yes\n2. 2 | long\nTotal: 380\n</grades>", 380.0, True),
        ("<grades>\n1. 5 | yes\n2. 2 | long\nTotal: 400\n</grades>", 380.0, False),
        ("1. 4/5 - fine\n2. 4/5 - fine", 400.0, None),
        ("1. 5 | it says\n1. 1 | \n2. 3 | fine", None, None),  # a line of the answer, quoted
        ("1. 5 | yes", None, None),
        ("1. 9 | yes\n2. 2 | long", None, None),
    ]
    case = Case("x", (user("q"),), ())
    faults = []
    for reply, grade, agrees in recorded:
        given = {
            "criteria": (Completion(listed),),
            "baseline": (Completion(recorded[0][0]),),
            "grade": (Completion(reply),),
        }
        verdict = parse(case, Completions(given), "grade")
        found = (verdict.value, verdict.details["agrees"]) if isinstance(verdict, Verdict) else (None, None)
        if found != (grade, agrees):
            faults.append(f"{reply!r}: {found}, not {(grade, agrees)}")
    return faults
