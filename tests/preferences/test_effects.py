"""Effects of features on preferences: laws of symmetry, known truths, degenerate data, published counts."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.preferences.effects import Design, Effect, alone, faithful, independent, jointly, mark
from evalsuite.preferences.effects_fit import clusters_of
from evalsuite.statistics.logistic import logistic_regression


def world(n=3000, m=4, seed=0, beta=(1.0, -0.5, 0.0, 0.3), length=0.5):
    """Sparse signed features that correlate with a length difference, and labels by known log-odds."""
    rng = np.random.default_rng(seed)
    controls = rng.standard_normal((n, 1))
    z = rng.standard_normal((n, m)) + 0.5 * controls
    z[rng.random((n, m)) < 0.5] = 0
    y = (rng.random(n) < 1 / (1 + np.exp(-(z @ np.array(beta) + length * controls[:, 0])))).astype(float)
    return z, y, controls


def figures(effects: list[Effect]) -> np.ndarray:
    rows = [(e.beta, e.beta_low, e.beta_high, e.change, e.low, e.high, e.p) for e in effects]
    return np.array(rows, dtype=float)


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.sampled_from(["half", "drop"]))
def test_turning_pairs_round_changes_no_effect(seed, ties):
    z, y, controls = world(400, seed=seed)
    rng = np.random.default_rng(seed)
    y[rng.random(400) < 0.2] = 0.5
    turned = np.where(rng.random(400) < 0.5, -1.0, 1.0)
    people = rng.integers(0, 40, 400)
    for read in (alone, jointly):
        one = read(Design(z, y, controls, (people,), ties=ties))
        other = read(
            Design(z * turned[:, None], 0.5 + (y - 0.5) * turned, controls * turned[:, None], (people,), ties=ties)
        )
        np.testing.assert_allclose(figures(one), figures(other), rtol=1e-6, atol=1e-9)


@settings(max_examples=10)
@given(st.integers(0, 10_000))
def test_negating_a_feature_negates_its_effect(seed):
    z, y, controls = world(400, seed=seed)
    for read in (alone, jointly):
        one, other = (figures(read(Design(sign * z, y, controls))) for sign in (1, -1))
        np.testing.assert_allclose(one[:, [0, 3]], -other[:, [0, 3]], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(one[:, [1, 4]], -other[:, [2, 5]], rtol=1e-6, atol=1e-9)


def test_many_regressions_at_once_are_the_single_ones():
    z, y, controls = world()
    found = alone(Design(z, y, controls, scales=np.ones(4)))
    size = np.sqrt((controls**2).mean())
    for j, effect in enumerate(found):
        own = logistic_regression(np.column_stack([z[:, j], controls / size]), y)
        assert effect.beta == pytest.approx(own[0], abs=1e-8)


def test_joint_effects_are_the_truth_and_the_change_is_the_counterfactual():
    z, y, controls = world(40_000)
    found = jointly(Design(z, y, controls, scales=np.ones(4)))
    for effect, truth in zip(found, (1.0, -0.5, 0.0, 0.3), strict=True):
        assert effect.beta_low < truth < effect.beta_high
    # A world of signs, in which the change can be computed from the truth.
    signs = np.sign(z)
    odds = signs @ np.array([1.0, -0.5, 0.0, 0.3]) + 0.5 * controls[:, 0]
    labels = (np.random.default_rng(1).random(len(y)) < 1 / (1 + np.exp(-odds))).astype(float)
    first = jointly(Design(signs, labels, controls))[0]
    rest = odds - signs[:, 0]
    truth = (1 / (1 + np.exp(-(rest + 1))) - 1 / (1 + np.exp(-(rest - 1)))).mean()
    assert first.low < truth < first.high
    assert first.high - first.low < 0.05


def test_intervals_hold_the_truth_as_often_as_they_say():
    held, total = 0, 0
    for seed in range(150):
        z, y, controls = world(400, seed=seed)
        for effect, truth in zip(jointly(Design(z, y, controls, scales=np.ones(4))), (1, -0.5, 0, 0.3), strict=True):
            held += effect.beta_low <= truth <= effect.beta_high
            total += 1
    assert 0.92 <= held / total <= 0.98


def test_copies_of_rows_in_one_cluster_add_nothing():
    z, y, controls = world(300)
    once = figures(alone(Design(z, y, controls)))
    rows = np.repeat(np.arange(300), 4)
    copies = figures(alone(Design(z[rows], y[rows], controls[rows], (rows,))))
    np.testing.assert_allclose(copies[:, 0], once[:, 0], rtol=1e-6)
    np.testing.assert_allclose(copies[:, 2] - copies[:, 1], once[:, 2] - once[:, 1], rtol=0.01)
    blind = figures(alone(Design(z[rows], y[rows], controls[rows])))
    assert ((blind[:, 2] - blind[:, 1]) < 0.6 * (once[:, 2] - once[:, 1])).all()


def test_two_ways_of_clustering_are_no_narrower_than_either():
    z, y, _ = world(600)
    rng = np.random.default_rng(0)
    people, talks = rng.integers(0, 30, 600), rng.integers(0, 200, 600)
    errors = [
        clusters_of(codes, 600).variance(z * (y - 0.5)[:, None], 2) for codes in ((people,), (talks,), (people, talks))
    ]
    assert (errors[2] >= np.maximum(errors[0], errors[1])).all()


def test_a_pure_length_feature_has_no_effect_beside_the_control_and_a_large_one_without():
    rng = np.random.default_rng(3)
    length = rng.standard_normal(5000)
    z = (length + 0.5 * rng.standard_normal(5000))[:, None]
    y = (rng.random(5000) < 1 / (1 + np.exp(-1.5 * length))).astype(float)
    controlled = alone(Design(z, y, length[:, None]))[0]
    raw = alone(Design(z, y))[0]
    assert controlled.beta_low < 0 < controlled.beta_high
    assert controlled.low < 0 < controlled.high
    assert raw.beta_low > 0.5
    assert raw.low > 0.2


def test_a_confounder_is_adjusted_for_by_fitting_it_beside_the_feature():
    rng = np.random.default_rng(4)
    confounder = rng.standard_normal(8000)
    z = (confounder + rng.standard_normal(8000))[:, None]
    y = (rng.random(8000) < 1 / (1 + np.exp(-(0.5 * z[:, 0] + 1.0 * confounder)))).astype(float)
    design = Design(z, y, scales=np.ones(1))
    assert alone(design)[0].beta_low > 0.6
    adjusted = alone(Design(z, y, confounder[:, None], scales=np.ones(1)))[0]
    assert adjusted.beta_low < 0.5 < adjusted.beta_high


def test_ties_pull_towards_nothing_or_are_dropped():
    z, y, controls = world(2000)
    tied = y.copy()
    tied[:1000] = 0.5
    half, dropped = (alone(Design(z, tied, controls, ties=ties))[0] for ties in ("half", "drop"))
    assert half.n == 2000
    assert dropped.n == 1000
    assert half.beta < dropped.beta


def test_what_cannot_be_estimated_has_a_reason():
    z, y, controls = world(200)
    z[:, 1] = 0
    z[:, 2] = controls[:, 0]
    z[:, 3] = np.where(y > 0.5, 1.0, -1.0)
    found = alone(Design(z, y, controls))
    assert found[0].reason == ""
    assert "0 in every" in found[1].reason
    assert "repeats the controls" in found[2].reason
    assert "tells all labels apart" in found[3].reason
    assert all(math.isnan(v) for v in figures(found)[1:, :3].ravel())
    assert all("tie" in e.reason for e in alone(Design(z[:, :1], np.full(200, 0.5), controls)))
    assert all("only 3" in e.reason for e in alone(Design(z[:3], y[:3], controls[:3])))


def test_controls_that_tell_their_pairs_apart_leave_the_effects():
    z, y, controls = world(1000)
    rare = np.zeros(1000)
    rare[:3] = 1.0
    always = np.zeros(1000)
    always[:40] = np.where(y[:40] > 0.5, 2.0, -1.0)
    for read in (alone, jointly):
        without, beside = (read(Design(z, y, c)) for c in (controls, np.column_stack([controls, rare, always])))
        for one, other in zip(without, beside, strict=True):
            assert one.beta == pytest.approx(other.beta, abs=0.05)
            assert one.change == pytest.approx(other.change, abs=0.02)


def test_unlabelled_pairs_take_no_part():
    z, y, controls = world(1000)
    some = y.copy()
    some[500:] = np.nan
    scales = np.ones(4)
    one = figures(alone(Design(z, some, controls, scales=scales)))
    other = figures(alone(Design(z[:500], y[:500], controls[:500], scales=scales)))
    np.testing.assert_allclose(one, other)


def test_features_that_repeat_others_leave_the_joint_regression():
    z, y, controls = world(1000)
    z[:, 3] = 2 * z[:, 0]
    found = jointly(Design(z, y, controls))
    assert "repeats" in found[3].reason
    assert found[0].beta is not None
    assert independent(np.array([[1.0, 0, 2, 1], [0, 0, 0, 1]])) == [0, 3]


def test_significance_is_counted_among_the_tested_only():
    effects = [Effect(1.0, 0.5, 1.5, 0.1, 0.0, 0.2, p, 100) for p in (0.001, 0.012, 0.03, 0.04)]
    found = mark(effects, 0.05)
    assert [e.significant_bonferroni for e in found] == [True, True, False, False]
    assert [e.significant_bh for e in found] == [True] * 4
    few = mark(effects, 0.05, [False, True, True, False])
    assert [e.significant_bonferroni for e in few] == [False, True, False, False]
    assert faithful([0.5, -0.5, None, 0.5], [0.001, 0.001, None, 0.02]) == [True, False, False, False]


def test_published_counts_of_faithful_and_of_significant_features(public_data):
    from preferences.wimhf_features import feature_table

    table = feature_table(public_data("wimhf/feature_data_for_demo.json"))
    counts = {}
    for name in dict.fromkeys(f.dataset for f in table):
        rows = [f for f in table if f.dataset == name]
        held = faithful([f.fidelity for f in rows], [f.fidelity_p for f in rows])
        effects = [Effect(f.beta, None, None, f.change, None, None, f.p, 0) for f in rows]
        counts[name] = (sum(held), sum(e.significant_bonferroni for e in mark(effects, 0.05, held)))
    assert counts == {
        "ChatbotArena": (22, 7),
        "CommunityAlign": (31, 29),
        "HH-RLHF": (24, 15),
        "PKU": (16, 7),
        "Reddit": (25, 12),
        "PRISM": (23, 13),
        "Tulu": (19, 15),
    }
