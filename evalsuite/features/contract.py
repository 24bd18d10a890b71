"""The words of features, as typed records: what a source of features gives, and all that is found out about each.

A source reads a difference of two embeddings (first minus second text) as signed activations: positive where the first
text has more of a feature, negative where the second has. Every source is odd: swapping the texts negates every
activation exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol


class Source(Protocol):
    """Where features come from: our SAE over embeddings, a pretrained SAE over a language model's residual stream, or
    given columns. `names` are stable; `width` is how many there are."""

    names: Sequence[str]
    width: int

    def read(self, differences: Any) -> Any:
        """float32 differences (n, dimensions) → float32 activations (n, width), mostly 0; odd in its argument."""
        ...


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How well a description predicts which text of a pair has the feature: Pearson r between an annotator's answers
    (+1 first, -1 second, 0 neither) and signed activations, its two-sided p, on `n` pairs that took no part in the
    choice of the description."""

    r: float | None
    p: float | None
    n: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Effect:
    """What a feature does to the preference. `beta`: log-odds for one standard deviation; `change`: the average
    marginal effect in probability when the feature moves from the second text to the first (D from -1 to +1), with its
    interval; `p` of beta; `significant` under the correction that the explanation names. None where it cannot be
    estimated, with `reason`."""

    beta: float | None
    beta_low: float | None
    beta_high: float | None
    change: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int
    significant_bonferroni: bool = False
    significant_bh: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """One pair in which a feature is strong. `activation` is signed, for text `a`; `preference` as everywhere."""

    id: str
    prompt: str
    a: str
    b: str
    activation: float
    preference: float | None
    percentile: float | None = None


@dataclass(frozen=True, slots=True)
class Feature:
    """All that is known of one feature. `how`: "model" (a judge model described it) or "extractive" (contrasting words
    and format figures, found by counting), or "given". `effects` by name: "alone" (with the controls), "raw" (without
    any), "joint" (all features together), "adjusted" (for the named confounders)."""

    index: int
    name: str
    description: str
    how: Literal["model", "extractive", "given"]
    prevalence: float
    fidelity: Fidelity | None = None
    effects: Mapping[str, Effect] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()
    component: int = -1
    terms: tuple[tuple[str, float], ...] = ()
    statistics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Predicted:
    """Held-out AUC of one predictor of preferences with its interval: "features", "embedding", "length", "reward
    model", ..."""

    name: str
    auc: float | None
    low: float | None
    high: float | None
    n: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """An explained dataset: what stands in its folder and on its page. `notes` are the plain words of caution: how the
    pairs were chosen, what n cannot tell, what was dropped."""

    dataset: str
    n: int
    labelled: int
    ties: int
    source: str
    features: tuple[Feature, ...]
    controls: tuple[str, ...] = ()
    adjusted_for: tuple[str, ...] = ()
    predicted: tuple[Predicted, ...] = ()
    tests: int = 0
    alpha: float = 0.05
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
