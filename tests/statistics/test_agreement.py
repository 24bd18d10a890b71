"""Agreement: worked examples, scikit-learn's figures, the human ceiling's limits, votes as MT-Bench counts them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, f1_score

from evalsuite.statistics import (
    brier,
    cohen_kappa,
    f1,
    kendall,
    krippendorff_alpha,
    leave_one_out,
    log_loss,
    pearson,
    raw_agreement,
    spearman,
    vote_agreement,
)

labels = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=40)


@given(labels, st.sampled_from([None, "linear", "quadratic"]))
def test_kappa_is_scikit_learns(rows, weights):
    a, b = [x for x, _ in rows], [y for _, y in rows]
    found = cohen_kappa(a, b, weights, labels=[0, 1, 2, 3])
    if found.value is None:
        assert len(set(a) | set(b)) == 1
        return
    assert found.value == pytest.approx(cohen_kappa_score(a, b, labels=[0, 1, 2, 3], weights=weights), abs=1e-12)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.value == pytest.approx(cohen_kappa(b, a, weights, labels=[0, 1, 2, 3]).value)


def test_kappas_published_interval():
    """The example of Fleiss, Cohen & Everitt (1969): kappa 0.429 with a standard error of 0.054."""
    counts = [[106, 10, 4], [22, 28, 10], [2, 12, 6]]
    a = [i for i in range(3) for j in range(3) for _ in range(counts[i][j])]
    b = [j for i in range(3) for j in range(3) for _ in range(counts[i][j])]
    found = cohen_kappa(a, b)
    assert found.value == pytest.approx(0.429, abs=5e-4)
    assert (found.high - found.low) / 2 / 1.959964 == pytest.approx(0.054, abs=1e-3)


def test_kappa_of_labels_of_several_kinds_and_unknown_ones():
    assert cohen_kappa(["1", None, "2"], ["1", None, "2"]).value == 1
    assert cohen_kappa([], []).n == 0
    with pytest.raises(ValueError, match="not among"):
        cohen_kappa([1], [2], labels=[1])


@given(labels, st.sampled_from(["macro", "weighted"]))
def test_f1_is_scikit_learns(rows, average):
    truth, said = [x for x, _ in rows], [y for _, y in rows]
    assert f1(truth, said, average) == pytest.approx(f1_score(truth, said, average=average, zero_division=0))


def test_krippendorffs_published_example():
    """Krippendorff, "Computing Krippendorff's alpha-reliability" (2011), example D: four observers, twelve units."""
    observers = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    ]
    units = list(zip(*observers, strict=True))
    assert krippendorff_alpha(units) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(units, "ordinal") == pytest.approx(0.815, abs=5e-4)
    assert krippendorff_alpha(units, "interval") == pytest.approx(0.849, abs=5e-4)
    assert krippendorff_alpha([["a", "a"], ["a", None]]) is None


def test_people_who_agree_are_their_own_ceiling():
    people = [[label] * 4 for label in "aabba"]
    found = leave_one_out(people, list("aabba"))
    assert found.inner.value == found.outer.value == 1.0
    assert found.inner.n == 5
    assert leave_one_out(people, list("bbaab")).outer.value == 0.0


def test_people_who_toss_coins_agree_half_of_the_time():
    rng = np.random.default_rng(0)
    found = leave_one_out(rng.integers(0, 2, (4000, 4)).tolist(), rng.integers(0, 2, 4000).tolist())
    assert found.inner.value == pytest.approx(0.5, abs=0.02)
    assert found.outer.value == pytest.approx(0.5, abs=0.02)


def test_inner_and_outer_rate_are_against_the_same_targets():
    """a a b: without an a the others tie (half), without b they say a."""
    found = leave_one_out([["a", "a", "b"], ["a"]], ["a", "b"])
    assert found.inner.value == pytest.approx((0.5 + 0.5 + 0) / 3)
    assert found.outer.value == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert found.inner.n == 1
    with pytest.raises(ValueError, match="one label for each"):
        leave_one_out([["a", "b"]], [])


votes = st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0, 0.5, 1])), max_size=25)


@given(votes, votes)
def test_votes_are_compared_pair_by_pair(mine, theirs):
    found = vote_agreement([k for k, _ in mine], [v for _, v in mine], [k for k, _ in theirs], [v for _, v in theirs])
    pairs = [(v, w) for k, v in mine for j, w in theirs if k == j]
    decisive = [(v, w) for v, w in pairs if 0.5 not in (v, w)]
    assert (found.equal, found.compared) == (sum(v == w for v, w in pairs), len(pairs))
    assert (found.decisive_equal, found.decisive_compared) == (sum(v == w for v, w in decisive), len(decisive))
    own = vote_agreement([k for k, _ in mine], [v for _, v in mine])
    within = [(mine[i][1], mine[j][1]) for i in range(len(mine)) for j in range(i) if mine[i][0] == mine[j][0]]
    assert (own.equal, own.compared) == (sum(v == w for v, w in within), len(within))
    assert own.decisive_compared == sum(0.5 not in pair for pair in within)


def test_raw_agreement_with_its_interval():
    found = raw_agreement(["a", "b", "c", None], ["a", "b", "x", None])
    assert (found.value, found.n, found.method) == (0.75, 4, "wilson")


def test_correlation_of_the_published_simulated_and_human_win_rates():
    """AlpacaFarm's table of methods judged by both: Spearman .9758, R² .8706 as recomputed from it."""
    simulated = [79.0, 61.4, 46.8, 45.0, 41.9, 24.4, 39.2, 36.7, 36.6, 32.4 - 21.1]
    human = [69.8, 52.9, 55.1, 50.7, 45.7, 32.5, 40.7, 44.3, 37.9, 6.5]
    found = spearman(simulated, human)
    assert found.value == pytest.approx(0.9758, abs=1e-4)
    assert pearson(simulated, human).value ** 2 == pytest.approx(0.8706, abs=1e-4)
    assert found.low < found.value < found.high < 1


@given(st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), min_size=2, max_size=20))
def test_correlations_are_symmetric_and_do_not_know_the_scale(rows):
    x, y = np.array(rows).T
    found = pearson(x, y)
    if found.value is None:
        assert np.ptp(x) == 0 or np.ptp(y) == 0
        return
    assert found.value == pytest.approx(pearson(y, x).value)
    assert spearman(x, y).value == pytest.approx(spearman(3 * x, -y).value * -1)
    assert -1 <= found.value <= 1


def test_correlation_without_variation_is_unknown():
    assert pearson([1, 1, 1], [1, 2, 3]).value is None
    assert kendall([1, 1], [1, 2]) is None
    assert kendall([1, 2, 3], [1, 2, 3]) == pytest.approx(1)
    with pytest.raises(ValueError, match="missing"):
        pearson([1, float("nan")], [1, 2])


def test_forecasts():
    assert brier([1, 0.5], [1, 0]) == 0.125
    assert log_loss([0.5, 0.5], [1, 0]) == pytest.approx(np.log(2))
    assert log_loss([1, 0], [1, 0]) == 0
    assert log_loss([0], [1]) == np.inf
    assert (brier([], []), log_loss([], [])) == (None, None)
