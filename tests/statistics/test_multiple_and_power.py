"""Several tests at once and minimum detectable effect: published figures, laws, simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evalsuite.statistics import benjamini_hochberg, holm, minimum_detectable_effect, paired_difference

p_values = st.lists(st.floats(0, 1), max_size=30)

# Benjamini & Hochberg, JRSS B 57 (1995), section 2.2: 15 tests of a trial; at 0.05 Bonferroni finds 3, BH 4.
TRIAL = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0
]  # fmt: skip


def test_the_published_trial():
    assert sum(q <= 0.05 for q in benjamini_hochberg(TRIAL)) == 4
    assert sum(q <= 0.05 for q in holm(TRIAL)) == 3
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(p_values)
def test_adjusting_never_lowers_p_and_keeps_the_order(p):
    for adjusted in (holm(p), benjamini_hochberg(p)):
        assert all(raw <= q + 1e-12 <= 1 + 1e-9 for raw, q in zip(p, adjusted, strict=True))
        ranked = [q for _, q in sorted(zip(p, adjusted, strict=True))]
        assert ranked == sorted(ranked)
    assert all(h >= b - 1e-12 for h, b in zip(holm(p), benjamini_hochberg(p), strict=True))


@given(p_values)
def test_benjamini_hochberg_is_scipys(p):
    if p:
        assert benjamini_hochberg(p) == pytest.approx(list(stats.false_discovery_control(p)))


@given(p_values, st.randoms())
def test_the_order_given_does_not_matter(p, random):
    order = list(range(len(p)))
    random.shuffle(order)
    assert [holm(p)[i] for i in order] == pytest.approx(holm([p[i] for i in order]))


def test_p_values_are_checked():
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        holm([1.5])


def test_the_published_sample_size():
    """Miller (2024), section 5: variance of the paired difference 1/9, effect 0.03, power 80%: 969 questions."""
    assert minimum_detectable_effect(969, sd=(1 / 18) ** 0.5, correlation=0) == pytest.approx(0.03, abs=5e-5)


@given(st.integers(2, 5000), st.floats(0, 1), st.floats(-0.9, 0.99))
def test_more_samples_and_more_correlation_find_smaller_effects(n, p, correlation):
    effect = minimum_detectable_effect(n, p, correlation=correlation)
    assert 0 <= effect <= 1
    assert minimum_detectable_effect(4 * n, p, correlation=correlation) <= effect
    assert minimum_detectable_effect(n, p, correlation=1.0) == 0
    assert minimum_detectable_effect(n, p, correlation=correlation, power=0.9) >= effect


def test_nothing_is_promised_for_one_sample():
    assert minimum_detectable_effect(1) is None
    with pytest.raises(ValueError, match="out of range"):
        minimum_detectable_effect(10, power=1.2)


def test_the_promised_effect_is_found_four_times_in_five():
    rng, n, found = np.random.default_rng(0), 200, 0
    effect = minimum_detectable_effect(n, sd=1.0, correlation=0.5)
    for _ in range(600):
        shared = rng.normal(size=n)
        a, b = (shared * 0.5**0.5 + rng.normal(size=n) * 0.5**0.5 for _ in range(2))
        found += paired_difference(a + effect, b).p <= 0.05
    assert found / 600 == pytest.approx(0.8, abs=0.05)
