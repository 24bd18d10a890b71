"""Random-effects meta-analysis: a published worked example, coverage in simulation, laws, degenerate input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from evalsuite.preferences.meta import random_effects

# Thirteen trials of the BCG vaccine (Colditz et al., JAMA 271, 1994): ill and well, vaccinated and not.
BCG = np.array(
    [
        (4, 119, 11, 128), (6, 300, 29, 274), (3, 228, 11, 209), (62, 13536, 248, 12619), (33, 5036, 47, 5761),
        (180, 1361, 372, 1079), (8, 2537, 10, 619), (505, 87886, 499, 87892), (29, 7470, 45, 7232),
        (17, 1699, 65, 1600), (186, 50448, 141, 27197), (5, 2493, 3, 2338), (27, 16886, 29, 17825),
    ],
    dtype=float,
)  # fmt: skip


def bcg():
    ill, well, ill_without, well_without = BCG.T
    n, n_without = ill + well, ill_without + well_without
    y = np.log(ill / n) - np.log(ill_without / n_without)
    return y[:, None], (1 / ill - 1 / n + 1 / ill_without - 1 / n_without)[:, None]


def test_the_vaccine_trials_have_their_published_figures():
    """The figures are metafor's (Viechtbauer, J. Stat. Softw. 36(3), 2010) for the log relative risks."""
    found = random_effects(*bcg())[0]
    assert found.mu == pytest.approx(-0.7145, abs=5e-5)
    assert found.tau**2 == pytest.approx(0.3132, abs=5e-5)
    assert found.p == pytest.approx(0.0019, abs=5e-5)  # Knapp-Hartung
    assert (found.tau_low**2, found.tau_high**2) == pytest.approx((0.1197, 1.1115), abs=1e-4)  # Q-profile
    assert found.i2 == pytest.approx(0.9222, abs=5e-5)
    assert found.p_spread < 1e-4
    assert found.k == 13


def test_the_same_trials_as_odds_ratios():
    """van Houwelingen et al. (Stat. Med. 21, 2002) as replicated with metafor: Q-profile interval of the variance."""
    ill, well, ill_without, well_without = BCG.T
    y = np.log(ill * well_without / well / ill_without)
    found = random_effects(y[:, None], (1 / BCG).sum(axis=1)[:, None])[0]
    assert (found.tau_low**2, found.tau_high**2) == pytest.approx((0.1302, 1.1812), abs=1e-4)


def test_knapp_and_hartung():
    y, v = bcg()
    found = random_effects(y, v)[0]
    w = 1 / (v + found.tau**2)
    error = ((w * (y - found.mu) ** 2).sum() / 12 / w.sum()) ** 0.5
    assert (found.high - found.low) / 2 == pytest.approx(2.178813 * error, rel=1e-6)  # t, 12 degrees of freedom


def test_paule_and_mandel():
    found = random_effects(*bcg(), method="paule-mandel")[0]
    assert found.tau**2 == pytest.approx(0.3181, abs=5e-5)
    y, v = bcg()
    w = 1 / (v + found.tau**2)
    assert (w * (y - found.mu) ** 2).sum() == pytest.approx(12, abs=1e-8)  # their equation: Q = k - 1


def test_intervals_cover_in_simulation():
    """600 worlds of 30 people with unequal errors, as features side by side."""
    rng = np.random.default_rng(1)
    mu, tau = 0.4, 0.3
    v = rng.uniform(0.02, 0.2, (30, 600))
    y = mu + tau * rng.standard_normal(v.shape) + np.sqrt(v) * rng.standard_normal(v.shape)
    found = random_effects(y, v)
    share = ndtr(-mu / tau)
    covered = {
        "mu": np.mean([f.low <= mu <= f.high for f in found]),
        "tau": np.mean([f.tau_low <= tau <= (np.inf if f.tau_high is None else f.tau_high) for f in found]),
        "opposite": np.mean([f.opposite_low <= share <= f.opposite_high for f in found]),
    }
    assert all(0.925 <= c <= 0.98 for c in covered.values()), covered
    assert np.mean([f.tau**2 for f in found]) == pytest.approx(tau**2, rel=0.05)  # REML is about unbiased


def test_equal_people_are_rarely_said_to_differ():
    rng = np.random.default_rng(2)
    v = rng.uniform(0.02, 0.2, (25, 1000))
    found = random_effects(1 + np.sqrt(v) * rng.standard_normal(v.shape), v)
    assert np.mean([f.tau_low > 0 for f in found]) == pytest.approx(0.025, abs=0.012)
    assert np.mean([f.p_spread < 0.05 for f in found]) == pytest.approx(0.05, abs=0.02)
    alike = [f for f in found if f.tau_high is None]
    assert len(alike) == pytest.approx(0.025 * 1000, abs=15)
    assert all(f.tau < 0.1 and "no upper end" in f.reason for f in alike)


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.floats(0.1, 10), st.sampled_from(["reml", "paule-mandel"]))
def test_scale_sign_and_company_change_nothing(seed, scale, method):
    """Estimates in other units, turned round, or beside other features: the same figures in those units."""
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.05, 0.5, (12, 3))
    y = 0.3 + 0.5 * rng.standard_normal((12, 3))
    together = random_effects(y, v, method)
    one = random_effects(-scale * y[:, :1], scale**2 * v[:, :1], method)[0]
    assert one.mu == pytest.approx(-scale * together[0].mu, rel=1e-6, abs=1e-9)
    assert one.tau == pytest.approx(scale * together[0].tau, rel=1e-4, abs=1e-4 * scale)
    assert one.i2 == pytest.approx(together[0].i2, rel=1e-3, abs=1e-3)
    assert one.opposite_high == pytest.approx(together[0].opposite_high, abs=0.02)


def test_people_without_an_estimate_count_as_absent():
    y, v = bcg()
    more = np.vstack([y, [[np.nan]]]), np.vstack([v, [[np.nan]]])
    one, other = random_effects(*more)[0], random_effects(y, v)[0]
    assert (one.k, other.k) == (13, 13)
    assert (one.mu, one.tau, one.i2) == pytest.approx((other.mu, other.tau, other.i2), rel=1e-6)
    few = random_effects(y[:2], v[:2])[0]
    assert few.mu is None
    assert few.reason == "2 people have an estimate; 3 are wanted"
    assert few.tau is None


def test_bad_arrays_are_refused():
    y, v = bcg()
    with pytest.raises(ValueError, match="positive, finite variance"):
        random_effects(y, 0 * v)
    with pytest.raises(ValueError, match="both be"):
        random_effects(y[:, 0], v[:, 0])
