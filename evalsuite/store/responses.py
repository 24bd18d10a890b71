"""The response cache, which is also the journal of running work: fingerprint → completion, in SQLite (WAL).

A group of completions is written in one transaction, so a killed process leaves whole groups or nothing. Fingerprints
cover weights, rendered input, sampling and draw; the cache therefore never mixes two models or two draws.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from evalsuite.errors import StoreError
from evalsuite.records import Completion

SCHEMA = 1
_DEFAULTS = asdict(Completion())
_FIELDS = {f.name for f in fields(Completion)}


class Responses:
    """Completions on disk, by fingerprint. Safe for several processes at once."""

    def __init__(self, store: Path) -> None:
        self.path = store / "responses.sqlite"
        try:
            store.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=60, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")  # survives kill -9; only a power cut may lose the last group
            found = self._db.execute("PRAGMA user_version").fetchone()[0]
            if found not in (0, SCHEMA):
                raise StoreError(f"{self.path}: schema {found}, this evalsuite writes {SCHEMA}; use another --store")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS responses(fingerprint TEXT PRIMARY KEY, model TEXT NOT NULL, "
                "completion TEXT NOT NULL, created REAL NOT NULL) WITHOUT ROWID"
            )
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
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: cannot be read ({error}); remove it or give another --store") from error

    def put(self, model: str, completions: Mapping[str, Completion]) -> None:
        """Stores a group whole. Failed completions are left out: they are asked again next time. What is stored stays:
        where two processes answer the same unit, the first one's answer is everybody's."""
        now = time.time()
        rows = [(key, model, encode(c), now) for key, c in completions.items() if c.error is None]
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT OR IGNORE INTO responses VALUES (?, ?, ?, ?)", rows)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise StoreError(f"{self.path}: cannot be written ({error})") from error

    def size(self) -> dict[str, int]:
        """Rows and bytes in all, and rows by model."""
        rows = dict(self._rows("SELECT model, COUNT(*) FROM responses GROUP BY model ORDER BY model"))
        return {"rows": sum(rows.values()), "bytes": self.path.stat().st_size, **rows}

    def prune(self, model: str | None = None, older_than_days: float | None = None) -> int:
        """Deletes rows (all, of one model, older than some days) and returns how many."""
        where, values = ["1"], []
        if model is not None:
            where.append("model = ?")
            values.append(model)
        if older_than_days is not None:
            where.append("created < ?")
            values.append(str(time.time() - older_than_days * 86400))
        try:
            count = self._db.execute(f"DELETE FROM responses WHERE {' AND '.join(where)}", values).rowcount
            self._db.execute("VACUUM")
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: cannot be written ({error})") from error
        return count

    def close(self) -> None:
        self._db.close()


def encode(completion: Completion) -> str:
    """Compact JSON without the fields that have their default; floats survive exactly (shortest repr)."""
    row = {k: v for k in _DEFAULTS if (v := getattr(completion, k)) != _DEFAULTS[k]}
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"), default=dict)


def decode(text: str) -> Completion:
    row = {k: v for k, v in json.loads(text).items() if k in _FIELDS}
    for name in ("logprobs", "top_logprobs"):
        if name in row:
            row[name] = tuple(row[name])
    return Completion(**row)
