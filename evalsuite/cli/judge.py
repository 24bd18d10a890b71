"""judge: answers judged by a judge that asks a model; annotations to a file, what they say to the terminal."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalsuite.cli import common
from evalsuite.errors import InputError

if TYPE_CHECKING:
    from evalsuite.judging import Case, How, Judge
    from evalsuite.judging.jury import Disagreement
    from evalsuite.judging.summary import Grades, Summary, Work
    from evalsuite.planning import Options
    from evalsuite.running import ReadyJudge
    from evalsuite.running.judged_files import JudgePlan
    from evalsuite.statistics import Interval


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    judge = verbs.add_parser("judge", help="have files of answers judged", allow_abbrev=False)
    judge.add_argument("judge", metavar="JUDGE", help="see: evalsuite list judges")
    judge.add_argument("--responses", nargs="+", required=True, metavar="FILE", help="answers of A (and of B, ...)")
    judge.add_argument(
        "--judge-model", action="append", required=True, metavar="MODEL", help="the model that judges (repeatable)"
    )
    judge.add_argument("--out", metavar="FILE", help="annotations, JSON Lines")
    judge.add_argument("--dry-run", action="store_true", help="calls, tokens and cost; asks nothing")
    beside = judge.add_argument_group("beside the answers")
    beside.add_argument("--questions", metavar="FILE", help="prompts by id, for files of answers that hold none")
    beside.add_argument("--baseline", metavar="FILE", help="a baseline model's answers")
    beside.add_argument("--references", metavar="FILE", help="answers that are known to be right, or people's")
    beside.add_argument("--auxiliary", nargs="+", default=[], metavar="FILE", help="answers to find criteria by")
    beside.add_argument("--criteria", metavar="FILE", help="criteria of each sample, or of all")
    beside.add_argument("--categories", metavar="FIELD", help="the questions' field (default: category, if any)")
    beside.add_argument("--limit", type=int, metavar="N", help="the first N shared prompts")
    asked = judge.add_argument_group("asking")
    asked.add_argument("--judge-args", action="append", default=[], metavar="KEY=VALUE", help="the judge's options")
    asked.add_argument("--orders", choices=("both", "ab", "ba", "seeded"), default="both", help="in which pairs stand")
    asked.add_argument("--repeats", type=int, default=1, metavar="N", help="draws of every verdict (temperature 0.7)")
    asked.add_argument("--attempts", type=int, default=3, metavar="N", help="for a reply that cannot be read")
    asked.add_argument(
        "--verdicts", choices=("auto", "logprobs", "likelihood", "text"), default="auto", help="how they are read"
    )
    asked.add_argument("--seed", type=int, default=0, metavar="N")
    asked.add_argument("--max-tokens", type=int, metavar="N", help="ceiling for a reply's length")
    asked.add_argument("--gen", action="append", default=[], metavar="KEY=VALUE", help="the judge model's sampling")
    asked.add_argument("--max-errors", type=int, default=20, metavar="N", help="failed requests before the run stops")
    common.add_store(judge)
    common.add_json(judge)
    common.add_model(judge)
    judge.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    from evalsuite.judging import find
    from evalsuite.judging.jury import disagreement
    from evalsuite.judging.summary import summaries
    from evalsuite.planning import Options
    from evalsuite.running.judged_files import judge_files, plan_judging

    folder = common.store_of(args)
    judge = find(args.judge, common.pairs(args.judge_args, "--judge-args"))
    how = _how(args)
    if not args.out and not args.dry_run:
        raise InputError("--out FILE is wanted (or --dry-run)")
    cases = _cases(args, judge)
    options = Options(max_tokens=args.max_tokens, gen=common.pairs(args.gen, "--gen"), max_errors=args.max_errors)
    ready = _ready(args, judge, folder, options)
    if args.dry_run:
        plans = [plan_judging(one, cases, how, options, args.verdicts) for one in ready]
        tell_plans(plans, args.attempts, args.json)
        return 0
    rows = judge_files(ready, cases, how, options, Path(args.out), args.verdicts, common.meter)
    found = summaries(rows, judge.aggregate)
    names = [one.engine.model.name for one in ready]
    apart = disagreement([row for row in rows if row.judge_model in names]) if len(set(names)) > 1 else None
    if args.json:
        told = {"summaries": [asdict(summary) for summary in found], "cases": len(cases), "rows": len(rows)}
        together = {} if apart is None else {"disagreement": asdict(apart)}
        common.print_json({**told, **together, "annotations": str(args.out)})
        return 0
    for summary in found:
        _print(summary, len(cases))
    if apart is not None:
        _print_disagreement(apart)
    common.say(f"annotations: {args.out}")
    return 0


def _how(args: argparse.Namespace) -> "How":
    from evalsuite.judging import How

    for name in ("repeats", "attempts"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name} {getattr(args, name)}: must be at least 1")
    return How(attempts=args.attempts, orders=args.orders, repeats=args.repeats, seed=args.seed)


def _cases(args: argparse.Namespace, judge: "Judge") -> "list[Case]":
    from evalsuite.judging.material import Sources
    from evalsuite.judging.pairing import cases_of

    def path(name: str | None) -> Path | None:
        return Path(name).expanduser() if name else None

    sources = Sources(
        responses=tuple(Path(name).expanduser() for name in args.responses),
        questions=path(args.questions),
        baseline=path(args.baseline),
        references=path(args.references),
        auxiliary=tuple(Path(name).expanduser() for name in args.auxiliary),
        criteria=path(args.criteria),
        category=args.categories,
        limit=args.limit,
    )
    cases = cases_of(sources, judge.answers)
    for case in cases:
        judge.check(case)
    return cases


def _ready(args: argparse.Namespace, judge: "Judge", folder: Path, options: "Options") -> "list[ReadyJudge]":
    from evalsuite.models import resolve
    from evalsuite.running import Engine, ReadyJudge

    chosen = common.model_options(args)
    models = [resolve(name, chosen, common.meter(name)) for name in dict.fromkeys(args.judge_model)]
    return [ReadyJudge(judge, Engine(model, folder, max_errors=options.max_errors)) for model in models]


def tell_plans(plans: "Sequence[JudgePlan]", attempts: int, as_json: bool) -> None:
    """What judging will take. `attempts`: how often a reply that cannot be read is asked for."""
    if as_json:
        common.print_json({"plans": [plan.json() for plan in plans], "attempts": attempts})
        return
    for plan in plans:
        print(f"{plan.judge} by {plan.judge_model}: {plan.cases:,} cases, {plan.unasked:,} of their draws need no call")
        print(f"  calls    {plan.calls:,} distinct of {plan.requests:,} ({plan.cached:,} answered before)")
        if plan.too_long:
            print(f"  too long {plan.too_long:,} requests do not fit the model's window: no verdict")
        if plan.later_calls:
            print(
                f"  later    about {plan.later_calls:,} more calls in later stages: an estimate, they depend on replies"
            )
        tokens = plan.costs + plan.later
        print(f"  tokens   {tokens.prompt_tokens:,} to read, at most {tokens.max_new_tokens:,} to write")
        cost = "no price known (--model-args price_in=.. price_out=..)" if plan.cost is None else f"{plan.cost:.4g}"
        seconds = "" if plan.seconds is None else f"; about {plan.seconds:,.0f} s at most, by earlier runs here"
        print(f"  cost     at most {cost}{seconds}" if plan.cost is not None else f"  cost     {cost}{seconds}")
        print(f"  a reply that cannot be read is asked for again, {attempts} times in all: not counted above")


def _print(summary: "Summary | Grades", cases: int) -> None:
    from evalsuite.judging.summary import Summary

    if isinstance(summary, Summary):
        print(f"{summary.model_a} against {summary.model_b}, judged by {summary.judge_model} with {summary.judge}")
        print(f"  win rate           {_figure(summary.win_rate)}  ({summary.ties} ties, counted half)")
        print(f"  same in both orders  {_figure(summary.consistency)}  ({summary.flips} flips)")
        print(f"  for the first shown  {_figure(summary.first)}  (0.5 where position does not matter)")
        print(f"  no verdict         {_without(summary.missing, cases)}")
    else:
        print(f"graded by {summary.judge_model} with {summary.judge}")
        for model in summary.models:
            wanting = sum(model.missing.values()) + model.grade.n
            print(f"  {model.model:24s} {_figure(model.grade)}  no grade: {_without(model.missing, wanting)}")
            for name, aspect in model.aspects.items():
                print(f"    {name:22s} {_figure(aspect)}")
        for name, difference in summary.differences.items():
            print(f"  {name} minus {summary.models[0].model}: {_figure(difference)} (paired)")
    _print_work(summary.work)


def _print_disagreement(apart: "Disagreement") -> None:
    print("judge models beside each other")
    print(f"  same verdict of all  {_figure(apart.unanimous)}")
    print(f"  Krippendorff's alpha {_figure(apart.alpha)}; of verdicts as names {_figure(apart.alpha_winner)}")
    for model, agreed in apart.juror.items():
        print(f"  {model:24s} with the others' majority {_figure(agreed)}")


def _print_work(work: "Work") -> None:
    modes = ", ".join(f"{n} by {mode}" for mode, n in work.modes.items()) or "none"
    cost = "" if work.cost is None else f"; cost {work.cost:.4g}"
    print(f"  read               {modes}; {work.prompt_tokens:,} prompt tokens, {work.tokens:,} generated{cost}")
    if work.retried:
        print(f"  asked again        {work.retried} of {work.asked} rows")
    if len(work.modes) > 1:
        common.say("warning: verdicts of this file were read in several ways; they do not compare with each other")


def _without(missing: Any, of: int) -> str:
    reasons = ", ".join(f"{n} {reason}" for reason, n in missing.items()) or "none"
    return f"{sum(missing.values())} of {of} cases ({reasons})"


def _figure(interval: "Interval") -> str:
    value: Any = interval.value
    if value is None:
        return "no value"
    if interval.low is None or interval.high is None:
        return f"{value:.3f} [no interval], n {interval.n}"
    return f"{value:.3f} [{interval.low:.3f}, {interval.high:.3f}], n {interval.n}"
