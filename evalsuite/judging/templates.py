"""Judges without code: a folder with `judge.toml`, its prompts, and a card.

    about = "Is the answer polite?"          # one line, for `evalsuite list judges`
    version = 1
    protocol = "pointwise"                   # or "pairwise"
    scale = [1, 5]                           # pointwise: whole grades
    system = "system.md"                     # optional
    prompt = "prompt.md"                     # $conversation, $answer (pairwise: $first, $second), $reference,
                                             # $baseline, $criteria, $category
    needs = ["reference"]                    # files that a sample must have a line of
    explain = "no"                           # "no": the verdict alone; "first": reasons, then the verdict
    max_tokens = 16
    [labels]                                 # pairwise: what a reply may say → preference for the answer shown first
    A = 1.0
    B = 0.0
    C = 0.5
    [strength]                               # optional: how much a label counts in rankings that weigh clear wins
    [[parser]]                               # replies as they come, and what they must be read as; none: no `reads`
    reply = "4/5"
    reads = 4

Whatever is not the prompt's own words is quoted (quoting.py). With `explain = "no"` the reply begins with its verdict,
which is read from log-probabilities or likelihoods where they are given; with "first" only its text is read: labels and
grades in double brackets.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from string import Template
from typing import Any

from evalsuite.errors import JudgeError
from evalsuite.judging.contract import (
    ORDERS,
    Answer,
    Case,
    Outcome,
    Placement,
    Verdict,
    mean_grade,
    mean_over_orders,
    pair,
)
from evalsuite.judging.quoting import conversation, quote, tags_of
from evalsuite.judging.reading import label, number
from evalsuite.records import Completion, Completions, Request, Sampling, system, user

KEYS = {
    "about": str,
    "version": int,
    "protocol": str,
    "scale": list,
    "system": str,
    "prompt": str,
    "needs": list,
    "explain": str,
    "max_tokens": int,
    "labels": dict,
    "strength": dict,
    "parser": list,
    "files": list,
}
FIELDS = ("conversation", "answer", "first", "second", "reference", "baseline", "criteria", "category")


def beside(file: str) -> Callable[[str], str]:
    """What reads the prompts beside a judge's code, each once: `_file = beside(__file__)`; `_file("prompt.md")`."""
    folder = Path(file).parent

    @cache
    def read(name: str) -> str:
        return (folder / name).read_text(encoding="utf-8").strip()

    return read


@dataclass(frozen=True)
class TemplateJudge:
    """The functions of a judge, out of its table and prompts."""

    spec: Mapping[str, Any]
    folder: Path

    def requests(self, case: Case) -> list[Request]:
        """One request for each order of a pair, one for a single answer."""
        if not self.pairs:
            return [self._request(case, "grade", {"answer": case.a})]
        return [
            self._request(case, order, dict(zip(("first", "second"), Placement(case, order).shown, strict=True)))
            for order in ORDERS
        ]

    def parse(self, case: Case, completions: Completions, key: str) -> Verdict | None:
        """The label or the grade that the reply gives."""
        if not self.pairs:
            low, high = self.spec["scale"]
            return number(completions, key, low, high)
        verdict = label(completions, key, self.spec["labels"])
        if verdict is None:
            return None
        strength = self.spec.get("strength", {})
        named = str(verdict.details.get("label"))
        details = {"label": named, "strength": strength[named]} if named in strength else {}
        return replace(verdict, order=key, details=details)

    @property
    def pairs(self) -> bool:
        return bool(self.spec["protocol"] == "pairwise")

    @property
    def PARSER(self) -> dict[str, Any]:
        """The table of replies, for `evalsuite check`."""
        rows = [(row["reply"], row.get("reads")) for row in self.spec.get("parser", [])]
        return {"function": self._reader(), "table": rows}

    def replay(self) -> list[str]:
        """A pair's labels, said in both orders: the same answer named twice is that answer's win, a place named twice
        is none. Recorded replies are the labels themselves."""
        if not self.pairs:
            return []
        faults = []
        case = pair("recorded", (user("Question"),), Answer("one"), Answer("two"))
        for here, first in self.spec["labels"].items():
            for there, second in self.spec["labels"].items():
                replies = [Completion(text=f"[[{text}]]") for text in (here, there)]
                said = Completions({o: [reply] for o, reply in zip(ORDERS, replies, strict=True)})
                found = mean_over_orders([self.parse(case, said, order) for order in ORDERS])
                if found.preference is None or abs(found.preference - (first + 1 - second) / 2) > 1e-9:
                    faults.append(f"{here} then {there}: {found.preference}, not {(first + 1 - second) / 2:g}")
        return faults

    def aggregate(self, verdicts: Sequence[Verdict | None]) -> Outcome:
        """The mean over orders, or over repeats."""
        return mean_over_orders(verdicts) if self.pairs else mean_grade(verdicts)

    def _reader(self) -> Callable[[str], float | None]:
        def read(reply: str) -> float | None:
            """A reply's preference for the first answer, or its grade."""
            case = pair("recorded", (user("Question"),), Answer("one"), Answer("two"))
            verdict = self.parse(case, Completions({"ab": [Completion(text=reply)]}), "ab")
            return None if verdict is None else verdict.value

        return read

    def _request(self, case: Case, key: str, answers: Mapping[str, str]) -> Request:
        given = {
            "reference": case.reference or "",
            "baseline": case.baseline.text if case.baseline else "",
            "criteria": "\n".join(f"{i}. {c.text}" for i, c in enumerate(case.criteria, start=1)),
            "category": case.category,
            **answers,
        }
        fields = {name: quote(text, self._tags) for name, text in given.items()}
        fields["conversation"] = conversation(case.conversation(), self._tags)
        opening = (system(self._system),) if self._system else ()
        messages = (*opening, user(self._prompt.substitute(fields)))
        sampling = Sampling(max_tokens=self.spec["max_tokens"], temperature=0.0, top_logprobs=10 if self._short else 0)
        words = self._words if self._short else ()
        return Request("generate", messages, key=key, continuations=words, sampling=sampling, role="judge")

    @property
    def _short(self) -> bool:
        """Whether the reply begins with its verdict."""
        return bool(self.spec["explain"] == "no")

    @property
    def _words(self) -> tuple[str, ...]:
        if self.pairs:
            return tuple(self.spec["labels"])
        low, high = self.spec["scale"]
        return tuple(map(str, range(low, high + 1)))

    @cached_property
    def _prompt(self) -> Template:
        return Template(_text(self.folder / self.spec["prompt"]))

    @cached_property
    def _tags(self) -> frozenset[str]:
        return tags_of(self._system + self._prompt.template)

    @cached_property
    def _system(self) -> str:
        return _text(self.folder / self.spec["system"]) if self.spec["system"] else ""


def load(path: Path, table: Mapping[str, Any]) -> TemplateJudge:
    """The judge of a `judge.toml`. Raises JudgeError naming the file, the key and what is wanted."""
    defaults = {"system": "", "prompt": "prompt.md", "explain": "no", "max_tokens": 16, "needs": []}
    spec = {**defaults, **table}
    fault = _fault(spec, path.parent)
    if fault:
        raise JudgeError(f"{path}: {fault}")
    return TemplateJudge(spec, path.parent)


def _fault(spec: Mapping[str, Any], folder: Path) -> str:
    for key, value in spec.items():
        if key not in KEYS:
            return f"unknown key '{key}' (known: {', '.join(KEYS)})"
        if not isinstance(value, KEYS[key]):
            return f"'{key}' is {type(value).__name__}, not {KEYS[key].__name__}"
    if spec.get("protocol") not in ("pairwise", "pointwise"):
        return f"'protocol' is {spec.get('protocol')!r}; 'pairwise' or 'pointwise' is wanted (others need a judge.py)"
    if spec["explain"] not in ("no", "first"):
        return f"'explain' is {spec['explain']!r}; 'no' or 'first' is wanted"
    if spec["max_tokens"] < 1:
        return "'max_tokens' must be at least 1"
    pairs = spec["protocol"] == "pairwise"
    labels, scale = spec.get("labels", {}), spec.get("scale", [])
    if pairs and not (len(labels) > 1 and all(_number(v) and 0 <= v <= 1 for v in labels.values())):
        return "'labels' wants two or more words with their preference for the answer shown first, from 0 to 1"
    if not pairs and not (len(scale) == 2 and all(type(n) is int for n in scale) and scale[0] < scale[1]):
        return "'scale' wants two whole numbers, the lowest grade and the highest"
    return _prompt_fault(spec, folder)


def _prompt_fault(spec: Mapping[str, Any], folder: Path) -> str:
    for key in ("system", "prompt"):
        if spec[key] and not (folder / spec[key]).is_file():
            return f"'{key}': there is no file {spec[key]} beside it"
    prompt = Template(_text(folder / spec["prompt"]))
    if not prompt.is_valid():
        return f"{spec['prompt']} has a '$' that begins no field (write $$ for a dollar)"
    named = set(prompt.get_identifiers())
    odd = sorted(named - set(FIELDS))
    if odd:
        return f"{spec['prompt']} has an unknown field ${odd[0]} (known: {', '.join(FIELDS)})"
    wanted = {"first", "second"} if spec["protocol"] == "pairwise" else {"answer"}
    lacking = sorted((wanted | set(spec["needs"]) & set(FIELDS)) - named)
    return f"{spec['prompt']} never shows ${lacking[0]}" if lacking else ""


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()
