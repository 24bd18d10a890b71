"""Logs → runs: one run for each model and setting, with its figures made again from the samples.

Logs of one model that were made with the same template and sampling stand in one run; where a task is there twice, the
newer log counts. Everything is read and checked before the first run is written.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from evalsuite.data import fingerprint
from evalsuite.errors import InputError
from evalsuite.importing import inspect_logs, lm_eval
from evalsuite.importing.figures import Figures, figures_of
from evalsuite.importing.foreign import Answer, ForeignLog, ForeignTask
from evalsuite.importing.reading import sha256
from evalsuite.records import Health, Metric, missing
from evalsuite.running.manifest import command, write_score
from evalsuite.running.run import claim_name
from evalsuite.store import Run, SampleFile, write_run
from evalsuite.store.responses import encode
from evalsuite.store.runs import free_folder

HARNESSES = {"lm-eval": lm_eval.read_logs, "inspect": inspect_logs.read_logs}
READER = 1
"""Rises whenever the same log would give other figures."""


@dataclass
class Made:
    """A run that is ready to be written. `file` is None where no log has samples."""

    logs: list[ForeignLog]
    metrics: list[Metric]
    health: dict[str, Health]
    tasks: dict[str, Any]
    file: SampleFile | None
    notes: list[str]
    claims: dict[str, Any]


def import_logs(
    harness: str,
    path: Path,
    store: Path,
    name: str | None = None,
    lower: Sequence[str] = (),
    overwrite: bool = False,
) -> list[Run]:
    """Imports a log, or every log below a folder; returns one run for each model and setting.

    `lower` names metrics of which less is better, where the log does not say. With several runs `name` gives
    NAME/MODEL. Raises InputError, naming file and field, where a log is damaged or does not match its samples; then
    nothing has been written.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    groups = _groups(HARNESSES[harness](path))
    made = [_made(logs, frozenset(lower)) for logs in groups]
    known = {m.name for one in made for m in one.metrics}
    odd = next((m for m in lower if m not in known), None)
    if odd is not None:
        raise InputError(f"--lower-is-better {odd}: the log has no such metric; it has {', '.join(sorted(known))}")
    names = _names(made, name)
    for chosen in names:
        free_folder(store, chosen)
    for chosen, one in zip(names, made, strict=True):
        claim_name(store, chosen, _identity(one), overwrite)
    return [_write(store, chosen, one) for chosen, one in zip(names, made, strict=True)]


def _groups(logs: Sequence[ForeignLog]) -> list[list[ForeignLog]]:
    """Logs that belong into one run, the oldest first."""
    found: dict[str, list[ForeignLog]] = {}
    for log in sorted(logs, key=lambda x: (x.finished, str(x.path))):
        alike = [log.model, log.settings["sampling"], log.settings["seed"], log.roles]
        found.setdefault(fingerprint(alike), []).append(log)
    return list(found.values())


def _names(made: Sequence[Made], name: str | None) -> list[str]:
    models = [str(one.logs[0].model["name"]) for one in made]
    safe = ["".join(c if c.isalnum() or c in "-_." else "-" for c in m).lstrip(".")[:80] or "model" for m in models]
    marked = [f"{m}-{_identity(one)[:8]}" for m, one in zip(safe, made, strict=True)]
    if name is None:
        return marked
    if len(made) == 1:
        return [name]
    return [f"{name}/{m if safe.count(m) == 1 else mark}" for m, mark in zip(safe, marked, strict=True)]


def _identity(made: Made) -> str:
    return fingerprint([READER, sorted(sha256(f) for log in made.logs for f in log.files), sorted(made.tasks.items())])


def _made(logs: list[ForeignLog], lower: frozenset[str]) -> Made:
    made = Made(logs, [], {}, {}, None, [], {})
    newest = {task.id: log for log in logs for task in log.tasks}
    for log in logs:
        made.notes += log.notes
        for task in log.tasks:
            if newest[task.id] is not log:
                made.notes.append(f"{task.id}: {log.path.name} left out, {newest[task.id].path.name} is newer")
                continue
            _add(made, log, replace(task, lower=task.lower | (lower & {c.metric for c in task.claims})), lower)
    return made


def _add(made: Made, log: ForeignLog, task: ForeignTask, lower: frozenset[str]) -> None:
    answers = _scored(task.answers() if task.answers is not None else [])
    figures: Figures = figures_of(task, answers, log.path)
    made.metrics += figures.metrics
    made.notes += [*task.notes, *figures.notes]
    if figures.health is not None:
        made.health[task.id] = figures.health
    if answers:
        made.file = made.file or SampleFile(hold=False)
        names = [m.name for m in figures.metrics if m.name in figures.columns]
        made.file.add([_line(task, log.harness, answer, names) for answer in answers])
    made.claims[task.id] = {c.metric: {"value": c.value, "stderr": c.stderr} for c in task.claims}
    samples = {a.sample: [a.sample, a.target, dict(a.metadata)] for a in answers}
    made.tasks[task.id] = {
        "name": task.name,
        "version": task.version,
        "family": log.harness,
        "summary": f"{task.name}, as {log.harness} measured it",
        "data_hash": fingerprint([samples[key] for key in sorted(samples)]) if samples else None,
        "prompt_hash": fingerprint(task.protocol),
        "n": len(samples) if samples else task.expected,
        "primary": figures.primary,
        "lower_is_better": sorted(task.lower | (lower & {m.name for m in figures.metrics})),
        "judged": task.judged,
        "sampling": dict(task.sampling),
    }


def _scored(answers: Sequence[Answer]) -> list[Answer]:
    """A sample without any score failed: it is missing in every metric of its task."""
    names = dict.fromkeys(n for a in answers for n in a.scores)
    failed = {n: missing("backend_error") for n in names}
    return [a if a.scores else replace(a, scores=failed) for a in answers]


def _line(task: ForeignTask, family: str, answer: Answer, names: Sequence[str]) -> dict[str, Any]:
    """A row of `samples.parquet`, as `evalsuite.store.Run.samples` has it."""
    texts = [c for c in answer.completions if c.error is None and not c.logprobs]
    first = texts[0] if texts else None
    line: dict[str, Any] = {
        "task": task.id,
        "family": family,
        "sample": answer.sample,
        "repeat": answer.repeat,
        "question": answer.question,
        "prompt": answer.prompt,
        "answer": first.text if first else None,
        "reasoning": first.reasoning if first else None,
        "finish_reason": answer.finish,
        "tokens": sum(c.tokens for c in answer.completions),
        "prompt_tokens": sum(c.prompt_tokens for c in answer.completions),
        "target": json.dumps(answer.target, ensure_ascii=False),
        "metadata": json.dumps(answer.metadata, ensure_ascii=False),
        "completions": json.dumps({"answer": [encode(c) for c in answer.completions]}, ensure_ascii=False),
        "helped": '["judge"]' if answer.judged else "[]",
    }
    for name in names:
        if (score := answer.scores.get(name)) is not None:
            write_score(line, name, score)
    return {key: _whole(value) for key, value in line.items()}


def _whole(value: Any) -> Any:
    """Halves of surrogate pairs, which no file can hold, become U+FFFD."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value


def _write(store: Path, name: str, made: Made) -> Run:
    file = made.file
    rows: Any = file.finish if file is not None else (lambda path: None)
    return write_run(store, name, _manifest(made), made.metrics, made.health, rows)


def _manifest(made: Made) -> Mapping[str, Any]:
    last = made.logs[-1]
    versions = sorted({log.version for log in made.logs})
    return {
        "identity": _identity(made),
        "model": dict(last.model),
        "roles": dict(last.roles),
        "tasks": made.tasks,
        "sampling": last.settings["sampling"],
        "seed": last.settings["seed"],
        "limit": last.settings["limit"],
        "options": {},
        "data": {},
        "prompts": {},
        "plugins": [],
        "command": command(sys.argv),
        "packages": {**last.about.get("packages", {}), "evalsuite": version("evalsuite")},
        "hardware": {},
        "python": None,
        "started": last.about.get("started") or last.finished,
        "finished": last.finished,
        "wall_s": 0.0,
        "tokens": {},
        "origin": {
            "harness": last.harness,
            "version": ", ".join(versions),
            "reader": READER,
            "files": {str(f.name): sha256(f) for log in made.logs for f in log.files},
            "samples": made.file is not None,
            "figures": made.claims,
            "notes": list(dict.fromkeys(made.notes)),
        },
    }
