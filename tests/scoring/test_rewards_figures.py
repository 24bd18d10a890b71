"""Best of k, tied answers, sections, rankings, calibration: closed forms against enumeration and known values."""

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.scoring.rewards import Rewards
from evalsuite.scoring.rewards_best import Spread, best_of, curve, pairs_right, picked, spread_of, ties_score
from evalsuite.scoring.rewards_figures import auc, ece, length_r
from evalsuite.scoring.rewards_tables import downstream, ranking, section_weights, table_mean

few = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1)), min_size=1, max_size=6)


@given(few, st.integers(1, 6))
def test_best_of_k_is_the_mean_over_all_draws(rows: list[tuple[int, int]], k: int) -> None:
    values, truth = [float(v) for v, _ in rows], [float(t) for _, t in rows]
    if k > len(rows):
        with pytest.raises(ValueError, match=f"best of {k}"):
            best_of(values, truth, k)
        return
    draws = []
    for drawn in itertools.combinations(range(len(rows)), k):
        top = [i for i in drawn if values[i] == max(values[j] for j in drawn)]
        draws.append(sum(truth[i] for i in top) / len(top))
    assert best_of(values, truth, k) == pytest.approx(sum(draws) / len(draws))


def test_curves_of_the_oracle_a_constant_and_a_fool() -> None:
    truth = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    assert curve([0.0] * 8, truth) == pytest.approx(dict.fromkeys((1, 2, 4, 8), 0.25))
    assert curve(truth, truth)[8] == 1.0
    assert curve([-t for t in truth], truth)[8] == 0.0
    assert list(curve([0.0] * 40, [0.0] * 40)) == [1, 2, 4, 8, 16, 32]
    assert pairs_right(truth, truth) == 1.0
    assert pairs_right([0.0] * 8, truth) == 0.5
    assert pairs_right([1.0, 2.0], [1.0, 1.0]) is None


def test_a_pick_among_four() -> None:
    right = [True, False, False, False]
    assert picked(Rewards((3.0, 1.0, 2.0, 0.0)), right)["acc"].value == 1.0
    shared = picked(Rewards((3.0, 3.0, 2.0, 3.0)), right)
    assert (shared["acc"].value, shared["acc_strict"].value, shared["ties"].value) == (pytest.approx(1 / 3), 0.0, 1.0)
    assert picked(Rewards((1.0, 2.0, 2.0, 0.0)), right)["acc"].value == 0.0
    assert picked(Rewards((1.0, None, 2.0, 0.0), reason="judge_parse"), right)["acc"].reason == "judge_parse"


def test_a_perfect_reward_of_tied_answers_scores_above_one() -> None:
    far = ties_score({"a": Spread(100.0, 0.0)}, {"a": Spread(100.0, 0.1)})
    assert far is not None
    assert far.score == pytest.approx(1.01)
    none = ties_score({"a": Spread(0.0, 0.0)}, {"a": Spread(0.0, 0.0)})
    assert none is not None
    assert none.score == 0.0
    assert ties_score({"a": Spread(1.0, 0.0)}, {"b": Spread(1.0, 0.0)}) is None
    assert spread_of([0.0, 2.0, 1.0, 3.0], [0, 1, 0, 1]) == Spread(1.0, 1.0)


def test_sections_weigh_by_the_tables_counts_and_not_by_what_is_there() -> None:
    values = {"x": [1.0] * 10, "y": [0.0] * 30, "z": [1.0, 0.0]}
    counts = {"one": {"x": 30.0, "y": 10.0}, "two": {"z": 5.0}}
    assert table_mean(values, counts["one"]).value == pytest.approx(0.75)
    assert table_mean(values, {"x": 1.0, "absent": 1.0}).value is None
    weights = section_weights(counts, {"one": 2.0, "two": 1.0})
    assert weights == {"x": 1.5, "y": 0.5, "z": 1.0}
    whole = table_mean(values, weights)
    assert whole.value == pytest.approx((2 * 0.75 + 0.5) / 3)
    assert whole.n == 42
    assert whole.low is not None
    assert whole.low < whole.value


def _games(strength: dict[str, float], n: int, seed: int) -> tuple[list[str], list[str], list[float]]:
    rng = random.Random(seed)
    a, b, won = [], [], []
    for x, y in itertools.combinations(strength, 2):
        for _ in range(n):
            a.append(x)
            b.append(y)
            won.append(float(rng.random() < 1 / (1 + math.exp(strength[y] - strength[x]))))
    return a, b, won


def test_the_same_verdicts_give_the_same_ranking() -> None:
    a, b, won = _games({"s": 0.0, "m": 1.0, "l": 2.0, "xl": 3.0}, 60, seed=1)
    same = ranking(a, b, won, won)
    assert (same.row_pearson, same.spearman, same.kendall) == pytest.approx((1.0, 1.0, 1.0))
    assert same.models == 4
    turned = ranking(a, b, won, [1 - w for w in won])
    assert turned.spearman == pytest.approx(-1.0)
    assert turned.row_pearson is not None
    assert turned.row_pearson == pytest.approx(-1.0)


def test_what_predicts_a_downstream_score() -> None:
    acc, score = {"r1": 0.6, "r2": 0.7, "r3": 0.8, "other": 0.1}, {"r1": 10.0, "r2": 12.0, "r3": 14.0}
    linear, ranks = downstream(acc, score)
    assert (linear.value, ranks.value, linear.n) == (pytest.approx(1.0), pytest.approx(1.0), 3)


def test_a_calibrated_reward_has_a_small_error_and_a_sure_one_a_large() -> None:
    rng = random.Random(0)
    chances = [0.5 + rng.random() / 2 for _ in range(4000)]
    right = [float(rng.random() < c) for c in chances]
    good = ece(chances, right, 20)
    assert good.value is not None
    assert good.value < 0.03
    sure = ece([1.0] * 4000, right, 20)
    assert sure.value == pytest.approx(1 - sum(right) / 4000)
    assert sure.low is not None
    assert sure.high is not None
    assert sure.low < sure.value < sure.high
    assert ece([], []).value is None


def test_length_r_knows_a_liking_for_length_and_no_orientation() -> None:
    lengths = [10.0, -5.0, 3.0, -20.0, 1.0]
    assert length_r(lengths, lengths).value == pytest.approx(1.0)
    assert length_r([-x for x in lengths], lengths).value == pytest.approx(-1.0)
    noise = [1.0, 2.0, -1.0, 0.5, 3.0]
    turned = length_r([-noise[0], *noise[1:]], [-lengths[0], *lengths[1:]]).value
    assert turned == pytest.approx(length_r(noise, lengths).value)
    assert length_r([0.0, 0.0], [1.0, 2.0]).value is None


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=30))
def test_auc_is_the_chance_of_a_right_order(rows: list[tuple[int, bool]]) -> None:
    from sklearn.metrics import roc_auc_score

    values, labels = [float(v) for v, _ in rows], [float(y) for _, y in rows]
    found = auc(values, labels)
    if len(set(labels)) < 2:
        assert found.value is None
        return
    assert found.value == pytest.approx(roc_auc_score(labels, values))
    if found.low is not None and found.high is not None:
        assert 0 <= found.low <= found.value <= found.high <= 1
