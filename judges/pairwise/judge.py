"""Which of two answers is better? Both orders, one letter, read from its log-probabilities where they are given."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from string import Template

from evalsuite.errors import JudgeError
from evalsuite.judging.contract import ORDERS, Answer, Case, Outcome, Placement, Verdict, mean_over_orders, pair
from evalsuite.records import Completion, Completions, Message, Request, Sampling, system, user
from evalsuite.scoring.verdicts import choice_letter

JUDGE = {"version": 1, "protocol": "pairwise", "answers": [2, 2]}

LETTERS = "ABC"  # C is a tie
SAMPLING = Sampling(max_tokens=32, temperature=0.0, top_logprobs=10)
TAGS = re.compile(r"<(?=\s*/?\s*(?:conversation|user|assistant|system|answer[\s_-]*[ab])\b)", re.IGNORECASE)
VERDICT = re.compile(r"\[(?=\[\s*[a-z]{1,3}\s*\]\])", re.IGNORECASE)
MARKS = " \t\n\r*_`'\"“”.:()[]"


def requests(case: Case) -> list[Request]:
    """One request for each order; none where the answers are the same text. Raises JudgeError for images."""
    if case.a == case.b:
        return []
    return [
        Request("generate", (system(_file("system.md")), user(_prompt(case, *Placement(case, o).shown))), key=o,
                sampling=SAMPLING, role="judge")
        for o in ORDERS
    ]  # fmt: skip


def parse(case: Case, completions: Completions, key: str) -> Verdict | None:
    """The judge's own reply, and nothing else, decides; None where it names no letter or several."""
    verdict = reading(completions[key])
    return verdict and replace(verdict, order=key)


def reading(completion: Completion) -> Verdict | None:
    """What one reply says about the answer shown first."""
    letter = choice_letter(completion.text, LETTERS)
    if letter is None:
        return None
    expected = expectation(completion.top_logprobs, letter)
    if expected is not None:
        return Verdict(expected, "logprobs")
    return Verdict({"A": 1.0, "B": 0.0, "C": 0.5}[letter])


def aggregate(verdicts: Sequence[Verdict | None]) -> Outcome:
    """The mean over orders, labels mapped back, ties counted half."""
    return mean_over_orders(verdicts)


def expectation(steps: Sequence[Mapping[str, float]], letter: str) -> float | None:
    """Expected preference for the first answer where the reply's letter was drawn: (p(A) + p(C)/2) / (p(A)+p(B)+p(C)).
    None without log-probabilities of that token."""
    likeliest = [max(table, key=lambda t: table[t]) if table else "" for table in steps]
    places = [i for i, token in enumerate(likeliest) if token.strip(MARKS) == letter]
    if not places:
        return None
    # A reply that opens with its letter may name letters again when it explains; otherwise the verdict comes last.
    opening = all(not token.strip(MARKS) for token in likeliest[: places[0]])
    mass = dict.fromkeys(LETTERS, 0.0)
    for token, value in steps[places[0] if opening else places[-1]].items():
        if token.strip(MARKS) in mass:
            mass[token.strip(MARKS)] += math.exp(value)
    return min(1.0, (mass["A"] + mass["C"] / 2) / sum(mass.values()))


def escape(text: str) -> str:
    """Text that can neither close its tag nor open another one, and that holds no verdict in our parser's brackets."""
    return VERDICT.sub("[ ", TAGS.sub("&lt;", text))


def _prompt(case: Case, first: str, second: str) -> str:
    fields = {"conversation": _conversation(case), "first": escape(first), "second": escape(second)}
    return Template(_file("prompt.md")).substitute(fields)


def _conversation(case: Case) -> str:
    turns = [(m["role"], escape(_text(case, m))) for m in case.messages]
    if len(turns) == 1:
        return turns[0][1]
    return "\n".join(f"<{role}>\n{text}\n</{role}>" for role, text in turns)


def _text(case: Case, message: Message) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    if any(part.get("type") != "text" for part in content):
        raise JudgeError(f"sample {case.id}: has an image, and the judge 'pairwise' reads text only")
    return "".join(str(part["text"]) for part in content)


@cache
def _file(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8").strip()


def read(reply: str) -> float | None:
    """A reply's preference for the first answer, by its text."""
    verdict = reading(Completion(text=reply))
    return None if verdict is None else verdict.value


PARSER = {
    "function": read,
    "table": [
        ("A", 1.0),
        ("**B**", 0.0),
        ("C", 0.5),
        ("[[A]]", 1.0),
        ("This is a B", 0.0),
        ("Answer: (b)", 0.0),
        ("A is better than B.", 1.0),
        ("B\n\nIt keeps the length limit; A does not.", 0.0),
        ("Both are good.", None),
        ("A or B", None),
        ("[[A]] [[B]]", None),
        ("A is not better than B", None),
        ("Absolutely!", None),
        ("Bad", None),
        ("CORRECT", None),
        ("NOT CORRECT", None),
        ("", None),
        ("I'm sorry, but I can't compare these answers.", None),
    ],
}


def replay() -> list[str]:
    """Recorded replies to both orders of one case must give these outcomes."""
    recorded = [
        (("A", "B"), 1.0, True),  # names the same answer whatever its place
        (("B", "A"), 0.0, True),
        (("A", "A"), 0.5, False),  # names a place
        (("C", "C"), 0.5, True),
        (("A", "C"), 0.75, False),
        (("A", "Both"), None, None),
    ]
    faults = []
    case = pair("recorded", (user("Question"),), Answer("one"), Answer("two"))
    for replies, preference, consistent in recorded:
        completions = Completions({o: [Completion(text=reply)] for o, reply in zip(ORDERS, replies, strict=True)})
        placed = [parse(case, completions, order) for order in ORDERS]
        if aggregate(placed) != Outcome(preference, consistent):
            faults.append(f"{replies}: {aggregate(placed)}, not {preference}, consistent {consistent}")
    return faults
