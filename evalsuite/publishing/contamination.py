"""Evaluation samples that stand in the training data of a submission: a search, not a matter of names.

The data are those that the checkpoint's lineage names, where the file lies on this machine, or those that are given
(`--training FILE`). A sample counts as trained on where 13 words in a row of its question stand in a file
(`comparison.overlap`). What `add` finds travels in `submission.json` with the files' hashes, so that whoever has the
same files can repeat the search (`check --training FILE`) and a reader sees the headline figure on the clean part.

>>> [str(f) for f in search(run, [Path("train.jsonl")])]                            # doctest: +SKIP
['facts: 5 of 40 samples share 13 words in a row with the training data; acc 50.0% ...']
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalsuite.comparison.overlap import sides
from evalsuite.records import Metric
from evalsuite.reporting.numbers import interval_text
from evalsuite.statistics import Interval, mean_interval
from evalsuite.store import Run
from evalsuite.store.runs import read_object

SEARCHED = 64_000_000  # bytes of a file that is searched without being asked
ROWS = re.compile(r" \(\d+ rows\)$")  # how training writes its data into the lineage


@dataclass(frozen=True, slots=True)
class Found:
    """One task: `hits` of `n` samples were trained on, `untold` are too short to tell. `clean` is the headline figure
    `metric` without the hits."""

    task: str
    n: int
    hits: int
    untold: int
    metric: Metric | None = None
    clean: Interval | None = None

    def __str__(self) -> str:
        said = f"{self.task}: {self.hits} of {self.n} samples share 13 words in a row with the training data"
        m, clean = self.metric, self.clean
        if m is None or clean is None or clean.value is None or m.value is None:
            return said
        whole = interval_text(m.value, m.low, m.high, m.unit)
        return f"{said}; {m.name} {whole} on all, {interval_text(clean.value, clean.low, clean.high, m.unit)} without"


def declared(run: Run) -> list[Path]:
    """The training file that the run's lineage names, where it lies here and is not too large to search unasked."""
    lineage: Mapping[str, Any] = run.manifest.get("model", {}).get("lineage") or {}
    named = ROWS.sub("", str(lineage.get("data") or ""))
    try:
        path = Path(named).expanduser()
        return [path] if named and path.is_file() and path.stat().st_size <= SEARCHED else []
    except (OSError, ValueError, RuntimeError):  # a text that is no path
        return []


def search(run: Run, files: Sequence[Path]) -> list[Found]:
    """Every task of the run that has samples. Raises InputError naming the file and the line that cannot be read."""
    if not files or not (run.path / "samples.parquet").is_file():
        return []
    rows = run.samples()
    places, _ = sides(rows, files)
    found = []
    for task, of in places.items():
        hits = {sample for sample, side in of.items() if side == "in"}
        metric = next((m for m in run.metrics if m.task == task and m.primary), None)
        clean = None
        if hits and metric is not None and f"score.{metric.name}" in rows:
            own = rows[(rows["task"] == task) & ~rows["sample"].isin(hits)].dropna(subset=[f"score.{metric.name}"])
            values = own[f"score.{metric.name}"].to_numpy(dtype=float)
            clean = mean_interval(values, clusters=own["sample"].factorize()[0], bounded=metric.unit == "share")
        found.append(Found(task, len(of), len(hits), sum(side is None for side in of.values()), metric, clean))
    return found


def as_written(found: Sequence[Found], files: Mapping[str, str]) -> dict[str, Any]:
    """What `submission.json` says of a search; `files` maps names to hashes."""
    return {"files": dict(files), "overlap": {f.task: {"n": f.n, "hits": f.hits, "untold": f.untold} for f in found}}


def as_read(run: Run) -> list[Found]:
    """What `submission.json` says of the submitter's own search."""
    path = run.path / "submission.json"
    said = (read_object(path).get("training") or {}).get("overlap") or {} if path.is_file() else {}
    return [Found(task, of["n"], of["hits"], of["untold"]) for task, of in said.items()]


def contradictions(run: Run, found: Sequence[Found], files: Mapping[str, str]) -> Iterator[str]:
    """Where the same files (by hash) give another overlap than the submission says."""
    path = run.path / "submission.json"
    said = (read_object(path).get("training") or {}).get("files") or {} if path.is_file() else {}
    if not said or set(said.values()) != set(files.values()):
        return
    before = {f.task: f.hits for f in as_read(run)}
    for f in found:
        if before.get(f.task) != f.hits:
            figure = f"{f.task} {f.metric.name}" if f.metric else f.task
            said = before.get(f.task, "no")
            yield f"{figure}: {said} samples are said to stand in the training data, which has {f.hits}"
