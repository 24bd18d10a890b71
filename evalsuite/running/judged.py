"""Runs judged against a baseline: the same prompts' answers in pairs, verdicts as annotations, win rate as a metric."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from evalsuite.data import fingerprint
from evalsuite.errors import InputError
from evalsuite.judging import Annotation, Answer, Case, Judge, judge_cases, pair, summarise, write_annotations
from evalsuite.records import Metric, Progress, user
from evalsuite.running.engine import Engine, answer
from evalsuite.store import Run
from evalsuite.store.runs import read_run, write_json


@dataclass(frozen=True)
class ReadyJudge:
    """A judge ready to work: what asks and reads, and the model that answers."""

    judge: Judge
    engine: Engine

    @property
    def label(self) -> str:
        """How metrics name it: prompts, sampling, model and revision belong to the figure
        (`pairwise/2#1f0c77ab:smollm2`)."""
        model = self.engine.model
        return f"{self.judge.identity}:{model.name}" + (f"@{model.options.revision}" if model.options.revision else "")


def judge_run(
    ready: ReadyJudge, run: Run, baseline: Run, progress: Progress | None = None, limit: int | None = None
) -> Run:
    """Judges a run's open answers against a baseline's and writes annotations and win rates into the run's folder.

    Tasks that declare `judged` are taken; pairs are samples that both runs answered (the first draw; saying nothing is
    an answer too, and a poor one), at most `limit` of each task. Raises InputError where the runs share no such task.
    """
    cases = pair_cases(run, baseline, limit)
    if not cases:
        raise InputError(f"runs {run.name} and {baseline.name} share no task with open answers to judge")
    annotations = judge_cases(
        cases, ready.judge, lambda r: answer(ready.engine, r, progress=progress), ready.engine.model.name
    )
    tasks = dict.fromkeys(c.task for c in cases)
    metrics = [_win_rate(ready, baseline, [a for a in annotations if a.task == task]) for task in tasks]
    return _store(run, ready, baseline, annotations, metrics)


def pair_cases(run: Run, baseline: Run, limit: int | None = None) -> list[Case]:
    """Cases of two runs: `a` is the run's answer, `b` the baseline's."""
    theirs_tasks = baseline.manifest["tasks"]
    judged = [task for task, info in run.manifest["tasks"].items() if info["judged"] and task in theirs_tasks]
    mine, theirs = first_answers(run), first_answers(baseline)
    cases = []
    for task in judged:
        keys = [k for k in mine if k[0] == task and k in theirs]
        for key in keys[:limit]:
            question, a = mine[key]
            b = theirs[key][1]
            answers = Answer(a, run.name), Answer(b, baseline.name)
            cases.append(pair(key[1], (user(question),), *answers, task=task))
    return cases


def first_answers(run: Run) -> dict[tuple[str, str], tuple[str, str]]:
    """(task, sample) → (question, first answer) where there is one."""
    rows = [row for row in run.rows() if row["repeat"] == 0 and row["answer"] is not None]
    return {(row["task"], row["sample"]): (row["question"], row["answer"]) for row in rows}


def _win_rate(ready: ReadyJudge, baseline: Run, annotations: Sequence[Annotation]) -> Metric:
    summary = summarise(annotations, ready.judge.aggregate)
    interval = summary.win_rate
    return Metric(
        task=annotations[0].task,
        name=f"win_rate[{ready.label} by {'+'.join(summary.modes) or 'no verdict'} against {baseline.name}]",
        value=interval.value,
        low=interval.low,
        high=interval.high,
        n=interval.n,
        missing=sum(summary.missing.values()),
        interval=interval.method,
        baselines={"tie": 0.5},
    )


def _store(
    run: Run, ready: ReadyJudge, baseline: Run, annotations: Sequence[Annotation], metrics: Sequence[Metric]
) -> Run:
    name = fingerprint([ready.label, baseline.name])[:8]
    write_annotations(run.path / f"annotations-{name}.jsonl", annotations)
    figures = json.loads((run.path / "metrics.json").read_text(encoding="utf-8"))
    names = {m.name for m in metrics}
    figures["metrics"] = [m for m in figures["metrics"] if m["name"] not in names] + [asdict(m) for m in metrics]
    write_json(run.path / "metrics.json", figures)
    return read_run(run.path, run.name)
