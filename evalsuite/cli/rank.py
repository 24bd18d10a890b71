"""`rank`: annotations of any of the field's shapes → a ranking with intervals."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from evalsuite.cli import common
from evalsuite.errors import InputError

if TYPE_CHECKING:
    from evalsuite.judging import Annotation
    from evalsuite.judging.ranking.ranking import Choices

METHODS = ("win-rate", "length-controlled", "bradley-terry", "elo", "grade")
ORDERS = ("mean", "both", "each")
MISSING = ("drop", "case", "tie", "loss")


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    rank = verbs.add_parser("rank", help="rank models by annotations of a judge or of people", allow_abbrev=False)
    rank.add_argument("annotations", nargs="+", metavar="ANNOTATIONS", help="ours, or a shape of the field's")
    rank.add_argument("--method", choices=METHODS, default="win-rate", help="default: win-rate")
    rank.add_argument(
        "--baseline", metavar="NAME", help="whom models are compared with; names it where a file does not"
    )
    rank.add_argument("--judge", metavar="NAME", help="the annotations of this judge; all mixes them")
    rank.add_argument("--place", action="append", default=[], metavar="FILE", help="a new model's, by another judge")
    rank.add_argument("--exclude-judges", action="store_true", help="leave out models that take part in the judging")
    _counting(rank)
    _groups(rank)
    _methods(rank)
    common.add_json(rank)
    rank.set_defaults(func=run)


def _counting(rank: argparse.ArgumentParser) -> None:
    group = rank.add_argument_group("what counts how much")
    group.add_argument("--orders", choices=ORDERS, default="mean", help="a case's two orders: their mean, a win only "
                       "if both agree, or each for itself (default: mean)")  # fmt: skip
    group.add_argument("--missing", choices=MISSING, default="drop", help="a verdict that is not there (default: drop)")
    group.add_argument(
        "--strong", type=float, metavar="W", help="weight of a clear win, A>>B (bradley-terry: 3, else 1)"
    )
    group.add_argument("--slight", type=float, default=1.0, metavar="P", help="what a slight win is worth (default 1)")
    group.add_argument("--judge-variance", metavar="SWAP,REPEAT", help="the judge's variance between orders and "
                       "between repeats, from its audit, where these annotations cannot show it")  # fmt: skip
    group.add_argument("--length-margin", type=float, metavar="K", help="a slight win by an answer longer by over K "
                       "characters is a tie")  # fmt: skip


def _pair(option: str, text: str | None) -> tuple[float | None, float | None]:
    parts = [p.strip() for p in (text or "").split(",")]
    values = [
        _number(option, name, p) if p else None for name, p in zip(("SWAP", "REPEAT"), [*parts, ""], strict=False)
    ]
    if len(parts) > len(values) or any(v is not None and not 0 <= v <= 1 for v in values):
        raise InputError(f"{option} {text}: wants SWAP,REPEAT, two variances between 0 and 1")
    return values[0], values[1]


def _groups(rank: argparse.ArgumentParser) -> None:
    group = rank.add_argument_group("groups")
    group.add_argument("--by", metavar="FIELD", help="figures by category, task or a field of details, with averages")
    group.add_argument(
        "--weight", action="append", default=[], metavar="GROUP=W", help="of a group in the macro average"
    )
    group.add_argument("--tree", metavar="FILE", help="a JSON tree of categories to roll figures up")
    group.add_argument(
        "--tags", metavar="FILE", help="each sample's domain and tags, where annotations do not tell them"
    )
    group.add_argument("--depth", type=int, default=1, metavar="N", help="levels of the tree to print (default 1)")


def _methods(rank: argparse.ArgumentParser) -> None:
    length = rank.add_argument_group("length-controlled")
    length.add_argument("--difficulty", metavar="FILE", help="instruction_difficulty by index or instruction")
    length.add_argument("--coefficients", metavar="FILE", help="fitted terms by model; nothing is fitted then")
    length.add_argument("--gamed", metavar="FILE", help="rows of the gamed baselines that the fit is held by")
    length.add_argument("--questions", metavar="FILE", help="instructions in the order that an index counts")
    ratings = rank.add_argument_group("bradley-terry, elo")
    ratings.add_argument("--style", metavar="A,B", help="control for length, header, list, bold; markdown or style for "
                         "several")  # fmt: skip
    ratings.add_argument("--penalty", type=float, metavar="L", help="L2 penalty (default 0; with --style 0.5)")
    ratings.add_argument("--anchor", type=float, default=1000.0, metavar="POINTS", help="the baseline's rating, or the "
                         "mean's (default 1000)")  # fmt: skip
    ratings.add_argument("--as-published", action="store_true", help="Arena-Hard's own habits: style features less "
                         "their mean, battles with a copy of itself entered by half")  # fmt: skip
    ratings.add_argument("--rounds", type=int, metavar="N", help="bootstrap draws (default 1000; of ratings 200)")
    ratings.add_argument("--seed", type=int, default=0, metavar="N")


def run(args: argparse.Namespace) -> int:
    from evalsuite.judging.ranking.ranking import rank

    choices = _choices(args)
    rows = _read(args.annotations, args.baseline)
    placed = _read(args.place, args.baseline) if args.place else []
    ranking = rank(rows, choices, placed)
    if args.json:
        common.print_json({"schema": 1, **asdict(ranking)})
        return 0
    from evalsuite.cli.rank_tables import print_ranking

    print_ranking(ranking, args.depth)
    return 0


def _read(files: Sequence[str], baseline: str | None) -> "list[Annotation]":
    from evalsuite.judging.importing import read_any

    return [row for file in files for row in read_any(Path(file).expanduser(), baseline or "baseline")]


def _choices(args: argparse.Namespace) -> "Choices":
    from evalsuite.judging.ranking.battles import Ratings
    from evalsuite.judging.ranking.length import read_control
    from evalsuite.judging.ranking.ranking import Choices
    from evalsuite.judging.ranking.tree import read_tags, read_tree

    if args.rounds is not None and args.rounds < 2:
        raise InputError(f"--rounds {args.rounds}: must be at least 2")
    if not 0.5 <= args.slight <= 1:
        raise InputError(f"--slight {args.slight}: must lie between 0.5 (a tie) and 1")
    if args.strong is not None and args.strong <= 0:
        raise InputError(f"--strong {args.strong}: must be above 0")
    files = {
        k: getattr(args, k) and Path(getattr(args, k)) for k in ("coefficients", "difficulty", "gamed", "questions")
    }
    if args.method != "length-controlled" and any(files.values()):
        given = ", ".join(f"--{k}" for k, v in files.items() if v)
        raise InputError(f"{given}: only --method length-controlled reads it")
    if args.method != "bradley-terry" and (args.style or args.penalty is not None):
        raise InputError("--style and --penalty belong to --method bradley-terry")
    return Choices(
        method=args.method,
        baseline=args.baseline,
        orders=args.orders,
        missing=args.missing,
        judge=args.judge,
        strong=args.strong,
        slight=args.slight,
        length_margin=args.length_margin,
        by=args.by or ("category" if args.weight else None),
        weights={k: _number("--weight", k, v) for k, v in common.pairs(args.weight, "--weight").items()} or None,
        tree=read_tree(Path(args.tree)) if args.tree else None,
        tags=read_tags(Path(args.tags)) if args.tags else None,
        exclude=args.exclude_judges,
        judge_variance=_pair("--judge-variance", args.judge_variance),
        ratings=Ratings(
            level=args.anchor,
            style=tuple(s for s in (args.style or "").split(",") if s),
            penalty=args.penalty,
            rounds=args.rounds or 200,
            centred=args.as_published,
            self_battles="one_sided" if args.as_published else "drop",
        ),
        length=read_control(**files),
        rounds=args.rounds or 1000,
        seed=args.seed,
    )


def _number(option: str, key: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"{option} {key}={text}: {text} is no number") from error
