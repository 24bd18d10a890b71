"""What a reader should know before believing a submission: answers of a null model, overlap with training data.

A null model answers every prompt alike and still wins with careless judges (Zheng et al. 2024, "Cheating automatic LLM
benchmarks"); so a task whose written answers are mostly one text is said aloud, and so is a headline figure that a
constant reaches too. Training data that are at hand are searched for the samples (`contamination`); of others the name
is read.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evalsuite.publishing.contamination import Found, as_read, declared, search
from evalsuite.records import Metric
from evalsuite.reporting.numbers import interval_text, share_text, value_text
from evalsuite.store import Run

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 20  # written answers below which sameness says nothing
SAME = 0.5  # share of one text among a task's answers from which it is a warning
LONG = 40  # characters: "yes" may be most answers of an honest model


def warnings_of(run: Run, found: Sequence[Found] | None = None) -> list[str]:
    """Sentences, each naming its task. `found` is what a search of the training data gave; without it the search of
    the submitter counts, or, for a run that is no submission, one of the file that its lineage names."""
    if found is None:
        found = as_read(run) if (run.path / "submission.json").is_file() else search(run, declared(run))
    overlaps = [f"contamination: {f}" for f in found if f.hits]
    return [*overlaps, *_named(run, {f.task for f in found}), *_constants(run), *_nulls(run)]


def _named(run: Run, searched: Collection[str]) -> Iterator[str]:
    """Training data that bear a task's name or hash and could not be searched."""
    lineage: Mapping[str, Any] = run.manifest.get("model", {}).get("lineage") or {}
    trained = str(lineage.get("data") or "")
    for task, spec in run.manifest.get("tasks", {}).items():
        data_hash, stem = str(spec.get("data_hash") or ""), task.partition("/")[0].partition("@")[0].partition(":")[0]
        named = (len(data_hash) > 4 and data_hash in trained) or stem.lower() in trained.lower()
        if trained and named and task not in searched:
            yield f"{task}: contamination: the checkpoint declares training data that names this task ({trained[:80]})"


def _constants(run: Run) -> Iterator[str]:
    """Headline figures that are no better than a constant answer."""
    for m in run.metrics:
        lower = m.name in (run.manifest.get("tasks", {}).get(m.task, {}).get("lower_is_better") or ())
        if not m.primary or m.value is None or m.low is None or m.high is None or not m.baselines:
            continue
        name, best = min(m.baselines.items(), key=lambda b: b[1] if lower else -b[1])
        if (m.low <= best) if not lower else (m.high >= best):
            yield (
                f"{m.task}: {m.name} {interval_text(m.value, m.low, m.high, m.unit)} is not shown to beat the constant "
                f"“{name}” ({value_text(best, m.unit)})"
            )


def _nulls(run: Run) -> Iterator[str]:
    if not (run.path / "samples.parquet").is_file():
        return
    frame = run.samples(["task", "answer"])
    for task, rows in frame.groupby("task", sort=False):
        text, share, n = most_common(rows)
        if n >= FEWEST and share >= SAME and len(text) >= LONG:
            judged = _judged(run.metrics, str(task))
            tail = "; a judge was asked about it" if judged else ""
            yield f"{task}: null model: {share_text(share)} of {n} answers are the same text{tail}"


def most_common(rows: "pd.DataFrame") -> tuple[str, float, int]:
    """The commonest written answer, its share, and how many answers there are."""
    answers = rows["answer"].dropna().astype(str).str.strip()
    if not len(answers):
        return "", 0.0, 0
    counts = answers.value_counts()
    return str(counts.index[0]), float(counts.iloc[0] / len(answers)), len(answers)


def _judged(metrics: list[Metric], task: str) -> bool:
    return any(m.task == task and m.name.startswith("win_rate[") for m in metrics)
