"""What stands beside an answer: questions, baseline, references, auxiliary answers, criteria, categories.

Each file is matched to the samples by id where both have one, else by the user's turns, white space aside.

* references: {"id" or prompt, "reference": text or [one for each turn]}, or a file of answers (a person's, say)
* criteria: {"id" or prompt, "criteria": [text or {"text", "weight", "kind", "name"}, ...]}; rows that are criteria
  themselves ({"text", "weight", "kind"}) hold for every sample
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from evalsuite.backends.responses import IDS, Key, Response, prompts_of, read_responses, same
from evalsuite.data.files import read_rows
from evalsuite.errors import InputError
from evalsuite.judging.contract import Answer, Case, Criterion

KINDS = ("principle", "hard")


@dataclass(frozen=True)
class Sources:
    """What a command names: `responses` of the models that are judged; `questions` for files that hold ids only;
    `baseline`, `references`, `auxiliary`, `criteria` beside them; `category`: a field of the questions (of the first
    answers, where no questions are given), None for none. `limit`: the first prompts."""

    responses: tuple[Path, ...]
    questions: Path | None = None
    baseline: Path | None = None
    references: Path | None = None
    auxiliary: tuple[Path, ...] = ()
    criteria: Path | None = None
    category: str | None = None
    limit: int | None = None


@dataclass(frozen=True)
class Beside:
    """Values by (id, turn) and by the user's turns; `always` where neither is known."""

    by_id: Mapping[tuple[str, int], Any] = field(default_factory=dict)
    by_turns: Mapping[Key, Any] = field(default_factory=dict)
    always: Any = None

    def find(self, identity: str, turn: int, asked: Key) -> Any:
        found = self.by_id.get((identity, turn))
        if found is None and self.by_turns:
            found = self.by_turns.get(tuple(same(text) for text in asked))
        return self.always if found is None else found


@dataclass(frozen=True)
class Material:
    """Everything that stands beside the answers of a command, ready to be looked up."""

    baseline: Beside
    references: Beside
    auxiliary: tuple[Beside, ...]
    criteria: Beside
    categories: Beside

    @classmethod
    def read(cls, sources: Sources, first: Path) -> "Material":
        """Raises InputError naming file and row where one cannot be read."""
        return cls(
            baseline=_answers(sources.baseline),
            references=_references(sources.references),
            auxiliary=tuple(_answers(path) for path in sources.auxiliary),
            criteria=_criteria(sources.criteria),
            categories=_categories(sources.questions or first, sources.category),
        )

    def add(self, case: Case, identity: str, turn: int, asked: Key) -> Case:
        """The case with what is known beside it."""
        where = (identity, turn, asked)
        earlier = [self.references.find(identity, t, asked[:t]) for t in range(1, turn)]
        return replace(
            case,
            baseline=self.baseline.find(*where),
            reference=self.references.find(*where),
            auxiliary=tuple(a for beside in self.auxiliary if (a := beside.find(*where)) is not None),
            criteria=self.criteria.find(*where) or (),
            category=self.categories.find(identity, 1, asked[:1]) or "",
            metadata={"references": earlier} if any(earlier) else {},
        )


def questions_of(path: Path) -> dict[str, Key]:
    """Prompts by id: {"id" or its kin, "prompt" or its kin}, or MT-Bench's {"question_id", "turns"}."""
    found = {}
    for number, row in enumerate(read_rows(path), start=1):
        identity, turns = _named(row), _turns(row)
        if identity is None or not turns:
            raise InputError(f"{path}: row {number}: needs an id and a prompt")
        found[identity] = turns
    return found


def _answers(path: Path | None) -> Beside:
    """A model's answers, the first to each prompt."""
    if path is None:
        return Beside()
    rows = read_responses(path)
    stem = path.name.removesuffix(".gz").rsplit(".", 1)[0]
    return _beside([(row, Answer(row.text, row.model or stem)) for row in rows])


def _references(path: Path | None) -> Beside:
    if path is None:
        return Beside()
    rows = read_rows(path)
    if not any("reference" in row for row in rows):
        return _beside([(row, row.text) for row in read_responses(path)])
    found: list[tuple[Response, str]] = []
    for number, row in enumerate(rows, start=1):
        given = row.get("reference")
        if given is None:
            continue
        texts = given if isinstance(given, list) else [given]
        identity, turns = _named(row), _turns(row)
        if not all(isinstance(text, str) for text in texts) or not (identity or turns):
            raise InputError(f"{path}: row {number}: needs an id or a prompt, and a reference in words")
        found += [(Response(t, identity, turns[:i] or turns, turn=i), t) for i, t in enumerate(texts, start=1)]
    return _beside(found)


def _criteria(path: Path | None) -> Beside:
    if path is None:
        return Beside()
    shared: list[Criterion] = []
    found: list[tuple[Response, tuple[Criterion, ...]]] = []
    for number, row in enumerate(read_rows(path), start=1):
        where = f"{path}: row {number}"
        if "criteria" not in row:
            shared.append(_criterion(where, row))
            continue
        given = row["criteria"]
        identity, turns = _named(row), _turns(row)
        if not isinstance(given, list) or not given or not (identity or turns):
            raise InputError(f"{where}: needs an id or a prompt, and a list 'criteria' that is not empty")
        made = tuple(_criterion(f"{where}, criterion {i}", item) for i, item in enumerate(given, start=1))
        found.append((Response("", identity, turns), made))
    return replace(_beside(found), always=tuple(shared) or None)


def _criterion(where: str, given: Any) -> Criterion:
    if isinstance(given, str):
        given = {"text": given}
    text = given.get("text") or given.get("criterion") if isinstance(given, Mapping) else None
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"{where}: a criterion needs a 'text'")
    weight, kind = given.get("weight", 1.0), given.get("kind", "principle")
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < float("inf"):
        raise InputError(f"{where}: 'weight' is {weight!r}; a number above 0 is wanted")
    if kind not in KINDS:
        raise InputError(f"{where}: 'kind' is {kind!r}; one of {', '.join(KINDS)} is wanted")
    return Criterion(text.strip(), float(weight), kind, str(given.get("name", "")))


def _categories(path: Path, name: str | None) -> Beside:
    """A field of the questions' rows; without a name "category" where they have it."""
    wanted = name or "category"
    rows = [
        (Response("", _named(row), _turns(row)[:1]), str(row[wanted]))
        for row in read_rows(path)
        if row.get(wanted) is not None
    ]
    if name is not None and not rows:
        raise InputError(f"--categories {name}: no row of {path} has this field")
    return _beside(rows)


def _beside(rows: Sequence[tuple[Response, Any]]) -> Beside:
    """The first value of each id and turn, and of each prompt."""
    by_id: dict[tuple[str, int], Any] = {}
    by_turns: dict[Key, Any] = {}
    for row, value in rows:
        if row.id is not None:
            by_id.setdefault((row.id, row.turn), value)
        if row.turns:
            by_turns.setdefault(tuple(same(turn) for turn in row.turns), value)
    return Beside(by_id, by_turns)


def _named(row: Mapping[str, Any]) -> str | None:
    return next((str(row[key]) for key in IDS if row.get(key) is not None), None)


def _turns(row: Mapping[str, Any]) -> Key:
    return tuple(map(str, row["turns"])) if isinstance(row.get("turns"), list) else prompts_of(row)
