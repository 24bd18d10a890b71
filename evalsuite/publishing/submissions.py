"""Submissions: a run as others hand it in, and the check that it says no more than its samples.

A submission is a folder: the run's `manifest.json` and `metrics.json` as they are, `submission.json` (name, facets, the
samples' hash and number of rows), and `samples.parquet` with the annotations of judges, or only their hashes. Its form
is `leaderboard/submission.schema.json`. `check` refuses what does not match; figures whose samples stayed at home pass
as unverified, and the board shows them so.

>>> folder = add_submission(run, Path("leaderboard/results"))                       # doctest: +SKIP
>>> check_submission(folder).refused                                                # doctest: +SKIP
[]
"""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from evalsuite import registry
from evalsuite.errors import InputError
from evalsuite.publishing.contamination import as_written, contradictions, declared, search
from evalsuite.publishing.entries import file_name
from evalsuite.publishing.recompute import Verdict, verify
from evalsuite.publishing.schema import faults
from evalsuite.publishing.warnings import warnings_of
from evalsuite.store import Run
from evalsuite.store.runs import read_object, read_run, write_json

SUBMISSION, SAMPLES = "submission.json", "samples.parquet"
FACETS = ("base", "method", "size", "parent", "submitter", "url", "note")
PRIVATE = (
    "command",
    "hardware",
    "data",
    "prompts",
    "plugins",
    "model_key_env",
)  # paths and names of a person's machine


@dataclass(frozen=True, slots=True)
class Checked:
    """What `check` says of one submission. `refused` names every figure or file that does not match; of the others
    `rescored` were made again from the answers, `reaggregated` (figure, why) from the submitter's own scores alone, and
    `unverified` (figure, why) not at all; `warnings` are for readers and refuse nothing."""

    name: str
    folder: Path
    refused: list[str]
    rescored: int = 0
    reaggregated: list[tuple[str, str]] = field(default_factory=list)
    unverified: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def same(self) -> int:
        """Figures that were made again, in either way."""
        return self.rescored + len(self.reaggregated)


def add_submission(
    run: Run,
    results: Path,
    samples: bool = True,
    about: Mapping[str, str] | None = None,
    overwrite: bool = False,
    training: Sequence[Path] = (),
) -> Path:
    """Copies a run into `results` as a submission; without `samples`, only their hash goes along. The `training` files
    (those that its lineage names, where none are given) are searched for the samples; they stay where they are.

    Raises InputError where it is there already, has no samples, or would be refused.
    """
    odd = [key for key in about or {} if key not in FACETS]
    if odd:
        raise InputError(f"a submission says nothing of '{odd[0]}'; known: {', '.join(FACETS)}")
    if not (run.path / SAMPLES).is_file():
        raise InputError(f"run {run.name}: has no {SAMPLES}, so nothing could ever be recomputed; run it again")
    target = results / file_name(run.name)
    if target.exists() and not overwrite:
        raise InputError(f"{target}: is there already; --overwrite replaces it")
    half = results / f".{target.name}.part"
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    try:
        _fill(run, half, samples, about or {}, training or declared(run))
        checked = check_submission(half)
        if checked.refused:
            raise InputError(f"run {run.name}: would be refused: {checked.refused[0]}")
        if target.exists():
            shutil.rmtree(target)
        half.rename(target)
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return target


def _fill(run: Run, folder: Path, samples: bool, about: Mapping[str, str], training: Sequence[Path]) -> None:
    manifest = {k: v for k, v in read_object(run.path / "manifest.json").items() if k not in PRIVATE}
    lineage = manifest.get("model", {}).get("lineage") or {}
    if isinstance(lineage.get("data"), str):  # a path of the submitter's machine, or words
        lineage["data"] = Path(lineage["data"]).name
    write_json(folder / "manifest.json", manifest)
    shutil.copyfile(run.path / "metrics.json", folder / "metrics.json")
    annotations = sorted(run.path.glob("annotations-*.jsonl"))
    if samples:
        for path in (run.path / SAMPLES, *annotations):
            shutil.copyfile(path, folder / path.name)
    said = {"sha256": _sha256(run.path / SAMPLES), "rows": len(run.samples(["task"])), "included": samples}
    hashes = {path.name: _sha256(path) for path in annotations}
    own = {"schema": 1, "name": run.name, "samples": said, "annotations": hashes, "about": dict(about)}
    if training:
        own["training"] = as_written(search(run, training), {path.name: _sha256(path) for path in training})
    write_json(folder / SUBMISSION, own)


def submissions(results: Path) -> list[Path]:
    """Folders of submissions below `results`."""
    if not results.is_dir():
        raise InputError(f"{results}: no such folder of submissions (evalsuite leaderboard add RUN)")
    return sorted(p.parent for p in results.glob(f"*/{SUBMISSION}") if not p.parent.name.startswith("."))


def read_submission(folder: Path) -> Run:
    """A submission as a run, under its own name."""
    name = read_object(folder / SUBMISSION).get("name")
    if not isinstance(name, str) or not name:
        raise InputError(f"{folder}: {SUBMISSION} gives no name")
    return read_run(folder, name)


def check_submission(folder: Path, training: Sequence[Path] = ()) -> Checked:
    """Form, hashes, task versions, completeness, then every figure against the samples; with `training` files, a search
    of these for the samples. Reads nothing else that the submission names."""
    refused = _form(folder)
    if refused:
        return Checked(folder.name, folder, refused)
    run, own = read_submission(folder), read_object(folder / SUBMISSION)
    refused = [*_files(folder, own), *_versions(run)]
    verdicts: dict[tuple[str, str], Verdict] = {}
    doubts: list[str] = []
    if not refused or (folder / SAMPLES).is_file():
        try:
            refused += _complete(run) if (folder / SAMPLES).is_file() else []
            verdicts, doubts = verify(run)
        except InputError as error:
            refused.append(str(error))
    refused += [v.reason for v in verdicts.values() if v.kind == "differs"]
    warnings = []
    if not any("parquet" in r for r in refused):
        found = search(run, training) if training else None
        refused += contradictions(run, found, {p.name: _sha256(p) for p in training}) if found is not None else []
        warnings = [*doubts, *warnings_of(run, found)]
    return Checked(
        run.name,
        folder,
        list(dict.fromkeys(refused)),
        sum(v.how == "re-scored" for v in verdicts.values()),
        [(f"{task} {name}", v.reason) for (task, name), v in verdicts.items() if v.how == "re-aggregated"],
        [(f"{task} {name}", v.reason) for (task, name), v in verdicts.items() if v.kind == "unverified"],
        warnings,
    )


def _form(folder: Path) -> list[str]:
    try:
        parts = {name: read_object(folder / f"{name}.json") for name in ("submission", "manifest", "metrics")}
    except InputError as error:
        return [str(error)]
    return [f"form: {fault}" for fault in faults(schema(), parts)[:20]]


@cache
def schema() -> dict[str, Any]:
    """The form of a submission."""
    path = registry.content_root() / "leaderboard" / "submission.schema.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _files(folder: Path, own: Mapping[str, Any]) -> Iterator[str]:
    path, said = folder / SAMPLES, own["samples"]
    if said["included"] and not path.is_file():
        yield f"{SAMPLES}: is said to be included and is missing"
    if path.is_file() and _sha256(path) != said["sha256"]:
        yield f"{SAMPLES}: is not the file that {SUBMISSION} names (sha256 {_sha256(path)[:12]}…)"
    named = own.get("annotations") or {}
    for found in sorted(folder.glob("annotations-*.jsonl")):
        if found.name not in named or _sha256(found) != named[found.name]:
            yield f"{found.name}: is not the file that {SUBMISSION} names"


def _versions(run: Run) -> Iterator[str]:
    """A figure counts for the task as it is here; a task that is not known here is left unverified, not refused."""
    figures: dict[str, list[str]] = {}
    for m in run.metrics:
        figures.setdefault(m.task, []).append(m.name)
    tasks = run.manifest["tasks"]
    for task, names in figures.items():
        listed = ", ".join(names[:4])
        if task not in tasks:
            yield f"{task} {listed}: the manifest does not name this task"
            continue
        here = version_here(task)
        if here is not None and tasks[task]["version"] != here:
            yield f"{task} {listed}: made with version {tasks[task]['version']} of the task; this evalsuite has {here}"


def version_here(task: str) -> int | None:
    """The version of a task in this installation, None where it is not known."""
    try:
        return int(registry.find_tasks([task])[0].entry.spec["version"])
    except (InputError, IndexError, KeyError):
        return None


def _complete(run: Run) -> Iterator[str]:
    """Truncated samples: fewer than the manifest counts, or than it was said there are."""
    frame = run.samples(["task", "sample", "repeat"])
    rows = read_object(run.path / SUBMISSION)["samples"]["rows"]
    if len(frame) != rows:
        yield f"{SAMPLES}: has {len(frame)} rows where {SUBMISSION} says {rows}"
    if frame.duplicated().any():
        yield f"{SAMPLES}: a sample stands there twice in one repeat"
    counts = Counter(task for task, _ in dict.fromkeys(zip(frame["task"], frame["sample"], strict=True)))
    primary = {m.task: m.name for m in run.metrics if m.primary}
    for task, spec in run.manifest["tasks"].items():
        if counts.get(task, 0) != spec["n"]:
            yield (
                f"{task} {primary.get(task, '')}: the samples are {counts.get(task, 0)} where the manifest counts "
                f"{spec['n']}"
            )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def all_runs(results: Path) -> Sequence[Run]:
    """Every submission of a folder, as runs for `build_site`."""
    return [read_submission(folder) for folder in submissions(results)]
