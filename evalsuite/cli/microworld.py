"""microworld build, train, export: the generated world's checkpoints, and its data in public formats."""

import argparse
import re
from pathlib import Path

from evalsuite.cli import common
from evalsuite.records import Progress

EPILOG = """\
CHECKPOINT is [SIZE/]NAME[@SEED]: sft (mini, seed 0), nano/sft, mini/reward@1, nano/dpo. Sizes: nano (a minute to
build), mini (two to three minutes), micro (five), small (for a GPU). Names: base, sft, reward, and what a method makes
of sft: dpo, kto, listwise, ppo, ... (evalsuite list methods). What is built is kept in $EVALSUITE_CACHE or
~/.cache/evalsuite, and evaluated as any model: evalsuite run microworld:base microworld:sft --suite microworld

  evalsuite microworld train dpo --size nano --flip 0.25            # a quarter of the labels is wrong
  evalsuite microworld train dpo loss_type=robust label_smoothing=0.25 --flip 0.25 --out DIR
  evalsuite microworld export --out DIR --pairs 2000 --lists 500
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

    train = inner.add_parser(
        "train", help="train a method on the world's own data, print the folder", allow_abbrev=False
    )
    train.add_argument("method", metavar="METHOD")
    train.add_argument("changes", nargs="*", metavar="KEY=VALUE", help="knobs and settings, as of evalsuite train")
    _add_world(train)
    train.add_argument("--rows", type=int, metavar="N", help="pairs, lists or prompts (default: the method's)")
    _add_labels(train)
    train.add_argument("--model", metavar="M", help="where to start (default: this world's sft; of sft: its base)")
    train.add_argument("--reward", metavar="R", help="of online methods (default: this world's reward model)")
    train.add_argument("--out", type=Path, metavar="DIR", help="default: a folder in the cache, by what was asked")
    train.add_argument("--resume", action="store_true", help="go on with an unfinished training in --out")
    train.add_argument("--threads", type=int, metavar="N", help="default: two on an idle machine, else one")
    common.add_json(train)
    train.set_defaults(func=run)

    export = inner.add_parser("export", help="write facts, text, conversations, task items, pairs", allow_abbrev=False)
    export.add_argument("--out", required=True, type=Path, metavar="DIR")
    _add_world(export)
    export.add_argument(
        "--rows", type=int, default=2000, metavar="N", help="documents and conversations (default: 2000)"
    )
    export.add_argument(
        "--pairs", type=int, default=0, metavar="N", help="preference pairs, drawn from sft (default: 0)"
    )
    export.add_argument(
        "--lists", type=int, default=0, metavar="N", help="ranked lists of four answers of sft (default: 0)"
    )
    _add_labels(export)
    common.add_json(export)
    export.set_defaults(func=run)


def _add_world(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", default="mini", help="nano, mini, micro or small (default: mini)")
    parser.add_argument("--seed", type=int, default=0, metavar="N")


def _add_labels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--flip", type=float, default=0.0, metavar="RATE", help="share of labels that are flipped")
    parser.add_argument("--length-bias", type=float, default=0.0, metavar="W", help="everyone's weight of length")


def run(args: argparse.Namespace) -> int:
    return {"build": _build, "train": _train, "export": _export}[args.microworld_verb](args)


def _train(args: argparse.Namespace) -> int:
    from evalsuite.errors import InputError
    from evalsuite.microworld.checkpoints import parse
    from evalsuite.microworld.kin import Wish, train

    if (args.rows is not None and args.rows < 1) or not 0 <= args.flip <= 1:
        raise InputError("--rows must be 1 or more, --flip a share between 0 and 1")
    if args.resume and args.out is None:
        raise InputError("--resume: is about --out; in the cache an unfinished training always goes on")
    parse(f"{args.size}/sft@{args.seed}")
    wish = Wish(args.method, args.size, args.seed, args.rows, args.flip, args.length_bias, args.model,
                reward=args.reward, changes=common.pairs(args.changes, "train"))  # fmt: skip
    folder = train(wish, args.out, resume=args.resume, progress=_progress(), threads=args.threads)
    if args.json:
        common.print_json({"folder": str(folder)})
    else:
        print(folder)
    return 0


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

    if min(args.rows, args.pairs, args.lists) < 0 or not 0 <= args.flip <= 1:
        raise InputError("--rows, --pairs and --lists must be 0 or more, --flip a share between 0 and 1")
    wanted = Export(args.size, args.seed, args.rows, args.pairs, args.lists, args.flip, args.length_bias)
    files = export(wanted, args.out, _progress())
    if args.json:
        common.print_json({"files": {str(path): rows for path, rows in files.items()}})
    else:
        for path, rows in files.items():
            print(f"{path}  {rows} rows")
    return 0


def _progress() -> Progress:
    """A meter for each stage, because each has its own speed; a number at its end (a loss) is no part of its name."""
    meters: dict[str, Progress] = {}

    def show(done: int, total: int, what: str) -> None:
        stage = re.sub(r" [-\d.]+$", "", what)
        if stage not in meters:
            meters[stage] = common.meter(stage)
        meters[stage](done, total, what[len(stage) :].strip())

    return show
