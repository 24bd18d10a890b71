"""Differences on shared samples: published figures, swap symmetry, and how often intervals and tests are right."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from evalsuite.statistics import mcnemar, paired_difference, sign_flip, tango

pairs = st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=2, max_size=20)
share_pairs = st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0])), min_size=1, max_size=60)


def test_tango_and_mcnemar_give_the_published_example():
    """Airway reactivity of 21 children (1, 1, 7, 12): Fagerland, Lydersen & Laake, Stat. Med. 33 (2014): exact
    conditional p 0.070, Tango −0.517 to −0.026."""
    assert tango(1, 7, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)
    assert mcnemar(1, 7) == pytest.approx(0.0703, abs=5e-5)


def test_tango_with_no_discordant_pair_is_wilsons_half_open_width():
    z2 = stats.norm.ppf(0.975) ** 2
    assert tango(0, 0, 50) == pytest.approx((-z2 / (50 + z2), z2 / (50 + z2)))


@given(share_pairs)
def test_tango_interval_holds_exactly_what_the_score_test_does_not_reject(rows):
    """Its statistic at 0 is McNemar's: the interval excludes 0 if and only if (b - c)² / (b + c) exceeds z²."""
    gained, lost = sum(a > b for a, b in rows), sum(a < b for a, b in rows)
    low, high = tango(gained, lost, len(rows))
    assert -1 <= low <= (gained - lost) / len(rows) <= high <= 1
    statistic = (gained - lost) ** 2 / max(gained + lost, 1)
    assume(abs(statistic - stats.norm.ppf(0.975) ** 2) > 1e-6)
    assert (low > 0 or high < 0) == (statistic > stats.norm.ppf(0.975) ** 2)


@pytest.mark.parametrize(("gained", "lost", "n"), [(-1, 0, 5), (3, 3, 5), (0, 0, 0)])
def test_tango_refuses_counts_that_do_not_fit(gained, lost, n):
    with pytest.raises(ValueError, match="do not fit"):
        tango(gained, lost, n)


@given(share_pairs)
def test_shares_are_compared_by_mcnemar_and_swapping_turns_the_sign(rows):
    a, b = [x for x, _ in rows], [y for _, y in rows]
    there, back = paired_difference(a, b), paired_difference(b, a)
    assert there.test == "mcnemar"
    assert there.n == len(rows)
    assert there.p == back.p == pytest.approx(mcnemar(sum(x > y for x, y in rows), sum(x < y for x, y in rows)))
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))


@given(pairs)
def test_numbers_are_compared_by_paired_t_and_swapping_turns_the_sign(rows):
    a, b = np.array(rows).T
    there, back = paired_difference(a, b), paired_difference(b, a)
    assume(there.method == "t")
    expected = stats.ttest_rel(a, b)
    if np.std(a - b) > 1e-6:
        interval = expected.confidence_interval(0.95)
        assert (there.low, there.high) == pytest.approx((interval.low, interval.high), abs=1e-7)
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low), abs=1e-9)
    assert there.p == pytest.approx(back.p)


@given(st.lists(st.integers(-6, 6), min_size=2, max_size=9))
def test_the_exact_sign_flip_is_scipys_permutation_test(differences):
    result = stats.permutation_test(
        (np.array(differences, float),), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=False
    )
    ours = sign_flip(differences)
    assert ours == pytest.approx(min(1.0, result.pvalue), abs=1e-9)


def test_many_samples_use_t_and_few_use_signs():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.4, 1, 80), rng.normal(0, 1, 80)
    assert paired_difference(a, b).p == pytest.approx(stats.ttest_rel(a, b).pvalue)
    few = paired_difference(a[:30], b[:30], seed=4)
    assert few.test == "sign_flip"
    assert few.p == pytest.approx(stats.ttest_rel(a[:30], b[:30]).pvalue, abs=0.03)
    assert few == paired_difference(a[:30], b[:30], seed=4)


def test_repeats_of_one_sample_are_one_sample():
    rng = np.random.default_rng(2)
    a, b = rng.normal(1, 1, 60), rng.normal(0, 1, 60)
    ids = np.repeat(np.arange(60), 4)
    once, copied = paired_difference(a, b), paired_difference(np.repeat(a, 4), np.repeat(b, 4), clusters=ids)
    assert copied.n == 60
    assert (copied.low, copied.high, copied.p) == pytest.approx((once.low, once.high, once.p))


def test_identical_shares_keep_an_honest_interval():
    same = paired_difference([1, 1, 0, 0], [1, 1, 0, 0], clusters=["a", "a", "b", "b"])
    assert same.p == 1.0
    assert (same.low, same.high) == tango(0, 0, 2)


def test_sides_may_weigh_rows_differently():
    """Two precisions: each side counts the rows that it said yes to; by hand 2/3 − 1/2."""
    correct = [1, 0, 1, 0, 1, 0]
    result = paired_difference(correct, correct, weights=([1, 1, 1, 0, 0, 0], [1, 1, 0, 0, 0, 0]))
    assert result.value == pytest.approx(2 / 3 - 1 / 2)
    assert result.test == "t"
    assert result.n == 3
    with pytest.raises(ValueError, match="no row"):
        paired_difference([1], [1], weights=([1], [0]))


def test_nothing_and_one_pair():
    assert paired_difference([], []).value is None
    single = paired_difference([0.3], [0.1])
    assert (single.value, single.low, single.p) == (pytest.approx(0.2), None, None)
    with pytest.raises(ValueError, match="one length"):
        paired_difference([1.0], [1.0, 0.0])


def test_tango_holds_the_truth_and_mcnemar_keeps_its_level():
    rng = np.random.default_rng(11)
    held = false = 0
    for _ in range(800):
        base = rng.random(60) < 0.5
        child = np.where(rng.random(60) < 0.3, rng.random(60) < 0.5, base)
        result = paired_difference(child.astype(float), base.astype(float))
        held += result.low <= 0 <= result.high
        false += result.p <= 0.05
    assert 0.925 <= held / 800 <= 0.985
    assert false / 800 <= 0.06
