"""Files of strangers, read with bounds: JSON, JSON Lines, and the zip archives that Inspect writes.

Every fault is one line that names the file, the line or member, and the field. Nothing is unpacked to the disk: members
are read by name into memory, at most `LARGEST` bytes each, whatever their directory claims.
"""

import hashlib
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from evalsuite.errors import InputError

T = TypeVar("T")

LARGEST_FILE = 4 << 30
"""Bytes of a log's file."""
LARGEST = 512 << 20
"""Bytes of a JSON text that is read at once: a file, or a member of an archive."""
LARGEST_LINE = 64 << 20
MEMBERS = 1_000_000
ZSTANDARD = 93
"""Inspect's usual compression since 2026; Python's own zipfile reads it from 3.14 on."""
NAMES = {dict: "an object", list: "a list", str: "a text", int: "a whole number", float: "a number", bool: "a boolean"}


def json_file(path: Path) -> dict[str, Any]:
    """A file that holds one JSON object."""
    checked_size(path, LARGEST)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    return json_object(raw, str(path))


def json_object(raw: bytes, file: str, line: int | None = None) -> dict[str, Any]:
    """Raises InputError where the bytes are no JSON object; NaN and Infinity are read as absent. `line`: which line of
    the file they are."""
    where = file if line is None else f"{file}:{line}"
    try:
        value = json.loads(raw.decode("utf-8-sig"), parse_constant=lambda _: None)
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: not UTF-8 at byte {error.start}; is it a log?") from error
    except json.JSONDecodeError as error:
        cut = " (cut short?)" if error.pos >= len(error.doc.rstrip()) - 1 else ""
        place = f"{file}:{line or error.lineno}"
        raise InputError(f"{place}: not JSON ({error.msg} at column {error.colno}){cut}") from error
    except (RecursionError, ValueError) as error:  # nested too deep; a number of too many digits
        raise InputError(f"{where}: not JSON that can be read ({type(error).__name__})") from error
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected an object, found {_kind(value)}")
    return value


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) of a JSON Lines file, one at a time."""
    checked_size(path, LARGEST_FILE)
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LARGEST_LINE + 1):
                number += 1
                if len(line) > LARGEST_LINE:
                    raise InputError(f"{path}:{number}: a line of more than {LARGEST_LINE >> 20} MB")
                if line.strip():
                    yield number, json_object(line.strip(), str(path), number)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def checked_size(path: Path, most: int) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    if size > most:
        raise InputError(f"{path}: {size >> 20} MB; at most {most >> 20} MB are read")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def want(where: object, value: Mapping[str, Any], field: str, kind: type[T], root: str = "") -> T:
    """A field that must be there, by its dotted name. Raises InputError naming file and field."""
    found: Any = value
    for part in field.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    fits = isinstance(found, (int, float) if kind is float else kind) and (kind is bool or not isinstance(found, bool))
    if not fits:
        name = f"{root}.{field}" if root else field
        what = "is missing" if found is None else f"is {_kind(found)}, not {NAMES.get(kind, kind.__name__)}"
        raise InputError(f"{where}: field '{name}' {what}")
    result: T = found
    return result


def _kind(value: Any) -> str:
    return next((name for kind, name in NAMES.items() if type(value) is kind), "null")


class Archive:
    """An Inspect log: a zip of JSON files, stored, deflated or compressed by Zstandard."""

    def __init__(self, path: Path) -> None:
        checked_size(path, LARGEST_FILE)
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise InputError(f"{path}: no Inspect log (a zip archive): {error}; was it cut short?") from error
        if len(self._zip.namelist()) > MEMBERS:
            raise InputError(f"{path}: {len(self._zip.namelist()):,} members; at most {MEMBERS:,} are read")

    def close(self) -> None:
        self._zip.close()

    def names(self) -> list[str]:
        """Names of the members, each once."""
        return list(dict.fromkeys(self._zip.namelist()))

    def __contains__(self, name: str) -> bool:
        return name in self._zip.NameToInfo

    def read(self, name: str) -> dict[str, Any]:
        """A member as a JSON object."""
        where = f"{self.path}: {name!r}" if not name.isprintable() else f"{self.path}: {name}"
        info = self._zip.getinfo(name)
        if info.flag_bits & 1:
            raise InputError(f"{where}: is encrypted")
        if info.file_size > LARGEST:
            raise InputError(f"{where}: {info.file_size >> 20} MB; at most {LARGEST >> 20} MB are read")
        try:
            if info.compress_type == ZSTANDARD:
                raw = self._zstandard(info)
            else:
                with self._zip.open(info) as file:
                    raw = file.read(LARGEST + 1)
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, struct.error) as error:
            raise InputError(f"{where}: cannot be unpacked ({str(error).splitlines()[0]})") from error
        if len(raw) > LARGEST:
            raise InputError(f"{where}: unpacks to more than {LARGEST >> 20} MB")
        return json_object(raw, where)

    def _zstandard(self, info: zipfile.ZipInfo) -> bytes:
        """A member's bytes by Arrow's decoder; never more than one above the bound."""
        import pyarrow

        with self.path.open("rb") as file:
            file.seek(info.header_offset)
            head = file.read(30)
            if head[:4] != b"PK\x03\x04":
                raise zipfile.BadZipFile("bad magic number for file header")
            file.seek(sum(struct.unpack("<HH", head[26:30])), 1)
            packed = file.read(info.compress_size)
        with pyarrow.CompressedInputStream(pyarrow.BufferReader(packed), "zstd") as stream:
            raw: bytes = stream.read(min(info.file_size, LARGEST) + 1)
        if len(raw) != info.file_size or zlib.crc32(raw) != info.CRC:
            raise zipfile.BadZipFile("its size or checksum is not that of the directory")
        return raw
