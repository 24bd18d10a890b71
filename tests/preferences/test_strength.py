"""Preference strength: planted flips are found, chances are frequencies, turning pairs round negates, bad data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.errors import InputError
from evalsuite.preferences.strength import agreement, calibration, rows_of, strength, suspects
from evalsuite.preferences.strength_heads import fit, heads
from evalsuite.statistics import wilson


def world(n=2000, p=12, flips=0.15, seed=0, scale=3.0):
    """Pairs with known log-odds, some labels turned round; folds and groups of two."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p))
    beta = rng.standard_normal(p)
    odds = scale * x @ beta / np.linalg.norm(beta)
    y = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(float)
    flipped = rng.random(n) < flips
    groups = np.arange(n) // 2
    return x, np.where(flipped, 1 - y, y), groups % 5, groups, flipped, odds


def test_planted_flips_are_among_the_suspects():
    """Precision among the flagged, with its interval, is above the base rate; the top of the list is purer."""
    x, y, part, groups, flipped, odds = world()
    found = strength(x, y, part, groups)
    rows = suspects(found)
    hits = int(flipped[rows].sum())
    low, _ = wilson(hits, len(rows))
    assert low > 2 * flipped.mean(), (hits, len(rows), flipped.mean())
    assert flipped[rows[:50]].mean() > 0.85
    assert flipped[rows].sum() > 0.6 * flipped.sum()
    assert np.corrcoef(found.mean, odds)[0, 1] > 0.97
    doubt = found.doubt[rows]
    assert list(doubt) == sorted(doubt, reverse=True)
    assert (doubt > 0.5).all()
    assert (found.against[rows] == 5).all()


def test_without_flips_fewer_are_suspected():
    counts = []
    for flips in (0.0, 0.15, 0.3):
        x, y, part, groups, *_ = world(flips=flips)
        counts.append(len(suspects(strength(x, y, part, groups))))
    assert counts[0] < counts[1] < counts[2]


def test_chances_are_frequencies():
    x, y, part, groups, *_ = world(3000, flips=0.0, scale=1.5)
    table = calibration(strength(x, y, part, groups))
    assert sum(b.n for b in table.bins) == table.n == 3000
    covered = [b.right.low <= b.confidence <= b.right.high for b in table.bins]
    assert sum(covered) >= 8
    assert table.slope.low < 1 < table.slope.high
    assert table.ece.value < table.ece_of_perfect.high + 0.01
    assert table.ece.low <= table.ece.value <= table.ece.high
    assert 0 < table.ece_of_perfect.low < table.ece_of_perfect.high < 0.05
    assert table.accuracy.low < table.accuracy.value < table.accuracy.high


def test_overconfidence_shows():
    """Logits three times too large: the slope is a third, and the ECE far above what n can explain."""
    x, y, part, groups, *_ = world(3000, flips=0.0, scale=1.5)
    found = strength(x, y, part, groups)
    sharp = type(found)(3 * found.logits, y, groups)
    table = calibration(sharp)
    assert table.slope.value == pytest.approx(1 / 3, abs=0.06)
    assert table.ece.low > table.ece_of_perfect.high


@settings(max_examples=8)
@given(st.integers(0, 10_000))
def test_turning_pairs_round_negates_logits(seed):
    x, y, part, groups, *_ = world(150, 3, seed=seed)
    y[::7], y[::11] = 0.5, np.nan
    turned = np.where(np.random.default_rng(seed).random(150) < 0.5, -1.0, 1.0)
    one = strength(x, y, part, groups)
    other = strength(x * turned[:, None], 0.5 + (y - 0.5) * turned, part, groups)
    np.testing.assert_allclose(one.logits * turned[:, None], other.logits, atol=1e-6)
    np.testing.assert_allclose(one.doubt, other.doubt, atol=1e-6)
    assert list(suspects(one)) == list(suspects(other))
    assert calibration(one, 4).ece.value == pytest.approx(calibration(other, 4).ece.value, abs=1e-6)


def test_heads_are_out_of_fold():
    """A pair's own label does not move its logits: with every label of one fold turned round, they stay."""
    x, y, part, groups, *_ = world(300, 4)
    other = np.where(part == 2, 1 - y, y)
    one, two = (heads(x, labels, part, groups)[part == 2] for labels in (y, other))
    np.testing.assert_array_equal(one[:0], two[:0])
    first = part == part.min()
    same = np.where(first, 1 - y, y)
    np.testing.assert_allclose(heads(x, y, part, groups)[first], heads(x, same, part, groups)[first])


def test_many_columns_agree_with_newton():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 80)).astype(np.float32)
    y = (rng.random(400) < 1 / (1 + np.exp(-x[:, 0]))).astype(float)
    weights = rng.integers(0, 3, 400).astype(float)
    from evalsuite.statistics.logistic import logistic_regression

    wide = fit(x, y, weights, 10.0)
    np.testing.assert_allclose(wide, logistic_regression(x.astype(float), y, weights, 10.0), atol=2e-3)


def test_reward_models_stand_beside():
    x, y, part, groups, _, odds = world(400)
    found = strength(x, y, part, groups)
    rewards = np.where(np.arange(400) % 10 == 0, np.nan, odds)
    label, ensemble = agreement(found, rewards)
    assert label.n == ensemble.n
    assert ensemble.low > 0.8
    both = type(found)(found.logits, found.preference, found.groups, {"rm": rewards})
    lines = rows_of(both, [str(i) for i in range(400)])
    assert lines[0]["reward:rm"] is None
    assert lines[1]["reward:rm"] == pytest.approx(odds[1])


def test_ties_and_unlabelled_pairs_have_a_strength_but_no_doubt():
    x, y, part, groups, *_ = world(200, 4)
    y[0], y[1] = np.nan, 0.5
    lines = rows_of(strength(x, y, part, groups), [str(i) for i in range(200)])
    assert lines[0]["preference"] is None
    assert [line["doubt"] for line in lines[:2]] == [None, None]
    assert all(np.isfinite(line["strength"]) and line["spread"] > 0 for line in lines)


def test_bad_data_is_one_clear_line():
    x, y, part, groups, *_ = world(60, 2)
    with pytest.raises(InputError, match="3 pairs are decided: 50 are wanted"):
        strength(x[:3], y[:3], part[:3], groups[:3])
    with pytest.raises(InputError, match="nothing to go by"):
        strength(0 * x, y, part, groups)
    with pytest.raises(InputError, match="--heads 1"):
        strength(x, y, part, groups, count=1)
    one_class = strength(x, np.ones(60), part, groups)
    assert np.isfinite(one_class.logits).all()
