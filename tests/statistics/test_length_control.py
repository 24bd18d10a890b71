"""Length-controlled win rate: the published example, laws of the fit, the warning, and what cannot be fitted."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.statistics import (
    GamedRows,
    fit_length_control,
    instruction_difficulty,
    length_controlled,
    logistic_regression,
    tanh_length,
)


def planted(seed: int, length: float, model: float, n: int = 4000):
    """Preferences of a judge who likes length by `length` (negative: longer is better, as Δ is baseline − model)."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(100, 3000, n), rng.integers(100, 3000, n)
    hard = rng.normal(size=n)
    odds = length * tanh_length(*lengths) + 0.8 * hard + model
    return (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(float), lengths, hard


def test_the_fit_finds_what_was_planted():
    preferences, lengths, hard = planted(0, -1.5, -0.7)
    found = fit_length_control(preferences, lengths, hard)
    assert found.coefficients == pytest.approx((-1.5, 0.8, -0.7), abs=0.15)
    truth = float((1 / (1 + np.exp(-(0.8 * hard - 0.7)))).mean())
    assert abs(found.value - truth) < 3 * found.fit_error
    assert found.value == pytest.approx(length_controlled(found.coefficients, hard).value)


def test_the_fit_error_is_the_spread_over_repetitions():
    values, errors = [], []
    for seed in range(120):
        preferences, lengths, hard = planted(seed, -1.5, -0.7, n=500)
        found = fit_length_control(preferences, lengths, hard)
        values.append(found.value)
        errors.append(found.fit_error)
    assert np.std(values) == pytest.approx(np.mean(errors), rel=0.2)


def test_a_judge_blind_to_length_gives_the_raw_rate():
    preferences, lengths, hard = planted(1, 0.0, 0.4)
    found = fit_length_control(preferences, lengths, hard)
    assert found.value == pytest.approx(found.raw, abs=0.02)
    assert found.warning is None


def test_swapping_model_and_baseline_turns_the_rate():
    preferences, lengths, hard = planted(2, -1.0, 0.3, n=600)
    there = fit_length_control(preferences, lengths, hard)
    back = fit_length_control(1 - preferences, lengths[::-1], -hard)
    assert there.value == pytest.approx(1 - back.value)
    assert there.error == pytest.approx(back.error)


def test_gamed_rows_hold_the_length_term_and_missing_preferences_only_predict():
    preferences, lengths, hard = planted(3, -1.5, -0.7, n=300)
    gamed = GamedRows(np.full(300, 0.5), np.linspace(-0.9, 0.9, 300), np.zeros(300), weight=100.0)
    held = fit_length_control(preferences, lengths, hard, gamed)
    assert abs(held.coefficients[0]) < 0.1  # rows that say length does nothing, a hundredfold
    rows = [None if i % 50 == 0 else float(p) for i, p in enumerate(preferences)]
    some = fit_length_control(rows, lengths, hard)
    assert some.n == 294
    assert some.error == pytest.approx(length_controlled(some.coefficients, hard).error)


def test_without_difficulty_the_rate_is_one_chance():
    preferences, lengths, _ = planted(4, -1.0, 0.2)
    found = fit_length_control(preferences, lengths)
    assert found.coefficients[1] == 0
    assert found.value == pytest.approx(1 / (1 + math.exp(-found.coefficients[2])))


def test_published_coefficients_of_the_baseline_itself_give_half():
    found = length_controlled((0, 0, 0), np.linspace(-3, 3, 805))
    assert (found.value, found.error) == (0.5, 0.0)


@pytest.mark.parametrize(
    ("raw", "controlled", "warned"),
    [
        (0.5, 0.62, False),
        (0.5, 0.63, True),
        (0.2, 0.39, False),
        (0.2, 0.41, True),
        (0.2, 0.11, False),
        (0.2, 0.09, True),
    ],
)
def test_a_change_is_warned_of_beyond_ten_points_and_a_quarter_of_the_way(raw, controlled, warned):
    model = math.log(controlled / (1 - controlled))
    assert (length_controlled((0, 0, model), [0.0], raw).warning is not None) == warned


def test_a_model_that_always_won_has_no_fit():
    with pytest.raises(ValueError, match="no finite coefficients"):
        fit_length_control([1.0] * 10, (range(10), range(10, 0, -1)), None)


@given(st.lists(st.integers(0, 4000), min_size=2, max_size=30), st.integers(1, 9))
def test_scaled_lengths_lie_inside_one_and_do_not_know_their_unit(lengths, unit):
    model, base = np.array(lengths), np.arange(len(lengths))
    found = tanh_length(model, base)
    assert (np.abs(found) <= 1).all()
    assert tanh_length(model * unit, base * unit) == pytest.approx(found)
    assert tanh_length(base, model) == pytest.approx(-found)


def test_difficulty_comes_from_the_other_models():
    rows = [[1, 0, None], [1, 0, 0.5], [1, 1, 0.5]]
    found = instruction_difficulty(rows)
    assert found.shape == (3, 3)
    assert found[0, 0] == pytest.approx(math.log(2.5 / 0.5))
    assert found[2, 1] == pytest.approx(-math.log(2.5 / 0.5))
    changed = instruction_difficulty([[0, 1, 0], *rows[1:]])
    assert changed[0] == pytest.approx(found[0])  # a model's own verdicts do not explain themselves
    with pytest.raises(ValueError, match="at least two"):
        instruction_difficulty([[1, 0]])


def test_logistic_regression_is_scikit_learns():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(5)
    x = rng.normal(size=(200, 3))
    y = (rng.random(200) < 1 / (1 + np.exp(-x @ [1.0, -2, 0.5]))).astype(float)
    w = rng.integers(1, 4, 200).astype(float)
    model = LogisticRegression(C=0.5, fit_intercept=False, tol=1e-12, solver="newton-cholesky").fit(x, y, w)
    assert logistic_regression(x, y, w, penalty=2.0) == pytest.approx(model.coef_[0], abs=1e-8)
    with pytest.raises(ValueError, match="no finite coefficients"):
        logistic_regression(np.column_stack([x, x[:, 0]]), y)
