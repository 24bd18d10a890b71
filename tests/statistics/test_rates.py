"""Win rates: published figures from counts, policies for missing verdicts, averages of groups."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.statistics import averages, preference_rate

preferences = st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=40)


@pytest.mark.parametrize(
    ("wins", "losses", "ties", "value", "error"),
    [
        (328, 469, 8, 41.24223602484472, 1.7271813123250834),  # alpaca-farm-ppo-human, AlpacaEval 1
        (783, 16, 5, 97.699005, 0.510485),  # gpt4_1106_preview
        (234, 543, 22, 30.663329, 1.605620),  # phi-2: six of 805 are unparsed
    ],
)
def test_published_win_rates_come_back_from_their_counts(wins, losses, ties, value, error):
    found = preference_rate([1.0] * wins + [0.0] * losses + [0.5] * ties)
    assert (100 * found.value, 100 * found.error) == pytest.approx((value, error), abs=1e-6)
    assert (found.wins, found.losses, found.ties, found.n) == (wins, losses, ties, wins + losses + ties)
    assert found.discrete == pytest.approx(found.value)


def test_missing_verdicts_are_left_out_lost_or_tied_as_asked():
    rows = [1, None, None, 0]
    assert (preference_rate(rows).value, preference_rate(rows).n) == (0.5, 2)
    assert (preference_rate(rows, missing="loss").value, preference_rate(rows, missing="loss").losses) == (0.25, 3)
    assert (preference_rate(rows, missing="tie").value, preference_rate(rows, missing="tie").ties) == (0.5, 2)
    assert {preference_rate(rows, missing=m).missing for m in ("excluded", "loss", "tie")} == {2}


@given(preferences)
def test_swapping_the_sides_turns_the_rate(rows):
    there, back = preference_rate(rows), preference_rate([None if p is None else 1 - p for p in rows])
    if there.value is None:
        assert back.value is None
        return
    assert there.value == pytest.approx(1 - back.value)
    assert there.error == (None if back.error is None else pytest.approx(back.error))
    assert there.n + there.missing == len(rows)


def test_nothing_known_is_none_and_a_single_row_has_no_error():
    assert preference_rate([]).value is None
    assert preference_rate([None]).missing == 1
    assert preference_rate([1]).error is None


def test_a_preference_outside_the_unit_interval_is_refused():
    with pytest.raises(ValueError, match="lie in"):
        preference_rate([1.5])  # AlpacaEval's coding of a tie, not mapped


def test_micro_counts_rows_and_macro_counts_groups():
    found = averages([1, 1, 1, 0, None], ["a", "a", "a", "b", "c"])
    assert (found.micro, found.macro, found.n) == (0.75, 0.5, 4)
    assert found.groups == {"a": (1.0, 3), "b": (0.0, 1)}
    assert averages([1, 0], ["a", "b"], {"a": 3, "b": 1}).macro == 0.75
    assert averages([None], ["a"]).micro is None


@given(st.lists(st.tuples(st.floats(-5, 5), st.sampled_from("abc")), min_size=1, max_size=30))
def test_averages_are_one_where_groups_are_of_one_size(rows):
    values = [v for v, _ in rows] * 3
    groups = ["a"] * len(rows) + ["b"] * len(rows) + ["c"] * len(rows)
    found = averages(values, groups)
    assert found.micro == pytest.approx(found.macro, abs=1e-9)
    assert found.micro == pytest.approx(float(np.mean(values)), abs=1e-9)
