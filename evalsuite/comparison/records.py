"""What a comparison finds, as data: of each pair of runs, and of all runs together."""

from dataclasses import dataclass, field

from evalsuite.comparison.calibration import CalibrationDifference, TradeOff
from evalsuite.comparison.differences import Difference
from evalsuite.comparison.divergence import Divergence
from evalsuite.comparison.families import FamilyDifference
from evalsuite.comparison.formats import Effect
from evalsuite.comparison.gaps import GapChange, Point
from evalsuite.comparison.mismatch import Mismatch
from evalsuite.comparison.overlap import Overlap
from evalsuite.comparison.texts import TextDifference
from evalsuite.comparison.training_curve import Curve


@dataclass(frozen=True, slots=True)
class PairComparison:
    """One run against its baseline. Lists are empty where there is nothing of the kind."""

    run: str
    baseline: str
    method: str | None
    differences: list[Difference]
    families: list[FamilyDifference]
    refused: dict[str, list[str]]
    texts: list[TextDifference]
    calibration: list[CalibrationDifference]
    trade_offs: list[TradeOff]
    gaps: list[GapChange]
    mismatches: list[Mismatch]
    overlap: list[Overlap]
    divergence: list[Divergence]
    summary: list[str]


@dataclass(frozen=True, slots=True)
class Skipped:
    """Two runs that share no sample, and the reason in words."""

    run: str
    baseline: str
    reason: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """All pairs; and of all runs together: the plane of quality and diversity (in lineage order), reward curves of
    those with a training log, and effects of format where a checkpoint was run in several."""

    runs: list[str]
    pairs: list[PairComparison]
    plane: list[Point]
    curves: list[Curve]
    formats: list[Effect]
    skipped: list[Skipped] = field(default_factory=list)
