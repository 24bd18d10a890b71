"""A judge by its name: its functions, its options, and the identity that its figures carry.

A judge is a folder of `judges/` (ours, an installed package's, or one of `--plugins DIR`) with a `judge.py`, or with a
`judge.toml` and prompt files (templates.py). `JUDGE` (the table of the TOML file) has the keys

* version: raised whenever a verdict could move; protocol: "pairwise", "pointwise", ... (a word, by which rows group)
* answers: [least, most] answers of a case, or {option: {its value: [least, most]}}
* needs: of "reference", "baseline", "auxiliary", "criteria"
* scale: [lowest, highest] grade; files: prompt files beside the `*.md` that belong to the identity
* options: {name: default}: the judge's functions then take a keyword `options`
* models: least number of judge models; `convened(annotations)` of such a judge makes common rows out of theirs
* shortcuts: false where empty and identical answers are asked about like others

>>> judge = find("pairwise", {})
>>> judge.identity                                                                               # doctest: +SKIP
'pairwise/1#7d1c0a52'
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from evalsuite import registry
from evalsuite.data import fingerprint
from evalsuite.errors import EvalsuiteError, InputError, JudgeError, unknown
from evalsuite.judging import templates
from evalsuite.judging.contract import (
    Annotation,
    Answer,
    Case,
    Criterion,
    Outcome,
    Reading,
    Verdict,
    mean_grade,
    mean_over_orders,
)
from evalsuite.records import Completions, Request, user

NEEDS = ("reference", "baseline", "auxiliary", "criteria")
TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Judge:
    """A judge ready to be asked. `functions` has `requests`, `parse` and, where they differ from the usual ones,
    `follow_up` and `aggregate`; `options` are its defaults with the user's changes."""

    name: str
    spec: Mapping[str, Any]
    functions: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None

    def requests(self, case: Case) -> list[Request]:
        """What is asked first."""
        return list(self._call("requests", case))

    def follow_up(self, case: Case, completions: Completions) -> list[Request]:
        """What is asked next, out of the replies that were understood; none where the judge has one stage."""
        return list(self._call("follow_up", case, completions)) if hasattr(self.functions, "follow_up") else []

    def decide(self, case: Case) -> tuple[Verdict, ...]:
        """Verdicts that need no model (`decide`, where the judge has it); none where a model is to be asked."""
        found = self._call("decide", case) if hasattr(self.functions, "decide") else None
        return (found,) if isinstance(found, Verdict) else tuple(found or ())

    def parse(self, case: Case, completions: Completions, key: str) -> Reading:
        """What the reply called `key` says."""
        read: Reading = self._call("parse", case, completions, key)
        return read

    def aggregate(self, verdicts: Sequence[Verdict | None]) -> Outcome:
        """A case decided out of all verdicts on it."""
        if hasattr(self.functions, "aggregate"):
            outcome: Outcome = self._call("aggregate", verdicts)
            return outcome
        return mean_over_orders(verdicts) if self.pairs else mean_grade(verdicts)

    def convened(self, annotations: Sequence[Annotation]) -> list[Annotation]:
        """What several judge models say together, out of all their rows; nothing where each speaks for itself."""
        return list(self._call("convened", annotations)) if hasattr(self.functions, "convened") else []

    @property
    def protocol(self) -> str:
        return str(self.spec["protocol"])

    @cached_property
    def answers(self) -> tuple[int, int]:
        """Least and most answers of a case."""
        found = self.spec.get("answers", (2, 2) if self.protocol == "pairwise" else (1, 1))
        if isinstance(found, Mapping):
            option, table = next(iter(found.items()))
            if self.options[option] not in table:
                wanted = ", ".join(table)
                raise JudgeError(f"--judge-args {option}={self.options[option]}: judge {self.name} takes {wanted}")
            found = table[self.options[option]]
        return int(found[0]), int(found[1])

    @cached_property
    def pairs(self) -> bool:
        """Whether it compares two answers."""
        return self.answers == (2, 2)

    @cached_property
    def needs(self) -> tuple[str, ...]:
        return tuple(self.spec.get("needs", ()))

    @cached_property
    def scale(self) -> tuple[float, float] | None:
        """Lowest and highest grade; None for judges that give no grades."""
        found = self.spec.get("scale")
        return (float(found[0]), float(found[1])) if found else None

    @cached_property
    def identity(self) -> str:
        """name/version#hash. The hash covers prompts, sampling and options: another prompt is another judge."""
        asked = [r.plain() for r in probed(self)]
        parts = [dict(self.spec), dict(self.options), _prompts(self), asked]
        return f"{self.name}/{self.spec['version']}#{fingerprint(parts)[:8]}"

    def check(self, case: Case) -> None:
        """Raises JudgeError where a case has not what the judge needs."""
        least, most = self.answers
        if not least <= len(case.answers) <= most:
            wanted = f"{least}" if least == most else f"{least} to {most}"
            raise JudgeError(f"judge {self.name}: sample {case.id} has {len(case.answers)} answers; it takes {wanted}")
        for need in self.needs:
            if not getattr(case, need):
                option = {"reference": "--references", "criteria": "--criteria"}.get(need, f"--{need}")
                raise JudgeError(f"judge {self.name}: sample {case.id} has no {need}; give {option} FILE")

    def _call(self, name: str, *arguments: Any) -> Any:
        function: Callable[..., Any] = getattr(self.functions, name)
        if "options" in self.spec and "options" in inspect.signature(function).parameters:
            return function(*arguments, options=self.options)
        return function(*arguments)


def find(name: str, options: Mapping[str, str] | None = None) -> Judge:
    """A judge by its name, with `--judge-args`. Raises InputError or JudgeError naming what is wrong, and the nearest
    names where there is none of this name."""
    known = registry.judges()
    if name not in known:
        if name in (broken := registry.broken("judges")):
            raise InputError(broken[name])
        raise unknown("judge", name, known)
    path, spec, _ = known[name]
    for key in ("version", "protocol"):
        if key not in spec:
            raise JudgeError(f"{path}: JUDGE needs a '{key}'")
    odd = [n for n in spec.get("needs", ()) if n not in NEEDS]
    if odd:
        raise JudgeError(f"{path}: 'needs' holds {odd[0]!r}; known: {', '.join(NEEDS)}")
    if path.suffix == ".toml":
        functions: Any = templates.load(path, spec)
        spec = functions.spec
    else:
        functions = registry.load_module(path, "judge")
    return Judge(name, spec, functions, _options(name, spec.get("options", {}), options or {}), path.parent)


def _options(name: str, defaults: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """The defaults with the user's changes, each of its default's type."""
    found = dict(defaults)
    for key, text in given.items():
        if key not in defaults:
            known = ", ".join(defaults) or "none"
            raise JudgeError(f"--judge-args {key}={text}: judge {name} has no such option (it has: {known})")
        found[key] = _typed(f"--judge-args {key}", defaults[key], text)
    return found


def _typed(what: str, default: Any, text: str) -> Any:
    try:
        if isinstance(default, bool):
            return TRUTH[text.strip().lower()]
        if isinstance(default, list | tuple):
            return [_typed(what, default[0] if default else "", part.strip()) for part in text.split(",")]
        return type(default)(text) if isinstance(default, int | float) else text
    except (KeyError, ValueError) as error:
        raise JudgeError(f"{what}={text}: a value like {default!r} is wanted") from error


def _prompts(judge: Judge) -> dict[str, str]:
    """Text of every prompt file of the judge's folder; its card is none."""
    if judge.folder is None:
        return {}
    names = {p.name for p in judge.folder.glob("*.md")} - {"README.md"} | set(judge.spec.get("files", ()))
    return {name: (judge.folder / name).read_text(encoding="utf-8") for name in sorted(names)}


def probed(judge: Judge) -> list[Request]:
    """What the judge asks first about a fixed case that has everything: sampling and built-in words show in it."""
    answers = tuple(Answer(text, text) for text in ("one", "two", "three", "four")[: judge.answers[0]])
    case = Case(
        "probe",
        (user("question"),),
        answers,
        reference="reference",
        baseline=Answer("baseline", "baseline"),
        auxiliary=(Answer("first", "x"), Answer("second", "y"), Answer("third", "z")),
        criteria=(Criterion("clear", 2.0), Criterion("short", 1.0, "hard")),
    )
    try:
        return judge.requests(case)
    except EvalsuiteError:  # a judge of special cases: its files and options name it
        return []
