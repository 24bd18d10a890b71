"""Content hashes of model files, remembered by (path, size, modification time) so that weights are read once.

The memory is one small SQLite file in the cache folder (`EVALSUITE_CACHE`, or ~/.cache/evalsuite). A file that
changes in place gets another modification time, is read again, and so gets another hash.
"""

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from evalsuite.models.model import short_hash
from evalsuite.records import Progress

LARGE = 64 << 20
"""Bytes; reading less than this takes no time worth a message."""


SETTLED = 2_000_000_000
"""Nanoseconds; a file younger than this may change again within one tick of the file system's clock, so its hash is
not remembered (git calls such files racy)."""


def cache_folder() -> Path:
    """Where converted models, downloads and hashes are kept: `EVALSUITE_CACHE`, or ~/.cache/evalsuite."""
    return Path(os.environ.get("EVALSUITE_CACHE") or Path.home() / ".cache" / "evalsuite").expanduser()


def of_files(paths: Iterable[Path], progress: Progress | None = None) -> str:
    """One hash over names and contents of files, independent of the folder they lie in and of their order."""
    named = sorted((path.name, path) for path in paths)
    return short_hash("\n".join(f"{name} {file_hash(path, progress)}" for name, path in named))


def file_hash(path: Path, progress: Progress | None = None) -> str:
    """SHA-256 of a file's content, from memory where path, size and modification time are unchanged. `progress` is
    told of a file that takes a while to read."""
    stat = path.stat()
    key = (str(path.resolve()), stat.st_size, stat.st_mtime_ns)
    if stat.st_size < 1 << 20:  # small files are quicker read than looked up
        return _read(path)
    try:
        with closing(_memory()) as memory, memory:
            row = memory.execute("SELECT hash FROM files WHERE path = ? AND size = ? AND mtime = ?", key).fetchone()
            if row:
                return str(row[0])
            if progress and stat.st_size > LARGE:
                progress(0, 1, f"reading {path.name} ({stat.st_size / 1e9:.1f} GB, once)")
            value = _read(path)
            if time.time_ns() - stat.st_mtime_ns > SETTLED:
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
