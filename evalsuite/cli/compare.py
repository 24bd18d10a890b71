"""`compare`, `diff` and `gate`: runs against runs."""

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from evalsuite.cli import common

if TYPE_CHECKING:
    from rich.console import Console

    from evalsuite.comparison import Difference
    from evalsuite.store import Run

STYLES = {"better": "green", "worse": "red", "tied": "dim", "unknown": "yellow", "not comparable": "yellow"}


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    compare = verbs.add_parser("compare", help="paired differences of runs on shared samples", allow_abbrev=False)
    compare.add_argument("runs", nargs="+", metavar="RUN", help="a name in the store, a folder, or latest")
    compare.add_argument("--baseline", metavar="RUN", help="compare every run with this one (default: its parent)")
    compare.add_argument("--all", action="store_true", help="every metric, not only the headline ones")
    _common(compare, run)

    diff = verbs.add_parser("diff", help="what differs in how two runs were made", allow_abbrev=False)
    diff.add_argument("runs", nargs=2, metavar="RUN")
    _common(diff, run_diff)

    gate = verbs.add_parser(
        "gate", help="non-inferiority as an exit status: 0 no task lost more, 1 one may have", allow_abbrev=False
    )
    gate.add_argument("run_name", metavar="RUN")
    gate.add_argument("--against", required=True, metavar="RUN", help="the run that must not be lost against")
    gate.add_argument("--margin", default="1pt", help="how much may be lost: 1pt, 0.5%%, 0.02 (default 1pt)")
    gate.add_argument("--tasks", metavar="A,B", help="tasks, prefixes or families (default: all of --against)")
    _common(gate, run_gate)


def _common(parser: argparse.ArgumentParser, func: Any) -> None:
    common.add_store(parser)
    common.add_json(parser)
    parser.set_defaults(func=func)


def run(args: argparse.Namespace) -> int:
    from evalsuite.comparison import choose_pairs, paired

    named = _open(args, [*args.runs, *([args.baseline] if args.baseline else [])])
    baseline = named[-1] if args.baseline else None
    pairs = choose_pairs(named, baseline)
    found = [(ours, theirs, paired(ours, theirs)) for ours, theirs in pairs]
    if args.json:
        rows = [
            {"run": a.name, "baseline": b.name, "differences": [asdict(d) for d in differences]}
            for a, b, differences in found
        ]
        common.print_json({"schema": 1, "comparisons": rows})
        return 0
    console = _console()
    for ours, theirs, differences in found:
        _print_comparison(console, ours, theirs, differences, args.all)
    return 0


def run_diff(args: argparse.Namespace) -> int:
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    from evalsuite.comparison import manifest_changes

    first, second = _open(args, args.runs)
    changes = manifest_changes(first, second)
    if args.json:
        common.print_json(
            {"schema": 1, "first": first.name, "second": second.name, "changes": [asdict(c) for c in changes]}
        )
        return 0
    console = _console()
    if not changes:
        console.print("made alike: no field of the manifests differs but names and times")
        return 0
    names = [escape(r.name) for r in (first, second)]
    table = Table("", "field", *names, box=None, header_style="bold", pad_edge=False)
    group = ""
    for change in changes:
        cells = [
            Text("absent" if v is None else json.dumps(v, ensure_ascii=False)) for v in (change.first, change.second)
        ]
        table.add_row(change.group if change.group != group else "", Text(change.field), *cells)
        group = change.group
    console.print(table)
    return 0


def run_gate(args: argparse.Namespace) -> int:
    from rich.text import Text

    from evalsuite.comparison import gate, parse_margin
    from evalsuite.reporting.numbers import interval_text, value_text

    ours, against = _open(args, [args.run_name, args.against])
    tasks = [t for t in (args.tasks or "").split(",") if t]
    results = gate(ours, against, args.margin, tasks)
    passed = all(r.passed for r in results)
    gated = {r.difference.task for r in results}
    skipped = [] if tasks else sorted(set(against.manifest.get("tasks", {})) - gated)
    if args.json:
        rows = [{"bound": r.bound, "passed": r.passed, **asdict(r.difference)} for r in results]
        head = {"run": ours.name, "against": against.name, "margin": parse_margin(args.margin), "passed": passed}
        common.print_json({"schema": 1, **head, "tasks": rows, "not_gated": skipped})
        return 0 if passed else 1
    console = _console()
    for r in results:
        d = r.difference
        difference = interval_text(d.value, d.low, d.high, d.unit, sign=True)
        mark = "[green]pass[/]" if r.passed else "[red]FAIL[/]"
        console.print(mark, Text(f"{d.task} {d.metric}: {difference}, n={d.n}; {_worst(r.bound, d.unit)}"))
    for task in skipped:
        common.say(f"not gated: {task} (its headline metric is a corpus figure)")
    verdict = "no task has lost" if passed else "it is not shown that no task has lost"
    unit = "share" if args.margin.strip()[-1:] in "%tTpPsS" else ""
    margin = value_text(parse_margin(args.margin), unit, sign=unit == "share").lstrip("+")
    console.print(Text(f"{ours.name} against {against.name}: {verdict} more than {margin}"))
    return 0 if passed else 1


def _worst(bound: float | None, unit: str) -> str:
    from evalsuite.reporting.numbers import value_text

    if bound is None:
        return "too few samples to say how much may be lost"
    size = value_text(abs(bound), unit, sign=True).lstrip("+")
    return f"at worst {size} lost" if bound < 0 else f"at least {size} gained"


def _open(args: argparse.Namespace, names: list[str]) -> "list[Run]":
    from evalsuite.store import open_run

    store = common.store_of(args)
    return [open_run(store, name) for name in names]


def _console() -> "Console":
    """Wide where stdout is no terminal: wrapped cells are no use in a log."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=160)


def _print_comparison(console: "Console", ours: "Run", theirs: "Run", found: "list[Difference]", every: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from evalsuite.comparison import notes_of
    from evalsuite.reporting.numbers import interval_text, p_text

    shown = [d for d in found if d.primary or every]
    console.print(Text.assemble((ours.name, "bold"), " against ", (theirs.name, "bold"), ", paired by sample"))
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("task", "metric"):
        table.add_column(name, no_wrap=True)
    for name in ("n", "baseline [95%]", "run [95%]", "difference [95%]", "q", "fixed", "broken"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for d in shown:
        sides = [interval_text(s.value, s.low, s.high, d.unit) if s else "–" for s in (d.baseline, d.run)]
        change = interval_text(d.value, d.low, d.high, d.unit, sign=True) if d.value is not None else "–"
        verdict = "statistically tied" if d.tied else d.verdict
        label = Text(f"{d.metric} ↓" if d.lower_is_better else d.metric)
        flips = [str(len(d.fixed)), str(len(d.broken))] if d.value is not None else ["–", "–"]
        figures = [str(d.n), *sides, change, p_text(d.q), *flips]
        table.add_row(Text(d.task), label, *map(Text, figures), Text(verdict, style=STYLES[d.verdict]))
    console.print(table)
    for note, tasks in notes_of(shown).items():
        console.print(Text(f"  {note}: {', '.join(tasks)}", style="dim"))
    hidden = len(found) - len(shown)
    more = f"; {hidden} more metrics with --all" if hidden else ""
    console.print(Text(f"  q: p adjusted (Holm) over the headline metrics; tied means q > 0.05{more}\n", style="dim"))
