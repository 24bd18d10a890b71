"""Content hashes of model files, remembered by (path, size, modification time) so that weights are read once.

The memory is one small SQLite file in the cache folder (`EVALSUITE_CACHE`, or ~/.cache/evalsuite). A file that
changes in place gets another modification time, is read again, and so gets another hash.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from evalsuite.models.model import short_hash
from evalsuite.records import Progress


def cache_folder() -> Path:
    """Where converted models, downloads and hashes are kept: `EVALSUITE_CACHE`, or ~/.cache/evalsuite."""
    return Path(os.environ.get("EVALSUITE_CACHE") or Path.home() / ".cache" / "evalsuite").expanduser()


def of_files(paths: Iterable[Path], progress: Progress | None = None) -> str:
    """One hash over names and contents of files, independent of the folder they lie in and of their order."""
    named = sorted((path.name, path) for path in paths)
    parts = []
    for done, (name, path) in enumerate(named):
        if progress:
            progress(done, len(named), f"reading {name}")
        parts.append(f"{name} {file_hash(path)}")
    return short_hash("\n".join(parts))


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content, from memory where path, size and modification time are unchanged."""
    stat = path.stat()
    key = (str(path.resolve()), stat.st_size, stat.st_mtime_ns)
    if stat.st_size < 1 << 20:  # small files are quicker read than looked up
        return _read(path)
    try:
        with closing(_memory()) as memory, memory:
            row = memory.execute("SELECT hash FROM files WHERE path = ? AND size = ? AND mtime = ?", key).fetchone()
            if row:
                return str(row[0])
            value = _read(path)
            memory.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", (*key, value))
            return value
    except (sqlite3.Error, OSError):  # a read-only or locked cache costs time, not correctness
        return _read(path)


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _memory() -> sqlite3.Connection:
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(folder / "hashes.sqlite", timeout=30)
    connection.execute(
        "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, size INTEGER, mtime INTEGER, hash TEXT)"
    )
    return connection
