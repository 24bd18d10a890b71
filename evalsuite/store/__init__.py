"""Where results live: a response cache and journal (SQLite, WAL) while running, Parquet and JSON when done."""

from evalsuite.store.responses import Responses
from evalsuite.store.runs import Run, default_store, list_runs, open_run, write_run

__all__ = ["Responses", "Run", "default_store", "list_runs", "open_run", "write_run"]
