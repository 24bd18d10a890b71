"""Intervals of shares, means, ratios and win rates: published figures, laws, and how often they hold the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evalsuite.statistics import bootstrap, mean_interval, ratio, wilson, win_rate

shares = st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=60)
numbers = st.lists(st.floats(-100, 100), min_size=2, max_size=40)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_newcombes_published_examples(successes, n, low, high):
    """Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3."""
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(0, 300), st.integers(1, 300), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_wilson_holds_the_share_mirrors_and_widens_with_the_level(successes, n, level):
    successes = min(successes, n)
    low, high = wilson(successes, n, level)
    assert 0 <= low <= successes / n <= high <= 1
    mirrored = wilson(n - successes, n, level)
    assert (1 - high, 1 - low) == pytest.approx(mirrored, abs=1e-12)
    wider = wilson(successes, n, 0.999)
    assert wider[0] <= low
    assert high <= wider[1]
    exact = stats.binomtest(successes, n).proportion_ci(level, method="wilson")
    assert (low, high) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_wilson_knows_nothing_without_samples_and_refuses_nonsense():
    assert wilson(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="between 0 and n"):
        wilson(3, 2)


@given(shares)
def test_a_share_gets_wilson_and_weights_of_one_change_nothing(values):
    interval = mean_interval(values)
    assert interval.method == "wilson"
    assert (interval.low, interval.high) == wilson(sum(values), len(values))
    assert mean_interval(values, weights=[2.5] * len(values)) == interval


def test_rows_of_weight_zero_count_for_nothing():
    """A precision: weight 1 where the model predicted yes, else 0."""
    assert mean_interval([1, 0, 1, 1, 0], weights=[1, 1, 1, 0, 0]) == mean_interval([1, 0, 1])
    assert mean_interval([1, 0], weights=[0, 0]).value is None


@given(numbers)
def test_a_mean_of_numbers_gets_students_interval(values):
    interval = mean_interval(values)
    if interval.method != "t":
        return  # all 0 or 1
    spread = np.std(values, ddof=1)
    half = stats.t.ppf(0.975, len(values) - 1) * spread / len(values) ** 0.5
    assert interval.value == pytest.approx(np.mean(values), abs=1e-9)
    assert interval.high - interval.low == pytest.approx(2 * half, rel=1e-6, abs=1e-9)


def test_an_interval_that_cannot_be_known_is_none():
    single = mean_interval([0.37])
    assert (single.value, single.low, single.high, single.n, single.method) == (0.37, None, None, 1, "none")
    assert mean_interval([]).value is None
    repeats = mean_interval([0.2, 0.4], clusters=["same", "same"])
    assert (repeats.n, repeats.low) == (1, None)


def test_missing_values_are_the_callers_business():
    with pytest.raises(ValueError, match="missing"):
        mean_interval([1.0, float("nan")])
    with pytest.raises(ValueError, match="one length"):
        mean_interval([1.0, 0.0], clusters=["a"])
    with pytest.raises(ValueError, match="negative"):
        mean_interval([1.0, 0.0], weights=[1.0, -1.0])


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.integers(2, 4))
def test_copying_every_row_inside_its_sample_adds_no_information(values, copies):
    """Repeats that always agree are worth one: interval and n stay those of the samples."""
    once = mean_interval(values)
    copied = mean_interval(np.repeat(values, copies), clusters=np.repeat(np.arange(len(values)), copies))
    assert copied.n == once.n
    assert copied.value == pytest.approx(once.value)
    if once.method == "t":
        assert (copied.low, copied.high) == pytest.approx((once.low, once.high), abs=1e-9)


def test_a_clustered_share_never_leaves_the_unit_interval_nor_collapses():
    ids = np.repeat(np.arange(6), 5)
    perfect = mean_interval(np.ones(30), clusters=ids)
    assert (perfect.low, perfect.high) == wilson(6, 6)
    high = mean_interval([*np.ones(29), 0.0], clusters=ids)
    assert high.method == "wilson_effective"
    assert 0 < high.low < high.value < high.high < 1


def test_a_ratio_is_the_linearised_one():
    """Cochran's formula by hand: n=4, R=12/20, residuals y - Rx."""
    y, x = np.array([1.0, 3.0, 5.0, 3.0]), np.array([2.0, 6.0, 7.0, 5.0])
    residual = y - 0.6 * x
    error = np.sqrt(4 / 3 * (residual**2).sum()) / 20
    interval = ratio(y, x)
    assert interval.value == pytest.approx(0.6)
    assert (interval.high - interval.low) / 2 == pytest.approx(stats.t.ppf(0.975, 3) * error)
    assert ratio([0, 1], [0, 2]).n == 1
    with pytest.raises(ValueError, match="denominator of 0"):
        ratio([1.0], [0.0])


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=40))
def test_a_win_rate_stays_inside_and_turns_over_with_the_sides(preferences):
    interval = win_rate(preferences)
    swapped = win_rate([1 - x for x in preferences])
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert swapped.value == pytest.approx(1 - interval.value)
    assert (swapped.low, swapped.high) == pytest.approx((1 - interval.high, 1 - interval.low), abs=1e-9)


def test_a_bounded_mean_agrees_with_t_in_the_middle_and_stays_inside_at_the_end():
    rng = np.random.default_rng(9)
    middle = rng.uniform(0.45, 0.55, size=80)
    plain, bounded = mean_interval(middle), mean_interval(middle, bounded=True)
    assert (bounded.low, bounded.high) == pytest.approx((plain.low, plain.high), abs=1e-3)
    end = mean_interval([1.0] * 8 + [0.2, 0.9], bounded=True)
    assert end.high < 1
    assert mean_interval([1.0] * 8 + [0.2, 0.9]).high > 1


def test_ties_narrow_a_win_rate():
    tied, split = win_rate([0.5] * 20), win_rate([0.0, 1.0] * 10)
    assert tied.value == split.value == 0.5
    assert tied.high - tied.low <= split.high - split.low


def _coverage(draw, truth, trials=600, **options):
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(trials):
        values, clusters = draw(rng)
        interval = mean_interval(values, clusters=clusters, **options)
        held += interval.low <= truth <= interval.high
    return held / trials


@pytest.mark.parametrize(("p", "n"), [(0.5, 20), (0.05, 40), (0.9, 30), (0.98, 100)])
def test_wilson_holds_the_truth_about_as_often_as_it_says(p, n):
    held = _coverage(lambda rng: ((rng.random(n) < p).astype(float), None), p)
    assert 0.92 <= held <= 0.995


@pytest.mark.parametrize("repeats", [2, 5])
def test_clustered_shares_hold_the_truth(repeats):
    """40 samples whose own difficulty is Beta(1, 1): rows that ignored the clusters would cover about 80%."""

    def draw(rng):
        difficulty = rng.beta(1, 1, size=40)
        return (rng.random((40, repeats)) < difficulty[:, None]).astype(float).ravel(), np.repeat(
            np.arange(40), repeats
        )

    assert 0.92 <= _coverage(draw, 0.5) <= 0.985


def test_skewed_continuous_scores_hold_the_truth_nearly():
    assert 0.90 <= _coverage(lambda rng: (rng.exponential(size=40), None), 1.0) <= 0.98


def test_bootstrap_agrees_with_the_formula_and_with_itself():
    values = np.random.default_rng(3).normal(2, 1, size=60)
    formula, drawn = mean_interval(values), bootstrap(values, seed=5)
    assert (drawn.low, drawn.high) == pytest.approx((formula.low, formula.high), abs=0.04)
    assert bootstrap(values, seed=5) == drawn
    assert bootstrap(values, seed=6) != drawn
    assert bootstrap([1.0]).low is None


def test_bootstrap_of_any_figure_resamples_whole_samples():
    values = np.repeat(np.random.default_rng(4).random(12), 5)
    ids = np.repeat(np.arange(12), 5)

    def largest(weights):
        return np.where(weights > 0, values, -1).max(axis=1)

    assert bootstrap(values, statistic=largest, resamples=200).value == values.max()
    wide, narrow = bootstrap(values, clusters=ids), bootstrap(values)
    assert (wide.n, narrow.n) == (12, 60)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
