"""How far the people who labelled differ, feature by feature, and what a person wants of whom little is known.

    people = people_of(pairs, measured)
    found = personalize(people)                    # subjectivity of each feature; the prior of a new person
    found.metas[0].tau, found.metas[0].opposite    # spread of people's weights; share with the other sign
    new = towards(x, y, found.prior)               # a new person's weights from k labels (personalize_fit.py)
    ask(x, new, 10)                                # which pairs to ask them next (personalize_ask.py)

Two stages: each person's logistic regression of preference on all features (Firth's), then a random-effects
meta-analysis of their weights (meta.py), whose variances are taken at the crowd's mean (personalize_fit.variance_at).
People with too few labels for weights of their own do not enter the second stage; they are pooled, and get weights by
shrinkage: the MAP under β ~ N(μ, τ²), an offset from the crowd's mean that their labels have to earn. Where fewer than
five people have enough labels, μ and τ come from everybody's labels at once (personalize_gibbs.py).

A weight is in log-odds for one root mean square of the feature over all pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from evalsuite.errors import InputError
from evalsuite.features.contract import Effect
from evalsuite.preferences.contract import Pairs
from evalsuite.preferences.effects import Design, independent, jointly, scales_of
from evalsuite.preferences.effects_fit import sigma
from evalsuite.preferences.measured import Measured
from evalsuite.preferences.meta import Meta, Method, random_effects
from evalsuite.preferences.personalize_fit import Own, Posterior, Prior, own_weights, towards, variance_at
from evalsuite.preferences.personalize_gibbs import SWEEPS, Draws, hierarchical
from evalsuite.statistics.intervals import NORMAL
from evalsuite.statistics.logistic import logistic_regression

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LEAST = 50
"""Labels of a person (in different conversations, where those are known) for weights of their own."""
EACH = 15
"""And so many for each feature: with 12 of strong tastes, 95% intervals of the spread cover 84%; with 19, 94%."""
ENOUGH = 5
"""People with weights of their own, without whom there are no two stages."""
SIMULATED = 200
"""Simulated people, at least, from whom the errors of people's weights are known."""
TURNS = 3
"""Rounds in which variances are taken at the mean that they give."""
CROWD, ROWS = 400, 200
"""People, and labels of each, that are sampled at once at most: those with the most labels."""


@dataclass(frozen=True)
class People:
    """Labelled pairs of known people. x (n, p): features in units of their root mean square; y (n,) in [0, 1]; person
    (n,): places in `who`; groups (n,): conversations; rows (n,): the pairs' places in the dataset. `scales` (p,)."""

    names: tuple[str, ...]
    x: Any
    y: Any
    person: Any
    who: tuple[str, ...]
    groups: Any
    rows: Any
    scales: Any
    dropped: tuple[str, ...] = ()

    def of(self, i: int) -> Any:
        """Rows of person i."""
        return self._places[i]

    @property
    def _places(self) -> list[Any]:
        import numpy as np

        order = np.argsort(self.person, kind="stable")
        ends = np.cumsum(np.bincount(self.person, minlength=len(self.who)))
        return np.split(order, ends[:-1])


@dataclass(frozen=True)
class Personal:
    """What people have in common and how they differ. `counted`: people with weights of their own; `metas`: a feature
    each; `prior` of a person without labels, `spread` where its τ is from; `together`: effects over all labels as if
    of one person; `own`: weights (people, p), NaN of those who have none."""

    names: tuple[str, ...]
    people: int
    labels: int
    counted: int
    least: int
    metas: tuple[Meta, ...]
    prior: Prior
    spread: Literal["REML", "Paule-Mandel", "hierarchical"]
    together: tuple[Effect, ...]
    own: Own
    notes: tuple[str, ...] = ()


def people_of(pairs: Pairs, measured: Measured) -> People:
    """The labelled pairs whose annotator is known. Raises InputError where fewer than three people labelled."""
    import numpy as np

    y, who = pairs.preference, pairs.column("annotator")
    rows = np.flatnonzero(~np.isnan(y) & (who != ""))
    if not len(rows):
        raise InputError(f"{pairs.name}: no labelled pair says who labelled it; personalize needs the annotators")
    names, person = np.unique(who[rows].astype(str), return_inverse=True)
    if len(names) < 3:
        raise InputError(f"{pairs.name}: {len(names)} people labelled; how people differ needs at least 3")
    talks = pairs.column("conversation")[rows]
    alone = np.array([f"\0{r}" for r in rows], dtype=object)
    _, groups = np.unique(np.where(talks == "", alone, talks).astype(str), return_inverse=True)
    scales = scales_of(measured.z)
    kept = independent(measured.z[rows])
    if not kept:
        raise InputError(f"{pairs.name}: no feature differs between the answers of any labelled pair")
    dropped = tuple(name for j, name in enumerate(measured.names) if j not in kept)
    return People(
        tuple(measured.names[j] for j in kept), measured.z[rows][:, kept] / scales[kept], y[rows], person,
        tuple(str(n) for n in names), groups, rows, scales[kept], dropped,
    )  # fmt: skip


def personalize(people: People, least: int = LEAST, method: Method = "reml", seed: int = 0) -> Personal:
    """Everything about a crowd. `least`: labels of a person for weights of their own."""
    import numpy as np

    p, places = len(people.names), people._places
    labels = np.array([len(np.unique(people.groups[rows])) for rows in places])
    needed = max(least, EACH * p)
    own = stage_one(people, places, labels >= needed)
    counted = int((labels >= needed).sum())
    metas, own = stage_two(people, own, method)
    two = counted >= ENOUGH and all(m.mu is not None for m in metas)
    notes = [f"{name} never differs, or repeats others: left out" for name in people.dropped]
    if two:
        prior = prior_of(metas)
    else:
        draws = crowd_of(people, range(len(places)), seed)
        metas, prior = draws.metas(), draws.prior()
        notes.append(
            f"{counted} people have {needed} labels, {ENOUGH} are wanted for weights of their own: what people share "
            "comes from all labels at once"
        )
    if people.groups.max() + 1 < len(people.y):
        notes.append("labels of one conversation count as one: errors are by conversation")
    return Personal(
        people.names, len(places), len(people.y), counted, needed, tuple(metas), prior,
        ("REML" if method == "reml" else "Paule-Mandel") if two else "hierarchical",
        tuple(jointly(Design(people.x, people.y, clusters=(people.person,), scales=np.ones(p)))), own, tuple(notes),
    )  # fmt: skip


def stage_one(people: People, places: Sequence[Any], enough: Any) -> Own:
    """Weights and variances (people, p) of those with enough labels; NaN elsewhere."""
    import numpy as np

    beta, variance = (np.full((len(places), len(people.names)), np.nan) for _ in range(2))
    for i in np.flatnonzero(enough):
        rows = places[i]
        found = own_weights(people.x[rows], people.y[rows], people.groups[rows])
        beta[i], variance[i] = found.beta, found.variance
    return Own(beta, variance)


def stage_two(people: People, own: Own, method: Method = "reml", seed: int = 0) -> tuple[list[Meta], Own]:
    """The meta-analysis of people's weights, and the weights with the variances that it took: the information's at the
    crowd's mean, times what simulated people with the same pairs show to be missing from it."""
    import numpy as np

    metas = random_effects(own.beta, own.variance, method)
    used, places = own, people._places
    for turn in range(TURNS):
        if any(m.mu is None for m in metas):
            break
        mean, tau = (np.array([getattr(m, name) for m in metas], dtype=float) for name in ("mu", "tau"))
        variance = own.variance.copy()
        for i in np.flatnonzero(~np.isnan(own.beta).all(axis=1)):
            variance[i] = variance_at(people.x[places[i]], Own(own.beta[i], own.variance[i]), mean)
        factor = _missing(people, own, mean, tau, seed) if turn else np.ones(len(mean))
        used = Own(own.beta, variance * factor)
        metas = random_effects(used.beta, used.variance, method)
    return metas, used


def _missing(people: People, own: Own, mean: Any, tau: Any, seed: int) -> Any:
    """Squared errors of simulated people's weights over the information's variance (p,): with few labels more than 1,
    and left out they would count as spread."""
    import numpy as np

    rng = np.random.default_rng(seed)
    known = np.flatnonzero(~np.isnan(own.beta).all(axis=1))
    places = people._places
    total, times = np.zeros(len(mean)), np.zeros(len(mean))
    for i in np.resize(rng.permutation(known), max(SIMULATED, len(known))):
        x = people.x[places[i]]
        truth = mean + tau * rng.standard_normal(len(mean))
        made = own_weights(x, (rng.random(len(x)) < sigma(x @ truth)).astype(float))
        plain = variance_at(x, made, mean)
        good = ~np.isnan(made.beta)
        total[good] += (made.beta - truth)[good] ** 2 / plain[good]
        times += good
    return np.where(times > 0, total / np.maximum(times, 1), 1.0)


def prior_of(metas: Sequence[Meta]) -> Prior:
    """A new person's weights: the crowd's mean, with its spread and the error of the mean."""
    import numpy as np

    mean = np.array([m.mu for m in metas], dtype=float)
    half = np.array([(m.high - m.low) / 2 for m in metas if m.high is not None and m.low is not None])
    error = half / NORMAL.inv_cdf(0.975)
    return Prior(mean, np.array([m.variance for m in metas], dtype=float) + error**2)


def crowd_of(people: People, members: Sequence[int] | range, seed: int = 0, sweeps: int = SWEEPS) -> Draws:
    """What some people have in common, from all their labels at once."""
    places = people._places
    chosen = [places[i][:ROWS] for i in sorted(members, key=lambda i: -len(places[i]))[:CROWD]]
    return hierarchical([(people.x[rows], people.y[rows]) for rows in chosen], sweeps, seed)


def pooled(people: People, rows: Any) -> Floats:
    """Weights (p,) of all labels of some rows as if one person had given them (a ridge of 1 keeps them finite)."""
    return logistic_regression(people.x[rows], people.y[rows], penalty=1.0)


def weights_of(people: People, found: Personal, i: int, first: int | None = None) -> Posterior:
    """The weights of person i, drawn towards the crowd; from their first labels only where `first` is given."""
    rows = people.of(i)[:first]
    return towards(people.x[rows], people.y[rows], found.prior)
