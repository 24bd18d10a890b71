"""What is held fixed beside a feature: columns of differences, first minus second text, by name.

length     words: the difference, and tanh of it in units of its root mean square (a thousand words more do not count
           a hundred times as much as ten; without the second column a feature of length would mend the line's misfit)
format     headers, lists, bold, code: four differences of counts (also by their own names)
position   shown first; only where the file says who stood first
model      which models answered: as in Bradley-Terry, +1 for the first, -1 for the second
rating     the answers' own grades
KEY        a field of the metadata: {"a": .., "b": ..} as a difference (text: as with models); a plain number says
           something of the file's first answer against its second

All columns are odd, or nothing could be said that does not hang on which text stands first: what is the same for both
texts (a topic) cannot be adjusted for in this way, and is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evalsuite.errors import InputError
from evalsuite.preferences.contract import Pairs
from evalsuite.preferences.describe_text import Texts
from evalsuite.preferences.table import sided

KINDS = 200
"""Different texts (models) that a column may have."""


@dataclass(frozen=True)
class Controls:
    """`columns` (n, q); `names` are those that were asked for, `notes` what a reader should know."""

    names: tuple[str, ...]
    columns: Any
    notes: tuple[str, ...] = ()


def read_controls(pairs: Pairs, names: Sequence[str], texts: Texts) -> Controls:
    """The columns of all names. Raises InputError (one line) for a name that is none, or cannot be adjusted for."""
    import numpy as np

    parts, notes = [np.empty((len(pairs), 0))], []
    for name in names:
        columns = _columns(pairs, name, texts)
        unknown = int(np.isnan(columns).any(axis=1).sum())
        if unknown:
            notes.append(f"{name} is not known of {unknown:,} of {len(pairs):,} pairs, which are left out there")
        if not np.nan_to_num(columns).any():
            notes.append(f"{name} never differs between the two texts")
        parts.append(columns)
    return Controls(tuple(names), np.concatenate(parts, axis=1), tuple(notes))


def length_columns(texts: Texts) -> Any:
    """(n, 2): difference in words, and its tanh."""
    import numpy as np

    words = texts.words[:, 0].astype(float) - texts.words[:, 1]
    size = float(np.sqrt((words**2).mean())) if len(words) else 0.0
    return np.column_stack([words, np.tanh(words / (size or 1.0))])


def _columns(pairs: Pairs, name: str, texts: Texts) -> Any:
    import numpy as np

    if name == "length":
        return length_columns(texts)
    if name == "format":
        return np.column_stack([counts[:, 0].astype(float) - counts[:, 1] for counts in texts.formats.values()])
    if name in texts.formats:
        return (texts.formats[name][:, 0].astype(float) - texts.formats[name][:, 1])[:, None]
    if name == "position":
        return _position(pairs)
    if name == "model":
        return _kinds(pairs.column("model_a"), pairs.column("model_b"), name)
    if name == "rating":
        ratings = pairs.column("ratings")
        if np.isnan(ratings).all():
            raise InputError("rating: no pair has grades of both answers")
        return (ratings[:, 0] - ratings[:, 1])[:, None]
    return _field(pairs, name)


def _position(pairs: Pairs) -> Any:
    import numpy as np

    if not np.isnan(pairs.column("swapped")).all():
        raise InputError("position: this file does not say which answer was shown first")
    return np.ones((len(pairs), 1))


def _field(pairs: Pairs, name: str) -> Any:
    """A metadata field. Numbers of one side each arrive as differences; plain ones turn with pairs that were turned."""
    import numpy as np

    path = name.removeprefix("metadata.")
    column = pairs.column(f"metadata.{path}")
    if column.dtype != object:
        sides = np.nan_to_num(pairs.column("swapped"))
        plain = not _has_sides(pairs, path)
        return (np.where(sides > 0, -column, column) if plain else column)[:, None].astype(float)
    if any(v is not None and not sided(v) for v in column):
        raise InputError(
            f"{name}: says something of the pair, not of its two answers, so it cannot speak for either of them; "
            'a number, or a value for both ({"a": .., "b": ..}; X_chosen and X_rejected) is wanted'
        )
    first, second = (_side(column, side) for side in ("a", "b"))
    return _kinds(first, second, name)


def _side(column: Any, side: str) -> list[str]:
    return ["" if v is None or v[side] is None else str(v[side]) for v in column]


def _has_sides(pairs: Pairs, path: str) -> bool:
    for i in range(min(len(pairs), 200)):
        value: Any = pairs[i].metadata
        for key in path.split("."):
            if sided(value):
                return True
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            return sided(value)
    return False


def _kinds(first: Sequence[str], second: Sequence[str], name: str) -> Any:
    """One column for each text but the commonest: +1 where the first answer has it, -1 where the second has."""
    import numpy as np

    counts = Counter(v for column in (first, second) for v in column if v)
    if not counts:
        raise InputError(f"{name}: no pair says it of its answers")
    if len(counts) > KINDS:
        raise InputError(f"{name}: has {len(counts):,} different values; at most {KINDS} can be adjusted for")
    place = {kind: k for k, (kind, _) in enumerate(counts.most_common())}
    columns = np.zeros((len(first), len(place)))
    for i, (a, b) in enumerate(zip(first, second, strict=True)):
        if not a or not b:
            columns[i] = np.nan
            continue
        columns[i, place[a]] += 1
        columns[i, place[b]] -= 1
    return columns[:, 1:] if len(place) > 1 else columns
