"""`leaderboard build | serve | add | check`: the site of runs and submissions; submissions and their check."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from evalsuite.cli import common

if TYPE_CHECKING:
    from evalsuite.store import Run

RESULTS = Path("leaderboard/results")
PORT = 8400


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("leaderboard", help="a static site of runs; submissions to it", allow_abbrev=False)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    build = actions.add_parser(
        "build", help="the site: models, tasks, comparisons, answers to read", allow_abbrev=False
    )
    build.add_argument("--out", required=True, type=Path, metavar="DIR")
    _add_content(build)
    build.set_defaults(func=run)

    live = actions.add_parser(
        "serve", help="the same site on this machine alone, kept up to date while runs go on", allow_abbrev=False
    )
    live.add_argument("--port", type=int, default=PORT, metavar="N", help=f"default: {PORT}; 0 takes a free one")
    _add_content(live)
    live.set_defaults(func=run_serve)

    add = actions.add_parser("add", help="a run as a submission", allow_abbrev=False)
    add.add_argument("runs", nargs="+", metavar="RUN")
    add.add_argument("--results", type=Path, default=RESULTS, metavar="DIR", help=f"default: {RESULTS}")
    add.add_argument("--without-samples", action="store_true", help="hand in their hash only: figures stay unverified")
    add.add_argument(
        "--about",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="base, method, size, parent, submitter, url, note",
    )
    add.add_argument(
        "--training",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="search this training data for the samples (default: the file that the checkpoint's lineage names)",
    )
    add.add_argument("--overwrite", action="store_true")
    common.add_store(add)
    add.set_defaults(func=run_add)

    check = actions.add_parser(
        "check", help="recompute every figure of submissions; exit 1 where one is refused", allow_abbrev=False
    )
    check.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help=f"default: all of {RESULTS}")
    check.add_argument("--results", type=Path, default=RESULTS, metavar="DIR", help=f"default: {RESULTS}")
    check.add_argument(
        "--training", action="append", default=[], type=Path, metavar="FILE", help="search it for the samples"
    )
    common.add_store(check)
    common.add_json(check)
    check.set_defaults(func=run_check)


def _add_content(parser: argparse.ArgumentParser) -> None:
    """What stands on the site."""
    parser.add_argument("runs", nargs="*", metavar="RUN", help="default: every run in the store")
    parser.add_argument("--results", type=Path, metavar="DIR", help="the submissions of this folder too")
    parser.add_argument("--title", default="Leaderboard", metavar="TEXT")
    parser.add_argument(
        "--card",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a judge's report card (judge audit): its HTML page, or its figures as JSON",
    )
    common.add_store(parser)


def run(args: argparse.Namespace) -> int:
    from evalsuite.errors import InputError
    from evalsuite.publishing import build_site

    runs = _runs(args)
    if not runs:
        raise InputError(f"{common.store_of(args)}: no runs yet (evalsuite run MODEL --tasks ...)")
    print(build_site(runs, args.out, args.title, cards=args.card))
    return 0


def run_serve(args: argparse.Namespace) -> int:
    from evalsuite.errors import InputError
    from evalsuite.publishing.serve import serve

    if not 0 <= args.port <= 65535:
        raise InputError(f"--port {args.port}: a number from 0 (any free one) to 65535")
    store = common.store_of(args)
    beside = [run.path for run in _runs(args)] if args.runs else []  # a name that is unknown ends here
    watched = [*beside, *([args.results] if args.results else [])]
    serve(lambda: _runs(args), store, args.port, args.title, args.card, common.say, watched)
    return 0


def _runs(args: argparse.Namespace) -> "list[Run]":
    from evalsuite.errors import InputError
    from evalsuite.publishing.submissions import all_runs
    from evalsuite.store import list_runs, open_run

    store = common.store_of(args)
    named = [open_run(store, name) for name in args.runs]
    runs = [*(named or ([] if args.results else list_runs(store))), *(all_runs(args.results) if args.results else [])]
    twice = next((r.name for r in runs if sum(o.name == r.name for o in runs) > 1), None)
    if twice is not None:
        raise InputError(f"two runs are named '{twice}'; leave one out")
    return runs


def run_add(args: argparse.Namespace) -> int:
    from evalsuite.publishing.submissions import add_submission
    from evalsuite.store import open_run

    store, about = common.store_of(args), common.pairs(args.about, "--about")
    for name in args.runs:
        found = open_run(store, name)
        print(add_submission(found, args.results, not args.without_samples, about, args.overwrite, args.training))
    return 0


def run_check(args: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.text import Text

    from evalsuite.publishing.submissions import check_submission, submissions

    common.store_of(args)  # plug-in tasks count as known
    folders = args.folders or submissions(args.results)
    checked = [check_submission(folder, args.training) for folder in folders]
    if args.json:
        rows = [{**asdict(c), "folder": str(c.folder)} for c in checked]
        common.print_json({"schema": 1, "refused": any(c.refused for c in checked), "submissions": rows})
        return 1 if any(c.refused for c in checked) else 0
    console = Console(highlight=False, soft_wrap=True)
    for c in checked:
        word, style = ("REFUSED", "red") if c.refused else ("ok", "green")
        counts = f"figures: {c.rescored} re-scored, {len(c.reaggregated)} re-aggregated, {len(c.unverified)} unverified"
        console.print(Text.assemble((word, style), f" {common.line(c.name)}: {counts}"))
        for text in c.refused:
            console.print(Text(f"  refused: {common.line(text)}", style="red"))
        for word, listed in (("re-aggregated", c.reaggregated), ("unverified", c.unverified)):
            for figure, reason in listed:
                console.print(Text(f"  {word}: {common.line(figure)}: {common.line(reason)}", style="dim"))
        for text in c.warnings:
            console.print(Text(f"  warning: {common.line(text)}", style="yellow"))
    return 1 if any(c.refused for c in checked) else 0
