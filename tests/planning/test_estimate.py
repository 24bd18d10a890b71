"""Estimates: two speeds out of earlier runs, prices, and nothing where nothing is known."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.errors import ModelError
from evalsuite.models import ModelOptions, resolve
from evalsuite.planning.estimate import Costs, estimate, seconds_per_token

speeds = st.floats(1e-6, 1e-2)
counts = st.integers(1, 10**6)


@given(speeds, speeds, st.lists(st.tuples(counts, counts), min_size=1, max_size=5))
def test_runs_of_two_speeds_are_predicted(reading: float, writing: float, runs: list[tuple[int, int]]) -> None:
    """Whether or not the runs tell the speeds apart, a run like the first is predicted by runs alike."""
    read, written = runs[0]
    same = [(read * k, written * k, k * (read * reading + written * writing)) for k in (1, 2)]
    rates = seconds_per_token(same)
    assert rates is not None
    assert read * rates[0] + written * rates[1] == pytest.approx(same[0][2], rel=1e-6)


def test_reading_and_writing_are_told_apart() -> None:
    rates = seconds_per_token([(1000, 0, 1.0), (1000, 100, 2.0)])
    assert rates == pytest.approx((0.001, 0.01))


def test_nothing_known_is_no_estimate(tiny: Path) -> None:
    made = estimate(resolve(str(tiny)), Costs(1, 10, 10, 5), [])
    assert made == {"seconds": None, "runs": 0, "cost": None}


def test_a_servers_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    costs = Costs(10, prompt_tokens=2_000_000, max_new_tokens=1_000_000)
    priced = resolve("openai:m@http://127.0.0.1:9", ModelOptions(args={"price_in": "0.5", "price_out": "2"}))
    assert estimate(priced, costs, [])["cost"] == 3.0
    with pytest.raises(ModelError, match="price_in=cheap"):
        estimate(resolve("openai:m@http://127.0.0.1:9", ModelOptions(args={"price_in": "cheap"})), costs, [])
