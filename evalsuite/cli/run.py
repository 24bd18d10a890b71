"""run, plan, score: evaluate models on tasks."""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalsuite.cli import common
from evalsuite.cli.config import with_config
from evalsuite.errors import InputError

if TYPE_CHECKING:
    from evalsuite.api import Job
    from evalsuite.registry import Suite


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    run = verbs.add_parser("run", help="evaluate models on tasks", allow_abbrev=False)
    run.add_argument("models", nargs="*", metavar="MODEL")
    _add_options(run)
    run.add_argument("--dry-run", action="store_true", help="as `evalsuite plan`")
    run.add_argument("--judge", metavar="J", help="compare the models' open answers by this judge (see: list judges)")
    run.add_argument(
        "--against", metavar="RUN", help="the stored run that a judge compares with (default: first model)"
    )
    run.set_defaults(func=run_verb)

    plan = verbs.add_parser(
        "plan", help="what a run would cost and could find; nothing is computed", allow_abbrev=False
    )
    plan.add_argument("models", nargs="*", metavar="MODEL")
    _add_options(plan)
    plan.set_defaults(func=plan_verb)

    score = verbs.add_parser("score", help="score answers made elsewhere", allow_abbrev=False)
    score.add_argument("tasks", metavar="TASK")
    score.add_argument("--responses", required=True, metavar="FILE")
    _add_options(score, tasks=False)
    score.set_defaults(func=score_verb)


def _add_options(parser: argparse.ArgumentParser, tasks: bool = True) -> None:
    if tasks:
        parser.add_argument("--tasks", metavar="A,B|FAMILY", help="tasks, prefixes or families, comma-separated")
        parser.add_argument("--suite", metavar="S", help="a named list of tasks (see: evalsuite list suites)")
    parser.add_argument("--config", metavar="FILE", help="TOML file with these options; the command line wins")
    parser.add_argument("--name", metavar="NAME", help="the run's name; NAME/MODEL with several models")
    parser.add_argument("--overwrite", action="store_true", help="take the name of a run that was made differently")
    parser.add_argument("--backend", metavar="B", help="the engine (default: by the model)")
    parser.add_argument("--judge-model", metavar="MODEL", help="the model that judges, for --judge and for tasks")
    parser.add_argument("--all-metrics", action="store_true", help="print every metric, not only the headline ones")
    common.add_store(parser)
    common.add_json(parser)
    common.add_model(parser)
    common.add_sampling(parser)


def run_verb(args: argparse.Namespace) -> int:
    from evalsuite import api
    from evalsuite.running.early import may_overlap

    args = with_config(args)
    if args.dry_run:
        return plan_verb(args)
    folder = common.store_of(args)
    _check_judge(args)
    jobs = _jobs(args, folder)
    judge = _prepare_judge(args, folder, jobs)
    if judge is not None and args.against and may_overlap(judge):
        common.say(f"judge {judge.label}: on a server, so it reads answers while others are still written")
        runs = api.execute_judged(jobs, folder, judge, args.against, common.meter, args.overwrite)
    else:
        if judge is not None:
            common.say(f"judge {judge.label}: in a phase of its own, after the subjects")
        runs = api.execute(jobs, folder, common.meter, args.overwrite)
    if judge is not None:
        runs = api.judge_runs(judge, runs, folder, args.against, common.meter)
    if args.json:
        common.print_json({"runs": [run_json(r) for r in runs]})
    else:
        common.print_runs(runs, every=args.all_metrics)
        for run in runs:
            common.say(f"run {run.name}: {run.path} ({_took(run.manifest)})")
    return 0


def _check_judge(args: argparse.Namespace) -> None:
    if args.judge and not args.judge_model:
        raise InputError(f"--judge {args.judge}: name the model that judges by --judge-model M")
    if args.judge and len(args.models) < 2 and not args.against:
        raise InputError("a pairwise judge compares two models: name two, or give --against RUN")


def _prepare_judge(args: argparse.Namespace, folder: Path, jobs: "Sequence[Job]") -> Any:
    """The judge and the run it compares with, before anything is generated: a missing key must not cost a run."""
    from evalsuite import api
    from evalsuite.store import open_run

    if not args.judge:
        return None
    judge = api.prepare_judge(args.judge, args.judge_model, common.model_options(args), folder)
    if not any(task.spec.get("judged") for job in jobs for task in job.plan.tasks):
        raise InputError("--judge: none of these tasks has open answers to compare (open_prompts/own has)")
    if args.against:
        open_run(folder, args.against)
    return judge


def plan_verb(args: argparse.Namespace) -> int:
    from evalsuite.planning.summary import summarise

    args = with_config(args)
    folder = common.store_of(args)
    jobs = _jobs(args, folder)
    plans = [summarise(job.plan, job.engine.known_speeds()) for job in jobs]
    for job in jobs:
        job.engine.close()
    if args.json:
        common.print_json({"plans": plans})
    else:
        for plan in plans:
            _print_plan(plan)
    return 0


def score_verb(args: argparse.Namespace) -> int:
    args = with_config(args)
    args.models = [f"responses:{args.responses}"]
    args.suite, args.dry_run, args.judge, args.against = None, False, None, None
    return run_verb(args)


def _jobs(args: argparse.Namespace, folder: Path) -> "list[Job]":
    """The command's models and tasks, compiled. A suite's limits hold unless the command line gives its own."""
    from dataclasses import replace

    from evalsuite import api, registry

    names, suite = _tasks(args)
    for fault in registry.broken().values():
        common.say(f"left out: {fault}")
    options = common.sampling_options(args)
    if suite is not None:
        options = replace(options, limits=suite.limits, limit=options.limit or suite.limit)
    asked = {role for ref in registry.find_tasks(names) for role in ref.entry.roles}
    if args.judge_model and not getattr(args, "judge", None) and not asked & {"judge", "auxiliary"}:
        raise InputError("--judge-model: none of these tasks asks a judge (--judge J compares the runs' open answers)")
    chosen = common.model_options(args)
    spare = suite.tasks if suite is not None else ()
    jobs = api.prepare(args.models, names, chosen, options, folder, args.name, common.meter, args.backend, spare)
    for reason in jobs[0].left_out:
        common.say(f"left out: {reason}")
    if jobs[0].bare:
        common.say(f"--fewshot {args.fewshot}: no demonstrations in {', '.join(jobs[0].bare)}; asked without")
    return jobs


def _tasks(args: argparse.Namespace) -> "tuple[list[str], Suite | None]":
    from evalsuite import registry
    from evalsuite.errors import unknown

    names = [n.strip() for n in (args.tasks or "").split(",") if n.strip()]
    if args.suite:
        known = registry.suites()
        if args.suite not in known:
            raise unknown("suite", args.suite, known)
        return [*names, *known[args.suite].tasks], known[args.suite]
    return names, None


def run_json(run: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "name": run.name,
        "path": str(run.path),
        "model": run.manifest["model"],
        "metrics": [asdict(m) for m in run.metrics],
        "health": {t: asdict(h) for t, h in run.health.items()},
        "tokens": run.manifest["tokens"],
        "wall_s": run.manifest["wall_s"],
    }


def _print_plan(plan: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    made = f"{plan['backend']}, weights {plan['fingerprint']}, template {plan['template']}, BOS {plan['bos']}"
    print(f"{plan['model']}  ({made})")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("task", "samples", "requests", "units", "prompt tokens", "max new tokens", "detects ±"):
        table.add_column(heading, justify="left" if heading == "task" else "right", no_wrap=True)
    for task in plan["tasks"]:
        effect = task["minimum_detectable_effect"]
        cells = [task["samples"], task["requests"], task["units"], task["prompt_tokens"], task["max_new_tokens"]]
        name = task["task"] + (" (+ follow-ups)" if task["follows_up"] else "")
        table.add_row(name, *(f"{c:,}" for c in cells), f"{100 * effect:.1f} pt" if effect is not None else "·")
    Console(width=160).print(table)
    shared = plan["prompt_tokens"] - plan["distinct_tokens"]
    print(
        f"{plan['requests']:,} requests → {plan['units']:,} units in {plan['groups']} groups; "
        f"{plan['prompt_tokens']:,} prompt tokens, {plan['distinct_tokens']:,} distinct ({shared:,} shared); "
        f"at most {plan['max_new_tokens']:,} new tokens"
    )
    print(_estimate(plan["estimate"]))
    print("detects ±: paired comparison of two such runs, power 80%, alpha 5%, assumed correlation 0.5")
    for task in plan["tasks"]:
        _print_first(task)


def _estimate(made: dict[str, Any]) -> str:
    """What a plan will take, in words; figures are ceilings, because answers may end early."""
    time = "no estimate of time yet (no earlier run of this model here)"
    if made["seconds"] is not None:
        time = (
            f"at most about {_seconds(made['seconds'])} (by {made['runs']} earlier run{'s' * (made['runs'] > 1)} here)"
        )
    return time + (f"; at most about {made['cost']:.4g} in money" if made["cost"] is not None else "")


def _took(manifest: dict[str, Any]) -> str:
    """What a run took, beside what was expected."""
    expected, tokens = manifest.get("estimate", {}), manifest["tokens"]
    took = _seconds(manifest["wall_s"])
    if expected.get("seconds") is not None:
        took += f", expected at most {_seconds(expected['seconds'])}"
    if "cost" in tokens:
        took += f"; cost {tokens['cost']:.4g}"
        took += f", expected at most {expected['cost']:.4g}" if expected.get("cost") is not None else ""
    return took


def _seconds(value: float) -> str:
    if value < 120:
        return f"{value:.1f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def _print_first(task: dict[str, Any]) -> None:
    first = task["first"]
    if first is None:
        return
    notes: Sequence[str] = [f"{task[k]} {k.replace('_', ' ')}" for k in ("shortened", "too_long") if task[k]]
    print(f"\n── {task['task']}: first sample ({first['kind']}) {', '.join(notes)}")
    print(first["prompt"] if isinstance(first["prompt"], str) else shlex.quote(str(first["prompt"])))
    if first["continuation"] is not None:
        print(f"   continuation {first['continuation']!r} {first['continuation_ids'] or ''}")
    if first["prompt_ids"] is not None:
        ids = first["prompt_ids"]
        shown = " ".join(map(str, ids if len(ids) <= 60 else [*ids[:48], "…", *ids[-8:]]))
        print(f"   {len(ids)} token ids: {shown}")
