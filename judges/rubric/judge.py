"""How far does an answer meet given criteria? One request for each criterion, the weighted sum by code.

A hard criterion is kept or broken (yes or no), a principle is met to a degree (1 to 5). Each becomes a share of 1, and
the score is Σ weight · share / Σ weight. With `gate=true` an answer that breaks a hard criterion (share below 0.5)
scores 0, whatever else it does (OpenRubrics' gatekeepers, arXiv 2510.07743). The judge sees one criterion at a time: it
can neither trade one for another nor add up.
"""

from collections.abc import Mapping, Sequence
from string import Template
from typing import Any

from evalsuite.judging.contract import Answer, Case, Criterion, Mode, Outcome, Step, Verdict, mean_grade
from evalsuite.judging.expected import expected
from evalsuite.judging.quoting import conversation, quote
from evalsuite.judging.reading import likelihoods, number
from evalsuite.judging.templates import beside
from evalsuite.records import Completion, Completions, Request, Sampling, system, user
from evalsuite.scoring.verdicts import yes_no

JUDGE: dict[str, Any] = {
    "version": 1,
    "protocol": "rubric",
    "answers": [1, 1],
    "needs": ["criteria"],
    "scale": [0, 1],
    "options": {"gate": False},
}

Options = Mapping[str, Any]
LOW, HIGH = 1, 5
SAMPLING = Sampling(max_tokens=16, temperature=0.0, top_logprobs=10)
WORDS = {"Yes": 1.0, "No": 0.0}
GRADES = tuple(str(n) for n in range(LOW, HIGH + 1))
_file = beside(__file__)


def requests(case: Case) -> list[Request]:
    """One request for each criterion."""
    shown = {"conversation": conversation(case.conversation()), "answer": quote(case.a)}
    return [_request(f"criterion {i}", shown, c) for i, c in enumerate(case.criteria)]


def parse(case: Case, completions: Completions, key: str, options: Options = JUDGE["options"]) -> Verdict | Step | None:
    """The criterion that is understood last brings the verdict; those before it are steps."""
    if _share(case, completions, key) is None:
        return None
    keys = [f"criterion {i}" for i in range(len(case.criteria))]
    found = [_share(case, completions, k) if k in completions else None for k in keys]
    shares = [f for f in found if f is not None]
    if len(shares) < len(keys):
        return Step(_share(case, completions, key))
    values = [value for value, _ in shares]
    modes = {mode for _, mode in shares}
    weights = [c.weight for c in case.criteria]
    total = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
    broken = [c for c, v in zip(case.criteria, values, strict=True) if c.kind == "hard" and v < 0.5]
    details = {
        "criteria": [
            {"name": c.name or c.text[:80], "kind": c.kind, "weight": c.weight, "share": round(v, 6)}
            for c, v in zip(case.criteria, values, strict=True)
        ],
        "broken": len(broken),
    }
    mode: Mode = modes.pop() if len(modes) == 1 else "text"
    return Verdict(0.0 if broken and options["gate"] else total, mode, order="", details=details)


def aggregate(verdicts: Sequence[Verdict | None]) -> Outcome:
    """The mean over repeats."""
    return mean_grade(verdicts)


def _share(case: Case, completions: Completions, key: str) -> tuple[float, Mode] | None:
    """How far one criterion is met, from 0 to 1, and how that was read."""
    if case.criteria[int(key.split()[1])].kind == "hard":
        return kept(completions, key)
    found = number(completions, key, LOW, HIGH)
    return None if found is None else ((found.value - LOW) / (HIGH - LOW), found.mode)


def kept(completions: Completions, key: str) -> tuple[float, Mode] | None:
    """The probability of "yes" where it is known, else 1 or 0."""
    replies = completions.of(key)
    if len(replies) > 1:
        return likelihoods(replies)[0], "likelihood"
    said = yes_no(replies[0].text)
    if said is None:
        return None
    soft = expected(replies[0].top_logprobs, WORDS, "yes" if said else "no", replies[0].text)
    return (float(said), "text") if soft is None else (soft, "logprobs")


def _request(key: str, shown: Mapping[str, str], criterion: Criterion) -> Request:
    hard = criterion.kind == "hard"
    prompt = Template(_file("hard.md" if hard else "principle.md")).substitute(
        {**shown, "criterion": quote(criterion.text)}
    )
    return Request(
        "generate",
        (system(_file("system.md")), user(prompt)),
        key=key,
        continuations=tuple(WORDS) if hard else GRADES,
        sampling=SAMPLING,
        role="judge",
    )


def read_hard(reply: str) -> float | None:
    """Whether a reply says that a hard criterion is kept."""
    found = kept(Completions({"x": [Completion(text=reply)]}), "x")
    return None if found is None else found[0]


def read_principle(reply: str) -> float | None:
    """A reply's grade for a principle."""
    found = number(Completions({"x": [Completion(text=reply)]}), "x", LOW, HIGH)
    return None if found is None else found.value


PARSER = [
    {
        "function": read_hard,
        "table": [
            ("Yes", 1.0),
            ("**No**", 0.0),
            ("No, it has 301 words.", 0.0),
            ("Answer: yes", 1.0),
            ("Yes and no", None),
            ("yes/no", None),
            ("It keeps the rule.", None),
            ("", None),
        ],
    },
    {
        "function": read_principle,
        "table": [
            ("4", 4.0),
            ("5/5", 5.0),
            ("Grade: 1", 1.0),
            ("[[3]]", 3.0),
            ("6", None),
            ("4/10", None),
            ("3 or 4", None),
            ("Good", None),
            ("", None),
        ],
    },
]


def replay() -> list[str]:
    """Recorded replies to a hard criterion of weight 1 and a principle of weight 3."""
    criteria = (Criterion("keeps the limit", 1.0, "hard"), Criterion("is clear", 3.0))
    case = Case("recorded", (user("Question"),), (Answer("one", "a"),), criteria=criteria)
    recorded = [
        (("Yes", "5"), False, 1.0),
        (("No", "5"), False, 0.75),
        (("No", "5"), True, 0.0),
        (("Yes", "3"), True, 0.625),
        (("Yes", "fine"), False, None),
    ]
    faults = []
    for replies, gate, wanted in recorded:
        said = Completions({f"criterion {i}": [Completion(text=reply)] for i, reply in enumerate(replies)})
        found = parse(case, said, "criterion 1", {"gate": gate})
        value = found.value if isinstance(found, Verdict) else None
        if value != wanted:
            faults.append(f"{replies}, gate {gate}: {value}, not {wanted}")
    return faults
