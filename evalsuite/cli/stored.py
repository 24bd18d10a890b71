"""samples, rescore: read a stored run's prompts, answers and scores; score or judge its answers again."""

import argparse
import json
from typing import Any

from evalsuite.cli import common
from evalsuite.errors import InputError, unknown


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    samples = verbs.add_parser("samples", help="read prompts, answers and scores, wrong ones first", allow_abbrev=False)
    samples.add_argument("run", metavar="RUN")
    samples.add_argument("--task", metavar="T", help="default: the run's only task")
    samples.add_argument("--wrong", action="store_true", help="only samples without full marks")
    samples.add_argument("--show", metavar="ID", help="this sample in full")
    samples.add_argument("--limit", type=int, default=10, metavar="N", help="how many to print (default: 10)")
    common.add_store(samples)
    common.add_json(samples)
    samples.set_defaults(func=samples_verb)

    rescore = verbs.add_parser(
        "rescore", help="score or judge stored completions again; generates nothing", allow_abbrev=False
    )
    rescore.add_argument("run", metavar="RUN")
    rescore.add_argument("--judge", metavar="J")
    rescore.add_argument("--judge-model", metavar="M")
    rescore.add_argument("--against", metavar="RUN", help="the stored run that the judge compares with")
    common.add_store(rescore)
    common.add_json(rescore)
    common.add_model(rescore)
    rescore.set_defaults(func=rescore_verb)


def samples_verb(args: argparse.Namespace) -> int:
    from evalsuite.store import open_run

    run = open_run(common.store_of(args), args.run)
    task = _task(run.manifest["tasks"], args.task)
    info = run.manifest["tasks"][task]
    primary, lower = info["primary"], info["primary"] in info["lower_is_better"]
    rows = [_sample(line, primary) for line in run.rows(task)]
    if args.show is not None:
        known = [r["sample"] for r in rows]
        rows = [r for r in rows if r["sample"] == args.show]
        if not rows:
            raise unknown("sample", args.show, known)
    else:
        # A score that is absent without a reason does not concern this sample.
        rows = [r for r in rows if r["score"] is not None or r["reason"] is not None]
    if args.wrong and args.show is None:
        rows = [r for r in rows if r["score"] is None or (r["score"] > 0 if lower else r["score"] < 1)]
    # Missing verdicts first, then the worst; equal ones stay in the data's order.
    rows.sort(key=lambda r: -1e9 if r["score"] is None else (-r["score"] if lower else r["score"]))
    shown = rows if args.show is not None else rows[: args.limit]
    if args.json:
        common.print_json({"run": run.name, "task": task, "metric": primary, "of": len(rows), "samples": shown})
        return 0
    for row in shown:
        _print_sample(row, primary, full=args.show is not None)
    common.say(f"{len(shown)} of {len(rows)} samples of {task} in {run.name}; one in full: --show ID; more: --limit N")
    return 0


def _task(tasks: dict[str, Any], asked: str | None) -> str:
    if asked is None:
        if len(tasks) == 1:
            return next(iter(tasks))
        raise InputError(f"the run has {len(tasks)} tasks; choose one with --task: {', '.join(tasks)}")
    near = [t for t in tasks if t == asked or t.partition("@")[0] == asked or t.partition("/")[0] == asked]
    if asked in tasks:
        return asked
    if len(near) != 1:
        raise InputError(f"the run has no task '{asked}'; it has {', '.join(tasks)}")
    return near[0]


def _sample(line: dict[str, Any], primary: str) -> dict[str, Any]:
    scores = {k.removeprefix("score."): v for k, v in line.items() if k.startswith("score.")}
    return {
        "sample": line["sample"],
        "repeat": line["repeat"],
        "prompt": line["prompt"],
        "answer": line["answer"],
        "reasoning": line["reasoning"],
        "finish_reason": line["finish_reason"],
        "target": json.loads(line["target"]),
        "score": scores.get(primary),
        "reason": line.get(f"reason.{primary}"),
        "scores": {k: v for k, v in scores.items() if v is not None},
        "details": json.loads(line.get(f"details.{primary}") or "{}"),
        "completions": {k: [json.loads(c) for c in v] for k, v in json.loads(line["completions"]).items()},
    }


def _print_sample(row: dict[str, Any], primary: str, full: bool) -> None:
    from rich.console import Console
    from rich.rule import Rule
    from rich.text import Text

    console = Console()
    mark = "no verdict: " + str(row["reason"]) if row["score"] is None else f"{primary} {row['score']:.3g}"
    again = f" (repeat {row['repeat']})" if row["repeat"] else ""
    console.print(Rule(Text(f"{row['sample']}{again}  {mark}"), align="left"))
    cut = None if full else 600

    def block(name: str, text: str, style: str) -> None:
        body = text if cut is None or len(text) <= cut else text[:cut] + f" … ({len(text)} characters)"
        # Control characters of a model's answer must not reach the terminal.
        clean = "".join(c if c in "\n\t" or c.isprintable() else f"\\x{ord(c):02x}" for c in body)
        console.print(Text(f"{name}: ", style="bold") + Text(clean, style=style))

    block("prompt", row["prompt"], "dim")
    if row["reasoning"]:
        block("reasoning", row["reasoning"], "dim italic")
    if row["answer"] is not None:
        block(f"answer ({row['finish_reason']})", row["answer"], "")
    if full or row["answer"] is None:
        for key, completions in row["completions"].items():
            for completion in completions:
                figure = completion.get("rewards") or (
                    f"log p {sum(completion['logprobs']):.3f}" if completion.get("logprobs") else ""
                )
                block(key, f"{completion.get('text', '')}  {figure}".strip(), "")
    if row["target"] is not None:
        block(
            "target",
            row["target"] if isinstance(row["target"], str) else json.dumps(row["target"], ensure_ascii=False),
            "",
        )
    if row["details"] and (full or row["details"].get("answer")):
        block("read as", json.dumps(row["details"], ensure_ascii=False), "")


def rescore_verb(args: argparse.Namespace) -> int:
    from evalsuite import api
    from evalsuite.store import open_run

    if bool(args.judge) != bool(args.judge_model):
        raise InputError("--judge J and --judge-model M go together")
    folder = common.store_of(args)
    run = open_run(folder, args.run)
    if args.judge:
        if not args.against:
            raise InputError("a pairwise judge needs the other run: --against RUN")
        judge = api.prepare_judge(args.judge, args.judge_model, common.model_options(args), folder)
        run = api.judge_runs(judge, [run], folder, args.against, common.meter)[0]
    else:
        run = api.rescore(run, folder)
    if args.json:
        from evalsuite.cli.run import run_json

        common.print_json({"runs": [run_json(run)]})
    else:
        common.print_runs([run])
    return 0
