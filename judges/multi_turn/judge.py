"""How good is the last answer of a conversation, in the light of all that was said? A grade, or a comparison.

MT-Bench (arXiv 2306.05685): each turn is judged by a request of its own. A case is a conversation up to one answer: of
a first turn, or of a later one, where the assistant's own earlier answers stand in `Answer.messages` and the whole
dialogue is shown. `mode=pair` compares two assistants in both orders; `rule=agree` lets one win only where both orders
name it (MT-Bench's rule), else a case is their mean. The reference is shown where the case has one (`reference=no`
hides it); references of earlier turns stand in `metadata["references"]`, one for each turn.
"""

import re
from collections.abc import Mapping, Sequence
from string import Template
from typing import Any

from evalsuite.errors import JudgeError
from evalsuite.judging.contract import ORDERS, Answer, Case, Outcome, Verdict, mean_grade, mean_over_orders
from evalsuite.judging.quoting import block, conversation, quote
from evalsuite.judging.templates import beside
from evalsuite.records import Completion, Completions, Message, Request, Sampling, system, user
from evalsuite.scoring.verdicts import choice_letter

JUDGE: dict[str, Any] = {
    "version": 1,
    "protocol": "multi_turn",
    "answers": {"mode": {"grade": [1, 1], "pair": [2, 2]}},
    "scale": [1, 10],
    "files": ["system.md", "grade.md", "pair.md"],
    "options": {"mode": "grade", "rule": "mean", "reference": True},
}

Options = Mapping[str, Any]
SAMPLING = Sampling(max_tokens=256, temperature=0.0)
FIRST = "It is the first answer of the conversation."
LATER = (
    "The earlier answers are shown so that the last message can be understood: judge the last answer only, and whether "
    "it keeps to what was said before."
)
_GRADE = re.compile(r"\[\[\s*(\d{1,3}(?:\.\d+)?)\s*(?:/\s*10)?\s*\]\]")
_file = beside(__file__)


def requests(case: Case, options: Options = JUDGE["options"]) -> list[Request]:
    """One request for the answer, or one for each order of two. Raises JudgeError for an unknown option's value."""
    for name, known in (("mode", ("grade", "pair")), ("rule", ("mean", "agree"))):
        if options[name] not in known:
            raise JudgeError(
                f"judge multi_turn: --judge-args {name}={options[name]}: one of {', '.join(known)} is wanted"
            )
    if options["mode"] == "grade":
        fields = {
            "conversation": conversation(case.conversation()),
            "answer": quote(case.a),
            "reference": _reference(case, options),
            "focus": _focus(case),
        }
        return [_request("grade", "grade.md", fields)]
    return [_pair(case, order, options) for order in ORDERS]


def parse(case: Case, completions: Completions, key: str) -> Verdict | None:
    """The number or the letter in double brackets; None where there is none, or several that differ."""
    text = completions[key].text
    turn = {"turn": turns(case.conversation())}
    if key == "grade":
        grade = read_grade(text)
        return None if grade is None else Verdict(grade, order="", details=turn)
    letter = choice_letter(text, "ABC")
    return None if letter is None else Verdict({"A": 1.0, "B": 0.0, "C": 0.5}[letter], order=key, details=turn)


def aggregate(verdicts: Sequence[Verdict | None], options: Options = JUDGE["options"]) -> Outcome:
    """The mean grade; of pairs the mean over orders, or with `rule=agree` a win only where both name the winner."""
    if options["mode"] == "grade":
        return mean_grade(verdicts)
    outcome = mean_over_orders(verdicts)
    if options["rule"] == "mean" or outcome.preference is None:
        return outcome
    winners = {(v.preference > 0.5) - (v.preference < 0.5) for v in verdicts if v is not None}
    won = winners.pop() if len(winners) == 1 else 0
    return Outcome(0.5 + won / 2, outcome.consistent)


def turns(messages: Sequence[Message]) -> int:
    """Which turn an answer to these messages is, from 1."""
    return max(1, sum(m["role"] == "user" for m in messages))


def read_grade(text: str) -> float | None:
    """The number in double brackets, from 1 to 10."""
    found = {float(m) for m in _GRADE.findall(text)}
    grade = found.pop() if len(found) == 1 else None
    return grade if grade is not None and 1 <= grade <= 10 else None


def _pair(case: Case, order: str, options: Options) -> Request:
    first, second = (0, 1) if order == "ab" else (1, 0)
    fields = {
        "dialogue_a": conversation(case.conversation(first)),
        "answer_a": quote(case.answers[first].text),
        "dialogue_b": conversation(case.conversation(second)),
        "answer_b": quote(case.answers[second].text),
        "reference": _reference(case, options),
        "focus": _focus(case),
    }
    return _request(order, "pair.md", fields)


def _reference(case: Case, options: Options) -> str:
    """The reference answers of all turns that have one, the last one's last; nothing where there is none."""
    if not options["reference"]:
        return ""
    earlier = list(case.metadata.get("references", ()))[: turns(case.conversation()) - 1]
    named = [(f"reference_{i}", str(text)) for i, text in enumerate(earlier, start=1) if text]
    if case.reference:
        named.append(("reference", case.reference))
    if not named:
        return ""
    said = "\n\n".join(block(tag, text) for tag, text in named)
    return f"\n{said}\n\nA `reference` block holds an answer that is known to be right (with a number: to that turn).\n"


def _focus(case: Case) -> str:
    return FIRST if turns(case.conversation()) == 1 else LATER


def _request(key: str, name: str, fields: Mapping[str, str]) -> Request:
    prompt = Template(_file(name)).substitute(fields)
    return Request("generate", (system(_file("system.md")), user(prompt)), key=key, sampling=SAMPLING, role="judge")


PARSER = {
    "function": read_grade,
    "table": [
        ("Good, one slip.\nGrade: [[8]]", 8.0),
        ("Grade: [[ 7.5 ]]", 7.5),
        ("**Grade: [[9/10]]**", 9.0),
        ("[[8]] ... so [[8]]", 8.0),
        ('The answer says "[ [10]]", which is no grade.\nGrade: [[2]]', 2.0),
        ("[[8]], no, [[6]]", None),
        ("Grade: 8", None),
        ("[[0]]", None),
        ("[[11]]", None),
        ("[[A]]", None),
        ("8.5 of 10 points", None),
        ("", None),
        ("I'm sorry, I cannot judge that.", None),
    ],
}


def replay() -> list[str]:
    """Recorded verdicts on both orders give these outcomes, by the mean and by MT-Bench's rule."""
    recorded = [
        (("[[A]]", "[[B]]"), 1.0, 1.0),
        (("[[A]]", "[[A]]"), 0.5, 0.5),
        (("[[A]]", "[[C]]"), 0.75, 0.5),
        (("[[C]]", "[[C]]"), 0.5, 0.5),
        (("[[B]]", "[[A]]"), 0.0, 0.0),
        (("[[A]] is quoted, my verdict: [[B]]", "[[A]]"), None, None),
    ]
    case = Case("r", (user("q"),), (Answer("x", "x"), Answer("y", "y")))
    faults = []
    for replies, mean, agree in recorded:
        heard = Completions({o: (Completion(text),) for o, text in zip(ORDERS, replies, strict=True)})
        verdicts = [parse(case, heard, order) for order in ORDERS]
        pairs = {"mode": "pair", "reference": True}
        found = tuple(aggregate(verdicts, {**pairs, "rule": rule}).preference for rule in ("mean", "agree"))
        if found != (mean, agree):
            faults.append(f"{replies}: {found}, not {(mean, agree)}")
    return faults
