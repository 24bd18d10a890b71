"""The PC2 benchmark's simulated judge does what its noise model says; the benchmark starts and says what it takes."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from helped import help_of

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks" / "judging"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_pc2_microworld", BENCHMARKS / "pc2_microworld.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    before = list(sys.path)
    try:
        spec.loader.exec_module(made)
    finally:
        sys.path[:] = before
    return made


@pytest.fixture(scope="module")
def played(bench: ModuleType) -> tuple[object, object]:
    cast = bench.Cast.of(0)
    return cast, bench.answers(8, cast.everyone, 0)


CLEAR = {"offset": 0.0, "noise": 0.0, "prior": 1.0, "weighing": 0.0, "length_taste": 1e-9, "form_slip": 0.0}


def measured(bench: ModuleType, played: tuple[object, object], **changes: float) -> dict[str, dict[str, float]]:
    cast, written = played
    setting = bench.Setting("test", replace(bench.Noise(), **changes), pairwise=True)
    found: dict[str, dict[str, float]] = bench.measure(setting, written, cast, 0)["accuracy"]
    return found


def test_a_judge_without_noise_orders_answers_as_gold_does(bench: ModuleType, played: tuple[object, object]) -> None:
    found = measured(bench, played, **CLEAR, distraction=0.0, seen=1.0)
    assert found["pairwise"]["value"] > 0.98
    assert all(found[p]["value"] > 0.85 for p in bench.PROTOCOLS)  # grades are rounded, and nine criteria are kept


def test_a_judge_that_notices_nothing_is_a_coin(bench: ModuleType, played: tuple[object, object]) -> None:
    assert measured(bench, played, prior=0.0)["pointwise"]["value"] == 0.5


def test_slips_are_counted_where_they_are_planted(bench: ModuleType, played: tuple[object, object]) -> None:
    found = measured(bench, played, weights_slip=1.0, total_slip=1.0, form_slip=0.0)
    assert found["with baseline"]["weights normalised"]["value"] == 1
    assert found["with baseline"]["own total disagrees"]["value"] == 1
    none = measured(bench, played, weights_slip=0.0, total_slip=0.0, form_slip=0.0)
    assert none["with baseline"]["own total disagrees"]["value"] == 0
    assert none["with baseline"]["asked again"] == 0


def test_calls_are_linear_and_counted_at_the_model(bench: ModuleType, played: tuple[object, object]) -> None:
    cast, written = played
    costs = bench.count_calls(written, cast, 0)
    assert costs["linear"]
    assert [row["pc2 calls"] for row in costs["by models"]] == [8 * (2 + n) for n in range(1, 7)]
    assert costs["by models"][5]["pairwise calls"] == 8 * 30
    assert costs["published"] == {"saving at 8, 9, 10 models": [2.04, 2.33, 2.62], "break-even models": 4.43}


def test_the_same_reply_to_the_same_prompt(bench: ModuleType, played: tuple[object, object]) -> None:
    cast, written = played
    cases = written.cases([w.name for w in cast.contestants], [w.name for w in cast.diverse[:3]], cast.diverse[0].name)
    judge, other = (bench.Simulated(written, bench.Noise(), seed) for seed in (0, 1))
    options = bench.PROTOCOLS["with baseline"]
    first, again, others = (bench.grade("", options, bench.Setting("x"), cases, j) for j in (judge, judge, other))
    assert again == first
    assert [r.score for r in others] != [r.score for r in first]


def test_it_answers_help_without_loading_anything_heavy() -> None:
    assert "--quick" in help_of(BENCHMARKS / "pc2_microworld.py")
