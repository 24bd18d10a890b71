"""What a reader of logs hands over: logs with tasks, tasks with the log's own figures and, where it has them, answers.

Names are the harness's own. `task_id` makes the id under which a foreign task stands here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evalsuite.errors import InputError
from evalsuite.records import Completion, Score

LONGEST = 200
"""Characters of a name in a log."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One sample in one repeat, as the log has it. `finish` is None where the log does not say how the text ended.
    `judged`: another model gave the scores."""

    sample: str
    repeat: int
    question: str
    prompt: str
    completions: tuple[Completion, ...]
    target: Any
    metadata: Mapping[str, Any]
    scores: Mapping[str, Score]
    finish: str | None = None
    judged: bool = False
    place: str = ""  # file and line, for faults


@dataclass(frozen=True, slots=True)
class Claim:
    """A figure as the log itself gives it. `mean`: the log says that it is the mean of the samples' scores."""

    metric: str
    value: float
    stderr: float | None = None
    n: int = 0
    mean: bool = False


@dataclass(frozen=True)
class ForeignTask:
    """`answers` gives every row (read when it is called); None where the log has none. `expected`: how many samples the
    log says there are. `protocol` is everything that makes the prompts, whatever model reads them; `sampling` how the
    task wants its texts drawn."""

    id: str
    name: str
    version: int | str
    claims: Sequence[Claim]
    answers: Callable[[], list[Answer]] | None
    primary: str
    lower: frozenset[str] = frozenset()
    expected: int = 0
    protocol: Any = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    judged: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ForeignLog:
    """One log. `model` are the manifest's fields of a model, `settings` those of the run (sampling, seed, limit, ...).
    `files` are the files read, `notes` what could not be taken over."""

    harness: str
    version: str
    path: Path
    files: Sequence[Path]
    model: Mapping[str, Any]
    settings: Mapping[str, Any]
    roles: Mapping[str, Any]
    tasks: Sequence[ForeignTask]
    finished: str
    notes: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)


def task_id(harness: str, name: str, version: int | str, variant: str = "") -> str:
    return f"{harness}:{name}@{version}" + (f":{variant}" if variant else "")


def checked_name(path: Path, what: str, value: Any) -> str:
    """A name out of a log: one line of at most 200 printable characters. Raises InputError naming file and field."""
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST or not value.isprintable():
        shown = repr(value)[:60]
        raise InputError(f"{path}: {what} {shown} is no name (one line of 1 to {LONGEST} printable characters)")
    return value


def whole_version(value: Any) -> int | str:
    """A version as it is written: 2.0 is 2, 2.1 stays 2.1; "unversioned" where the log has none."""
    if isinstance(value, bool) or value is None or value == "":
        return "unversioned"
    if isinstance(value, int | float):
        return int(value) if float(value).is_integer() else repr(float(value))
    text = str(value)[:40]
    return text if text.isprintable() and not set(text) & set("@:/ ") else "unversioned"


def model_fields(
    address: str, fingerprint: str, backend: str, template: tuple[str, str | None], system: str | None, **more: Any
) -> dict[str, Any]:
    """The manifest's fields of a model whose weights nobody here has seen. A log names a checkpoint and does not prove
    it: the fingerprint is one of names, and can equal no fingerprint of weights."""
    short = address.replace("\\", "/").rstrip("/").rpartition("/")[2] or "model"
    return {
        "address": address,
        "name": short,
        "fingerprint": f"named-{fingerprint}",
        "identity": f"named-{fingerprint}",
        "backend": backend,
        "template": template[0],
        "template_hash": template[1],
        "system": system,
        "dtype": None,
        "args": {},
        "lineage": {"parent": None, "parent_name": None, "method": None, "data": None},
        **more,
    }
