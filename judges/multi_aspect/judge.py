"""How good are answers on instruction following, truthfulness, honesty, helpfulness? Ratings with reasons.

UltraFeedback (arXiv 2310.01377): one request for each aspect shows all answers of a case at once, in an order drawn by
seed, sample and aspect; the reply has as many blocks as there are answers, or it counts as unread. `critique=true` adds
feedback with an overall grade from 1 to 10, one request for each answer.
"""

import random
import re
from collections.abc import Mapping, Sequence
from string import Template
from typing import Any

from evalsuite.errors import JudgeError
from evalsuite.judging.contract import Answer, Case, Outcome, Verdict, mean_grade
from evalsuite.judging.quoting import block, conversation, quote
from evalsuite.judging.templates import beside
from evalsuite.records import Completion, Completions, Request, Sampling, system, user

JUDGE: dict[str, Any] = {
    "version": 1,
    "protocol": "multi_aspect",
    "answers": [1, 8],
    "scale": [1, 5],
    "files": [
        "system.md",
        "rate.md",
        "instruction_following.md",
        "truthfulness.md",
        "honesty.md",
        "helpfulness.md",
        "critique.md",
    ],
    "options": {
        "aspects": ["instruction_following", "truthfulness", "honesty", "helpfulness"],
        "critique": False,
        "order_seed": 0,
    },
}

Options = Mapping[str, Any]
ASPECTS = ("instruction_following", "truthfulness", "honesty", "helpfulness")
TOKENS_EACH = 96  # of one block
_HEAD = re.compile(r"^\s*(?:#{1,6}\s*)?\**\s*(?:answer|output|text|response)\s*#?\s*(\d{1,2})\b\W*$", re.IGNORECASE)
_RATING = re.compile(r"^\W*rating\W*[:=]\W*(\d{1,2}(?:\.\d+)?)(?:\s*/\s*(\d{1,2}))?\W*$", re.IGNORECASE)
_RATIONALE = re.compile(r"^\W*(?:rationale|reason)\W*[:=]\s*(.*)$", re.IGNORECASE)
_OVERALL = re.compile(r"^\W*overall\W*(?:grade|score|rating)?\W*[:=]\W*(\d{1,2})(?:\s*/\s*10)?\W*$", re.IGNORECASE)
_file = beside(__file__)


def requests(case: Case, options: Options = JUDGE["options"]) -> list[Request]:
    """One request for each aspect; with `critique` one more for each answer. Raises JudgeError for an aspect that the
    folder has no text for."""
    odd = [aspect for aspect in options["aspects"] if aspect not in ASPECTS]
    if odd:
        raise JudgeError(f"judge multi_aspect: no aspect '{odd[0]}' (there are: {', '.join(ASPECTS)})")
    asked = [_rate(case, aspect, options) for aspect in options["aspects"]]
    return asked + [_critique(case, i) for i in range(len(case.answers)) if options["critique"]]


def parse(
    case: Case, completions: Completions, key: str, options: Options = JUDGE["options"]
) -> list[Verdict] | Verdict | None:
    """A verdict for each answer, mapped back from the order in which they were shown; the critique's grade is a verdict
    of its own aspect."""
    text = completions[key].text
    kind, _, number = key.partition(" ")
    if kind == "critique":
        graded = read_critique(text)
        if graded is None:
            return None
        return Verdict(graded[0], order="", answer=int(number), aspect="critique", details={"feedback": graded[1]})
    rated = read_blocks(text, len(case.answers))
    if rated is None:
        return None
    verdicts = [
        Verdict(value, order="", answer=answer, aspect=kind, details={"rationale": reason, "place": place})
        for place, (answer, (value, reason)) in enumerate(zip(shown(case, kind, options), rated, strict=True), start=1)
    ]
    return sorted(verdicts, key=lambda v: v.answer)


def aggregate(verdicts: Sequence[Verdict | None]) -> Outcome:
    """The mean over aspects, each weighing the same; a critique's grade stands on another scale and takes no part."""
    return mean_grade([v for v in verdicts if v is None or v.aspect != "critique"])


def shown(case: Case, aspect: str, options: Options) -> list[int]:
    """The answers in the order in which an aspect's request shows them."""
    order = list(range(len(case.answers)))
    random.Random(f"{options['order_seed']}\n{case.task}\n{case.id}\n{aspect}").shuffle(order)
    return order


def read_blocks(text: str, count: int) -> list[tuple[float, str]] | None:
    """(rating, rationale) of blocks 1 to `count`, in order; None where there are more, fewer, or one has no rating."""
    blocks: list[list[str]] = []
    numbers: list[int] = []
    for line in text.split("\n"):
        head = _HEAD.match(line)
        if head:
            numbers.append(int(head[1]))
            blocks.append([])
        elif blocks:
            blocks[-1].append(line)
    if numbers != list(range(1, count + 1)):
        return None
    read = [_block(lines) for lines in blocks]
    return [r for r in read if r is not None] if None not in read else None


def _block(lines: Sequence[str]) -> tuple[float, str] | None:
    ratings = [m for line in lines if (m := _RATING.match(line))]
    if len(ratings) != 1 or (ratings[0][2] or "5") != "5":
        return None
    value = float(ratings[0][1])
    reasons = [m[1].strip() for line in lines if (m := _RATIONALE.match(line))]
    return (value, " ".join(reasons)) if 1 <= value <= 5 else None


def read_critique(text: str) -> tuple[float, str] | None:
    """(grade from 1 to 10, feedback); None where there is no such grade, or several that differ."""
    grades = {int(m[1]) for line in text.split("\n") if (m := _OVERALL.match(line))}
    if len(grades) != 1 or not 1 <= (grade := grades.pop()) <= 10:
        return None
    words = [line for line in text.split("\n") if not _OVERALL.match(line)]
    return float(grade), re.sub(r"^\W*feedback\W*:\s*", "", "\n".join(words).strip(), flags=re.IGNORECASE)


def _rate(case: Case, aspect: str, options: Options) -> Request:
    order = shown(case, aspect, options)
    answers = "\n\n".join(block(f"answer_{place}", case.answers[i].text) for place, i in enumerate(order, start=1))
    fields = {
        "conversation": conversation(case.messages),
        "answers": answers,
        "count": str(len(order)),
        "aspect": aspect.replace("_", " "),
        "guide": _file(f"{aspect}.md"),
    }
    return _request(aspect, "rate.md", fields, TOKENS_EACH * len(order))


def _critique(case: Case, number: int) -> Request:
    fields = {"conversation": conversation(case.messages), "answer": quote(case.answers[number].text)}
    return _request(f"critique {number}", "critique.md", fields, 256)


def _request(key: str, name: str, fields: Mapping[str, str], tokens: int) -> Request:
    messages = (system(_file("system.md")), user(Template(_file(name)).substitute(fields)))
    return Request("generate", messages, key=key, sampling=Sampling(max_tokens=tokens), role="judge")


def read(reply: str) -> tuple[float, ...] | None:
    """The ratings of two answers, as the parser table names them."""
    found = read_blocks(reply, 2)
    return None if found is None else tuple(value for value, _ in found)


PARSER = {
    "function": read,
    "table": [
        ("#### Answer 1\nRating: 4\nRationale: fine\n\n#### Answer 2\nRating: 2\nRationale: late", (4.0, 2.0)),
        ("**Answer 1**\n**Rating:** 4/5\nRationale: fine\n**Answer 2**\n**Rating:** 5", (4.0, 5.0)),
        ("Answer 1:\nRating: 3\nAnswer 2:\nRating: 3", (3.0, 3.0)),
        ("#### Answer 1\nRating: 4\n#### Answer 2\nRating: 2\n#### Answer 3\nRating: 5", None),
        ("#### Answer 1\nRating: 4", None),
        ("#### Answer 2\nRating: 4\n#### Answer 1\nRating: 2", None),
        ("#### Answer 1\nRating: 4\nRating: 5\n#### Answer 2\nRating: 2", None),
        ("#### Answer 1\nRating: 4/10\n#### Answer 2\nRating: 2", None),
        ("#### Answer 1\nRating: 7\n#### Answer 2\nRating: 2", None),
        ("#### Answer 1\nRating: N/A\n#### Answer 2\nRating: 2", None),
        ("Rating: 4\nRating: 2", None),
        ("", None),
    ],
}


def replay() -> list[str]:
    """Ratings by place go back to the answers that stood there, whatever the order was."""
    case = Case("r", (user("q"),), tuple(Answer(t, t) for t in "abc"))
    faults = []
    for aspect in ASPECTS:
        order = shown(case, aspect, JUDGE["options"])
        reply = "\n".join(f"#### Answer {p}\nRating: {i + 1}\nRationale: -" for p, i in enumerate(order, start=1))
        found = parse(case, Completions({aspect: (Completion(reply),)}), aspect) or []
        grades = {v.answer: v.value for v in found} if isinstance(found, list) else {}
        if grades != {0: 1.0, 1: 2.0, 2: 3.0}:
            faults.append(f"{aspect}, shown in order {order}: {grades}")
    return faults
