"""The tables behind a comparison as text, for whatever shows them: terminal, page, Markdown.

    for table in pair_tables(pair):
        print(table.title, table.heads, *table.rows, sep="\\n")

Differences of the scores themselves are not among them: they have a form of their own in each place.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evalsuite.comparison import Comparison, PairComparison
from evalsuite.reporting.numbers import MISSING, interval_text, p_text
from evalsuite.statistics import Interval


@dataclass(frozen=True, slots=True)
class Words:
    """A table of text. The first column names the row; the others are figures. `about`: how it is to be read."""

    name: str
    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    about: str = ""


def pair_tables(pair: PairComparison) -> list[Words]:
    """What one comparison has beside its scores; nothing of what it has not."""
    made = [*_families(pair), *_texts(pair), *_gaps(pair), *_calibration(pair), *_asked(pair)]
    return [table for table in made if table.rows]


def lineage_tables(found: Comparison) -> list[Words]:
    """What concerns all runs together: quality against diversity, effects of format."""
    made = []
    if len(found.plane) > 1 and any(p.diversity for p in found.plane):
        names = list(dict.fromkeys(name for p in found.plane for name in p.diversity))
        rows = [[p.run, *(_interval(p.diversity.get(n), "") for n in names)] for p in found.plane]
        tasks = ", ".join(found.plane[0].tasks)
        if tasks:
            rows = [[row[0], _interval(p.quality), *row[1:]] for row, p in zip(rows, found.plane, strict=True)]
        heads = ["run", *(["quality [95%]"] if tasks else []), *names]
        title = "Quality against diversity" if tasks else "Diversity"
        about = f"Quality: mean headline share on {tasks}." if tasks else ""
        made.append(Words("plane", title, heads, rows, about))
    if found.formats:
        rows = [
            [e.kind, e.task, e.run, e.baseline, str(e.n), signed_text(e.value, e.low, e.high, e.unit), p_text(e.p)]
            for e in found.formats
        ]
        heads = ["effect", "task", "run", "baseline", "n", "difference [95%]", "p"]
        made.append(Words("formats", "Format told apart from training (p is not adjusted)", heads, rows))
    return made


def curve_words(found: Comparison) -> list[str]:
    """One sentence for each training that logged rewards."""
    made = []
    for curve in found.curves:
        changes = [f"{n} {_change(i, '')}" for n, i in (("proxy reward", curve.proxy), ("gold", curve.gold)) if i]
        told = "; ".join(changes) or "too few steps to tell"
        made.append(
            f"Reward curve of {curve.run}, {curve.steps} steps, last third against middle: {told}: {curve.verdict}"
        )
    return made


def _families(pair: PairComparison) -> Iterator[Words]:
    if any(len(f.tasks) > 1 for f in pair.families):
        rows = [
            [f.family, str(len(f.tasks)), str(f.n), signed_text(f.value, f.low, f.high), p_text(f.q), f.verdict]
            for f in pair.families
            if f.tasks
        ]
        heads = ["family", "tasks", "n", "mean gain [95%]", "q over families", "verdict"]
        yield Words("families", "Families (more is better; each task counts once)", heads, rows)


def _texts(pair: PairComparison) -> Iterator[Words]:
    rows = [
        [
            *(d.about, str(d.n), _interval(d.baseline, d.unit), _interval(d.run, d.unit)),
            *(signed_text(d.value, d.low, d.high, d.unit), p_text(d.q)),
        ]
        for d in pair.texts
    ]
    heads = ["", "n", "baseline [95%]", "run [95%]", "difference [95%]", "q"]
    yield Words("texts", "How answers read", heads, rows, "Read off the answers; none of these says good or bad.")


def _gaps(pair: PairComparison) -> Iterator[Words]:
    rows = [
        [
            *(g.task, f"{g.inside.n}, {g.outside.n}"),
            *(_change(i, g.unit) if i else MISSING for i in (g.baseline, g.run, g.inside, g.outside, g.change)),
        ]
        for g in pair.gaps
    ]
    heads = ["task", "n in, out", "gap before", "gap after", "change inside", "change outside", "change of the gap"]
    yield Words("gaps", "In against out of distribution (gap = in − out)", heads, rows)


def _calibration(pair: PairComparison) -> Iterator[Words]:
    names = {
        "ece": "expected calibration error ↓",
        "brier": "Brier score ↓",
        "aurc": "area under risk and coverage ↓",
        "overconfidence": "confidence − accuracy (best at 0)",
        "acc_at_80": "accuracy of the surest 80%",
    }
    rows = [
        [
            *(c.task, names.get(c.figure, c.figure), str(c.n), _interval(c.baseline), _interval(c.run)),
            signed_text(c.value, c.low, c.high),
        ]
        for c in pair.calibration
    ]
    yield Words("calibration", "Calibration", ["task", "figure", "n", "before", "after", "difference [95%]"], rows)


def _asked(pair: PairComparison) -> Iterator[Words]:
    """What only those have who asked for it: rewards, KL, overlap."""
    units = {(d.task, d.metric): d.unit for d in pair.differences}
    rows = [
        [
            *(m.task, m.metric, str(m.n), _change(m.reward, "")),
            *(_change(m.score, units.get((m.task, m.metric), "")), _interval(m.correlation, ""), m.verdict),
        ]
        for m in pair.mismatches
    ]
    heads = ["task", "score", "n", "change of reward", "gain in score", "correlation", "verdict"]
    yield Words("mismatches", "Reward against score", heads, rows)
    rows = [
        [d.task, str(d.n), _interval(d.per_answer, "nats"), _interval(d.per_token, "nats"), _drawn(d.drawn)]
        for d in pair.divergence
    ]
    title = f"KL to {pair.baseline} on the run's answers"
    yield Words("divergence", title, ["task", "n", "an answer", "a token", ""], rows)
    rows = []
    for o in pair.overlap:
        parts = [signed_text(d.value, d.low, d.high, d.unit) if d else MISSING for d in (o.all, o.clean, o.trained_on)]
        rows.append([o.task, f"{len(o.samples)} of {o.n}", str(o.untold), *parts])
    heads = ["task", "trained on", "too short", "all [95%]", "clean part [95%]", "trained-on part [95%]"]
    yield Words("overlap", "Overlap with the training prompts (13-grams)", heads, rows)


def _drawn(drawn: bool | None) -> str:
    return {
        True: "drawn at temperature 1",
        False: "not drawn at temperature 1: no KL",
        None: "drawn as the task chose",
    }[drawn]


def _interval(i: Interval | None, unit: str = "share") -> str:
    return MISSING if i is None or i.value is None else interval_text(i.value, i.low, i.high, unit)


def _change(i: Interval, unit: str) -> str:
    return signed_text(i.value, i.low, i.high, unit)


def signed_text(value: float | None, low: float | None, high: float | None, unit: str = "share") -> str:
    """'+3.1 pt [+1.0, +5.2]', or a dash."""
    return MISSING if value is None else interval_text(value, low, high, unit, sign=True)
