"""What alignment moved beside the scores, as sentences: calibration, reach out of distribution, the reward that was
optimised, drift from the parent, and training prompts among the questions.

    moved, still = effects(pair, curve)     # what is clear of 0, and what cannot be told

Figures that come without a p of their own (calibration, gaps) get one from their interval and are adjusted by Holm over
all of their kind in the comparison, so that a page of many tasks claims no more than one of few.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from evalsuite.comparison.calibration import CalibrationDifference
from evalsuite.comparison.differences import ALPHA
from evalsuite.comparison.families import two_sided
from evalsuite.comparison.gaps import GapChange
from evalsuite.comparison.summary_words import Changed, Said, Sentence, adjusted, change, number, sentence
from evalsuite.statistics import Interval, holm

if TYPE_CHECKING:
    from evalsuite.comparison.records import PairComparison
    from evalsuite.comparison.training_curve import Curve

T = TypeVar("T")
CALIBRATION = ("ece", "overconfidence", "acc_at_80")
"""Figures that are told; the Brier score and AURC mix calibration with accuracy and stay in the table."""


def effects(pair: "PairComparison", curve: "Curve | None" = None) -> tuple[list[Sentence], list[Sentence]]:
    calibrated, uncalibrated = _calibration(pair)
    reached, unreached = _gaps(pair)
    moved = [*calibrated, *reached, *_reward(curve), *_mismatch(pair), *_drift(pair), *_overlap(pair)]
    return moved, [*uncalibrated, *unreached]


def _clear(found: Sequence[T], changed: Callable[[T], Changed]) -> tuple[list[T], list[T]]:
    """What is clear of 0 after adjustment over all of them, and what is not."""
    tested, ps = [], []
    for item in found:
        c = changed(item)
        if c.value is not None and c.low is not None and c.high is not None:
            tested.append(item)
            ps.append(two_sided(c.value, c.value - c.low, c.high - c.value))
    told = [(item, q <= ALPHA and bool(changed(item).value)) for item, q in zip(tested, holm(ps), strict=True)]
    return [item for item, clear in told if clear], [item for item, clear in told if not clear]


def _calibration(pair: "PairComparison") -> tuple[list[Sentence], list[Sentence]]:
    moved, still = _clear([c for c in pair.calibration if c.figure in CALIBRATION], lambda c: c)
    run, baseline = pair.run, pair.baseline
    leads: tuple[tuple[str, Said, str], ...] = (
        ("ece", "better", f"{run} is better calibrated than {baseline} (expected calibration error) on"),
        ("ece", "worse", f"{run} is worse calibrated than {baseline} (expected calibration error) on"),
        ("overconfidence", "better", f"{run}'s confidence lies nearer to its accuracy than {baseline}'s on"),
        ("overconfidence", "worse", f"{run}'s confidence lies farther from its accuracy than {baseline}'s on"),
        ("acc_at_80", "better", f"Answering only the surest four fifths, {run} is right more often than {baseline} on"),
        ("acc_at_80", "worse", f"Answering only the surest four fifths, {run} is right less often than {baseline} on"),
    )
    made: list[Sentence] = []
    for figure, kind, lead in leads:
        part = [c for c in moved if c.figure == figure and _direction(c) == kind]
        made += sentence(kind, lead, [_calibrated(c) for c in part])
    alike = [f"{c.task} ({change(c, 'share')}, n={c.n}{adjusted(c)})" for c in still if c.figure == "ece"]
    return made, sentence("unclear", "No change of calibration (expected calibration error) was found on", alike)


def _direction(c: CalibrationDifference) -> Said:
    if c.figure == "overconfidence":  # best at 0, from either side
        return "better" if abs(c.run.value or 0) < abs(c.baseline.value or 0) else "worse"
    return "better" if (c.value < 0) == c.lower_is_better else "worse"


def _calibrated(c: CalibrationDifference) -> str:
    points = c.figure == "overconfidence"
    sides = f"{number(c.baseline.value, 'share', points)} → {number(c.run.value, 'share', points)}"
    what = "confidence − accuracy, " if points else ""
    return f"{c.task} ({what}{change(c, 'share')}, {sides}, n={c.n})"


def _gaps(pair: "PairComparison") -> tuple[list[Sentence], list[Sentence]]:
    lower = {(d.task, d.metric) for d in pair.differences if d.lower_is_better}
    moved, still = _clear(pair.gaps, lambda g: g.change)

    def less(g: GapChange) -> bool:
        return ((g.change.value or 0) > 0) != ((g.task, g.metric) in lower)

    told = f"{pair.run}, beside {pair.baseline}, did"
    made = [
        *sentence("otherwise", f"{told} worse out of distribution than in it on", [_gap(g) for g in moved if less(g)]),
        *sentence(
            "otherwise", f"{told} better out of distribution than in it on", [_gap(g) for g in moved if not less(g)]
        ),
    ]
    lead = "No change of the gap between in and out of distribution was found on"
    alike = [
        f"{g.task} {g.metric} ({change(g.change, g.unit)}, n={g.inside.n} in, {g.outside.n} out{adjusted(g.change)})"
        for g in still
    ]
    return made, sentence("unclear", lead, alike)


def _gap(g: GapChange) -> str:
    sides = [f"{word} {change(i, g.unit)}, n={i.n}" for word, i in (("in", g.inside), ("out", g.outside))]
    return f"{g.task} {g.metric} (gap {change(g.change, g.unit)}: {'; '.join(sides)})"


def _reward(curve: "Curve | None") -> list[Sentence]:
    if curve is None or curve.gold is None or curve.proxy is None:
        return []
    figures = f"proxy {change(curve.proxy, '')}, gold {change(curve.gold, '')}"
    steps = f"last third of {curve.steps} steps against the middle one, n={curve.steps} of one training"
    if curve.verdict == "over-optimised":
        lead = f"{curve.run} was over-optimised: late in training its reward rose while the gold reward fell"
        return [Sentence("worse", f"{lead} ({figures}; {steps})")]
    if curve.verdict == "stalled":
        lead = f"Late in {curve.run}'s training its reward still rose, but the gold reward no longer did"
        return [Sentence("otherwise", f"{lead} ({figures}; {steps})")]
    return []


def _mismatch(pair: "PairComparison") -> list[Sentence]:
    apart = [m for m in pair.mismatches if m.verdict == "mismatch"]
    units = {(d.task, d.metric): d.unit for d in pair.differences}

    def items(paid: bool) -> list[str]:
        return [
            f"{m.task} {m.metric} (reward {change(m.reward, '')}, gain in score "
            f"{change(m.score, units.get((m.task, m.metric), ''))}, n={m.n})"
            for m in apart
            if ((m.reward.value or 0) > 0) == paid
        ]

    told = f"than {pair.baseline} and the score got"
    return [
        *sentence("worse", f"The reward model pays {pair.run} more {told} worse on", items(True)),
        *sentence("otherwise", f"The reward model pays {pair.run} less {told} better on", items(False)),
    ]


def _drift(pair: "PairComparison") -> list[Sentence]:
    """Only where it is a KL: of answers that are not known to have been drawn otherwise."""
    far = [d for d in pair.divergence if d.drawn is not False and (d.per_answer.low or 0) > 0]
    items = [f"{d.task} ({_plain(d.per_answer)} nats an answer, n={d.n})" for d in far]
    return sentence("otherwise", f"{pair.run} has moved away from {pair.baseline} (KL on its own answers) on", items)


def _overlap(pair: "PairComparison") -> list[Sentence]:
    items = []
    for o in pair.overlap:
        if o.samples:
            clean = f"{change(o.clean, o.clean.unit)}, n={o.clean.n}" if o.clean else "nothing is left"
            items.append(
                f"{o.task} ({len(o.samples)} of {o.n}; all {change(o.all, o.all.unit)}; on the clean part {clean})"
            )
    return sentence("care", "Questions of the evaluation stand in the training file:", items)


def _plain(i: Interval) -> str:
    interval = "" if i.low is None or i.high is None else f" [{number(i.low, '')}, {number(i.high, '')}]"
    return f"{number(i.value, '')}{interval}"
