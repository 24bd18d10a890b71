"""Calibration and abstention: definitions written out, known cases, ties, intervals, confidence stated in words."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.data import Setup
from evalsuite.records import Sample, Score, missing
from evalsuite.scoring import calibration
from evalsuite.scoring.calibration import (
    accuracy_at,
    aurc,
    auroc,
    ece,
    ece_of_perfect,
    figures,
)
from evalsuite.scoring.calibration_rows import (
    STATED,
    calibration_metrics,
    choice_confidences,
    confidence_of,
    stated_confidence,
)
from evalsuite.statistics import brier

answers = st.lists(
    st.tuples(st.integers(0, 20).map(lambda i: i / 20), st.sampled_from([0.0, 1.0])), min_size=1, max_size=40
)


def columns(rows: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [c for c, _ in rows], [y for _, y in rows]


@given(answers)
def test_ece_of_equal_width_by_its_definition(rows: list[tuple[float, float]]) -> None:
    """Bins (k/10, (k+1)/10], 0 in the first, on twentieths so that edges are met."""
    bins: dict[int, list[tuple[float, float]]] = {}
    for c, y in rows:
        bins.setdefault(max(0, -(-round(c * 20) // 2) - 1), []).append((c, y))
    wanted = sum(abs(sum(c - y for c, y in rows_)) for rows_ in bins.values()) / len(rows)
    assert ece(*columns(rows)) == pytest.approx(wanted, abs=1e-12)


@given(answers, st.randoms())
def test_order_does_not_matter(rows: list[tuple[float, float]], rng: object) -> None:
    turned = sorted(rows, key=lambda row: (-row[1], row[0]))
    for figure in (ece, aurc, lambda c, y: ece(c, y, equal="mass"), lambda c, y: accuracy_at(c, y, 0.6)):
        assert figure(*columns(turned)) == pytest.approx(figure(*columns(rows)), abs=1e-9)


@given(answers)
def test_auroc_by_counting_pairs(rows: list[tuple[float, float]]) -> None:
    right, wrong = [c for c, y in rows if y], [c for c, y in rows if not y]
    if not right or not wrong:
        assert auroc(*columns(rows)) is None
        return
    wins = sum((a > b) + (a == b) / 2 for a in right for b in wrong)
    assert auroc(*columns(rows)) == pytest.approx(wins / (len(right) * len(wrong)))


@given(answers)
def test_aurc_is_the_mean_over_orders_of_ties(rows: list[tuple[float, float]]) -> None:
    """Within a level the expected risk after each answer; written out with exact means."""
    given_, wrong, risks = 0.0, 0.0, []
    for level in sorted({c for c, _ in rows}, reverse=True):
        outcomes = [1 - y for c, y in rows if c == level]
        share = sum(outcomes) / len(outcomes)
        for _ in outcomes:
            given_, wrong = given_ + 1, wrong + share
            risks.append(wrong / given_)
    assert aurc(*columns(rows)) == pytest.approx(sum(risks) / len(risks))
    assert accuracy_at(*columns(rows), 1.0) == pytest.approx(sum(y for _, y in rows) / len(rows))


@given(answers)
def test_adaptive_bins_are_equal_in_number_and_keep_ties_together(rows: list[tuple[float, float]]) -> None:
    c, _ = columns(rows)
    place = calibration.places(c, 5, "mass")
    by_value = {value: {int(p) for p, x in zip(place, c, strict=True) if x == value} for value in set(c)}
    assert all(len(bins) == 1 for bins in by_value.values())
    if len(set(c)) == len(c):
        sizes = [int((place == b).sum()) for b in range(5)]
        assert max(sizes) - min(sizes) <= 1


def test_known_cases() -> None:
    assert ece([0.8] * 10, [1.0] * 8 + [0.0] * 2) == pytest.approx(0)
    assert ece([1.0] * 10, [0.0] * 10) == 1
    assert ece([0.3, 0.3, 0.31], [0.0, 1.0, 0.0], bins=10) == pytest.approx((abs(0.6 - 1) + 0.31) / 3)
    confidence, right = [0.9, 0.8, 0.7, 0.6], [1.0, 1.0, 0.0, 1.0]
    assert aurc(confidence, right) == pytest.approx((0 + 0 + 1 / 3 + 1 / 4) / 4)
    assert accuracy_at(confidence, right, 0.5) == 1
    assert accuracy_at(confidence, right, 0.625) == pytest.approx(1 - 0.5 / 2.5)
    assert auroc(confidence, right) == pytest.approx(2 / 3)


def test_a_confidence_that_says_nothing() -> None:
    right = [1.0, 0.0, 1.0, 1.0, 0.0]
    assert auroc([0.6] * 5, right) == 0.5
    assert aurc([0.6] * 5, right) == pytest.approx(0.4)
    assert accuracy_at([0.6] * 5, right, 0.5) == pytest.approx(0.6)
    assert ece([0.6] * 5, right) == pytest.approx(0)
    assert brier([0.6] * 5, right) == pytest.approx(0.6 * 0.4)


def test_perfect_confidences_have_an_ece_of_sampling_alone() -> None:
    rng = np.random.default_rng(0)
    c = rng.random(400)
    y = (rng.random(400) < c).astype(float)
    chance = ece_of_perfect(c)
    assert 0.02 < chance < 0.06
    assert ece(c, y) < 2 * chance
    assert ece(np.minimum(1, c + 0.3), y) > 3 * chance


def test_intervals_hold_their_figures_and_cover() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(12):
        c = rng.random(150)
        y = (rng.random(150) < c).astype(float)
        found = figures(c, y)["auroc"]
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 5 / 6 <= found.high  # P(c > c' | right, wrong) with both uniform
    assert held >= 9
    for name, found in figures(c, y).items():
        assert found.low <= found.value <= found.high, name
        assert found.n == 150


def test_repeats_of_a_sample_are_one_cluster() -> None:
    c, y = [0.9, 0.6, 0.7, 0.2] * 10, [1.0, 0.0, 1.0, 0.0] * 10
    once = figures(c, y)["brier"]
    twice = figures(c * 3, y * 3, clusters=[i for _ in range(3) for i in range(40)])["brier"]
    assert (twice.n, twice.value) == (40, pytest.approx(once.value))
    assert twice.high == pytest.approx(once.high, abs=0.01)


def test_bad_input_is_refused() -> None:
    for c, y in (([0.5], [1.0, 0.0]), ([1.5], [1.0]), ([math.nan], [1.0]), ([], [])):
        with pytest.raises(ValueError, match=r"confidence|outcome"):
            ece(c, y)
    with pytest.raises(ValueError, match="coverage"):
        accuracy_at([0.5], [1.0], 0)
    with pytest.raises(ValueError, match="finite"):
        choice_confidences([-1.0, -math.inf])


@pytest.mark.parametrize(("reply", "wanted"), STATED["table"])
def test_stated_confidence(reply: str, wanted: float | None) -> None:
    assert stated_confidence(reply) == wanted


@given(st.integers(0, 100), st.sampled_from(["Confidence: {}%", "B\n\nConfidence: {} %", "I am {}% sure."]))
def test_any_percentage_is_read(number: int, form: str) -> None:
    assert stated_confidence(form.format(number)) == pytest.approx(number / 100)


@given(st.lists(st.floats(-700, 0), min_size=1, max_size=6))
def test_choice_confidences_are_shares(logprobs: list[float]) -> None:
    found = choice_confidences(logprobs)
    assert math.fsum(found) == pytest.approx(1)
    assert all(a <= b + 1e-12 for (x, a), (y, b) in zip_pairs(logprobs, found) if x <= y)


def zip_pairs(logprobs: list[float], found: list[float]) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    both = list(zip(logprobs, found, strict=True))
    return [(a, b) for a in both for b in both]


def test_the_hook_reads_confidence_or_log_probabilities(tmp_path: object) -> None:
    from pathlib import Path

    setup = Setup("t", Path())
    rows = [(Sample(str(i), ()), {"acc": Score(float(i % 3 > 0), details={"confidence": 0.6})}) for i in range(12)]
    rows += [(Sample("lp", ()), {"acc": Score(1.0, details={"logprobs": [-1.0, -3.0]})})]
    rows += [(Sample("none", ()), {"acc": Score(1.0)}), (Sample("gone", ()), {"acc": missing("empty")})]
    found = {m.name: m for m in calibration_metrics(rows, setup)}
    assert set(found) >= {"ece", "ece_adaptive", "brier", "auroc", "aurc", "acc_at_80", "overconfidence"}
    assert (found["brier"].n, found["brier"].missing) == (13, 2)
    assert found["ece"].baselines["perfect"] > 0
    assert found["aurc"].baselines["says nothing"] == pytest.approx(1 - 9 / 13)
    assert confidence_of(rows[12][1]["acc"]) == pytest.approx(1 / (1 + math.exp(-2)))
    assert calibration_metrics(rows[:1], setup) == []
