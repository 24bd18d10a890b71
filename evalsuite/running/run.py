"""A run: the plan's stages one after the other, then scores, figures and the run's folder."""

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from evalsuite.data import fingerprint
from evalsuite.errors import InputError
from evalsuite.planning import Plan, Task, next_stage
from evalsuite.planning.plan import MAX_STAGES, Slot
from evalsuite.records import REASONS, Completion, Completions, Metric, Progress, Sample, Score
from evalsuite.running.engine import Engine
from evalsuite.running.figures import Row, fill_missing, health_of_rows, metrics_of
from evalsuite.running.manifest import last_user, now, record, run_manifest
from evalsuite.store import Run, write_run
from evalsuite.store.responses import decode
from evalsuite.store.runs import free_folder, read_object

Values = dict[str, tuple[Completion, ...]]
WIN_RATE = "win_rate["
"""How the names of a judge's metrics begin."""


def run_plan(
    engine: Engine,
    plan: Plan,
    store: Path,
    name: str | None = None,
    progress: Progress | None = None,
    overwrite: bool = False,
) -> Run:
    """Executes a plan and writes its run. Interrupted, it loses at most one group: the same command resumes.

    Raises InputError where the name belongs to other work; `overwrite` deletes that run instead.
    """
    started = time.time()
    hashes = {task.id: _prompt_hash(task) for task in plan.tasks}
    identity = run_identity(plan, hashes)
    name = name or f"{plan.model.name}-{identity[:8]}"
    claim_name(store, name, identity, overwrite)
    engine.tell_prompts(_asked_by_id(plan))
    prompts: dict[Slot, str] = {}
    answers: dict[str, Completion] = {}
    for _ in range(MAX_STAGES):
        _remember_prompts(plan, prompts)
        answers.update(engine.run(plan.stage, progress))
        if next_stage(plan, answers) is None:
            break
    else:
        raise InputError(f"a task still asks after {MAX_STAGES} stages; its follow_up must end")
    rows = _score(plan, answers, prompts)
    manifest = run_manifest(engine, plan, hashes, identity, started)
    return write_rows(store, name, manifest, rows, {plan.tasks[t].id: len(s) for t, s in plan.shortened.items()})


def run_identity(plan: Plan, hashes: Mapping[str, str]) -> str:
    """What makes two runs the same work: model with template, system prompt and sampling; tasks, data, prompts."""
    tasks = [[t.id, t.spec["version"], t.data_hash, hashes[t.id]] for t in plan.tasks]
    return fingerprint([plan.model.identity, plan.model.name, tasks, plan.options.identity()])


def claim_name(store: Path, name: str, identity: str, overwrite: bool) -> None:
    """A name belongs to one work: taking it for another would overwrite figures silently."""
    folder = free_folder(store, name)
    if not (folder / "manifest.json").is_file():
        return
    before = {} if overwrite else read_object(folder / "manifest.json")
    if before.get("identity") == identity:
        return
    if not overwrite:
        raise InputError(
            f"run '{name}' exists in {store} and was made differently; choose another --name or --overwrite"
        )
    shutil.rmtree(folder)


def write_rows(
    store: Path,
    name: str,
    manifest: dict[str, Any],
    rows: Sequence[Row],
    shortened: Mapping[str, int],
    more: Sequence[Metric] = (),
) -> Run:
    """Figures of scored rows, and the run's folder."""
    tasks: dict[str, list[Row]] = {}
    for row in rows:
        tasks.setdefault(row.task.id, []).append(row)
    metrics = [*(m for group in tasks.values() for m in metrics_of(group[0].task, group)), *more]
    health = {task: health_of_rows(group, shortened.get(task, 0)) for task, group in tasks.items()}
    return write_run(store, name, manifest, metrics, health, [record(row) for row in rows])


def rescore_run(run: Run, tasks: Sequence[Task], store: Path) -> Run:
    """Scores a run's stored completions again (after a scorer changed), generating nothing; the run is rewritten.

    Raises InputError where a stored sample is no longer in the task's data.
    """
    by_id = {task.id: {s.id: s for s in task.samples} for task in tasks}
    stored = run.rows()
    rows: list[Row] = []
    for task in tasks:
        entries: list[tuple[Sample, int, str, Values]] = []
        for line in (r for r in stored if r["task"] == task.id):
            sample = by_id[task.id].get(line["sample"])
            if sample is None:
                raise InputError(f"run {run.name}: task {task.id} has no sample '{line['sample']}' any more")
            values = {k: tuple(decode(c) for c in v) for k, v in json.loads(line["completions"]).items()}
            entries.append((sample, int(line["repeat"]), line["prompt"], values))
        # A row without completions was too long to ask.
        scored = [_score_one(task, s, v) if v else (None, "too_long") for s, _, _, v in entries]
        for (sample, repeat, prompt, values), scores in zip(entries, fill_missing(scored, task.primary), strict=True):
            rows.append(Row(task, sample, repeat, prompt, values, scores))
    manifest = {**run.manifest, "rescored": now()}
    for task in tasks:
        lower = list(task.spec.get("lower_is_better", ()))
        manifest["tasks"][task.id].update(version=task.spec["version"], primary=task.primary, lower_is_better=lower)
    # A judge's figures rest on the completions, which have not changed.
    judged = [m for m in run.metrics if m.name.startswith(WIN_RATE)]
    return write_rows(store, run.name, manifest, rows, {t: h.shortened for t, h in run.health.items()}, judged)


def _score(plan: Plan, answers: Mapping[str, Completion], prompts: Mapping[Slot, str]) -> list[Row]:
    rows: list[Row] = []
    slots = list(plan.slots())
    for t, task in enumerate(plan.tasks):
        entries: list[tuple[Slot, Sample, Values]] = []
        scored: list[tuple[dict[str, Score] | None, str]] = []
        for slot, _, sample in slots:
            if slot[0] != t:
                continue
            asked = plan.asked[slot]
            too_long = any(prints is None for prints in asked.values())
            values = {k: tuple(answers[p] for p in prints) for k, prints in asked.items() if prints is not None}
            entries.append((slot, sample, {} if too_long else values))
            scored.append((None, "too_long") if too_long else _score_one(task, sample, values))
        for (slot, sample, values), scores in zip(entries, fill_missing(scored, task.primary), strict=True):
            rows.append(Row(task, sample, slot[2], prompts.get(slot, ""), values, scores))
    return rows


def _score_one(task: Task, sample: Sample, values: Values) -> tuple[dict[str, Score] | None, str]:
    """A sample's scores, or None with the reason why none can be had."""
    every = [c for cs in values.values() for c in cs]
    for completion in every:
        if completion.error is not None:
            # A backend's error begins with its reason where it knows one ("too_long: ...").
            reason = completion.error.partition(":")[0]
            return None, reason if reason in REASONS else "backend_error"
    scores = task.score(sample, Completions(values))
    # What could not be read because it was cut off or never said is missing for that reason: the remedy is another one.
    silent = bool(every) and all(not c.text.strip() for c in every)
    cut = bool(every) and all(c.finish_reason == "length" for c in every)
    if silent or cut:
        why = "truncated" if cut else "empty"
        scores = {k: replace(s, reason=why) if s.reason == "unparsable" else s for k, s in scores.items()}
    return scores, ""


def _remember_prompts(plan: Plan, prompts: dict[Slot, str]) -> None:
    """Keeps the rendered text of each sample's first request: units are dropped with their stage."""
    for slot, asked in plan.asked.items():
        first = next((prints for prints in asked.values() if prints), None)
        unit = plan.stage.units.get(first[0]) if first else None
        if slot not in prompts and unit is not None:
            prompts[slot] = unit.prompt or "\n\n".join(str(m["content"]) for m in unit.messages)


def _asked_by_id(plan: Plan) -> dict[str, str]:
    """What each sample's first request asks, by sample id; ids that mean different prompts in two tasks are left out,
    because a file that names them alone does not say which one it answers."""
    found: dict[str, str] = {}
    doubtful = set()
    for slot, _, sample in plan.slots():
        prints = next(iter(plan.asked[slot].values()), None)
        messages = plan.stage.units[prints[0]].messages if prints else sample.messages
        text = last_user(messages)
        if found.setdefault(sample.id, text) != text and len(plan.tasks) > 1:
            doubtful.add(sample.id)
    return {key: text for key, text in found.items() if key not in doubtful}


def _prompt_hash(task: Task) -> str:
    return fingerprint([[asdict(r) for r in task.prompt(s)] for s in task.samples])
