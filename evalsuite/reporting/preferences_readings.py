"""What each feature of an explanation may be called: rewarded, punished, of little effect, or not to be told.

    readings = read_features(explanation)      # the largest change upwards first

Verdicts go no further than intervals: "rewarded" needs significance after correction for all tests, "little or nothing"
an interval wholly within ±NEAR; everything else cannot be told.
"""

from dataclasses import dataclass
from typing import Literal

from evalsuite.features.contract import Effect, Explanation, Feature
from evalsuite.preferences.effects import faithful

Kind = Literal["rewarded", "punished", "little", "open", "none"]
Fit = Literal["holds", "weak", "unchecked", "given"]
NEAR = 0.10
"""A change within ±10 points: of two answers, the one with the feature is preferred in 45% to 55% of cases."""
ORDER = ("adjusted", "alone", "raw", "joint")
"""Which effect all features are judged and ranked by: the first that was estimated for any."""
CHIPS: dict[Kind, str] = {
    "rewarded": "rewarded",
    "punished": "punished",
    "little": "little or no effect",
    "open": "cannot be told",
    "none": "no estimate",
}
FITS: dict[Fit, str] = {
    "holds": "words hold",
    "weak": "words doubtful",
    "unchecked": "words not checked",
    "given": "a measured column",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """A feature with its verdict. `sure`: also after Bonferroni; `by`: the name of the effect it was judged by."""

    feature: Feature
    kind: Kind
    sure: bool
    fit: Fit
    by: str
    effect: Effect | None

    @property
    def change(self) -> float | None:
        return self.effect.change if self.effect else None


def read_features(explanation: Explanation) -> list[Reading]:
    """A reading of each feature, those with the largest change upwards first, without an estimate last."""
    features = explanation.features
    fits = [f.fidelity for f in features]
    holds = faithful([x.r if x else None for x in fits], [x.p if x else None for x in fits], explanation.alpha)
    by = basis(explanation)
    readings = [_reading(f, good, by) for f, good in zip(features, holds, strict=True)]
    return sorted(readings, key=lambda r: (r.change is None, -(r.change or 0), r.feature.index))


def basis(explanation: Explanation) -> str:
    """The name of the effect that the page judges by; "" where there is none at all."""
    names = dict.fromkeys(name for f in explanation.features for name in f.effects)
    ordered = [n for n in ORDER if n in names] + [n for n in names if n not in ORDER]
    known = {name for f in explanation.features for name, e in f.effects.items() if e.change is not None}
    return next((n for n in ordered if n in known), ordered[0] if ordered else "")


def _reading(feature: Feature, holds: bool, by: str) -> Reading:
    found = feature.fidelity
    fit: Fit = "holds" if holds else "weak"
    if found is None or found.r is None:
        fit = "given" if feature.how == "given" else "unchecked"  # what was measured needs no words
    effect = feature.effects.get(by)
    return Reading(feature, _kind(effect), bool(effect and effect.significant_bonferroni), fit, by, effect)


def _kind(effect: Effect | None) -> Kind:
    if effect is None or effect.change is None:
        return "none"
    signs_differ = effect.beta is not None and effect.beta * effect.change < 0
    if (effect.significant_bonferroni or effect.significant_bh) and not signs_differ:
        return "rewarded" if effect.change > 0 else "punished"
    if effect.low is not None and effect.high is not None and effect.low > -NEAR and effect.high < NEAR:
        return "little"
    return "open"
