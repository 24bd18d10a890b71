"""`compare`, `diff` and `gate`: runs against runs."""

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from evalsuite.cli import common, compare_features

if TYPE_CHECKING:
    from rich.console import Console

    from evalsuite.store import Run


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    compare = verbs.add_parser("compare", help="paired differences of runs on shared samples", allow_abbrev=False)
    common.add_comparison(compare)
    compare.add_argument("--all", action="store_true", help="every metric, not only the headline ones; flipped ids")
    compare.add_argument(
        "--embedder",
        metavar="M",
        help="with --training: find rephrased prompts too; with --features: the embedding model, if it lies "
        "elsewhere now (minilm, a folder, openai:NAME@URL)",
    )
    compare.add_argument("--seed", type=int, default=0, metavar="N", help="of resampling (default 0)")
    compare_features.add_options(compare)
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
    from evalsuite.comparison import Asked, compare
    from evalsuite.errors import InputError
    from evalsuite.reporting.report_data import training_logs

    named = [n for n in (args.lineage or "").split(",") if n]
    if named and (args.runs or args.baseline):
        raise InputError("--lineage names all runs, in order: give no other RUN and no --baseline")
    if not named and not args.runs:
        raise InputError("name two runs or more, or --lineage base,sft,dpo (evalsuite list runs)")
    compare_features.check(args)
    if args.embedder and not args.training and not args.features:
        raise InputError("--embedder finds rephrased training prompts: give --training FILE too")
    for path in args.training:
        if not path.is_file():
            raise InputError(f"--training {path}: no such file")
    runs = _open(args, named or args.runs)
    baseline = _open(args, [args.baseline])[0] if args.baseline else None
    if args.features is not None:
        return compare_features.run(args, runs, baseline, bool(named))
    asked = Asked(
        baseline=baseline,
        order=bool(named),
        logs=training_logs(runs),
        training=tuple(args.training),
        kl=args.kl,
        reward_model=args.reward_model,
        embedder=_embedder(args.embedder),
        store=common.store_of(args),
        seed=args.seed,
    )
    found = compare(runs, asked, common.meter("compare") if args.kl or args.reward_model else None)
    if args.json:
        whole = asdict(found)
        common.print_json({"schema": 2, "comparisons": whole.pop("pairs"), "lineage": whole})
        return 0
    from rich.text import Text

    from evalsuite.reporting.comparison import comparison_parts, lineage_parts

    console = _console()
    for pair in found.pairs:
        for part in comparison_parts(pair, args.all):
            console.print(part, soft_wrap=not console.is_terminal and isinstance(part, Text))
    for part in lineage_parts(found):
        console.print(part)
    return 0


def _embedder(address: str | None) -> str | None:
    from evalsuite.features.embed import minilm

    return str(minilm()) if address == "minilm" else address


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
    table = Table("", "field", *names, "", box=None, header_style="bold", pad_edge=False)
    group = ""
    for change in changes:
        cells = [
            Text("absent" if v is None else json.dumps(v, ensure_ascii=False)) for v in (change.first, change.second)
        ]
        marked = Text("refuses a comparison", style="yellow") if change.weight == "refused" else Text("")
        table.add_row(change.group if change.group != group else "", Text(change.field), *cells, marked)
        group = change.group
    console.print(table)
    return 0


def run_gate(args: argparse.Namespace) -> int:
    from rich.text import Text

    from evalsuite.comparison import gate, parse_margin
    from evalsuite.reporting.numbers import interval_text, p_text, value_text

    ours, against = _open(args, [args.run_name, args.against])
    tasks = [t for t in (args.tasks or "").split(",") if t]
    results = gate(ours, against, args.margin, tasks)
    passed = all(r.passed for r in results)
    gated = {r.difference.task for r in results}
    skipped = [] if tasks else sorted(set(against.manifest.get("tasks", {})) - gated)
    if args.json:
        rows = [
            {**asdict(r.difference), "bound": r.bound, "passed": r.passed, "gate_q": r.q, "lost": r.lost}
            for r in results
        ]
        head = {"run": ours.name, "against": against.name, "margin": parse_margin(args.margin), "passed": passed}
        common.print_json({"schema": 1, **head, "tasks": rows, "not_gated": skipped})
        return 0 if passed else 1
    console = _console()
    for r in results:
        d = r.difference
        difference = interval_text(d.value, d.low, d.high, d.unit, sign=True)
        mark = "[green]pass[/]" if r.passed else "[red]FAIL[/]"
        told = "" if r.passed else "; more than the margin is lost" if r.lost else "; too few samples to tell"
        figures = f"{difference}, n={d.n}, q={p_text(r.q)}; {_worst(r.bound, d.unit)}{told}"
        console.print(mark, Text(f"{d.task} {d.metric}: {figures}"))
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
    return console if console.is_terminal else Console(highlight=False, width=200)
