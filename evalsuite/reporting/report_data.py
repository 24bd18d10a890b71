"""What a report says, before any form is given to it: the runs, their comparison, the summary in plain words.

    report = gather([base, sft], title="What SFT changed")
    for block in report.summary:
        print(block.heading, block.overall, *(s.text for group in block.groups for s in group.sentences), sep="\\n")

HTML, Markdown, JSON, CSV and the static figures are all made of this one record, so they cannot disagree.
"""

import os.path
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalsuite.comparison import Asked, Comparison, PairComparison, compare
from evalsuite.comparison.summary import overall, summarise
from evalsuite.comparison.summary_words import Said, Sentence
from evalsuite.errors import InputError
from evalsuite.records import Progress
from evalsuite.reporting.report_words import cautions, measured, overall_measured
from evalsuite.reporting.tables import families
from evalsuite.store import Run

if TYPE_CHECKING:
    import pandas as pd

KINDS: Mapping[Said, str] = {
    "better": "Better",
    "worse": "Worse",
    "otherwise": "Different, neither better nor worse",
    "unclear": "Cannot be told from this many samples",
    "refused": "Not compared",
    "care": "Read with care",
}
ALONE: Mapping[Said, str] = {**KINDS, "better": "Strongest", "worse": "Weakest"}
"""Headings where one run stands alone."""


@dataclass(frozen=True, slots=True)
class Group:
    """Sentences of one kind under their heading."""

    kind: Said
    label: str
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """The summary of one comparison (`baseline` given), of one run alone, or of all runs (`run` is empty)."""

    run: str
    baseline: str | None
    heading: str
    overall: str
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """`frames`: the runs' sample frames in their order; `tasks`: tasks by family; `comparison`: None of one run."""

    title: str
    runs: tuple[Run, ...]
    frames: tuple["pd.DataFrame", ...]
    tasks: Mapping[str, Sequence[str]]
    comparison: Comparison | None
    summary: tuple[Block, ...]

    @property
    def pairs(self) -> Sequence[PairComparison]:
        return self.comparison.pairs if self.comparison else ()


def gather(
    runs: Sequence[Run], title: str | None = None, asked: Asked | None = None, progress: Progress | None = None
) -> Report:
    """Each run is compared with its parent, else with the first, or as `asked` says; pairs that share no sample are
    named. Raises InputError where no run is given, or two of one name."""
    asked = asked or Asked()
    every = [*runs, *([asked.baseline] if asked.baseline and asked.baseline.name not in {r.name for r in runs} else [])]
    if not every:
        raise InputError("a report needs at least one run (evalsuite list runs)")
    if len({r.name for r in every}) < len(every):
        raise InputError("a report needs runs of different names; one was given twice")
    frames = tuple(run.samples() if run.has_samples else nothing() for run in every)
    tasks = families(every)
    logs = asked.logs or training_logs(every)
    found = compare(every, replace(asked, logs=logs, skip=True), progress) if len(every) > 1 else None
    named = " · ".join(r.name for r in every[:4]) + (" · …" if len(every) > 4 else "")
    return Report(title or named, tuple(every), frames, tasks, found, tuple(_summary(every, frames, found)))


def nothing() -> "pd.DataFrame":
    """The sample frame of a run that was imported without samples."""
    import pandas as pd

    return pd.DataFrame({"task": pd.Series(dtype=str)})


def training_logs(runs: Sequence[Run]) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Training logs of runs whose checkpoint is a folder that still has one."""
    from evalsuite.training import log

    folders = {run.name: Path(str(run.manifest.get("model", {}).get("address") or "")) for run in runs}
    return {name: log.read(folder) for name, folder in folders.items() if os.path.isfile(folder / log.NAME)}


def _summary(runs: Sequence[Run], frames: Sequence["pd.DataFrame"], found: Comparison | None) -> list[Block]:
    curves = {curve.run: curve for curve in found.curves} if found else {}
    by_name = {run.name: run for run in runs}
    made = []
    for pair in found.pairs if found else ():
        heading = f"{pair.run} against {pair.baseline}{_trained(by_name[pair.run], by_name[pair.baseline])}"
        words = _groups(summarise(pair, curves.get(pair.run)), KINDS)
        made.append(Block(pair.run, pair.baseline, heading, overall(pair), words))
    told = {name for block in made for name in (block.run, block.baseline)}
    for run in runs:
        if run.name not in told:
            heading = f"What {run.name} does"
            words = _groups(measured(run), ALONE)
            made.append(Block(run.name, None, heading, overall_measured(run), words))
    # Runs of other tasks have nothing to say about each other; that is no news.
    tasks_of = {run.name: {m.task for m in run.metrics} for run in runs}
    skipped = [s for s in (found.skipped if found else ()) if tasks_of[s.run] & tasks_of[s.baseline]]
    refused = [Sentence("refused", f"{s.run} against {s.baseline}: {s.reason}") for s in skipped]
    care = [s for run, frame in zip(runs, frames, strict=True) for s in cautions(run, frame)]
    if refused or care:
        made.append(Block("", None, "Before believing it", "", _groups([*refused, *care], KINDS)))
    return made


def _trained(run: Run, baseline: Run) -> str:
    """' (trained from it by dpo)', as far as the checkpoint's lineage says so."""
    lineage = run.manifest.get("model", {}).get("lineage") or {}
    if not lineage.get("method"):
        return ""
    theirs = lineage.get("parent") and lineage["parent"] == baseline.manifest.get("model", {}).get("fingerprint")
    return f" (trained {'from it ' if theirs else ''}by {lineage['method']})"


def _groups(sentences: Sequence[Sentence], labels: Mapping[Said, str]) -> tuple[Group, ...]:
    found = [Group(kind, label, tuple(s for s in sentences if s.kind == kind)) for kind, label in labels.items()]
    return tuple(group for group in found if group.sentences)
