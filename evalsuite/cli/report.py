"""`report`: one HTML page of some runs."""

import argparse
from pathlib import Path

from evalsuite.cli import common


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("report", help="one self-contained HTML page of some runs", allow_abbrev=False)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a name in the store, a folder, or latest")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.html")
    parser.add_argument("--title", metavar="TEXT", help="default: the runs' names")
    common.add_store(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    from evalsuite.errors import InputError
    from evalsuite.reporting import write_report
    from evalsuite.store import open_run

    if args.out.is_dir():
        raise InputError(f"--out {args.out}: is a folder; give a file such as {args.out / 'report.html'}")
    store = common.store_of(args)
    path = write_report([open_run(store, name) for name in args.runs], args.out, args.title)
    print(path)
    return 0
