"""Which of two answers follows the request better? The way of comparing is chosen by category, from a table.

HREF (arXiv 2412.15524): agreement with people decided for each category whether a judge sees the human answer, does not
see it, or is not asked at all because likeness to the human answer agrees better. The table is `routing.toml`, with
several suites; `routes` changes single lines. Without an embedder the likeness is overlap of words (`likeness`:
rouge1, rouge2, rougeL), deterministic. `none` says what a missing verdict counts as: exclude, tie, loss (HREF).
"""

import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from string import Template
from typing import Any

from evalsuite.errors import JudgeError
from evalsuite.judging.contract import ORDERS, Answer, Case, Outcome, Placement, Verdict, mean_over_orders
from evalsuite.judging.quoting import conversation, quote
from evalsuite.judging.reading import label
from evalsuite.judging.templates import beside
from evalsuite.records import Completion, Completions, Request, Sampling, system, user

JUDGE: dict[str, Any] = {
    "version": 1,
    "protocol": "href",
    "answers": [2, 2],
    "files": ["system.md", "prompt.md", "prompt_reference.md", "routing.toml"],
    "options": {"suite": "href", "routes": "", "likeness": "rouge1", "none": "exclude"},
}

Options = Mapping[str, Any]
METHODS = ("reference", "judge", "similarity")
MISSING = {"exclude": None, "tie": 0.5, "loss": 0.0}
LETTERS = {"A": 1.0, "B": 0.0, "C": 0.5}
SAMPLING = Sampling(max_tokens=16, temperature=0.0, top_logprobs=10)
# Scripts without blanks between words: each character is a word.
_UNSPACED = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_file = beside(__file__)


def decide(case: Case, options: Options = JUDGE["options"]) -> Verdict | None:
    """Categories of the method "similarity": the answer closer to the reference wins, equally close ones tie."""
    if route(case, options) != "similarity":
        return None
    if not case.reference:
        raise JudgeError(f"judge href: sample {case.id} ({case.category}) has no reference; give --references FILE")
    near = [likeness(a.text, case.reference, options["likeness"]) for a in case.answers]
    value = 0.5 + ((near[0] > near[1]) - (near[0] < near[1])) / 2
    return Verdict(value, "none", "ab", details={"method": "similarity", "likeness": [round(n, 6) for n in near]})


def requests(case: Case, options: Options = JUDGE["options"]) -> list[Request]:
    """One request for each order, with the human answer where the category's method says so; none for similarity.
    Raises JudgeError where a reference is missing."""
    method = route(case, options)
    if method == "similarity":
        return []
    if method == "reference" and not case.reference:
        raise JudgeError(f"judge href: sample {case.id} ({case.category}) has no reference; give --references FILE")
    return [_request(case, order, method) for order in ORDERS]


def parse(case: Case, completions: Completions, key: str, options: Options = JUDGE["options"]) -> Verdict | None:
    """The one letter that the reply names, by its log-probabilities where they are given."""
    verdict = label(completions, key, LETTERS)
    return verdict and replace(verdict, order=key, details={**verdict.details, "method": route(case, options)})


def aggregate(verdicts: Sequence[Verdict | None], options: Options = JUDGE["options"]) -> Outcome:
    """The mean over orders; a missing verdict counts as `none` says, for the first answer."""
    worth = MISSING[options["none"]]
    if worth is None:
        return mean_over_orders(verdicts)
    given = [worth if v is None else v.preference for v in verdicts]
    return Outcome(sum(given) / len(given) if given else None, mean_over_orders(verdicts).consistent)


def route(case: Case, options: Options = JUDGE["options"]) -> str:
    """The method of a case's category. Raises JudgeError for a table that names an unknown suite or method."""
    table = _table(options["suite"], options["routes"])
    if options["likeness"] not in LIKENESS or options["none"] not in MISSING:
        raise JudgeError(
            f"judge href: likeness is one of {', '.join(LIKENESS)}, none one of {', '.join(MISSING)}; "
            f"not {options['likeness']} and {options['none']}"
        )
    return table.get(_plain(case.category), table["default"])


@cache
def _table(suite: str, routes: str) -> dict[str, str]:
    suites = tomllib.loads(_file("routing.toml"))["suites"]
    if suite not in suites:
        raise JudgeError(f"judge href: --judge-args suite={suite}: routing.toml has {', '.join(suites)}")
    table = {_plain(category): method for category, method in suites[suite].items()}
    for change in filter(None, (part.strip() for part in routes.split(";"))):
        category, _, method = change.rpartition(":")
        table[_plain(category)] = method.strip()
    odd = next((f"{c}: {m}" for c, m in table.items() if m not in METHODS or not c), None)
    if odd or "default" not in table:
        raise JudgeError(
            f"judge href: suite {suite}, '{odd or 'no default'}': a route is CATEGORY: {' or '.join(METHODS)}"
        )
    return table


def _plain(category: str) -> str:
    """ "Open QA", "open_qa" and "open-qa" are one category."""
    return " ".join(re.findall(r"[^\W_]+", category.lower()))


def likeness(text: str, reference: str, kind: str = "rouge1") -> float:
    """F1 of the words ("rouge1"), pairs of words ("rouge2") or longest common subsequence ("rougeL") of two texts, in
    [0, 1] (Lin, 2004); case and marks do not count."""
    return LIKENESS[kind](_WORD.findall(text.lower()), _WORD.findall(reference.lower()))


def _ngrams(a: Sequence[str], b: Sequence[str], n: int) -> float:
    ours, theirs = (Counter(zip(*(words[i:] for i in range(n)), strict=False)) for words in (a, b))
    return _f1((ours & theirs).total(), ours.total(), theirs.total())


def _longest(a: Sequence[str], b: Sequence[str]) -> float:
    row = [0] * (len(b) + 1)
    for x in a:
        corner = 0
        for j, y in enumerate(b, start=1):
            corner, row[j] = row[j], corner + 1 if x == y else max(row[j], row[j - 1])
    return _f1(row[-1], len(a), len(b))


def _f1(shared: int, ours: int, theirs: int) -> float:
    return 2 * shared / (ours + theirs) if shared else 0.0


LIKENESS = {"rouge1": lambda a, b: _ngrams(a, b, 1), "rouge2": lambda a, b: _ngrams(a, b, 2), "rougeL": _longest}


def _request(case: Case, order: str, method: str) -> Request:
    first, second = Placement(case, order).shown
    fields = {"conversation": conversation(case.messages), "first": quote(first), "second": quote(second)}
    name = "prompt.md"
    if method == "reference":
        name, fields["reference"] = "prompt_reference.md", quote(case.reference or "")
    messages = (system(_file("system.md")), user(Template(_file(name)).substitute(fields)))
    words = tuple(LETTERS)
    return Request("generate", messages, key=order, continuations=words, sampling=SAMPLING, role="judge")


def read(reply: str) -> float | None:
    """A reply's preference for the first answer, by its text."""
    verdict = label(Completions({"ab": [Completion(text=reply)]}), "ab", LETTERS)
    return None if verdict is None else verdict.value


PARSER = {
    "function": read,
    "table": [
        ("A", 1.0),
        ("**B**", 0.0),
        ("(c)", 0.5),
        ("[[A]]", 1.0),
        ("B\n\nIt is closer to the reference.", 0.0),
        ("A or B", None),
        ("[[A]] [[B]]", None),
        ("A is not better than B", None),
        ("Both are good.", None),
        ("", None),
        ("I'm sorry, but I can't compare these answers.", None),
    ],
}


def replay() -> list[str]:
    """Routes and recorded replies must give these outcomes, by each way to count a missing verdict."""
    answers = (Answer("He keeps a cat.", "x"), Answer("Nobody knows.", "y"))
    case = Case("r", (user("Which pet?"),), answers, category="Open QA", reference="A cat.")
    faults = []
    near = decide(case)
    if near is None or near.value != 1.0 or requests(case):
        faults.append(f"Open QA by similarity: {near}")
    recorded = [(("A", "B"), (1.0, 1.0, 1.0)), (("A", "A"), (0.5, 0.5, 0.5)), (("A", "?"), (None, 0.75, 0.5))]
    for replies, wanted in recorded:
        heard = Completions({o: (Completion(text),) for o, text in zip(ORDERS, replies, strict=True)})
        verdicts = [parse(case, heard, order) for order in ORDERS]
        found = tuple(aggregate(verdicts, {"none": none}).preference for none in ("exclude", "tie", "loss"))
        if found != wanted:
            faults.append(f"{replies}: {found}, not {wanted}")
    return faults
