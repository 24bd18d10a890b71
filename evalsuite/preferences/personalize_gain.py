"""What k labels of a person bring: predictions of their other labels, measured on people who took no part in the prior.

Methods: "one for all" (pooled weights of the others), "own labels" (their k labels alone, with a weak ridge), "shrunk"
(prior and k random labels), "shrunk, asked" (prior and k labels of the pairs that `ask` chose one after another).
Each person's labels are split into a half to ask from and a half to be judged on. A figure is a mean over people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evalsuite.preferences.effects_fit import sigma
from evalsuite.preferences.meta import random_effects
from evalsuite.preferences.personalize import People, Personal, crowd_of, pooled, prior_of
from evalsuite.preferences.personalize_ask import interview
from evalsuite.preferences.personalize_fit import Prior, towards
from evalsuite.statistics.intervals import Interval, mean_interval

KS = (1, 2, 4, 8, 16, 32)
FOLDS = 5
MOST = 100
"""People who are judged at most, drawn by the seed."""
JUDGED = 10
"""Decided labels of a person to be judged on."""
FEWER = 500
"""Sweeps for the prior of each fold, where it is sampled."""
WEAK = 16.0
"""Variance of the weak prior of those who only have their own labels."""


@dataclass(frozen=True, slots=True)
class Gain:
    """How well one method predicts after k labels: per-person accuracy and AUC, the drop of the log-loss against "one
    for all" (`better`, in nats, positive is better), and against as many random labels (`than_random`), over people."""

    method: str
    k: int
    accuracy: Interval
    auc: Interval
    better: Interval
    than_random: Interval | None


def gains(people: People, found: Personal, ks: Sequence[int] = KS, repeats: int = 3, seed: int = 0) -> list[Gain]:
    """Figures of every method and k. Only people with labels for the largest k that at least `FOLDS` people have; none
    where nobody has."""
    import numpy as np

    rng = np.random.default_rng(seed)
    sizes = [len(rows) for rows in people._places]
    usable = [k for k in ks if sum(s >= 2 * max(k, JUDGED) for s in sizes) >= FOLDS]
    if not usable:
        return []
    members = [i for i, s in enumerate(sizes) if s >= 2 * max(max(usable), JUDGED)]
    members = sorted(int(i) for i in rng.permutation(members)[:MOST])
    fold = rng.permutation(len(members)) % FOLDS
    scores: dict[tuple[str, int], list[Any]] = {}
    for part in range(FOLDS):
        out = {m for m, f in zip(members, fold, strict=True) if f == part}
        prior, shared = _without(people, found, out)
        for i in sorted(out):
            person = _Person(people.x[people.of(i)], people.y[people.of(i)])
            each = [_judge(person, prior, shared, usable, rng) for _ in range(repeats)]
            for key in each[0]:
                scores.setdefault(key, []).append(np.mean([e[key] for e in each], axis=0))
    return _figures({key: np.array(value) for key, value in scores.items()})


@dataclass(frozen=True)
class _Person:
    x: Any
    y: Any


def _without(people: People, found: Personal, out: set[int]) -> tuple[Prior, Any]:
    """The prior, and pooled weights, of everybody else."""
    import numpy as np

    places = people._places
    rest = [i for i in range(len(places)) if i not in out]
    shared = pooled(people, np.concatenate([places[i] for i in rest]))
    if found.spread != "hierarchical":
        metas = random_effects(found.own.beta[rest], found.own.variance[rest])
        if all(m.mu is not None for m in metas):
            return prior_of(metas), shared
    return crowd_of(people, rest, sweeps=FEWER).prior(), shared


def _judge(person: _Person, prior: Prior, shared: Any, ks: Sequence[int], rng: Any) -> dict[tuple[str, int], Any]:
    """(accuracy, AUC, log-loss) of every method and k on the half that is not asked from."""
    import numpy as np

    order = rng.permutation(len(person.y))
    half = len(order) // 2
    x, y = person.x[order[:half]], person.y[order[:half]]
    new, labels = person.x[order[half:]], person.y[order[half:]]
    weak = Prior(np.zeros(x.shape[1]), np.full(x.shape[1], WEAK))
    asked = interview(x, y, prior, max(ks))
    found = {("one for all", 0): _scored(sigma(new @ shared), labels)}
    found["shrunk", 0] = _scored(towards(x[:0], y[:0], prior).predict(new), labels)
    for k in ks:
        found["own labels", k] = _scored(towards(x[:k], y[:k], weak).predict(new), labels)
        found["shrunk", k] = _scored(towards(x[:k], y[:k], prior).predict(new), labels)
        found["shrunk, asked", k] = _scored(towards(x[asked[:k]], y[asked[:k]], prior).predict(new), labels)
    return found


def _scored(chance: Any, y: Any) -> Any:
    import numpy as np

    chance = np.clip(chance, 1e-9, 1 - 1e-9)
    loss = float(-(y * np.log(chance) + (1 - y) * np.log(1 - chance)).mean())
    decided = y != 0.5
    towards_label = np.where(y > 0.5, 1.0, -1.0)[decided] * (chance - 0.5)[decided]
    if not len(towards_label):
        return np.array([np.nan, np.nan, loss])
    sums = towards_label[:, None] + towards_label[None, :]  # both orders of every pair: turning pairs changes nothing
    right = (towards_label > 0).mean() + 0.5 * (towards_label == 0).mean()
    return np.array([right, (sums > 0).mean() + 0.5 * (sums == 0).mean(), loss])


def _figures(scores: dict[tuple[str, int], Any]) -> list[Gain]:
    base = scores["one for all", 0][:, 2]
    found = []
    for (method, k), value in sorted(scores.items(), key=lambda item: (item[0][1], item[0][0])):
        random = scores["shrunk", k][:, 2] - value[:, 2] if method == "shrunk, asked" else None
        found.append(
            Gain(
                *(method, k, _mean(value[:, 0]), _mean(value[:, 1]), _mean(base - value[:, 2])),
                None if random is None else _mean(random),
            )
        )
    return found


def _mean(values: Any) -> Interval:
    import numpy as np

    return mean_interval(values[~np.isnan(values)])
