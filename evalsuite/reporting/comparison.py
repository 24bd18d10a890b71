"""A comparison on the terminal: the summary in words first, then the tables behind it.

    for part in comparison_parts(found.pairs[0], every=False):
        console.print(part)

Everything that came from a run (names, ids) is put in as text, never as markup.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from evalsuite.comparison import Comparison, Difference, PairComparison, notes_of
from evalsuite.reporting.comparison_tables import Words, curve_words, lineage_tables, pair_tables, signed_text
from evalsuite.reporting.numbers import MISSING, interval_text, p_text, value_text

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

STYLES = {
    **{"better": "green", "worse": "red", "changed": "cyan", "tied": "dim"},
    **{"unknown": "yellow", "not comparable": "yellow"},
}
FLIPS = 12  # ids named in each direction


def comparison_parts(pair: PairComparison, every: bool = False) -> "Iterator[Table | Text]":
    """One run against its baseline. `every`: all metrics, not only headline ones, and the ids of flipped samples."""
    from rich.text import Text

    yield Text.assemble((pair.run, "bold"), " against ", (pair.baseline, "bold"), ", paired by sample")
    for sentence in pair.summary:
        yield Text(f"  {sentence}")
    shown = [d for d in pair.differences if d.primary or every]
    if shown:
        yield _differences(shown)
    for note, tasks in notes_of(shown).items():
        yield Text(f"  {note}: {', '.join(tasks)}", style="dim")
    if every:
        yield from _flips(shown)
    for table in pair_tables(pair):
        yield _table(table)
    hidden = len(pair.differences) - len(shown)
    more = f"; {hidden} more metrics, and flipped samples, with --all" if hidden else ""
    yield Text(
        "  q: p adjusted (Holm) within the family, BH: false-discovery rate over all tasks; detects: the effect found "
        f"with power 80% at this n; tied means q > 0.05{more}\n",
        style="dim",
    )


def lineage_parts(found: Comparison) -> "Iterator[Table | Text]":
    """What concerns all runs together: plane, curves, effects of format."""
    from rich.text import Text

    for sentence in curve_words(found):
        yield Text(sentence)
    for table in lineage_tables(found):
        yield _table(table)


def _differences(shown: Sequence[Difference]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("task", "metric"):
        table.add_column(name, no_wrap=True)
    heads = ("n", "baseline [95%]", "run [95%]", "difference [95%]", "detects", "q", "BH", "fixed", "broken")
    for name in heads:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for d in shown:
        sides = [interval_text(s.value, s.low, s.high, d.unit) if s else MISSING for s in (d.baseline, d.run)]
        verdict = "statistically tied" if d.tied else d.verdict
        label = Text(f"{d.metric} ↓" if d.lower_is_better else d.metric)
        flips = [str(len(d.fixed)), str(len(d.broken))] if d.mcnemar is not None else [MISSING] * 2
        detects = "±" + value_text(d.mde, d.unit, sign=True).lstrip("+") if d.mde is not None else MISSING
        change = signed_text(d.value, d.low, d.high, d.unit)
        figures = [str(d.n), *sides, change, detects, p_text(d.q), p_text(d.bh), *flips]
        table.add_row(Text(d.task), label, *map(Text, figures), Text(verdict, style=STYLES[d.verdict]))
    return table


def _flips(shown: Sequence[Difference]) -> "Iterator[Text]":
    from rich.text import Text

    for d in shown:
        if d.fixed or d.broken:
            named = [f"{word}: {_ids(ids)}" for word, ids in (("fixed", d.fixed), ("broken", d.broken)) if ids]
            yield Text(f"  {d.task} {d.metric}, exact McNemar p {p_text(d.mcnemar)}; {'; '.join(named)}", style="dim")


def _ids(ids: Sequence[str]) -> str:
    return ", ".join(ids[:FLIPS]) + (f" and {len(ids) - FLIPS} more" if len(ids) > FLIPS else "")


def _table(words: Words) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=words.title, title_justify="left", title_style="bold", box=None, header_style="dim", pad_edge=False
    )
    for number, head in enumerate(words.heads):
        table.add_column(Text(head), justify="left" if number == 0 else "right")
    for row in words.rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
