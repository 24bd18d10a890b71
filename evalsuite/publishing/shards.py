"""Answers to read, in script files that pages load one at a time; and what the other pages need to know of them.

`samples/NAME/index.js` lists a run's tasks and their shards; a shard holds rows of one task, about half a megabyte; a
text longer than TEXT is cut there with the number of characters left out (the Parquet file beside it is whole).
`scores.js` holds one score for each sample, for comparing. Runs are read one after the other.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evalsuite.publishing.entries import Entry
from evalsuite.publishing.judges import annotations_of
from evalsuite.publishing.rendering import write_data
from evalsuite.reporting.samples import from_json, given, number, verdicts
from evalsuite.reporting.tables import lower_is_better
from evalsuite.store import Run
from evalsuite.store.responses import decode

SHARD = 400_000  # characters of a shard after which the next one begins
TEXT = 20_000  # characters of one text on a page
QUESTION = 400  # characters of a question that other pages quote
LABELS = 24  # values of a metadata field up to which it is taken for a category
Row = Mapping[str, Any]


@dataclass
class TaskSamples:
    """One task over all entries with samples. `scores[place][sample]` is an entry's mean headline score, `categories`
    the metadata labels of each sample (`field=value`), `questions` its first words."""

    metric: str
    lower: bool
    scores: dict[int, dict[str, float]] = field(default_factory=dict)
    questions: dict[str, str] = field(default_factory=dict)
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)


def write_samples(entries: Sequence[Entry], slugs: Mapping[str, str], out: Path) -> dict[str, TaskSamples]:
    """Writes the shards of every entry that has samples; returns what the pages of tasks and models need."""
    found: dict[str, TaskSamples] = {}
    for place, entry in enumerate(entries):
        if entry.has_samples:
            _write_entry(place, entry, slugs, out / "samples" / entry.slug, found)
    for task in found.values():
        task.categories = _categories(task.categories)
    return found


def _write_entry(
    place: int, entry: Entry, slugs: Mapping[str, str], folder: Path, found: dict[str, TaskSamples]
) -> None:
    run = entry.run
    frame = run.samples()
    index, scores, words = [], {}, _words(run)
    for task, rows in frame.groupby("task", sort=False):
        name = str(task)
        spec = run.manifest.get("tasks", {}).get(name, {})
        metric = str(spec.get("primary") or "")
        lower = lower_is_better(run, name, metric)
        unit = next((m.unit for m in run.metrics if (m.task, m.name) == (name, metric)), "share")
        lines = rows.astype(object).where(rows.notna(), None).to_dict("records")
        known = found.setdefault(name, TaskSamples(metric, lower))
        own = known.scores.setdefault(place, _means(lines, metric))
        _remember(known, lines)
        said = verdicts(run, name)
        own_words = words.get(name, {})
        packed = (_packed({str(k): v for k, v in line.items()}, metric, said, own_words) for line in lines)
        sizes = _write_shards(entry.slug, slugs[name], packed, folder)
        about = {"task": name, "slug": slugs[name], "metric": metric, "unit": unit, "lower": lower}
        index.append({**about, "n": len(lines), "shards": sizes})
        hashes = {k: spec.get(k) for k in ("version", "data_hash", "prompt_hash")}
        scores[name] = {**about, **hashes, "ids": list(own), "scores": [round(v, 6) for v in own.values()]}
    write_data(folder / "index.js", f"index:{entry.slug}", index)
    write_data(folder / "scores.js", f"scores:{entry.slug}", scores)
    shutil.copyfile(run.path / "samples.parquet", folder / "samples.parquet")


def _write_shards(run: str, task: str, rows: Iterator[dict[str, Any]], folder: Path) -> list[int]:
    """Rows in each shard."""
    counts: list[int] = []
    held: list[dict[str, Any]] = []
    size = 0

    def flush() -> None:
        number = len(counts)
        write_data(folder / f"{task}-{number}.js", f"rows:{run}:{task}:{number}", held)
        counts.append(len(held))

    for row in rows:
        held.append(row)
        size += sum(len(v) for v in row.values() if isinstance(v, str))
        if size >= SHARD:
            flush()
            held, size = [], 0
    if held or not counts:
        flush()
    return counts


def _words(run: Run) -> dict[str, dict[str, str]]:
    """task → sample → what its judges wrote about this run's answer, whole, each reply under who said it."""
    found: dict[str, dict[str, str]] = {}
    for a in annotations_of(run):
        if a.model_a == run.name and a.raw.strip():
            of = found.setdefault(a.task, {})
            head = f"{a.judge_model}, {a.order}, against {a.model_b}:" if a.model_b else f"{a.judge_model}:"
            of[a.sample] = "\n\n".join(filter(None, (of.get(a.sample), f"{head}\n{a.raw.strip()[:TEXT]}")))
    return found


def _packed(line: Row, metric: str, said: Mapping[str, list[str]], words: Mapping[str, str]) -> dict[str, Any]:
    """A row with short names; what is absent is left out. q: prompt as the model got it, a: answer, c: reasoning, t:
    target, s: score, w: why there is none, d: what the scorer noted, v: verdicts, j: the judges' words, o: other
    completions, h: replies of other models that the score rests on."""
    details = from_json(line.get(f"details.{metric}"))
    if isinstance(details, dict) and details.get("answer") in (None, line.get("answer")):
        details = {k: v for k, v in details.items() if k != "answer"}
    others = {
        k.removeprefix("score."): v
        for k, v in line.items()
        if k.startswith("score.") and k != f"score.{metric}" and v is not None
    }
    reasons = line.get(f"reason.{metric}")
    row = {
        "i": str(line["sample"]),
        "r": int(line["repeat"] or 0) or None,
        "q": _cut(line.get("prompt")),
        "a": _cut(line.get("answer")),
        "c": _cut(line.get("reasoning")),
        "t": _cut(_plain(from_json(line.get("target")))),
        "s": number(line.get(f"score.{metric}")),
        "w": reasons if isinstance(reasons, str) else None if given(line, metric) else "does not concern this sample",
        "d": _cut(_plain(details)) if details else None,
        "v": said.get(str(line["sample"])) or None,
        "j": _cut(words.get(str(line["sample"]))),
        "h": _cut(_replies(line)),
        "f": line.get("finish_reason"),
        "k": number(line.get("tokens")),
        "x": {k: round(float(v), 4) for k, v in others.items()} or None,
        "o": None if line.get("answer") is not None else _cut(_plain(from_json(line.get("completions")))),
    }
    return {k: v for k, v in row.items() if v is not None}


def _replies(line: Row) -> str | None:
    """What models in other roles replied (a judge inside the task, by the request's name)."""
    helped, stored = from_json(line.get("helped")), from_json(line.get("completions"))
    if not helped or not isinstance(stored, dict):
        return None
    texts = [f"{key}: {decode(text).text.strip()}" for key in helped for text in stored.get(key, ())]
    return "\n".join(texts) or None


def _means(lines: Sequence[Mapping[Any, Any]], metric: str) -> dict[str, float]:
    sums: dict[str, list[float]] = {}
    for line in lines:
        value = number(line.get(f"score.{metric}"))
        if value is not None:
            entry = sums.setdefault(str(line["sample"]), [0.0, 0.0])
            entry[0], entry[1] = entry[0] + value, entry[1] + 1
    return {sample: total / count for sample, (total, count) in sums.items()}


def _remember(known: TaskSamples, lines: Sequence[Mapping[Any, Any]]) -> None:
    for line in lines:
        sample = str(line["sample"])
        if sample in known.questions:
            continue
        known.questions[sample] = str(line.get("question") or line.get("prompt") or "")[:QUESTION]
        metadata = from_json(line.get("metadata"))
        if isinstance(metadata, dict):
            known.categories[sample] = tuple(f"{k}={v}" for k, v in metadata.items() if _label(v))


def _label(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 60


def _categories(of: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Labels of fields that have few values; a field with many is an id or a text."""
    values: dict[str, set[str]] = {}
    for labels in of.values():
        for label in labels:
            values.setdefault(label.partition("=")[0], set()).add(label)
    kept = {name for name, seen in values.items() if 2 <= len(seen) <= LABELS}
    return {s: tuple(x for x in labels if x.partition("=")[0] in kept) for s, labels in of.items()}


def _cut(value: Any) -> str | None:
    if not isinstance(value, str) or not value:
        return None if value is None else str(value)
    return value if len(value) <= TEXT else f"{value[:TEXT]}\n… {len(value) - TEXT:,} more characters in the file"


def _plain(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
