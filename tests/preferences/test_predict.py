"""Held-out prediction and redundancy: laws of the AUC of pairs, its interval, components."""

import numpy as np
import pytest

from evalsuite.preferences.predict import auc, fitted
from evalsuite.preferences.redundancy import components


def scores(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    s = rng.standard_normal(n)
    return s, (rng.random(n) < 1 / (1 + np.exp(-s))).astype(float)


def test_auc_counts_every_pair_in_both_orders():
    from sklearn.metrics import roc_auc_score

    s, y = scores(300)
    found = auc("x", s, y)
    both = roc_auc_score(np.r_[y, 1 - y], np.r_[s, -s])
    assert found.auc == pytest.approx(both, abs=1e-12)
    turned = np.where(np.arange(300) % 3 == 0, -1, 1)
    other = auc("x", s * turned, 0.5 + (y - 0.5) * turned)
    assert (other.auc, other.low, other.high) == pytest.approx((found.auc, found.low, found.high))
    assert auc("x", np.zeros(300), y).auc == 0.5


def test_auc_interval_holds_the_truth_as_often_as_it_says():
    truth = auc("x", *scores(200_000, 1)).auc
    found = [auc("x", *scores(200, seed)) for seed in range(300)]
    assert 0.92 <= np.mean([f.low <= truth <= f.high for f in found]) <= 0.98


def test_auc_of_clusters_and_of_few_pairs():
    s, y = scores(200)
    rows = np.repeat(np.arange(200), 5)
    once, copies = auc("x", s, y), auc("x", s[rows], y[rows], rows)
    assert copies.high - copies.low == pytest.approx(once.high - once.low, rel=0.05)
    few = auc("x", s[:15], y[:15])
    assert few.auc is None
    assert "too few" in few.reason
    assert auc("x", s, np.full(200, 0.5)).n == 0


@pytest.mark.parametrize("width", [5, 80])
def test_fitted_scores_are_odd_and_find_a_direction(width):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1500, width)).astype(np.float32)
    y = (rng.random(1500) < 1 / (1 + np.exp(-2 * x[:, 0]))).astype(float)
    train, held_out = np.arange(1000), np.arange(1000, 1500)
    score = fitted(x, y, train, held_out)
    assert auc("x", score, y[held_out]).low > 0.7
    np.testing.assert_allclose(fitted(-x, 1 - y, train, held_out), -score, rtol=1e-3, atol=1e-3)


def test_components_join_what_is_alike_whatever_its_sign():
    directions = np.array([[1.0, 0, 0], [0, 1, 0], [-0.9, 0.1, 0], [0, 0, 0]])
    assert components(directions, None).tolist() == [0, 1, 0, 2]
    z = np.array([[1.0, 0, 0, 2], [0, 1, 0, 0], [0, 0, 1, 0]])
    assert components(None, z).tolist() == [0, 1, 2, 0]
    with pytest.raises(ValueError, match="directions or activations"):
        components(None, None)
