"""judge audit: how far a judge can be trusted, from its annotations, people's, and (with a model) attacks on it."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from evalsuite.cli import common
from evalsuite.errors import InputError

if TYPE_CHECKING:
    from evalsuite.judging.audit.attacks import Attacks
    from evalsuite.judging.audit.audit import Audit, Identity
    from evalsuite.judging.contract import Annotation, Case
    from evalsuite.planning import Options
    from evalsuite.running import ReadyJudge


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    audit = verbs.add_parser("judge audit", help="how far a judge can be trusted: its report card", allow_abbrev=False)
    audit.add_argument("--annotations", nargs="+", required=True, metavar="FILE", help="what the judge said, any shape")
    audit.add_argument("--human", nargs="+", default=[], metavar="FILE", help="what people said about the same answers")
    audit.add_argument("--of", metavar="NAME", help="which judge, where the annotations are of several")
    audit.add_argument(
        "--beside", nargs="+", default=[], metavar="FILE", help="other judges' annotations, to stand beside"
    )
    audit.add_argument("--responses", nargs=2, metavar="FILE", help="the judged answers of A and of B: their texts")
    audit.add_argument("--questions", metavar="FILE", help="prompts by id, for files of answers that hold none")
    audit.add_argument("--pairs", metavar="FILE", help="pairs of answers to attack on (default: those in --human)")
    audit.add_argument("--rule", choices=("mean", "both"), default="mean", help="how two orders become one outcome")
    audit.add_argument("--baseline", default="baseline", metavar="NAME", help="of annotations that do not name theirs")
    audit.add_argument("--preferences-judge", default="", metavar="MODEL", help="labelled the contestants' preferences")
    audit.add_argument("--reward-model", default="", metavar="MODEL", help="served as the contestants' reward")
    audit.add_argument("--out", type=Path, metavar="CARD.html", help="the report card")
    attacks = audit.add_argument_group("attacks")
    attacks.add_argument("--judge", metavar="JUDGE", help="see: evalsuite list judges")
    attacks.add_argument("--judge-model", metavar="MODEL", help="the model that judges")
    attacks.add_argument("--judge-args", action="append", default=[], metavar="KEY=VALUE", help="the judge's options")
    attacks.add_argument("--dry-run", action="store_true", help="the attacks' calls, tokens and cost; asks nothing")
    attacks.add_argument("--limit", type=int, default=50, metavar="N", help="attack on the first N pairs (default: 50)")
    attacks.add_argument(
        "--verdicts", choices=("auto", "logprobs", "likelihood", "text"), default="auto", help="how they are read"
    )
    attacks.add_argument("--gen", action="append", default=[], metavar="KEY=VALUE", help="the judge model's sampling")
    attacks.add_argument("--max-errors", type=int, default=20, metavar="N", help="failed requests before the run stops")
    common.add_store(audit)
    common.add_json(audit)
    common.add_model(audit)
    audit.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    from evalsuite.judging.audit.audit import Options, audit, identify
    from evalsuite.judging.audit.items import with_texts
    from evalsuite.judging.audit.words import words
    from evalsuite.judging.pairing import cases_of_files

    if args.out is not None and args.out.is_dir():
        raise InputError(f"--out {args.out}: is a folder; give a file such as {args.out / 'card.html'}")
    if bool(args.judge) != bool(args.judge_model):
        raise InputError("attacks need both --judge JUDGE and --judge-model MODEL")
    if args.dry_run and not args.judge:
        raise InputError("--dry-run counts the attacks' calls: give --judge JUDGE and --judge-model MODEL")
    questions = Path(args.questions) if args.questions else None
    files = [Path(path).expanduser() for path in args.responses or ()]
    cases = cases_of_files(files[0], files[1], questions) if files else []
    if args.dry_run:
        return _plan(args, cases or _pairs(args))
    rows, others = _chosen(with_texts(_read(args.annotations, args.baseline), cases), args.of)
    people = _read(args.human, args.baseline)
    beside = [*others, *with_texts(_read(args.beside, args.baseline), cases)]
    options = Options(args.rule, args.preferences_judge, args.reward_model)
    identity = identify(rows)
    card = audit(rows, people, beside, options, identity)
    attacks = None
    if args.judge:
        attacks, told = _attack(args, cases or _pairs(args), identity)
        card = replace(card, identity=told)
    if args.out is not None:
        from evalsuite.reporting.judge_card import write_card

        write_card(card, args.out, attacks)
    if args.json:
        from evalsuite.reporting.judge_card import as_json

        common.print_json({**as_json(card, attacks), "card": str(args.out) if args.out else None})
        return 0
    _print(card, attacks, words(card, attacks).standing)
    if args.out is not None:
        common.say(f"report card: {args.out}")
    return 0


def _read(paths: Sequence[str], baseline: str) -> "list[Annotation]":
    from evalsuite.judging.importing import read_any

    return [row for path in paths for row in read_any(Path(path).expanduser(), baseline)]


def _chosen(rows: "list[Annotation]", name: str | None) -> "tuple[list[Annotation], list[Annotation]]":
    """The rows of the judge that is audited, and those of the others in its file."""
    from evalsuite.judging.audit.items import PERSON, by_judge

    found = {" ".join(filter(None, key)): given for key, given in by_judge(rows).items() if key[0] != PERSON}
    if not found:
        raise InputError("--annotations: holds people's votes only; give them by --human")
    named = [n for n in found if name is None or name.lower() in n.lower()]
    if name in found:
        named = [name]
    if len(named) != 1:
        which = "several judges" if len(named) > 1 else f"no judge '{name}'"
        raise InputError(f"--annotations: holds {which}: choose by --of one of: {', '.join(list(found)[:12])}")
    return found[named[0]], [row for n, given in found.items() if n != named[0] for row in given]


def _pairs(args: argparse.Namespace) -> "list[Case]":
    from evalsuite.judging.audit.cases import cases_in

    for path in [args.pairs] if args.pairs else [*args.human, *args.annotations]:
        cases = cases_in(Path(path).expanduser(), args.limit)
        if cases:
            return cases
    raise InputError(
        "attacks need questions with two answers each: give --responses A B, or a file that holds them by --pairs"
    )


def _ready(args: argparse.Namespace) -> "tuple[ReadyJudge, Options]":
    from evalsuite.judging import find
    from evalsuite.models import resolve
    from evalsuite.planning import Options
    from evalsuite.running import Engine, ReadyJudge

    if args.limit < 1:
        raise InputError(f"--limit {args.limit}: must be at least 1")
    folder = common.store_of(args)
    judge = find(args.judge, common.pairs(args.judge_args, "--judge-args"))
    options = Options(gen=common.pairs(args.gen, "--gen"), max_errors=args.max_errors)
    model = resolve(args.judge_model, common.model_options(args), common.meter(args.judge_model))
    return ReadyJudge(judge, Engine(model, folder, max_errors=args.max_errors)), options


def _plan(args: argparse.Namespace, cases: "list[Case]") -> int:
    """What the attacks will ask, counted; nothing is asked, audited or written."""
    from evalsuite.cli.judge import tell_plans
    from evalsuite.judging import How
    from evalsuite.judging.audit.attacks import Attempt, drawn, work
    from evalsuite.running.judged_files import plan_judging

    ready, options = _ready(args)
    attempt, how = Attempt(limit=args.limit), How()
    once, again = work(cases, ready.judge, attempt)
    plans = [
        plan_judging(ready, once, how, options, args.verdicts),
        plan_judging(ready, again, drawn(attempt, how), options, "text"),
    ]
    if not args.json:
        pairs = min(len(cases), attempt.limit)
        print(f"attacks on {pairs} pairs: as they are, against constant answers, with injections; then drawn again")
    tell_plans(plans, how.attempts, args.json)
    return 0


def _attack(args: argparse.Namespace, cases: "list[Case]", known: "Identity") -> "tuple[Attacks, Identity]":
    from evalsuite.judging import How
    from evalsuite.judging.audit.attacks import Attempt, attack
    from evalsuite.running.judged_files import asking, prices_of, verdicts_of

    ready, options = _ready(args)
    judge, engine, model = ready.judge, ready.engine, ready.engine.model
    how = How(verdicts=verdicts_of(model, args.verdicts), prices=prices_of(model))
    try:
        engine.check_ready()
        ask = asking(engine, options, common.meter(model.name))
        found = attack(cases, judge, ask, model.name, Attempt(limit=args.limit), how)
    finally:
        engine.learn()
        engine.close()
    same = known.judge == judge.identity and known.model in ("", model.name)
    if not same:
        common.say(
            f"note: attacked {judge.identity} of {model.name}; the annotations are of {known.judge} of {known.model}"
        )
        return found, known
    probe = cases[0] if judge.pairs else replace(cases[0], answers=cases[0].answers[:1])
    asked = [request.sampling for request in judge.requests(probe)][:1]
    sampling = {"temperature": asked[0].temperature, "max_tokens": asked[0].max_tokens} if asked else {}
    return found, replace(
        known, model=model.name, fingerprint=model.identity, revision=args.revision or "", sampling=sampling
    )


def _print(card: "Audit", attacks: "Attacks | None", standing: str) -> None:
    from evalsuite.judging.audit.words import per_cent, points

    print(f"{card.judge.name}\n{standing}")
    print(f"  {card.identity.rows} verdicts on {card.judged} pairs, {card.votes} votes of {card.people} people")
    width = max(len(p.name) for p in card.profiles)
    print(f"  {'':{width}}  {'without ties':>16}  {'with ties':>16}  {'flips':>16}  {'first slot':>16}  {'longer':>16}")
    for p in card.profiles:
        cells = (p.without_ties, p.with_ties, p.flips, p.first, p.longer)
        print(f"  {p.name:{width}}  " + "  ".join(f"{per_cent(c):>16}" for c in cells))
    ceiling = card.ceiling
    print(f"  human ceiling {per_cent(ceiling.person)}, the judge by the same targets {per_cent(ceiling.judge)}")
    if attacks is not None:
        for null in attacks.nulls:
            print(f"  {null.name} wins {per_cent(null.win_rate)}")
        found = attacks.injection
        print(f"  injection sways {per_cent(found.success)}, control {per_cent(found.control)}, {points(found.excess)}")
