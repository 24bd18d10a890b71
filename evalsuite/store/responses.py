"""The response cache, which is also the journal of running work: fingerprint → completion, in SQLite (WAL).

A group of completions is written in one transaction, so a killed process leaves whole groups or nothing. Fingerprints
cover weights, rendered input, sampling and draw; the cache therefore never mixes two models or two draws.

Beside the answers stand what engines have learnt about a machine (`limits`: a token budget halved where memory ran out,
written in the transaction of the group that taught it) and how fast earlier runs were (`speeds`).
"""

import base64
import json
import sqlite3
import sys
import threading
import time
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from evalsuite.errors import StoreError
from evalsuite.records import Completion

SCHEMA = 2
"""2 added limits and speeds; a store of schema 1 gets them when it is opened, and keeps its answers."""

TABLES = (
    "responses(fingerprint TEXT PRIMARY KEY, model TEXT NOT NULL, completion TEXT NOT NULL, created REAL NOT NULL) "
    "WITHOUT ROWID",
    "limits(model TEXT, machine TEXT, name TEXT, value INTEGER NOT NULL, PRIMARY KEY (model, machine, name))",
    "speeds(model TEXT, backend TEXT, machine TEXT, prefill REAL, decode REAL, seconds REAL, created REAL NOT NULL)",
)
# A row takes its text and about 120 bytes: fingerprint, name, page overhead.
OLDEST = (
    "DELETE FROM responses WHERE fingerprint IN (SELECT fingerprint FROM (SELECT fingerprint, "
    "SUM(LENGTH(CAST(completion AS BLOB)) + 120) OVER (ORDER BY created DESC, fingerprint) AS held FROM responses) "
    "WHERE held > ?)"
)
_DEFAULTS = asdict(Completion())
_FIELDS = {f.name for f in fields(Completion)}


@dataclass(frozen=True)
class Place:
    """A model (by its identity) with a backend on a machine."""

    model: str
    backend: str
    machine: str


class Responses:
    """Completions on disk, by fingerprint. Safe for several processes and threads at once."""

    def __init__(self, store: Path) -> None:
        self.path = store / "responses.sqlite"
        self._lock = threading.RLock()
        try:
            store.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=60, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")  # survives kill -9; only a power cut may lose the last group
            found = self._db.execute("PRAGMA user_version").fetchone()[0]
            if found > SCHEMA:
                raise StoreError(f"{self.path}: schema {found}, this evalsuite writes {SCHEMA}; use another --store")
            if found < SCHEMA:
                for table in TABLES:
                    self._db.execute(f"CREATE TABLE IF NOT EXISTS {table}")
                self._db.execute(f"PRAGMA user_version={SCHEMA}")
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{self.path}: cannot be opened ({error}); give another folder with --store") from error

    def get(self, fingerprints: Iterable[str]) -> dict[str, Completion]:
        wanted = list(fingerprints)
        found: dict[str, Completion] = {}
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            marks = ",".join("?" * len(part))
            query = f"SELECT fingerprint, completion FROM responses WHERE fingerprint IN ({marks})"
            found.update((key, decode(text)) for key, text in self._rows(query, part))
        return found

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        try:
            with self._lock:
                return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: cannot be read ({error}); remove it or give another --store") from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise StoreError(f"{self.path}: cannot be written ({error})") from error
                raise

    def put(
        self,
        model: str,
        completions: Mapping[str, Completion],
        place: Place | None = None,
        limits: Mapping[str, int] | None = None,
    ) -> dict[str, Completion]:
        """Stores a group whole, with the limits that the backend of `place` has now, and returns it as it counts.

        Failed completions are left out: they are asked again next time. What is stored stays: where two processes
        answer the same unit, the first one's answer is everybody's.
        """
        now = time.time()
        rows = [(key, model, encode(c), now) for key, c in completions.items() if c.error is None]
        with self._writing() as db:
            fresh = db.executemany("INSERT OR IGNORE INTO responses VALUES (?, ?, ?, ?)", rows).rowcount if rows else 0
            if place is not None and limits:
                learnt = [(place.model, place.machine, name, value) for name, value in limits.items()]
                db.executemany("INSERT OR REPLACE INTO limits VALUES (?, ?, ?, ?)", learnt)
        if fresh == len(rows):
            return dict(completions)
        return {**completions, **self.get(completions)}

    def limits(self, place: Place) -> dict[str, int]:
        """What backends have learnt about a machine with a model."""
        query = "SELECT name, value FROM limits WHERE model = ? AND machine = ?"
        return dict(self._rows(query, (place.model, place.machine)))

    def add_speed(self, place: Place, prefill: float, decode: float, seconds: float) -> None:
        """Keeps what a run took: tokens read, tokens written, seconds inside the model."""
        values = (place.model, place.backend, place.machine, prefill, decode, seconds, time.time())
        with self._writing() as db:
            db.execute("INSERT INTO speeds VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def speeds(self, place: Place, last: int = 20) -> list[tuple[float, float, float]]:
        """(tokens read, tokens written, seconds) of the last runs."""
        query = (
            "SELECT prefill, decode, seconds FROM speeds WHERE model = ? AND backend = ? AND machine = ? "
            "ORDER BY created DESC LIMIT ?"
        )
        return [tuple(row) for row in self._rows(query, (place.model, place.backend, place.machine, last))]

    def size(self) -> dict[str, int]:
        """Rows and bytes in all, and rows by model."""
        rows = dict(self._rows("SELECT model, COUNT(*) FROM responses GROUP BY model ORDER BY model"))
        return {"rows": sum(rows.values()), "bytes": self.path.stat().st_size, **rows}

    def prune(
        self, model: str | None = None, older_than_days: float | None = None, max_bytes: int | None = None
    ) -> int:
        """Deletes answers and returns how many: those of one model, older than some days (both where both are given),
        or the oldest until the rest takes at most `max_bytes`; all of them where nothing is given."""
        where: list[str] = []
        values: list[Any] = []
        if model is not None:
            where.append("model = ?")
            values.append(model)
        if older_than_days is not None:
            where.append("created < ?")
            values.append(time.time() - older_than_days * 86400)
        count = 0
        with self._writing() as db:
            if where or max_bytes is None:
                count += db.execute(f"DELETE FROM responses WHERE {' AND '.join(where) or '1'}", values).rowcount
            if max_bytes is not None:
                count += db.execute(OLDEST, (max_bytes,)).rowcount
        try:
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: cannot be written ({error})") from error
        return count

    def close(self) -> None:
        self._db.close()


def encode(completion: Completion) -> str:
    """Compact JSON without the fields that have their default. Floats survive exactly: as their shortest text, those of
    an embedding as the base64 of their bytes."""
    row = {k: v for k, default in _DEFAULTS.items() if (v := getattr(completion, k)) != default}
    if "embedding" in row:
        row["embedding"] = _packed(row["embedding"])
    return _text(row)


_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=dict).encode


def decode(text: str) -> Completion:
    row = {k: v for k, v in json.loads(text).items() if k in _FIELDS}
    for name in ("logprobs", "top_logprobs"):
        if name in row:
            row[name] = tuple(row[name])
    if "embedding" in row:
        row["embedding"] = _unpacked(row["embedding"])
    return Completion(**row)


def _packed(embedding: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Rows of equal length as little-endian bytes: float32 where that holds every figure exactly (a network's do, in a
    quarter of the characters), float64 otherwise."""
    flat = [value for row in embedding for value in row]
    held = array("f", flat)
    if held.tolist() != flat:
        held = array("d", flat)
    if sys.byteorder == "big":
        held.byteswap()
    return {"rows": len(embedding), f"f{held.itemsize}": base64.b64encode(held.tobytes()).decode()}


def _unpacked(stored: Mapping[str, Any]) -> tuple[tuple[float, ...], ...]:
    kind = "f4" if "f4" in stored else "f8"
    held = array("f" if kind == "f4" else "d")
    held.frombytes(base64.b64decode(stored[kind]))
    if sys.byteorder == "big":
        held.byteswap()
    flat, rows = held.tolist(), int(stored["rows"])
    width = len(flat) // max(1, rows)
    return tuple(tuple(flat[i * width : (i + 1) * width]) for i in range(rows))
