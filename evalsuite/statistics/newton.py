"""The optimiser behind Bradley–Terry: damped Newton steps for many weightings of one set of rows at once.

A design has R rows, each a battle between two of the nodes 0..K−1 (or the ground, node K, whose rating is 0) with p
covariates z; its log-odds are θ[first] − θ[second] + z·β. A batch weighs the rows B times. Only sums over rows of one
pair enter the Hessian's model part, so that a step costs a few passes over (B, R) numbers, whatever K is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

STEPS = 60
TOLERANCE = 1e-6  # of the last step, in log-odds: what it leaves is about its square


@dataclass(frozen=True, slots=True)
class Design:
    """Rows sorted by pair. first, second: (P,) nodes, starts: (P,) first row of each pair, pair: (R,) pair of each row,
    incidence: sparse (P, K + 1) of ±1, z: (p, R), products: (p(p+1)/2, R) of z's lines, penalty: (K + p,) added to the
    Hessian's diagonal, free: nothing but the differences of ratings is determined."""

    models: int
    first: Integers
    second: Integers
    starts: Integers
    pair: Integers
    incidence: Any
    z: Floats
    products: Floats
    penalty: Floats
    free: bool

    @property
    def spread(self) -> Floats:
        """Largest |z| of each covariate: bounds how far a step can move a row's log-odds."""
        import numpy as np

        return np.asarray(np.abs(self.z).max(axis=1, initial=0.0))


def make_design(first: Integers, second: Integers, z: Floats, penalty: tuple[float, float], models: int) -> Design:
    """Rows of one pair must stand together; z: (p, R). `penalty`: of a model's log-odds, of a coefficient."""
    import numpy as np
    from scipy.sparse import csr_array

    changes = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    pairs, p = len(starts), len(z)
    pair = np.repeat(np.arange(pairs), np.diff(np.append(starts, len(first))))
    places = np.concatenate([first[starts], second[starts]])
    signs = np.repeat([1.0, -1.0], pairs)
    incidence = csr_array((signs, (np.tile(np.arange(pairs), 2), places)), shape=(pairs, models + 1))
    i, j = np.triu_indices(p)
    ridge = np.repeat(np.asarray(penalty, dtype=float), [models, p])
    grounded = bool((first == models).any())
    return Design(
        *(models, first[starts], second[starts], starts, pair, incidence, np.ascontiguousarray(z)),
        *(z[i] * z[j], ridge, penalty[0] == 0 and not grounded),
    )


def solve(design: Design, weight: Floats, won: Floats, start: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Maximum of Σ won·log p + (weight − won)·log(1 − p) − penalty/2·θ², for B weightings.

    weight, won (weight × score): (B, R); start: (B, K + p). Gives parameters (B, K + p), ratings with mean 0 where they
    are free, and whether each converged. A step that moves some row's log-odds by r > 1 is shortened to log(1 + r)/r:
    descent from anywhere for logistic losses (Bach, Electron. J. Stat. 4 (2010); Sun & Tran-Dinh, Math. Program. 178
    (2019)); shorter ones are Newton's own.
    """
    import numpy as np

    theta = start.copy()
    done = np.zeros(len(theta), dtype=bool)
    active = np.arange(len(theta))
    spread = design.spread
    for _ in range(STEPS):
        w, s, now = (weight, won, theta) if len(active) == len(theta) else (weight[active], won[active], theta[active])
        chance = probabilities(design, now)
        expected = w * chance
        gradient = apply_rows(design, s - expected) - design.penalty * now
        direction = np.linalg.solve(hessian(design, expected * (1 - chance)), gradient[..., None])[..., 0]
        moves = np.pad(direction[:, : design.models], ((0, 0), (0, 1)))  # the ground stays
        reach = np.ptp(moves, axis=1) + np.abs(direction[:, design.models :]) @ spread
        direction *= np.where(reach > 1, np.log1p(reach) / np.maximum(reach, 1), 1.0)[:, None]
        theta[active] += direction
        done[active[reach < TOLERANCE]] = True
        active = active[~(reach < TOLERANCE)]
        if not len(active):
            break
    return theta, done


def probabilities(design: Design, theta: Floats) -> Floats:
    """P(first wins) of each row, (B, R)."""
    import numpy as np

    ratings = np.concatenate([theta[:, : design.models], np.zeros((len(theta), 1))], axis=1)
    gaps = ratings[:, design.first] - ratings[:, design.second]
    odds = np.take(gaps, design.pair, axis=1) if len(design.pair) > len(design.first) else gaps
    if len(design.z):
        odds += theta[:, design.models :] @ design.z
    np.negative(odds, out=odds)
    with np.errstate(over="ignore"):
        np.exp(odds, out=odds)
    odds += 1
    return np.asarray(np.reciprocal(odds, out=odds))


def apply_rows(design: Design, residual: Floats) -> Floats:
    """Xᵀ residual of (B, R) numbers: (B, K + p)."""
    import numpy as np

    sums = pair_sums(design, residual) @ design.incidence
    return np.concatenate([sums[:, : design.models], residual @ design.z.T], axis=1)


def hessian(design: Design, variance: Floats) -> Floats:
    """`information` + penalty, made regular where ratings are free: (B, K + p, K + p)."""
    import numpy as np

    out = information(design, variance)
    diagonal = np.arange(out.shape[1])
    scale = out[:, diagonal, diagonal].max(axis=1, keepdims=True)
    if design.free:  # the direction in which all ratings move together costs nothing: give it a curvature of its own
        out[:, : design.models, : design.models] += scale[..., None] / design.models
    # A weighting under which something is not determined (a model nobody met) must not stop the others of its batch.
    out[:, diagonal, diagonal] += design.penalty + 1e-12 * scale + 1e-300
    return out


def information(design: Design, variance: Floats) -> Floats:
    """Xᵀ diag(variance) X of (B, R) numbers: (B, K + p, K + p)."""
    import numpy as np

    batch, k, p = len(variance), design.models, len(design.z)
    by_pair = pair_sums(design, variance)
    full = np.zeros((batch, k + 1, k + 1))
    full[:, design.first, design.second] = -by_pair
    full[:, design.second, design.first] = -by_pair
    places = np.arange(k + 1)
    full[:, places, places] = by_pair @ abs(design.incidence)
    if not p:
        return full[:, :k, :k]
    out = np.empty((batch, k + p, k + p))
    out[:, :k, :k] = full[:, :k, :k]
    cross = np.stack([pair_sums(design, variance * line) for line in design.z], axis=1)
    out[:, k:, :k] = (cross.reshape(batch * p, -1) @ design.incidence).reshape(batch, p, k + 1)[:, :, :k]
    out[:, :k, k:] = out[:, k:, :k].transpose(0, 2, 1)
    i, j = np.triu_indices(p)
    out[:, k + i, k + j] = variance @ design.products.T
    out[:, k + j, k + i] = out[:, k + i, k + j]
    return out


def pair_sums(design: Design, values: Floats) -> Floats:
    """Sums over the rows of each pair: (B, R) → (B, P)."""
    import numpy as np

    if len(design.starts) == values.shape[1]:
        return values
    return np.asarray(np.add.reduceat(values, design.starts, axis=1))
