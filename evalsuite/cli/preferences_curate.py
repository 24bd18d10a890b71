"""preferences curate: its options, the preview, what was written."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalsuite.cli import common
from evalsuite.errors import InputError

if TYPE_CHECKING:
    from evalsuite.features.contract import Effect
    from evalsuite.preferences.curate import Curated
    from evalsuite.preferences.measured import Measured

SHOWN = 3


def add_measured(verb: argparse.ArgumentParser) -> None:
    """Where features come from: the same options for every verb that acts on them."""
    group = verb.add_argument_group("features (default: length and counts of format)")
    group.add_argument("--features", type=Path, metavar="DIR", help="the folder that `preferences explain` wrote")
    group.add_argument("--columns", metavar="A,B", help="fields of the metadata as differences; length, lists, ...")


def add_options(verb: argparse.ArgumentParser) -> None:
    wanted = verb.add_argument_group("what is wanted")
    wanted.add_argument("--feature", required=True, metavar="NAME", help="whose direction is wanted: name or number")
    wanted.add_argument("--direction", required=True, choices=("more", "less"), help="what shall be preferred")
    wanted.add_argument("--n", type=int, required=True, metavar="N", help="pairs that are changed, at most")
    wanted.add_argument("--action", choices=("flip", "drop"), default="flip", help="what becomes of them (flip)")
    wanted.add_argument("--preview", action="store_true", help="shows what would be done; writes nothing")
    wanted.add_argument(
        "--form", choices=("conversational", "standard"), default="conversational", help="TRL's format (conversational)"
    )
    add_measured(verb)


def curate(pairs: Any, args: argparse.Namespace) -> int:
    """Shows what is changed and what that does to every feature; writes it unless it is a preview."""
    from evalsuite.preferences.curate import Wanted
    from evalsuite.preferences.curate import curate as curated
    from evalsuite.preferences.curate_files import changes, check_folder, record_of, write_curated
    from evalsuite.preferences.duplicates import components, keys
    from evalsuite.preferences.measured import read_measured

    if args.out is None and not args.preview:
        raise InputError("--out DIR is wanted: the curated pairs, the diff and the record go there (or --preview)")
    if args.out is not None and not args.preview:
        check_folder(args.out)
    measured = read_measured(pairs, args.features, args.columns)
    wanted = Wanted(args.feature, args.direction, args.n, args.action)
    found = curated(pairs, measured, wanted, components(keys(pairs)))
    if args.preview:
        record = {**record_of(pairs, measured, found), "examples": list(changes(pairs, measured, found))[:SHOWN]}
    else:
        record = write_curated(pairs, measured, found, args.out, args.form)
    if args.json:
        common.print_json(record)
        return 0
    _print(pairs, measured, found)
    if args.preview:
        common.say("a preview: nothing was written")
    else:
        common.say(f"written: {args.out} ({record['written']} pairs, {record['ties_left_out']} ties and "
                   f"{record['unlabelled_left_out']} unlabelled pairs left out)")  # fmt: skip
    return 0


def _print(pairs: Any, measured: "Measured", found: "Curated") -> None:
    from rich.text import Text

    from evalsuite.preferences.curate_files import changes

    console = common_console()
    wanted = found.wanted
    done = {"flip": "turned round", "drop": "dropped"}[wanted.action]
    console.print(Text(
        f"{pairs.name}: {found.contradicting} of {found.labelled} labels contradict '{wanted.direction}' of "
        f"{wanted.feature}; the {len(found.chosen)} strongest are {done}"))  # fmt: skip
    for _, line in zip(range(SHOWN), changes(pairs, measured, found), strict=False):
        said = "first" if line["preference"]["before"] > 0.5 else "second"
        console.print(
            Text(f"  {line['id']} (activation {line['activation']:+.3g}, {said} preferred): {_cut(line['prompt'])}")
        )
        console.print(Text(f"    first:  {_cut(line['a'])}\n    second: {_cut(line['b'])}", style="dim"))
    table = common_table("feature", "change before", "after", "jointly before", "after", "n")
    for j, shift in enumerate(found.shifts):
        name = f"> {shift.name}" if j == found.column else shift.name
        cells = [_change(e) for e in (shift.before, shift.after, shift.joint_before, shift.joint_after)]
        out = "" if shift.inside is not False or j == found.column else "  outside"
        table.add_row(*(Text(c) for c in (name, *cells, f"{shift.before.n}{out}")))
    console.print(table)
    console.print(Text("change in win rate (points) when the feature moves from the second text to the first; 95%"))
    for note in found.notes:
        console.print(Text(f"note: {note}"))


def _cut(text: str, width: int = 100) -> str:
    line = " ".join(text[: 4 * width].split())
    return line if len(line) <= width else line[: width - 1] + "…"


def _change(effect: "Effect") -> str:
    if effect.change is None or effect.low is None or effect.high is None:
        return "–"
    return f"{100 * effect.change:+.1f} [{100 * effect.low:+.1f}, {100 * effect.high:+.1f}]"


def common_console() -> Any:
    import sys

    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160, highlight=False)


def common_table(first: str, *rest: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, overflow="fold", max_width=48)
    for name in rest:
        table.add_column(name, justify="right", no_wrap=True)
    return table
