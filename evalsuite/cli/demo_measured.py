"""What each method did to the fine-tuned model: gold reward, constraints, facts, unknown people, length, diversity, KL.

    for change in changes(run, sft, "microworld:nano/gold", store): print(change.what, change.value, change.verdict)

All are paired on the questions that both runs answered. The verdict rests on p after Holm over the changes of one
method, so the chance of any false one among them is at most 5%.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from evalsuite.statistics.paired import Paired
    from evalsuite.store import Run

ALPHA = 0.05
GOLD = "gold reward"
INSTRUCTIONS = "microworld_instructions/iid"
DIVERSITY = "microworld_diversity/template"


@dataclass(frozen=True)
class Change:
    """run − sft. `better` is 1 where more is better, −1 where less is, 0 where neither. `unit` as in Metric."""

    what: str
    unit: str
    better: int
    value: float | None
    low: float | None
    high: float | None
    n: int
    p: float | None
    q: float | None = None

    @property
    def verdict(self) -> str:
        """better, worse, changed, or tied (no difference was found); unknown without a figure."""
        if self.value is None or self.q is None:
            return "unknown"
        if self.q > ALPHA or not self.value:
            return "tied"
        return {1: "better", -1: "worse", 0: "changed"}[self.better * (1 if self.value > 0 else -1)]


SCORES = (
    ("constraints met", INSTRUCTIONS, "constraints", 1),
    ("often told facts right", "microworld_facts/frequent", "acc", 1),
    ("rarely told facts right", "microworld_facts/rare", "acc", 1),
    ("unknown people: answered", "microworld_unknown", "fabricated", -1),
    ("words an answer", DIVERSITY, "words", 0),
    ("diversity of four answers", DIVERSITY, "distinct2", 1),
)
"""(in words, task, metric, whether more is better); the gold reward comes before them."""


def changes(run: "Run", sft: "Run", gold: str, store: Path) -> list[Change]:
    """Raises InputError where the runs share no question."""
    from evalsuite.comparison.differences import shared_rows
    from evalsuite.statistics import holm

    rows = shared_rows(run, sft)
    found = [*_rewarded(rows, gold, store), *_scored(run, sft, rows)]
    known = [i for i, change in enumerate(found) if change.p is not None]
    for i, q in zip(known, holm([p for change in found if (p := change.p) is not None]), strict=True):
        found[i] = replace(found[i], q=q)
    return found


def _rewarded(rows: "pd.DataFrame", gold: str, store: Path) -> Iterator[Change]:
    """The reward that nobody trained on: the world's own, of the answers to instructions."""
    from evalsuite.comparison.divergence import rewards
    from evalsuite.statistics import paired_difference

    paid = rewards(rows[rows["task"] == INSTRUCTIONS], gold, store)
    result = paired_difference([a for a, _ in paid.values()], [b for _, b in paid.values()], [s for _, s, _ in paid])
    yield _change(GOLD, "", 1, result)


def _scored(run: "Run", sft: "Run", rows: "pd.DataFrame") -> Iterator[Change]:
    from evalsuite.comparison import paired

    found = {(d.task, d.metric): d for d in paired(run, sft, rows=rows)}
    for what, task, metric, better in SCORES:
        if (d := found.get((task, metric))) is not None:
            unit = "share" if metric == "distinct2" else "" if metric == "words" else d.unit
            yield Change(what, unit, better, d.value, d.low, d.high, d.n, d.p)


def _change(what: str, unit: str, better: int, result: "Paired") -> Change:
    return Change(what, unit, better, result.value, result.low, result.high, result.n, result.p)


def drift(run: "Run", sft: "Run", store: Path) -> tuple[float, float, float] | None:
    """(KL to sft, low, high) in nats an answer, from the run's own answers to instructions; None where its weights
    cannot be asked (best-of-n has none)."""
    from evalsuite.comparison.differences import shared_rows
    from evalsuite.comparison.divergence import divergence

    if run.manifest["model"].get("backend") == "responses":
        return None
    rows = shared_rows(run, sft)
    told = divergence(run, sft, rows[rows["task"] == INSTRUCTIONS], store)
    kl = told[0].per_answer if told else None
    return None if kl is None or kl.low is None or kl.high is None or kl.value is None else (kl.value, kl.low, kl.high)
