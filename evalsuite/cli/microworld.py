"""microworld build, export: the generated world's checkpoints, and its data in public formats."""

import argparse
from pathlib import Path

from evalsuite.cli import common
from evalsuite.records import Progress

EPILOG = """\
CHECKPOINT is [SIZE/]NAME[@SEED]: sft (mini, seed 0), nano/sft, mini/reward@1. Sizes: nano (a minute to build), mini
(two to three minutes). Names: base, sft, reward. What is built is kept in $EVALSUITE_CACHE or ~/.cache/evalsuite, and
evaluated as any model: evalsuite run microworld:base microworld:sft --suite microworld
"""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "microworld",
        help="a generated world that makes real checkpoints without any download",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    inner = parser.add_subparsers(title="verbs", dest="microworld_verb", metavar="VERB", required=True)
    build = inner.add_parser("build", help="train what is missing, print the folders", allow_abbrev=False)
    build.add_argument("names", nargs="*", default=["sft"], metavar="CHECKPOINT", help="default: sft")
    build.add_argument("--threads", type=int, metavar="N", help="default: two on an idle machine, else one")
    common.add_json(build)
    build.set_defaults(func=run)

    export = inner.add_parser("export", help="write facts, text, conversations, task items, pairs", allow_abbrev=False)
    export.add_argument("--out", required=True, type=Path, metavar="DIR")
    export.add_argument("--size", default="mini", help="nano or mini (default: mini)")
    export.add_argument("--seed", type=int, default=0, metavar="N")
    export.add_argument(
        "--rows", type=int, default=2000, metavar="N", help="documents and conversations (default: 2000)"
    )
    export.add_argument(
        "--pairs", type=int, default=0, metavar="N", help="preference pairs, drawn from sft (default: 0)"
    )
    export.add_argument("--flip", type=float, default=0.0, metavar="RATE", help="share of labels that are flipped")
    export.add_argument("--length-bias", type=float, default=0.0, metavar="W", help="everyone's weight of length")
    common.add_json(export)
    export.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    return _build(args) if args.microworld_verb == "build" else _export(args)


def _build(args: argparse.Namespace) -> int:
    from evalsuite.errors import InputError
    from evalsuite.microworld.checkpoints import parse, resolve

    if args.threads is not None and args.threads < 1:
        raise InputError(f"--threads {args.threads}: a whole number of at least 1 is wanted")
    names = list(args.names)
    for name in names:
        parse(name.removeprefix("microworld:"))
    show = _progress()
    folders = {name: str(resolve(name.removeprefix("microworld:"), show, threads=args.threads)) for name in names}
    if args.json:
        common.print_json({"folders": folders})
    else:
        print("\n".join(folders.values()))
    return 0


def _export(args: argparse.Namespace) -> int:
    from evalsuite.errors import InputError
    from evalsuite.microworld.export import Export, export

    if args.rows < 0 or args.pairs < 0 or not 0 <= args.flip <= 1:
        raise InputError("--rows and --pairs must be 0 or more, --flip a share between 0 and 1")
    wanted = Export(args.size, args.seed, args.rows, args.pairs, args.flip, args.length_bias)
    files = export(wanted, args.out, _progress())
    if args.json:
        common.print_json({"files": {str(path): rows for path, rows in files.items()}})
    else:
        for path, rows in files.items():
            print(f"{path}  {rows} rows")
    return 0


def _progress() -> Progress:
    """A meter for each stage, because each has its own speed."""
    meters: dict[str, Progress] = {}

    def show(done: int, total: int, what: str) -> None:
        if what not in meters:
            meters[what] = common.meter(what)
        meters[what](done, total, "")

    return show
