"""Pairs as columns of an Arrow file: written in record batches as rows come, then mapped into memory, never read whole.

    writer = Writer()
    for pair in pairs:
        writer.add(pair)
    table = writer.finish("my pairs", "TRL")
    table[0], table.preference, table.column("metadata.features.length"), table.take([3, 1])

The file is temporary and goes with the process. `take` keeps row numbers only: a split of a million pairs costs eight
bytes a row. Texts in `column(...)` are Python strings: ask for them by parts (`take`) where there are many.
"""

from __future__ import annotations

import json
import os
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalsuite.errors import InputError, unknown
from evalsuite.preferences.contract import Pair
from evalsuite.records import Message

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]

TEXTS = ("id", "annotator", "conversation", "split", "aspect", "model_a", "model_b")
LONG = ("messages", "a", "b", "metadata")
NUMBERS = ("preference", "rating_a", "rating_b")
ROWS, BYTES = 1024, 8 << 20
"""A record batch ends at so many rows or bytes of text, whichever comes first."""


def prompt_of(messages: Sequence[Message]) -> str:
    """The conversation before the answers as one text: a single turn as it is, several with their roles."""
    if len(messages) == 1:
        return text_of(messages[0]["content"])
    return "\n\n".join(f"{m['role'].capitalize()}: {text_of(m['content'])}" for m in messages)


def text_of(content: Any) -> str:
    """A message's content as text; parts that are no text are named in brackets."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(p.get("text", "")) if p.get("type", "text") == "text" else f"[{p['type']}]" for p in parts)


@dataclass(eq=False)
class Table:
    """Pairs on the disk (contract.Pairs). `swapped` of a row is None where the file says which answer stood first (it
    is `a`), else whether the file's first answer (its chosen one) is `b` here."""

    name: str
    format: str
    notes: Sequence[str]
    _batches: Sequence[Any] = field(repr=False)
    _rows: Rows | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        import numpy as np

        self._ends = np.cumsum([len(b) for b in self._batches], dtype=np.int64)

    def __len__(self) -> int:
        return self._total if self._rows is None else len(self._rows)

    @property
    def _total(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, index: int) -> Pair:
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(index)
        row = place if self._rows is None else int(self._rows[place])
        batch = int(self._ends.searchsorted(row, side="right"))
        start = int(self._ends[batch - 1]) if batch else 0
        return _pair(self._batches[batch].slice(row - start, 1).to_pylist()[0])

    def __iter__(self) -> Iterator[Pair]:
        for part in self._parts(None):
            yield from map(_pair, part.to_pylist())

    @property
    def preference(self) -> Any:
        return self.column("preference")

    def column(self, name: str) -> Any:
        """One field of all pairs: texts as objects, numbers as float64 (NaN where there is none).

        Beside the fields of `Pair`: `prompt` (text), `rating_a`, `rating_b`, `ratings` (n, 2), `swapped`, and
        `metadata.KEY`, into which `.KEY` goes on. A value that both answers have ({"a": 3, "b": 1}) is their
        difference, first minus second; `metadata.KEY.a` is one of them. Raises InputError where no row has the key.
        """
        import numpy as np

        if name == "ratings":
            return np.column_stack([self.column("rating_a"), self.column("rating_b")])
        if name.startswith("metadata."):
            return _column_of([_inside(m, name.split(".")[1:]) for m in self._metadata()], name, self._keys())
        if name in NUMBERS or name == "swapped":
            parts = [p.column(0).cast("float64").to_numpy(zero_copy_only=False) for p in self._parts([name])]
            return np.concatenate(parts).astype(float) if parts else np.empty(0)
        if name not in (*TEXTS, *LONG, "prompt"):
            raise unknown("field of pairs", name, (*TEXTS, *LONG, *NUMBERS, "prompt", "ratings", "swapped"))
        stored = "messages" if name == "prompt" else name
        values = [v for part in self._parts([stored]) for v in part.column(0).to_pylist()]
        if stored != name or name in ("messages", "metadata"):
            values = [json.loads(v) for v in values]
        if name == "prompt":
            values = [prompt_of(v) for v in values]
        column = np.empty(len(values), dtype=object)
        column[:] = values if name != "messages" else [tuple(v) for v in values]
        return column

    def take(self, indices: Sequence[int]) -> Table:
        import numpy as np

        wanted = np.asarray(indices, dtype=np.int64)
        if len(wanted) and (wanted.min() < -len(self) or wanted.max() >= len(self)):
            raise IndexError(f"rows of 0 to {len(self) - 1} can be taken")
        wanted = np.where(wanted < 0, wanted + len(self), wanted)
        return Table(
            self.name, self.format, self.notes, self._batches, wanted if self._rows is None else self._rows[wanted]
        )

    def noted(self, *notes: str) -> Table:
        """The same pairs with further notes."""
        return Table(self.name, self.format, (*self.notes, *notes), self._batches, self._rows)

    def _metadata(self) -> Iterator[dict[str, Any]]:
        for part in self._parts(["metadata"]):
            yield from map(json.loads, part.column(0).to_pylist())

    def _keys(self) -> list[str]:
        return sorted(json.loads(self.take([0])._first("metadata"))) if len(self) else []

    def _first(self, name: str) -> str:
        return next(iter(self._parts([name]))).column(0)[0].as_py()

    def _parts(self, columns: list[str] | None) -> Iterator[Any]:
        """The rows in order, in tables of at most a record batch."""
        if self._rows is None:
            yield from (b if columns is None else b.select(columns) for b in self._batches)
            return
        for start in range(0, len(self._rows), ROWS):
            yield _gather(self._batches, self._ends, self._rows[start : start + ROWS], columns)


def _gather(batches: Sequence[Any], ends: Rows, rows: Rows, columns: list[str] | None) -> Any:
    import numpy as np
    import pyarrow

    of = ends.searchsorted(rows, side="right")
    order = np.argsort(of, kind="stable")
    parts = []
    for batch in np.unique(of):
        start = int(ends[batch - 1]) if batch else 0
        chosen = batches[batch] if columns is None else batches[batch].select(columns)
        parts.append(chosen.take(pyarrow.array(rows[order][of[order] == batch] - start)))
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return pyarrow.Table.from_batches(parts).combine_chunks().take(pyarrow.array(back))


def _pair(row: dict[str, Any]) -> Pair:
    metadata = json.loads(row["metadata"])
    if row["swapped"] is not None:
        metadata["swapped"] = row["swapped"]
    ratings = None if row["rating_a"] is None else (row["rating_a"], row["rating_b"])
    return Pair(
        messages=tuple(json.loads(row["messages"])),
        a=row["a"],
        b=row["b"],
        preference=row["preference"],
        ratings=ratings,
        metadata=metadata,
        **{name: row[name] for name in TEXTS},
    )


def _inside(value: Any, path: Sequence[str]) -> Any:
    for place, key in enumerate(path):
        if not isinstance(value, dict):
            return None
        if sided(value) and key not in value:
            inner = {side: _inside(value[side], path[place:]) for side in ("a", "b")}
            return _difference(inner)
        value = value.get(key)
    return _difference(value) if isinstance(value, dict) and sided(value) else value


def sided(value: Any) -> bool:
    """Whether a metadata value says something of each of the two answers."""
    return isinstance(value, dict) and value.keys() == {"a", "b"}


def _difference(value: Mapping[str, Any]) -> Any:
    a, b = value["a"], value["b"]
    numbers = all(isinstance(x, (int, float)) for x in (a, b))
    return a - b if numbers else (value if a is not None or b is not None else None)


def _column_of(values: list[Any], name: str, keys: Sequence[str]) -> Any:
    import numpy as np

    if values and all(v is None for v in values):
        raise InputError(f"no row has '{name}'; the first one has metadata {', '.join(keys) or 'of no kind'}")
    if all(v is None or isinstance(v, (bool, int, float)) for v in values):
        return np.array([np.nan if v is None else float(v) for v in values])
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


class Writer:
    """Collects pairs into a temporary Arrow file, a record batch at a time."""

    def __init__(self) -> None:
        import pyarrow

        kinds = {**dict.fromkeys(TEXTS, pyarrow.string()), **dict.fromkeys(LONG, pyarrow.large_string())}
        kinds |= {**dict.fromkeys(NUMBERS, pyarrow.float64()), "swapped": pyarrow.bool_()}
        self._schema = pyarrow.schema(list(kinds.items()))
        descriptor, path = tempfile.mkstemp(prefix="evalsuite-", suffix=".arrow")
        os.close(descriptor)
        self._path = Path(path)
        self._forget = weakref.finalize(self, self._path.unlink, missing_ok=True)
        self._sink = pyarrow.OSFile(path, "wb")
        self._file = pyarrow.ipc.new_file(self._sink, self._schema)
        self._waiting: list[dict[str, Any]] = []
        self._bytes = 0
        self.rows = 0

    def add(self, pair: Pair, swapped: bool | None = None) -> None:
        metadata = dict(pair.metadata)
        swapped = metadata.pop("swapped", swapped)
        row = {name: clean(str(getattr(pair, name))) for name in (*TEXTS, "a", "b")}
        row |= {"messages": _json(pair.messages), "metadata": _json(metadata)}
        ratings = pair.ratings or (None, None)
        values = {"preference": pair.preference, "rating_a": ratings[0], "rating_b": ratings[1], "swapped": swapped}
        self._waiting.append({**row, **values})
        self._bytes += sum(len(row[name]) for name in LONG)
        self.rows += 1
        if len(self._waiting) >= ROWS or self._bytes >= BYTES:
            self._flush()

    def _flush(self) -> None:
        import pyarrow

        if self._waiting:
            self._file.write_batch(pyarrow.RecordBatch.from_pylist(self._waiting, schema=self._schema))
        self._waiting, self._bytes = [], 0

    def finish(self, name: str, kind: str, notes: Sequence[str] = ()) -> Table:
        """The pairs as written so far; nothing can be added afterwards."""
        import pyarrow

        self._flush()
        self._file.close()
        self._sink.close()
        reader = pyarrow.ipc.open_file(pyarrow.memory_map(str(self._path)))
        table = Table(name, kind, tuple(notes), [reader.get_batch(i) for i in range(reader.num_record_batches)])
        if os.name == "posix":
            self._forget()  # the mapping keeps the file's bytes until the table is gone
        return table


def gather(pairs: Sequence[Pair] | Iterator[Pair], name: str = "pairs", kind: str = "ours") -> Table:
    """Pairs made elsewhere as a table, in their order and as they are."""
    writer = Writer()
    for pair in pairs:
        writer.add(pair)
    return writer.finish(name, kind)


def clean(text: str) -> str:
    """Text that can be stored: halves of characters that stand alone (broken escapes) become U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _json(value: Any) -> str:
    return clean(json.dumps(value, ensure_ascii=False, default=str))
