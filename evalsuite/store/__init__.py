"""Where results live: a response cache and journal (SQLite, WAL) while running, Parquet and JSON when done."""

from evalsuite.store.responses import Place, Responses
from evalsuite.store.runs import Run, default_store, list_runs, open_run, write_run
from evalsuite.store.samples import SampleFile

__all__ = ["Place", "Responses", "Run", "SampleFile", "default_store", "list_runs", "open_run", "write_run"]
