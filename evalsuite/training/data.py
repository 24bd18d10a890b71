"""Training data → rows, by kind: completions, pairs, lists, unpaired answers, prompts. Files in the field's shapes.

Pairs come through `preferences.loading`, so every shape that `evalsuite preferences` reads can be trained on.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from evalsuite.data.files import iter_rows
from evalsuite.errors import InputError
from evalsuite.records import Message, assistant, user
from evalsuite.training.contract import Kind, Row, Unusable

KINDS: tuple[Kind, ...] = ("completions", "pairs", "lists", "unpaired", "prompts")
Read = Callable[[Mapping[str, Any], str], Row]


COLUMNS = ("margin", "gap", "weight", "p")
"""Numbers of a pair that losses may ask for."""


def read(source: str | Path, kind: Kind, limit: int | None = None, skipped: Counter[str] | None = None) -> list[Row]:
    """All rows of a file or folder (pairs also of a Hub id). Rows that do not have the columns are counted in `skipped`
    where that is given. Raises InputError naming file, row and field otherwise, and where no row is left."""
    rows = []
    for row in _pairs(source, limit, skipped) if kind == "pairs" else _rows(Path(source), READERS[kind], limit):
        if isinstance(row, Row):
            rows.append(row)
        elif skipped is None:
            raise row
        else:
            skipped[row.reason] += 1
    if not rows:
        counted = f" that can be read ({', '.join(f'{why}: {n}' for why, n in skipped.items())})" if skipped else ""
        raise InputError(f"{source}: has no rows{counted}")
    return rows


def _rows(path: Path, read_one: Read, limit: int | None) -> Iterator[Row | Unusable]:
    """Each row, or what is wrong with it."""
    if not path.exists():
        raise InputError(f"--data {path}: no such file or folder")
    left = limit
    for file in sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]:
        for number, raw in enumerate(iter_rows(file), start=1):
            if left is not None and left <= 0:
                return
            left = None if left is None else left - 1
            where = f"{file}: row {number}"
            try:
                yield replace(read_one(raw, where), where=where)
            except Unusable as error:
                yield error


def _pairs(source: str | Path, limit: int | None, skipped: Counter[str] | None) -> Iterator[Row | Unusable]:
    from evalsuite.preferences.loading import Loading, load

    for number, pair in enumerate(load(source, Loading(limit=limit, swap=False, unreadable=skipped)), start=1):
        if pair.preference is None:
            continue
        where = f"{source}: pair {number}" + (f" (id {pair.id})" if pair.id != str(number - 1) else "")
        best = "a" if pair.preference >= 0.5 else "b"
        answers = (pair.a, pair.b) if best == "a" else (pair.b, pair.a)
        tie = (1.0, 1.0) if pair.preference == 0.5 else (1.0, 0.0)
        try:
            columns = _columns(pair.metadata, best, where)
        except Unusable as error:
            yield error
            continue
        if pair.ratings is not None and "gap" not in columns:
            columns["gap"] = abs(pair.ratings[0] - pair.ratings[1])
        yield Row(pair.id, pair.messages, answers, tie, columns, pair.metadata, where, ("'chosen'", "'rejected'"))


def _columns(raw: Mapping[str, Any], best: str, where: str) -> dict[str, float]:
    """The numbers that a pair has; of one for each side (`p`, as `preferences` reads it) the better side's."""
    given = {name: value.get(best) if isinstance(value := raw.get(name), Mapping) else value for name in COLUMNS}
    found = {name: _number(value, name, where) for name, value in given.items() if value not in (None, "")}
    if not 0 <= found.get("p", 1) <= 1:
        raise Unusable(where, f"'p' is no probability ({found['p']:g})", "0 to 1 is wanted")
    return found


def _number(value: Any, name: str, where: str) -> float:
    """A finite number, as a table of text may write it too."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise Unusable(where, f"'{name}' is no number ({str(value)[:40]})", "a finite number is wanted")
    return number


def _completion(raw: Mapping[str, Any], where: str) -> Row:
    """`prompt` with `completion` (texts or turns), `messages` that end with the assistant's, or `instruction` with
    `output`."""
    if isinstance(raw.get("messages"), Sequence) and not isinstance(raw["messages"], str):
        turns = _turns(raw["messages"], where)
        if not turns or turns[-1]["role"] != "assistant":
            raise Unusable(where, "'messages' does not end with the assistant's turn")
        said = (str(turns[-1]["content"]),)
        return Row(_id(raw, where), turns[:-1], said, metadata=raw, fields=("the last turn of 'messages'",))
    if "instruction" in raw:
        text = "\n\n".join(str(raw[k]) for k in ("instruction", "input") if raw.get(k))
        name, answer = _text(raw, ("output", "response"), where)
        return Row(_id(raw, where), (user(text),), (answer,), metadata=raw, fields=(name,))
    name, answer = _text(raw, ("completion", "response", "chosen"), where)
    return Row(_id(raw, where), _prompt(raw, where), (answer,), metadata=raw, fields=(name,))


def _unpaired(raw: Mapping[str, Any], where: str) -> Row:
    """`prompt`, `completion` and `label` (true: desirable), as TRL's KTO takes them."""
    name, answer = _text(raw, ("completion", "response"), where)
    if "label" not in raw:
        raise Unusable(where, f"needs 'label' (it has: {', '.join(map(str, raw))})", "true (desirable) or false")
    label = {"true": 1.0, "1": 1.0, "false": 0.0, "0": 0.0}.get(str(raw["label"]).lower())
    if label is None:
        raise Unusable(where, f"'label' must be true (desirable) or false ({str(raw['label'])[:40]})")
    return Row(_id(raw, where), _prompt(raw, where), (answer,), (label,), metadata=raw, fields=(name,))


def _list(raw: Mapping[str, Any], where: str) -> Row:
    """`prompt`, `responses` (texts) and `labels` (a grade for each, higher is better)."""
    answers, labels = raw.get("responses"), raw.get("labels")
    if not isinstance(answers, list) or not isinstance(labels, list) or len(answers) != len(labels) or len(labels) < 2:
        raise Unusable(where, "needs 'responses' and 'labels', two lists of equal length of at least 2")
    names = tuple(f"'responses'[{k}]" for k in range(len(answers)))
    texts = tuple(_said(answer, name, where) for name, answer in zip(names, answers, strict=True))
    grades = tuple(_number(v, "labels", where) for v in labels)
    return Row(_id(raw, where), _prompt(raw, where), texts, grades, metadata=raw, fields=names)


def _only_prompt(raw: Mapping[str, Any], where: str) -> Row:
    return Row(_id(raw, where), _prompt(raw, where), metadata=raw)


READERS: Mapping[Kind, Read] = {
    "completions": _completion,
    "unpaired": _unpaired,
    "lists": _list,
    "prompts": _only_prompt,
}


def _prompt(raw: Mapping[str, Any], where: str) -> tuple[Message, ...]:
    prompt = raw.get("prompt", raw.get("question"))
    if isinstance(prompt, str) and prompt.strip():
        return (user(prompt),)
    if isinstance(prompt, list) and prompt:
        return _turns(prompt, where)
    raise Unusable(where, f"needs 'prompt', a text or a list of turns (it has: {', '.join(map(str, raw)) or '-'})")


def _turns(turns: Sequence[Any], where: str) -> tuple[Message, ...]:
    if not all(isinstance(t, dict) and isinstance(t.get("role"), str) and t.get("content") is not None for t in turns):
        raise Unusable(where, "every turn needs 'role' and 'content'")
    return tuple(Message(role=t["role"], content=t["content"]) for t in turns)


def _text(raw: Mapping[str, Any], names: Sequence[str], where: str) -> tuple[str, str]:
    """The first of these fields that the row has: its name for messages, its text."""
    for name in names:
        if name in raw:
            return repr(name), _said(raw[name], repr(name), where)
    raise Unusable(where, f"needs {' or '.join(map(repr, names))} (it has: {', '.join(map(str, raw))})")


def _said(value: Any, name: str, where: str) -> str:
    """An answer as text, or as the assistant's turn."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        return str(_turns(value, where)[0]["content"])
    raise Unusable(where, f"{name} must be a text or one assistant turn")


def _id(raw: Mapping[str, Any], where: str) -> str:
    return str(raw.get("id", where.rsplit(" ", 1)[-1]))


def to_rows(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows as TRL's conversational formats have them."""
    made: list[dict[str, Any]] = []
    for row in rows:
        line: dict[str, Any] = {"id": row.id, "prompt": [dict(m) for m in row.messages], **row.columns}
        if len(row.answers) == 2:
            line |= {"chosen": [assistant(row.answers[0])], "rejected": [assistant(row.answers[1])]}
        elif len(row.answers) == 1:
            line |= {"completion": [assistant(row.answers[0])]}
            line |= {"label": bool(row.labels[0])} if row.labels else {}
        elif row.answers:
            line |= {"responses": list(row.answers), "labels": list(row.labels)}
        made.append(line)
    return made
