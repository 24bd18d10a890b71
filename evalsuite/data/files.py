"""Rows from JSON Lines, JSON, CSV, Parquet (plain or gzip) and folders that `datasets` saved; content hashes."""

import csv
import gzip
import hashlib
import io
import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evalsuite.errors import InputError

AT_ONCE = 256
"""Rows that are made at one time out of a table: some hold images."""

STATE = "state.json"


def read_rows(path: Path) -> list[dict[str, Any]]:
    """All rows of a file as dictionaries. Raises InputError naming file and line where one is not an object."""
    return list(iter_rows(path))


def iter_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The same rows one at a time (JSON Lines, Parquet and saved folders without holding the file)."""
    if path.is_dir():
        yield from _saved_rows(path)
        return
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        yield from _parquet_rows(path)
        return
    if name.endswith(".csv"):
        yield from _csv_rows(path, read_text(path))
    elif name.endswith(".json"):
        yield from _json_rows(path, read_text(path))
    else:
        for number, line in enumerate(_lines(path), start=1):
            if line.strip():
                yield _object(path, number, line)


def _lines(path: Path) -> Iterator[str]:
    """Lines one at a time, so that a file of any length costs no memory."""
    # Only \n ends a JSON line: str.splitlines would also break at U+2028 and \x85 inside strings.
    start = 0
    try:
        with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as file:
            for line in file:
                yield line.decode("utf-8-sig" if start == 0 else "utf-8")
                start += len(line)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {start + error.start}; convert the file to UTF-8") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error


def read_text(path: Path) -> str:
    try:
        raw = path.read_bytes()
        return (gzip.decompress(raw) if path.name.endswith(".gz") else raw).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}; convert the file to UTF-8") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows as plain JSON values: lists stay lists, and what is absent is None."""
    import pyarrow
    import pyarrow.parquet

    try:
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches(AT_ONCE):
            yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a Parquet file ({str(error).splitlines()[0]})") from error


def is_saved(path: Path) -> bool:
    """Whether a folder is what `datasets.Dataset.save_to_disk` writes."""
    return (path / STATE).is_file()


def _saved_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Rows of a saved dataset, read without `datasets`; an image column gives {"bytes": ..., "path": ...}."""
    import pyarrow

    if not is_saved(folder):
        parts = sorted(file.parent.name for file in folder.glob(f"*/{STATE}"))
        hint = f"; give one of its parts: {', '.join(parts)}" if parts else ""
        raise InputError(f"{folder}: is a folder, and no dataset that was saved with save_to_disk{hint}")
    state = next(_json_rows(folder / STATE, read_text(folder / STATE)))
    for entry in state.get("_data_files", ()):
        file = folder / entry["filename"]
        try:
            with pyarrow.memory_map(str(file)) as source, pyarrow.ipc.open_stream(source) as stream:
                for batch in stream:
                    for start in range(0, len(batch), AT_ONCE):
                        yield from batch.slice(start, AT_ONCE).to_pylist()
        except (pyarrow.ArrowException, OSError) as error:
            raise InputError(f"{file}: not an Arrow file ({str(error).splitlines()[0]})") from error


def _csv_rows(path: Path, text: str) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # a field may hold a whole document
    reader = csv.DictReader(io.StringIO(text))
    try:
        for row in reader:
            yield {k: v for k, v in row.items() if k is not None}
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: not CSV ({error})") from error


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = _decode(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{number}: not JSON ({error.msg} at column {error.colno})") from error
    if not isinstance(row, dict):
        raise InputError(f"{path}:{number}: expected an object, found {type(row).__name__}")
    return row


def _absent(constant: str) -> None:
    """NaN and Infinity are no JSON; tools that write them mean that the value is not there."""


_decode = json.JSONDecoder(parse_constant=_absent).decode


def _json_rows(path: Path, text: str) -> Iterator[dict[str, Any]]:
    try:
        value = json.loads(text, parse_constant=_absent)
    except json.JSONDecodeError as error:
        if "\n{" in text:  # JSON Lines under a .json name, as HaluEval ships it
            yield from (_object(path, i, line) for i, line in enumerate(text.split("\n"), 1) if line.strip())
            return
        raise InputError(f"{path}:{error.lineno}: not JSON ({error.msg} at column {error.colno})") from error
    rows = value if isinstance(value, list) else [value]
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise InputError(f"{path}: item {number}: expected an object, found {type(row).__name__}")
        yield row


def fingerprint(value: Any) -> str:
    """A short content hash (16 hex digits) of any JSON value; key order does not matter."""
    return hashlib.sha256(canonical(value).encode("utf-8", "surrogatepass")).hexdigest()[:16]


class ListHash:
    """`fingerprint` of a list whose items come one at a time: `add(canonical(item))` for each, then `digest()`."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256(b"[")
        self._first = True

    def add(self, text: str) -> None:
        self._hash.update(("" if self._first else ",").encode() + text.encode("utf-8", "surrogatepass"))
        self._first = False

    def digest(self) -> str:
        whole = self._hash.copy()
        whole.update(b"]")
        return whole.hexdigest()[:16]


canonical = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode
"""JSON text with sorted keys and no spaces: equal values have equal texts."""
