"""`compare --features` on the terminal: words for each run, then one table of all features.

for part in shift_parts(found):
    console.print(part)
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from evalsuite.reporting.shift_words import LISTS, contrasts, label, notes, odds_text, reward_text, standing

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from evalsuite.comparison.shift_records import Shift, Shifts

MARKS = {"followed": ("✓", "green"), "against": ("✗", "red"), "unrewarded": ("!", "yellow"), "unmoved": ("○", "cyan")}


def shift_parts(found: "Shifts") -> "Iterator[Table | Text]":
    """Everything that came from a run or a file is put in as text, never as markup."""
    from rich.text import Text

    fixed = f", with {', '.join(found.controls)} held fixed" if found.controls else ""
    head = f"{found.dataset}: {found.labelled:,} labelled pairs; {found.source}; reward: '{found.effect}'{fixed}"
    yield Text(head, style="bold")
    for run in found.runs:
        yield Text(f"  {standing(found, run)} (against {run.parent}, {run.prompts:,} prompts, {run.rows:,} answers)")
    for line in contrasts(found):
        yield Text(f"  {line}")
    yield _table(found)
    named = ", ".join(f"{mark} {LISTS[relation][0].lower()}" for relation, (mark, _) in MARKS.items())  # type: ignore[index]
    yield Text(
        f"  {named}. Shifts in s.d. of the training pairs; marks by Holm's q < 0.05 over a run's features", "dim"
    )
    for note in notes(found):
        yield Text(f"  note: {note}", style="dim")


def _table(found: "Shifts") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("feature", overflow="fold", max_width=56)
    for head in ("log-odds for 1 s.d. [95%]", "win rate [95%]"):
        table.add_column(head, justify="right", no_wrap=True)
    for run in found.runs:
        table.add_column(Text(f"shift of {run.run} [95%]"), justify="right", no_wrap=True)
    by_run = [{s.index: s for s in run.features} for run in found.runs]
    for feature in sorted(found.features, key=lambda f: -(f.reward.beta or 0.0)):
        r = feature.reward
        odds = " ".join(odds_text(r.beta, r.beta_low, r.beta_high)).strip()
        cells = [Text(f"#{feature.index} {label(feature)}"), Text(odds)]
        table.add_row(*cells, Text(reward_text(feature)), *(_cell(shifts[feature.index]) for shifts in by_run))
    return table


def _cell(shift: "Shift") -> "Text":
    from rich.text import Text

    value, ends = odds_text(shift.shift, shift.low, shift.high)
    if not ends:
        return Text("in no answer  ", style="dim")
    mark, style = MARKS.get(shift.relation, (" ", "dim"))
    return Text(f"{value} {ends} {mark}", style=style)
