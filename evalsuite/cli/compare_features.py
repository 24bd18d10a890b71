"""`compare --features FOLDER`: what the data rewarded, beside what moved."""

import argparse
import importlib.util
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from evalsuite.cli import common
from evalsuite.errors import InputError

if TYPE_CHECKING:
    from evalsuite.comparison.shift_reading import Measure
    from evalsuite.store import Run

WORLD = "microworld:"


def add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what training data rewarded, beside what moved")
    group.add_argument(
        "--features", type=Path, metavar="DIR", help="what `preferences explain` wrote: its features, on these runs"
    )
    group.add_argument("--out", type=Path, metavar="PAGE.html", help="with --features: a self-contained page")
    group.add_argument(
        "--effect", choices=("raw", "alone", "joint", "adjusted"), help="which effect counts as the reward"
    )
    group.add_argument(
        "--measure", metavar="FILE.py:FUNCTION", help="measured features: what measures an answer; or microworld:mini"
    )


def check(args: argparse.Namespace) -> None:
    """Raises InputError where options are given that have no meaning together."""
    if args.features is None:
        for name in ("out", "effect", "measure"):
            if getattr(args, name) is not None:
                raise InputError(f"--{name} belongs to --features DIR")
        return
    for name in ("all", "training", "kl", "reward_model"):
        if getattr(args, name):
            raise InputError(f"--{name.replace('_', '-')} has no meaning with --features: compare twice")
    if args.out is not None and args.out.suffix != ".html":
        raise InputError(f"--out {args.out}: a page that ends in .html is wanted")


def run(args: argparse.Namespace, runs: "Sequence[Run]", baseline: "Run | None", ordered: bool) -> int:
    from evalsuite.comparison.shift import Asked, feature_shift

    asked = Asked(
        baseline=baseline,
        order=ordered,
        effect=args.effect,
        embedder=args.embedder,
        measure=_measure(args.measure),
        store=common.store_of(args),
        seed=args.seed,
    )
    found = feature_shift(runs, args.features, asked, common.meter("features"))
    if args.out is not None:
        from evalsuite.reporting.shift import write_page

        write_page(found, args.out)
        common.say(f"written: {args.out}")
    if args.json:
        common.print_json({"schema": 1, "features": asdict(found)})
        return 0
    from rich.console import Console

    from evalsuite.reporting.shift_tables import shift_parts

    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=200)
    for part in shift_parts(found):
        console.print(part)
    return 0


def _measure(text: str | None) -> "Measure | None":
    """What --measure names: a function of a Python file of the user's, or a microworld's own reading."""
    if text is None:
        return None
    if text.startswith(WORLD):
        from evalsuite.microworld.measuring import measure_of

        return measure_of(text.removeprefix(WORLD))
    file, _, name = text.rpartition(":")
    path = Path(file)
    if not file or not path.is_file():
        raise InputError(f"--measure {text}: FILE.py:FUNCTION is wanted, or microworld:SIZE@SEED")
    spec = importlib.util.spec_from_file_location(f"measure_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"--measure {text}: {path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = getattr(module, name, None)
    if not callable(found):
        raise InputError(f"--measure {text}: {path} has no function '{name}'")
    return found
