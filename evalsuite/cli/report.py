"""`report`: what some runs did and what changed between them, as one page (or Markdown, JSON, CSV) and its figures."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from evalsuite.cli import common

if TYPE_CHECKING:
    from evalsuite.comparison import Asked
    from evalsuite.store import Run

FORMS = ("html", "md", "json", "csv")
DESCRIPTION = """\
One report of one run, or of several compared: each with the checkpoint it was trained from where its folder names one,
else with the first. A plain-words summary stands first: what got better, what got worse, what cannot be told from this
many samples. HTML is one file that needs no network; md is the same story for a pull request; json and csv hold every
figure with its n and interval. Same runs, same bytes.
"""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "report",
        help="one self-contained page of some runs: what got better, worse, what cannot be told",
        description=DESCRIPTION,
        allow_abbrev=False,
    )
    common.add_comparison(parser)
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="the report")
    parser.add_argument("--format", choices=FORMS, help="default: by the suffix of --out (.html, .md, .json, .csv)")
    parser.add_argument("--figures", type=Path, metavar="DIR", help="also every figure as a file (extra: figures)")
    parser.add_argument("--figure-format", choices=("svg", "png"), default="svg", help="of --figures (default: svg)")
    parser.add_argument("--title", metavar="TEXT", help="default: the runs' names")
    common.add_store(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    from evalsuite.errors import InputError
    from evalsuite.reporting.pages import write_page
    from evalsuite.reporting.report import FORMS, form_of
    from evalsuite.reporting.report_data import gather
    from evalsuite.reporting.report_figures import report_figures
    from evalsuite.reporting.report_images import write_images

    if args.out.is_dir():
        raise InputError(f"--out {args.out}: is a folder; give a file such as {args.out / 'report.html'}")
    form = form_of(args.out, args.format)
    runs, asked = _asked(args)
    report = gather(runs, args.title, asked, common.meter("report") if args.kl or args.reward_model else None)
    text = FORMS[form](report)
    images = write_images(report_figures(report), args.figures, args.figure_format) if args.figures else []
    print(write_page(args.out, text))
    for path in images:
        print(path)
    return 0


def _asked(args: argparse.Namespace) -> "tuple[list[Run], Asked]":
    from evalsuite.comparison import Asked
    from evalsuite.errors import InputError
    from evalsuite.store import open_run

    named = [n for n in (args.lineage or "").split(",") if n]
    if named and (args.runs or args.baseline):
        raise InputError("--lineage names all runs, in order: give no other RUN and no --baseline")
    for path in args.training:
        if not path.is_file():
            raise InputError(f"--training {path}: no such file")
    store = common.store_of(args)
    asked = Asked(
        baseline=open_run(store, args.baseline) if args.baseline else None,
        order=bool(named),
        training=tuple(args.training),
        kl=args.kl,
        reward_model=args.reward_model,
        store=store,
    )
    return [open_run(store, name) for name in named or args.runs], asked
