"""A ranking in the terminal: standings with intervals of figure and rank, groups, the tree, and what to know of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from evalsuite.judging.ranking.ranking import Averages, Ranking, Standing
    from evalsuite.judging.ranking.tree import Node


def print_ranking(ranking: "Ranking", depth: int) -> None:
    """Standings, then averages over groups, `depth` levels of the tree, and remarks, where there are any."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=160)
    against = f", against {_baseline(ranking)}" if ranking.baseline else ""
    console.print(Text.assemble((ranking.metric, "bold"), against))
    console.print(_standings(ranking))
    if ranking.averages:
        console.print(_averages(ranking.averages, ranking))
    if ranking.tree:
        _print_tree(console, ranking, depth)
    for line in _remarks(ranking):
        console.print(Text(f"  {line}", style="dim"))


def _baseline(ranking: "Ranking") -> str:
    return ranking.baseline or ""


def _unit(ranking: "Ranking") -> str:
    return "share" if ranking.unit == "share" else ""


def _standings(ranking: "Ranking") -> "Table":
    from rich.table import Table
    from rich.text import Text

    from evalsuite.reporting.numbers import MISSING as DASH
    from evalsuite.reporting.numbers import interval_text, value_text

    unit = _unit(ranking)
    extra = {"length-controlled": "win_rate", "bradley-terry": "win_rate" if ranking.baseline else "mean_preference"}
    column = extra.get(ranking.method)
    graded = ranking.method == "grade"
    table = Table(box=None, header_style="dim", pad_edge=False)
    names = ("rank", "[95%]", "group", "model", f"{ranking.unit if unit == '' else ranking.method} [95%]", "se", "n")
    for name in (*names, *([column.replace("_", " ")] if column else []), "verdicts" if graded else "won/tied/lost"):
        table.add_column(Text(name), justify="left" if name == "model" else "right", no_wrap=True)
    for name in ("missing", "characters", ""):
        table.add_column(name, justify="left" if not name else "right", no_wrap=True)
    for s in ranking.standings:
        ranks = f"[{s.rank_low}, {s.rank_high}]" if s.rank_low is not None else DASH
        scale = 100 if unit else 1
        cells = [
            str(s.rank) if s.rank is not None else DASH,
            ranks,
            str(s.group) if s.group is not None else DASH,
            s.model,
            interval_text(s.value, s.low, s.high, unit) if s.value is not None else DASH,
            f"{scale * s.standard_error:.3g}" if s.standard_error is not None else DASH,
            str(s.n),
            *([value_text(s.more.get(column))] if column else []),
            str(s.verdicts) if graded else f"{s.wins}/{s.ties}/{s.losses}",
            str(sum(s.missing.values())),
            f"{s.length:.0f}" if s.length is not None else DASH,
            ", ".join(s.roles),
        ]
        table.add_row(*map(Text, cells))
    return table


def _averages(found: "Sequence[Averages]", ranking: "Ranking") -> "Table":
    from rich.table import Table
    from rich.text import Text

    from evalsuite.reporting.numbers import interval_text

    unit = _unit(ranking)
    groups = list(dict.fromkeys(g for a in found for g in a.groups))
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column(Text(f"by {ranking.by}"), no_wrap=True)
    for name in ("micro", "macro", *groups):
        table.add_column(Text(name), justify="right")
    whole = {s.model: s for s in ranking.standings}
    for a in found:
        micro = whole[a.model]
        cells = [interval_text(micro.value, micro.low, micro.high, unit) + f" n={micro.n}"]
        cells.append(interval_text(a.macro, a.macro_low, a.macro_high, unit) + f" n={a.n}")
        cells += [_cell(a.groups.get(g), unit) for g in groups]
        table.add_row(*map(Text, (a.model, *cells)))
    return table


def _cell(s: "Standing | None", unit: str) -> str:
    from evalsuite.reporting.numbers import MISSING as DASH
    from evalsuite.reporting.numbers import interval_text

    return DASH if s is None or s.value is None else f"{interval_text(s.value, s.low, s.high, unit)} n={s.n}"


def _print_tree(console: "Console", ranking: "Ranking", depth: int) -> None:
    from rich.table import Table
    from rich.text import Text

    from evalsuite.reporting.numbers import interval_text

    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("node", "model", "figure [95%]", "rank", "[95%]", "n"):
        table.add_column(Text(name), justify="left" if name in ("node", "model") else "right", no_wrap=True)
    shown: list[Node] = [node for node in ranking.tree if node.depth <= depth]
    for node in shown:
        cells = sorted((c for c in node.cells if c.rank is not None), key=lambda c: c.rank or 0)
        for i, c in enumerate(cells):
            figure = interval_text(c.value, c.low, c.high, _unit(ranking))
            name = (node.path or "all") if i == 0 else ""
            row = (name, c.model, figure, str(c.rank), f"[{c.rank_low}, {c.rank_high}]", str(c.n))
            table.add_row(*map(Text, row))
    console.print(table)
    hidden = len(ranking.tree) - len(shown)
    if hidden:
        console.print(Text(f"  {hidden} deeper nodes with --depth N or --json", style="dim"))


def _remarks(ranking: "Ranking") -> list[str]:
    from evalsuite.reporting.numbers import share_text

    lines: list[str] = []
    noise = ranking.judge_noise
    if noise.flips is not None:
        lines.append(f"orders name different winners in {share_text(noise.flips)} of {noise.swapped} cases")
    if noise.repeat_variance is not None:
        lines.append(f"variance over repeats {noise.repeat_variance:.4f} (of {noise.repeated} cases)")
    wide = [s.more["widened"] for s in ranking.standings if s.more.get("widened")]
    if wide:
        lines.append(
            f"intervals are up to {max(w or 1 for w in wide):.2f} times as wide for what the judge is unsure of"
        )
    if ranking.coefficients:
        parts = (f"{name} {value:+.3f} (se {error:.3f})" for name, (value, error) in ranking.coefficients.items())
        lines.append("style: " + ", ".join(parts))
    if ranking.excluded:
        lines.append("left out: " + ", ".join(f"{s.model} ({', '.join(s.roles)})" for s in ranking.excluded))
    missing: dict[str, int] = {}
    for s in ranking.standings:
        for reason, count in s.missing.items():
            missing[reason] = missing.get(reason, 0) + count
    if missing:
        lines.append("missing: " + ", ".join(f"{n} {reason}" for reason, n in sorted(missing.items())))
    return [*lines, *ranking.notes]
