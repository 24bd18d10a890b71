"""judge: compare answers by a judge that asks a model; annotations to a file, win rate to the terminal."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalsuite.cli import common
from evalsuite.errors import InputError, JudgeError

if TYPE_CHECKING:
    from evalsuite.judging import Summary
    from evalsuite.statistics import Interval


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    judge = verbs.add_parser("judge", help="compare two files of answers by a judge", allow_abbrev=False)
    judge.add_argument("judge", metavar="JUDGE", help="see: evalsuite list judges")
    judge.add_argument("--responses", nargs="+", required=True, metavar="FILE", help="answers of A and of B")
    judge.add_argument("--judge-model", required=True, metavar="MODEL", help="the model that judges")
    judge.add_argument("--out", required=True, metavar="FILE", help="annotations, JSON Lines")
    judge.add_argument("--questions", metavar="FILE", help="prompts by id, for files of answers that hold none")
    judge.add_argument("--limit", type=int, metavar="N", help="the first N shared prompts")
    judge.add_argument("--no-logprobs", action="store_true", help="read verdicts from text alone")
    judge.add_argument("--max-tokens", type=int, metavar="N", help="ceiling for a reply's length")
    judge.add_argument("--gen", action="append", default=[], metavar="KEY=VALUE", help="the judge model's sampling")
    judge.add_argument("--max-errors", type=int, default=20, metavar="N", help="failed requests before the run stops")
    common.add_store(judge)
    common.add_json(judge)
    common.add_model(judge)
    judge.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    from evalsuite.judging import How, find, judge_cases, summarise, write_annotations
    from evalsuite.judging.pairing import cases_of_files
    from evalsuite.models import resolve
    from evalsuite.planning import Options
    from evalsuite.running import Engine, answer

    folder = common.store_of(args)
    judge = find(args.judge)
    if not judge.pairs or len(args.responses) != 2:
        raise JudgeError(f"judge {args.judge}: compares two files: --responses A B")
    if args.limit is not None and args.limit < 1:
        raise InputError(f"--limit {args.limit}: must be at least 1")
    questions = Path(args.questions) if args.questions else None
    a, b = (Path(r).expanduser() for r in args.responses)
    cases = cases_of_files(a, b, questions, args.limit)
    options = Options(max_tokens=args.max_tokens, gen=common.pairs(args.gen, "--gen"), max_errors=args.max_errors)
    model = resolve(args.judge_model, common.model_options(args), common.meter(args.judge_model))
    engine = Engine(model, folder, max_errors=args.max_errors)
    try:
        engine.check_ready()
        annotations = judge_cases(
            cases,
            judge,
            lambda requests: answer(engine, requests, options, common.meter(model.name)),
            judge_model=model.name,
            how=How(verdicts="text" if args.no_logprobs else "logprobs"),
        )
    finally:
        engine.close()
    write_annotations(Path(args.out), annotations)
    summary = summarise(annotations, judge.aggregate)
    if args.json:
        common.print_json({**asdict(summary), "cases": len(cases), "annotations": str(args.out)})
    else:
        _print(summary, len(cases))
        common.say(f"annotations: {args.out}")
    return 0


def _print(summary: "Summary", cases: int) -> None:
    print(f"{summary.model_a} against {summary.model_b}, judged by {summary.judge_model} with {summary.judge}")
    print(f"  win rate           {_figure(summary.win_rate)}  ({summary.ties} ties, counted half)")
    print(f"  same in both orders  {_figure(summary.consistency)}")
    print(f"  for the first shown  {_figure(summary.first)}  (0.5 where position does not matter)")
    missing = ", ".join(f"{n} {reason}" for reason, n in summary.missing.items()) or "none"
    print(f"  no verdict         {sum(summary.missing.values())} of {cases} cases ({missing})")
    modes = ", ".join(f"{n} by {mode}" for mode, n in summary.modes.items()) or "none"
    print(f"  read               {modes}; {summary.prompt_tokens:,} prompt tokens, {summary.tokens:,} generated")


def _figure(interval: "Interval") -> str:
    value: Any = interval.value
    if value is None:
        return "no value"
    if interval.low is None or interval.high is None:
        return f"{value:.3f} [no interval], n {interval.n}"
    return f"{value:.3f} [{interval.low:.3f}, {interval.high:.3f}], n {interval.n}"
