"""What `compare --features` finds, as typed records: features with their reward, and the shifts of each run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evalsuite.comparison.shift_folder import Feature
from evalsuite.statistics import Interval
from evalsuite.statistics.errors_in_both import Correlated

Moved = Literal["up", "down", "still", "open", "absent"]
Relation = Literal["followed", "against", "unrewarded", "unmoved", "open"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A prompt on which the run's answer has much more (or less) of a feature than its parent's."""

    task: str
    sample: str
    question: str
    run: str
    parent: str
    activation: float


@dataclass(frozen=True, slots=True)
class Shift:
    """One feature in one run. `shift`, `low`, `high` in standard deviations of the training pairs, `raw` in units of
    the activation; `more` and `less`: shares of prompts where the run has more, or less, of it on average. `verdict`:
    "up" and "down" by q below 5%, "still" where the whole interval lies within ±0.1, "open" where it cannot be told,
    "absent" where it is active in no prompt. `relation` to the reward: "followed", "against", "unrewarded" (moved,
    although nothing shows that it was rewarded), "unmoved" (rewarded or punished, and no shift was found), "open"."""

    index: int
    shift: float | None
    low: float | None
    high: float | None
    raw: float
    more: float
    less: float
    p: float | None
    q: float | None
    verdict: Moved
    relation: Relation
    examples: tuple[Seen, ...] = ()


@dataclass(frozen=True, slots=True)
class RunShift:
    """One run against its parent. `correlation` over the features that both sides are known of; `agreeing`: of the
    features that are rewarded or punished, those that moved, and with which sign."""

    run: str
    parent: str
    method: str | None
    prompts: int
    rows: int
    tasks: tuple[str, ...]
    features: tuple[Shift, ...]
    correlation: Correlated
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Contrast:
    """How much better the first run's shifts go with the reward than the second's."""

    first: str
    second: str
    difference: Interval


@dataclass(frozen=True, slots=True)
class Shifts:
    """Everything that `compare --features` says."""

    dataset: str
    pairs: int
    labelled: int
    source: str
    effect: str
    controls: tuple[str, ...]
    features: tuple[Feature, ...]
    runs: tuple[RunShift, ...]
    contrasts: tuple[Contrast, ...]
    notes: tuple[str, ...] = ()
