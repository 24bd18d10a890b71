"""Intervals of judged win rates: coverage where a judge is unsteady, and rates anchored at people's verdicts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.statistics import anchored_rate, judged_rate, win_rate

rows = st.lists(
    st.tuples(st.integers(0, 8), st.sampled_from(["ab", "ba"]), st.sampled_from([0, 0.25, 0.5, 0.9, 1])),
    min_size=1,
    max_size=40,
)


@given(rows)
def test_the_interval_is_never_narrower_than_the_plain_one(table):
    found = judged_rate([p for *_, p in table], [i for i, *_ in table], [o for _, o, _ in table])
    assert found.interval.value == found.plain.value
    assert found.interval.n == len({i for i, *_ in table})
    assert found.interval.low <= found.plain.low + 1e-9
    assert found.interval.high >= found.plain.high - 1e-9


@given(rows)
def test_swapping_the_answers_turns_the_rate(table):
    items = [i for i, *_ in table]
    there = judged_rate([p for *_, p in table], items, [o for _, o, _ in table])
    back = judged_rate([1 - p for *_, p in table], items, ["ba" if o == "ab" else "ab" for _, o, _ in table])
    assert there.interval.value == pytest.approx(1 - back.interval.value)
    assert there.interval.low == pytest.approx(1 - back.interval.high, abs=1e-9)
    assert there.swap == (None if back.swap is None else pytest.approx(back.swap))
    assert there.position == (None if back.position is None else pytest.approx(back.position))


def test_a_steady_judge_gets_the_plain_interval():
    preferences, items = [1, 1, 0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 2, 2, 3, 3]
    found = judged_rate(preferences, items, ["ab", "ba"] * 4)
    assert (found.swap, found.position) == (0, 0)
    assert found.interval == found.plain
    single = judged_rate([1, 0, 1], "xyz")
    assert (single.swap, single.repeat, single.position) == (None, None, None)
    assert (single.interval.low, single.interval.high) == pytest.approx(
        (win_rate([1, 0, 1]).low, win_rate([1, 0, 1]).high)
    )


def test_ties_out_of_flips_do_not_narrow_the_interval():
    """A judge who names the first answer but for a few items: its verdicts are worth a coin's."""
    n = 200
    preferences = [1, 0] * (n - 4) + [1, 1] * 2 + [0, 0] * 2
    found = judged_rate(preferences, [i // 2 for i in range(2 * n)], ["ab", "ba"] * n)
    coin = win_rate([1, 0] * (n // 2))
    assert found.position == pytest.approx(0.49, abs=0.01)
    assert found.plain.high - found.plain.low < 0.05
    assert found.interval.high - found.interval.low == pytest.approx(coin.high - coin.low, rel=0.05)


def test_variances_are_those_planted():
    rng = np.random.default_rng(0)
    items, orders, values = [], [], []
    for i in range(3000):
        middle, tilt = rng.uniform(0.3, 0.7), rng.normal(0, 0.1)
        for order, sign in (("ab", 1), ("ba", -1)):
            for _ in range(3):
                items.append(i)
                orders.append(order)
                values.append(float(np.clip(middle + sign * (0.05 + tilt) + rng.normal(0, 0.05), 0, 1)))
    found = judged_rate(values, items, orders)
    assert found.position == pytest.approx(0.05, abs=0.006)
    assert found.swap == pytest.approx(0.1**2 + 0.05**2, rel=0.08)
    assert found.repeat == pytest.approx(0.05**2, rel=0.05)


def test_the_interval_covers_what_the_judge_would_say_asked_once_in_a_random_order():
    """Items anew each time; the truth is the judge's mean over all items and orders: 0.6."""
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(300):
        favours, unsure = rng.random(80) < 0.6, rng.random(80) < 0.3
        ab, ba = np.where(unsure, 1.0, favours), np.where(unsure, 0.0, favours)
        found = judged_rate(np.concatenate([ab, ba]), [*range(80), *range(80)], ["ab"] * 80 + ["ba"] * 80)
        hits += found.interval.low <= 0.6 * 0.7 + 0.5 * 0.3 <= found.interval.high
    assert hits >= 0.94 * 300


def test_known_variances_widen_where_only_one_order_was_asked():
    alone = judged_rate([1, 0, 1, 1, 0, 1], range(6), ["ab"] * 6)
    audited = judged_rate([0.9, 0.2, 0.8, 0.7, 0.3, 0.8], range(6), ["ab"] * 6, known=(0.1, 0.02))
    plain = judged_rate([0.9, 0.2, 0.8, 0.7, 0.3, 0.8], range(6), ["ab"] * 6)
    assert alone.interval == alone.plain
    assert audited.interval.low < plain.interval.low
    assert (audited.swap, audited.repeat) == (0.1, 0.02)


def test_nothing_and_what_does_not_fit():
    assert judged_rate([], []).interval.n == 0
    with pytest.raises(ValueError, match="one length"):
        judged_rate([1], [1, 2])
    with pytest.raises(ValueError, match="missing"):
        judged_rate([None], [1])


def anchoring(rng, n, more, noise, bias):
    truth = rng.random(n + more) < 0.55
    wrong = rng.random(n + more) < noise
    judge = np.clip(np.where(wrong, ~truth, truth) + bias * (rng.random(n + more) < 0.3), 0, 1)
    return judge[:n], truth[:n].astype(float), judge[n:]


@pytest.mark.parametrize(("noise", "bias"), [(0.1, 0), (0.1, 1), (0.5, 0)])
def test_anchored_rates_cover_what_people_would_say_whatever_the_judge_is(noise, bias):
    rng = np.random.default_rng(2)
    draws = [anchoring(rng, 100, 1500, noise, bias) for _ in range(2000)]
    found = [anchored_rate(*draw) for draw in draws]
    covered = np.mean([f.interval.low <= 0.55 <= f.interval.high for f in found])
    people = [y for _, y, _ in draws]  # the plain t interval falls short of 95% a little, in steps of a hundredth
    plain = np.mean([abs(y.mean() - 0.55) <= 1.984 * y.std(ddof=1) / 10 for y in people])
    assert covered >= plain - 0.01
    trust = float(np.mean([f.trust for f in found]))
    if noise == 0.5:
        assert trust < 0.1
        assert np.mean([f.worth for f in found]) == pytest.approx(100, rel=0.05)
    else:
        assert trust > 0.3
        assert np.mean([f.worth for f in found]) > 125


def test_anchoring_needs_people_and_others():
    with pytest.raises(ValueError, match="three labelled items"):
        anchored_rate([1], [1], [0, 1])
    with pytest.raises(ValueError, match="three labelled items"):
        anchored_rate([1, 0], [1, 0], [])
