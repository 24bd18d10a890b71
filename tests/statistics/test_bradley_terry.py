"""Bradley–Terry: the weighted win rate against one opponent, scikit-learn's fit, laws, and what cannot be fitted."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.statistics import (
    RatingScale,
    battles,
    bradley_terry,
    bradley_terry_bootstrap,
    preference_rate,
    style_difference,
)
from evalsuite.statistics.paired_rows import maximise, prepare
from evalsuite.statistics.resampling import blocks, draw_counts

NAMES = "abcd"


def tournament(seed: int, rows: int = 300, covariates: bool = False, clusters: bool = False):
    """Battles of four models of different strength, with ties and weights of 1 or 3."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 4, rows)
    second = (first + rng.integers(1, 4, rows)) % 4
    z = rng.normal(size=rows)
    chance = 1 / (1 + np.exp(-(0.6 * (second - first) + 0.5 * z * covariates)))
    score = np.where(rng.random(rows) < 0.15, 0.5, (rng.random(rows) < chance).astype(float))
    return battles(
        [NAMES[i] for i in first],
        [NAMES[i] for i in second],
        score,
        rng.choice([1.0, 3.0], rows),
        {"z": z, "u": rng.normal(size=rows)} if covariates else None,
        clusters=rng.integers(0, 40, rows).tolist() if clusters else None,
    )


def doubled_logistic_regression(table, c, fit_intercept=False):
    """Arena-Hard's design: the list stands twice, a tie once as won and once as lost; columns of ln 10."""
    from sklearn.linear_model import LogisticRegression

    rows, k = len(table.score), len(table.models)
    x = np.zeros((rows, k))
    x[np.arange(rows), table.a] = math.log(10)
    x[np.arange(rows), table.b] = -math.log(10)
    x = np.tile(np.column_stack([x, table.covariates]), (2, 1))
    y = np.concatenate([table.score > 0.25, table.score > 0.75]).astype(int)
    model = LogisticRegression(fit_intercept=fit_intercept, C=c, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
    return model.fit(x, y, sample_weight=np.tile(table.weight, 2)).coef_[0]


@given(st.lists(st.tuples(st.sampled_from("mn"), st.sampled_from([0, 0.5, 1]), st.sampled_from([1, 3])), max_size=40))
def test_against_one_opponent_it_is_the_weighted_win_rate(rows):
    rows = [*rows, *((m, s, 1) for m in "mn" for s in (0, 1))]
    fit = bradley_terry(battles(["base"] * len(rows), [m for m, *_ in rows], [1 - s for _, s, _ in rows],
                                [w for *_, w in rows]), RatingScale(anchor="base"))  # fmt: skip
    for model in "mn":
        mine = [(s, w) for m, s, w in rows if m == model]
        rate = sum(s * w for s, w in mine) / sum(w for _, w in mine)
        assert fit.probabilities("base")[fit.models.index(model)] == pytest.approx(rate, abs=1e-12)


def test_the_error_against_one_opponent_is_that_of_the_win_rate():
    scores = [1, 1, 0.5, 0, 1, 0, 0, 1]
    fit = bradley_terry(battles(["m"] * 8, ["base"] * 8, scores), RatingScale(math.e, 1, "base", 0))
    rate = preference_rate(scores)
    assert fit.errors[1] == pytest.approx(rate.error / (rate.value * (1 - rate.value)))
    assert fit.errors[0] == 0


@pytest.mark.parametrize("covariates", [False, True])
def test_a_penalised_fit_is_scikit_learns_on_the_doubled_list(covariates):
    table = tournament(1, covariates=covariates)
    fit = bradley_terry(table, penalty=0.5)
    expected = doubled_logistic_regression(table, c=1)
    assert fit.log_odds / math.log(10) == pytest.approx(expected[:4] - expected[:4].mean(), abs=1e-6)
    assert fit.coefficients == pytest.approx(expected[4:], abs=1e-6)


@settings(max_examples=20)
@given(st.integers(0, 50), st.randoms())
def test_order_direction_and_splitting_of_weights_change_nothing(seed, random):
    table = tournament(seed, covariates=True)
    want = bradley_terry(table)
    order = list(range(len(table.score)))
    random.shuffle(order)
    columns = {"a": [], "b": [], "score": [], "weight": [], "z": []}
    for i in order:
        a, b, s, w, z = table.a[i], table.b[i], table.score[i], table.weight[i], table.covariates[i, 0]
        turned = random.random() < 0.5
        for part in (w / 4, 3 * w / 4):
            columns["a"].append(NAMES[b if turned else a])
            columns["b"].append(NAMES[a if turned else b])
            columns["score"].append(1 - s if turned else s)
            columns["weight"].append(part)
            columns["z"].append(-z if turned else z)
    again = bradley_terry(battles(columns["a"], columns["b"], columns["score"], columns["weight"], {"z": columns["z"]}))
    alone = bradley_terry(battles([NAMES[i] for i in table.a], [NAMES[i] for i in table.b], table.score, table.weight,
                                  {"z": table.covariates[:, 0]}))  # fmt: skip
    assert again.ratings == pytest.approx(alone.ratings, abs=1e-6)
    assert again.coefficients == pytest.approx(alone.coefficients, abs=1e-8)
    assert want.n == len(order)


def test_scale_and_anchor_only_move_and_stretch():
    table = tournament(3)
    plain, other = bradley_terry(table), bradley_terry(table, RatingScale(base=math.e, width=1, anchor="b", level=5))
    assert plain.ratings.mean() == pytest.approx(1000)
    assert other.ratings[1] == 5
    assert (plain.ratings - plain.ratings[1]) * math.log(10) / 400 == pytest.approx(other.ratings - 5)
    assert plain.log_odds == pytest.approx(other.log_odds)
    with pytest.raises(ValueError, match="'x' is in no battle"):
        bradley_terry(table, RatingScale(anchor="x"))


def test_the_score_equations_hold_at_the_maximum():
    """At the maximum each model's expected score is its score, and residuals are orthogonal to the covariates."""
    table = tournament(4, covariates=True)
    fit = bradley_terry(table)
    gaps = fit.log_odds[table.a] - fit.log_odds[table.b] + table.covariates @ fit.coefficients
    residual = table.weight * (table.score - 1 / (1 + np.exp(-gaps)))
    sums = np.bincount(table.a, residual, 4) - np.bincount(table.b, residual, 4)
    assert sums == pytest.approx(np.zeros(4), abs=1e-6)
    assert table.covariates.T @ residual == pytest.approx(np.zeros(2), abs=1e-6)


@pytest.mark.parametrize(
    ("covariates", "unit"), [(False, "rows"), (True, "rows"), (False, "clusters"), (True, "clusters")]
)
def test_bootstrap_spread_agrees_with_the_standard_errors(covariates, unit):
    table = tournament(5, rows=1500, covariates=covariates, clusters=unit == "clusters")
    fit, draws = bradley_terry(table), bradley_terry_bootstrap(table, rounds=600, unit=unit)
    assert draws.undetermined == 0
    assert draws.ratings.std(axis=0) == pytest.approx(fit.errors, rel=0.12)
    low, high = draws.interval()
    assert ((low < fit.ratings) & (fit.ratings < high)).all()
    if covariates:
        assert draws.coefficients.std(axis=0) == pytest.approx(fit.coefficient_errors, rel=0.12)


@pytest.mark.parametrize("covariates", [False, True])
@pytest.mark.parametrize("unit", ["rows", "copies", "clusters"])
def test_each_draw_is_the_converged_fit_of_its_weights(covariates, unit):
    """What the batch finds for a draw is what a fit of that draw alone finds."""
    table = tournament(6, covariates=covariates, clusters=True)
    draws = bradley_terry_bootstrap(table, rounds=5, seed=9, unit=unit)
    problem = prepare(table, (0.0, 0.0))
    weight, won = (np.concatenate(c) for c in zip(*blocks(problem, unit, 5, 9), strict=True))
    for i in range(5):
        alone, found = maximise(problem, weight[i : i + 1], won[i : i + 1])
        assert found[0]
        assert draws.log_odds[i] == pytest.approx(alone[0, :4] - alone[0, :4].mean(), abs=1e-8)
    size = {"rows": len(table.score), "copies": table.weight.sum()}
    if unit == "copies":
        assert (weight.sum(axis=1) == size["copies"]).all()


def test_a_bootstrap_of_one_certain_battle_is_that_battle():
    table = battles(["a", "b"], ["b", "a"], [0.75, 0.25])
    draws = bradley_terry_bootstrap(table, RatingScale(math.e, 1, "b", 0), rounds=7)
    assert draws.ratings[:, 0] == pytest.approx(np.full(7, math.log(3)))


def test_draws_in_which_somebody_lost_everything_are_counted_and_stay_finite():
    table = battles(["a"] * 6 + ["b"] * 3, ["base"] * 9, [1, 1, 1, 1, 1, 0, 1, 0, 0])
    draws = bradley_terry_bootstrap(table, RatingScale(anchor="base"), rounds=200)
    assert 0 < draws.undetermined < 200
    assert np.isfinite(draws.ratings).all()
    assert draws.interval()[1][0] > bradley_terry(table, RatingScale(anchor="base")).ratings[0] + 400


def test_counts_of_draws_have_the_multinomials_moments():
    rng = np.random.default_rng(0)
    for shares in (np.array([1] * 200), np.array([1, 3] * 100), np.array([500, 100, 400])):
        counts = draw_counts(rng, shares, 2000)
        n, p = shares.sum(), shares / shares.sum()
        assert (counts.sum(axis=1) == n).all()
        assert counts.mean(axis=0) == pytest.approx(n * p, rel=0.2)
        assert counts.var(axis=0).sum() == pytest.approx((n * p * (1 - p)).sum(), rel=0.05)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", "b", 1), ("b", "a", 1), ("c", "d", 0.5)], "separate parts.*a, b|separate parts.*c, d"),
        ([("a", "b", 1), ("b", "c", 1), ("c", "b", 1)], "a scored in all"),
        ([("a", "b", 0.5), ("b", "c", 1)], "c lost all"),
    ],
)
def test_what_has_no_finite_rating_is_named(rows, message):
    table = battles(*map(list, zip(*rows, strict=True)))
    with pytest.raises(ValueError, match=message):
        bradley_terry(table)
    assert np.isfinite(bradley_terry(table, penalty=0.1).ratings).all()


def test_a_covariate_that_repeats_the_models_or_tells_all_apart_is_refused():
    table = tournament(7)
    names = [NAMES[i] for i in table.a], [NAMES[i] for i in table.b]
    own = (table.b - table.a).astype(float)  # a number of each model's own
    with pytest.raises(ValueError, match="own"):
        bradley_terry(battles(*names, table.score, covariates={"own": own}))
    sure = np.where(table.score > 0.5, 1.0, -1.0)
    with pytest.raises(ValueError, match="sure"):
        bradley_terry(battles(*names, (table.score > 0.5).astype(float), covariates={"sure": sure}))


def test_self_battles_say_nothing_unless_kept_as_published():
    a, b, s = ["base", "base", "m", "base", "m"], ["m", "m", "base", "base", "base"], [1, 0, 1, 1, 0]
    dropped = bradley_terry(battles(a, b, s), RatingScale(anchor="base"), penalty=0.5)
    without = bradley_terry(battles(a[:3] + a[4:], b[:3] + b[4:], s[:3] + s[4:]), RatingScale(anchor="base"), 0.5)
    kept = bradley_terry(battles(a, b, s, self_battles="one_sided"), RatingScale(anchor="base"), penalty=0.5)
    assert dropped.ratings == pytest.approx(without.ratings)
    assert abs(kept.ratings[1] - dropped.ratings[1]) > 1e-3
    # The published row of the design: only −1 in the model's own column.
    x = np.array([[1, -1], [1, -1], [-1, 1], [-1, 0], [-1, 1]]) * math.log(10)
    gradient = lambda t: x.T @ (np.array(s) - 1 / (1 + np.exp(-x @ t))) - 0.5 * t  # noqa: E731
    theta = np.zeros(2)
    for _ in range(2000):
        theta = theta + 0.05 * gradient(theta)
    assert kept.ratings[1] == pytest.approx(1000 + 400 * (theta[1] - theta[0]), abs=1e-4)


def test_style_difference_is_standardised_over_weighted_rows():
    a, b, w = np.array([10.0, 3, 0, 8]), np.array([5.0, 3, 7, 2]), np.array([1.0, 3, 1, 1])
    z = style_difference(a, b, w)
    assert (np.average(z, weights=w), np.average(z**2, weights=w)) == pytest.approx((0, 1))
    assert style_difference(a, b) + style_difference(b, a) == pytest.approx(np.zeros(4))
    assert (style_difference([2, 2], [1, 1]) == 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a"], ["b"], [1, 0]), "one length"),
        ((["a"], ["b"], [1.5]), "lie in"),
        ((["a"], ["b"], [float("nan")]), "lie in"),
        ((["a"], ["b"], [1], [-1]), "not negative"),
        ((["a"], ["a"], [1]), "no battle"),
        ((["a"], ["b"], [1], None, {"z": [float("nan")]}), "covariate"),
    ],
)
def test_battles_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        battles(*arguments)


def test_copies_need_whole_weights_and_clusters_must_be_there():
    table = battles(["a", "b"], ["b", "a"], [1, 1], [0.5, 1])
    with pytest.raises(ValueError, match="whole weights"):
        bradley_terry_bootstrap(table, unit="copies")
    with pytest.raises(ValueError, match="have none"):
        bradley_terry_bootstrap(table, unit="clusters")
