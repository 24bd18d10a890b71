"""Elo in file order and over orders; ranks from intervals, groups, separability, agreement of rankings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.statistics import (
    EloRule,
    battles,
    competition_ranks,
    elo,
    elo_over_orders,
    interval_ranks,
    order_scores,
    pair_probabilities,
    rank_groups,
    rank_intervals,
    ranking_agreement,
    separability,
)

games = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("abc"), st.sampled_from([0, 0.5, 1])).filter(
        lambda g: g[0] != g[1]
    ),
    min_size=1,
    max_size=30,
)
intervals = st.lists(st.tuples(st.floats(-10, 10), st.floats(0, 5)), min_size=1, max_size=12)


def table(rows):
    return battles(*map(list, zip(*rows, strict=True)))


def test_elo_by_hand():
    """FastChat's rule: K 4, start 1000, both expectations before the battle."""
    found = elo(table([("a", "b", 1), ("a", "b", 0.5), ("b", "a", 1)]))
    first = 1000 + 4 * 0.5
    chance = 1 / (1 + 10 ** ((998 - first) / 400))
    second = first + 4 * (0.5 - chance)
    lower = 1 / (1 + 10 ** ((second - (2000 - second)) / 400))
    assert found == pytest.approx([second - 4 * (1 - lower), 2000 - second + 4 * (1 - lower)], abs=1e-9)


@given(games)
def test_points_are_neither_made_nor_lost_and_swapping_sides_changes_nothing(rows):
    there, back = elo(table(rows)), elo(table([(b, a, 1 - s) for a, b, s in rows]))
    assert there.sum() == pytest.approx(1000 * len(there))
    assert there == pytest.approx(back)


def test_over_orders_each_order_is_the_plain_rule_and_equal_battles_have_no_spread():
    rows = [("a", "b", 1), ("b", "c", 0.5), ("c", "a", 1), ("a", "b", 0), ("b", "c", 1)]
    single = elo_over_orders(table(rows), rounds=1, seed=3)
    order = np.argsort(np.random.default_rng(3).random((1, 5)), axis=1)[0]
    assert single.ratings == pytest.approx(elo(table([rows[i] for i in order])))
    same = elo_over_orders(table([("a", "b", 1)] * 6), EloRule(k=16), rounds=20)
    assert same.low == pytest.approx(same.high)
    many = elo_over_orders(table(rows), EloRule(k=32), rounds=200)
    assert ((many.low <= many.ratings) & (many.ratings <= many.high)).all()
    assert many.low[0] < many.high[0]


@given(intervals)
def test_arena_ranks_lie_at_or_above_the_plain_rank_and_separate_intervals_keep_it(rows):
    value = np.array([v for v, _ in rows])
    half = np.array([h for _, h in rows])
    found = interval_ranks(value - half, value + half)
    assert (found <= competition_ranks(value)).all()
    assert found.min() == 1
    assert interval_ranks(value, value).tolist() == competition_ranks(value).tolist()


def test_groups_compare_with_their_first_member_only():
    """HREF: [61, 70], [55, 65], [50, 60]: the third overlaps the second and not the first."""
    low, high = [61, 55, 50], [70, 65, 60]
    assert rank_groups([65, 60, 55], low, high) == [1, 1, 3]
    assert rank_groups([55, 65, 60], [50, 61, 55], [60, 70, 65]) == [3, 1, 1]
    assert rank_groups([], [], []) == []


def test_rank_intervals_of_draws():
    draws = np.array([[3.0, 2, 1], [3, 1, 2], [3, 2, 1], [3, 2, 2]])
    low, high = rank_intervals(draws)
    assert (low.tolist(), high.tolist()) == ([1, 2, 2], [1, 3, 3])
    low, high = rank_intervals(draws[:1])
    assert low.tolist() == high.tolist() == [1, 2, 3]


@given(intervals)
def test_separability_counts_pairs_that_overlap(rows):
    low = [v for v, _ in rows]
    high = [v + h + 0.01 for v, h in rows]
    found = separability(low, high)
    pairs = [(i, j) for i in range(len(rows)) for j in range(i)]
    assert found.overlapping == sum(low[i] < high[j] and low[j] < high[i] for i, j in pairs)
    assert found.pairs == len(pairs)
    assert (found.value is None) == (not pairs)


def test_agreement_with_confidence():
    """Three models; the reference separates all but (b, c); the benchmark has a above c, and a and b unclear."""
    found = ranking_agreement([3, 2, 1.9], ([2.8, 1.7, 1.6], [3.2, 2.3, 2.2]), [5, 4.8, 1], ([4, 4, 0], [6, 6, 2]))
    assert (found.strict, found.pairs, found.confident, found.confident_pairs) == (1.0, 3, 0.75, 2)
    turned = ranking_agreement([3, 1], ([2, 0], [4, 2]), [1, 3], ([0, 2], [1, 4]))
    assert (turned.strict, turned.confident) == (0.0, 0.0)
    anchored = ranking_agreement([3, 2.9], ([3, 1], [3, 4]), [3, 2.9], ([3, 1], [3, 4]))
    assert anchored.confident == 1.0  # an anchor has no interval, and is known


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0, 3)), min_size=2, max_size=8))
def test_pair_probabilities_are_complements(rows):
    chance = pair_probabilities([m for m, _ in rows], [v for _, v in rows])
    assert chance + chance.T == pytest.approx(np.ones_like(chance))


def test_order_scores_of_certain_and_of_blind_forecasts():
    assert order_scores([1, 2, 3], [1, 2, 3], [0, 0, 0]) == (0.0, 0.0)
    brier, loss = order_scores([1, 2], [5, 5], [1, 1])
    assert (brier, loss) == pytest.approx((0.25, np.log(2)))
