"""`leaderboard build`: the static site of a store's runs."""

import argparse
from pathlib import Path

from evalsuite.cli import common


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("leaderboard", help="a static site of runs", allow_abbrev=False)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    build = actions.add_parser("build", help="index page and a report for each run", allow_abbrev=False)
    build.add_argument("runs", nargs="*", metavar="RUN", help="default: every run in the store")
    build.add_argument("--out", required=True, type=Path, metavar="DIR")
    build.add_argument("--title", default="Leaderboard", metavar="TEXT")
    common.add_store(build)
    build.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    from evalsuite.errors import InputError
    from evalsuite.publishing import build_index
    from evalsuite.store import list_runs, open_run

    store = common.store_of(args)
    runs = [open_run(store, name) for name in args.runs] if args.runs else list_runs(store)[::-1]
    if not runs:
        raise InputError(f"{store}: no runs yet (evalsuite run MODEL --tasks ...)")
    print(build_index(runs, args.out, args.title))
    return 0
