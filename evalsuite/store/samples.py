"""`samples.parquet`, written as a run goes on: a window of rows at a time, one schema in the end.

Rows are dictionaries. Which scores there are is known only when the last row has been scored, so a window that brings
new columns begins a new part, and parts are joined when the file is finished. Parts are nameless temporary files: a
killed run leaves nothing behind. A run of one window is written once, at its end.

>>> file = SampleFile()
>>> file.add([{"task": "t", "sample": "1", "score.acc": 1.0}])
>>> file.finish(Path("samples.parquet"))
"""

import shutil
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evalsuite.data.spill import nameless

Line = Mapping[str, Any]
Mend = Callable[[dict[str, Any], str], None]
"""Fills in what an earlier row could not have known: called with the row and the reason it was marked with."""

NUMBERS = ("repeat", "tokens", "prompt_tokens")
TEXTS = ("task", "family", "sample", "question", "prompt", "answer", "reasoning", "finish_reason")
JSON_TEXTS = ("target", "metadata", "completions")


class SampleFile:
    """The rows of a run on their way to disk. `hold` keeps the first window in memory: it may be the only one."""

    def __init__(self, hold: bool = True) -> None:
        self._hold = hold
        self._parts: list[Any] = []  # open temporary files, each of one schema
        self._writer: Any = None
        self._columns: tuple[str, ...] = ()
        self._held: list[Line] | None = None
        self._rows = 0
        self._marked = array("Q")
        self._reasons: list[str] = []
        self._codes = array("B")

    def add(self, lines: Sequence[Line], marks: Mapping[int, str] | None = None) -> None:
        """Appends rows. `marks` gives a reason to places among them whose rows may need mending at the end."""
        for place, reason in sorted((marks or {}).items()):
            if reason not in self._reasons:
                self._reasons.append(reason)
            self._marked.append(self._rows + place)
            self._codes.append(self._reasons.index(reason))
        if self._rows == 0 and self._hold:
            self._held = list(lines)
        else:
            if self._held is not None:
                held, self._held = self._held, None
                self._write(held)
            self._write(lines)
        self._rows += len(lines)

    def finish(self, path: Path, mend: Mend | None = None) -> None:
        """Writes the file. `mend` is called with every marked row, where it is given."""
        if self._held is not None:
            held, self._held = self._held, None
            if mend is not None:
                mended = [dict(line) for line in held]
                self._mend(mended, 0, mend)
                held = list(mended)
            self._write_one(held, path)
            return
        self._writer.close()
        if len(self._parts) > 1 or mend is not None:
            self._join(path, mend)
        else:
            self._parts[0].seek(0)
            with path.open("wb") as file:
                shutil.copyfileobj(self._parts[0], file, 1 << 20)
        for part in self._parts:
            part.close()

    def _write(self, lines: Sequence[Line]) -> None:
        from pyarrow.parquet import ParquetWriter

        columns = _columns(lines)
        if not set(columns) <= set(self._columns):
            if self._writer is not None:
                self._writer.close()
            self._columns = tuple(dict.fromkeys((*self._columns, *columns)))
            self._parts.append(nameless())
            self._writer = ParquetWriter(self._parts[-1], _schema(self._columns, lines))
        self._writer.write_table(_table(self._columns, lines, self._writer.schema))

    def _write_one(self, lines: Sequence[Line], path: Path) -> None:
        from pyarrow.parquet import write_table

        columns = _columns(lines)
        write_table(_table(columns, lines, _schema(columns, lines)), path)

    def _join(self, path: Path, mend: Mend | None) -> None:
        """Streams the parts into one file of all columns."""
        from pyarrow.parquet import ParquetWriter

        row = 0
        with ParquetWriter(path, self._writer.schema) as writer:
            for lines in self._groups():
                if mend is not None:
                    self._mend(lines, row, mend)
                writer.write_table(_table(self._columns, lines, self._writer.schema))
                row += len(lines)

    def _groups(self) -> Iterator[list[dict[str, Any]]]:
        from pyarrow.parquet import ParquetFile

        for part in self._parts:
            part.seek(0)
            with ParquetFile(part) as file:
                for number in range(file.num_row_groups):
                    yield file.read_row_group(number).to_pylist()

    def _mend(self, lines: list[dict[str, Any]], start: int, mend: Mend) -> None:
        first, last = (bisect_left(self._marked, row) for row in (start, start + len(lines)))
        for i in range(first, last):
            mend(lines[self._marked[i] - start], self._reasons[self._codes[i]])


def _columns(lines: Sequence[Line]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    shapes = set()
    for line in lines:
        shape = tuple(line)
        if shape not in shapes:
            shapes.add(shape)
            found.update(dict.fromkeys(shape))
    return tuple(found)


def _schema(columns: Sequence[str], lines: Sequence[Line]) -> Any:
    import pyarrow as pa

    return pa.schema([(name, _type(name, lines)) for name in columns])


def _type(name: str, lines: Sequence[Line]) -> Any:
    """A column's type by its name, so that windows agree whatever they hold; unknown ones by their values."""
    import pyarrow as pa

    head, dot, _ = name.partition(".")
    if name in NUMBERS:
        return pa.int64()
    if name in TEXTS or name in JSON_TEXTS or (dot and head in ("reason", "details")):
        return pa.string()
    if dot and head in ("score", "weight"):
        return pa.float64()
    return pa.array([line.get(name) for line in lines]).type


def _table(columns: Sequence[str], lines: Sequence[Line], schema: Any) -> Any:
    import pyarrow as pa

    arrays = [pa.array([line.get(name) for line in lines], type=schema.field(name).type) for name in columns]
    return pa.table(dict(zip(columns, arrays, strict=True)), schema=schema)
