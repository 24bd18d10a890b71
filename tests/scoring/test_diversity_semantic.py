"""Embedding, NLI and Vendi diversity: one text repeated, nothing shared, bounds, order, reference formulas."""

import math
import random
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evalsuite.scoring.diversity import jackknife, words
from evalsuite.scoring.diversity_semantic import (
    cosines,
    ngram_kernel,
    nli_diversity,
    nli_value,
    one_sentence,
    ordered_pairs,
    spread,
    spread_interval,
    vendi,
    vendi_interval,
)

vectors = st.integers(2, 6).flatmap(
    lambda n: arrays(float, (n, 4), elements=st.floats(-1, 1).map(lambda x: round(x, 3))).filter(
        lambda rows: bool((np.linalg.norm(rows, axis=1) > 0.1).all())
    )
)
word = st.sampled_from("the a red fox hill moon ran slept under over stone".split())  # noqa: SIM905
texts = st.lists(st.lists(word, max_size=8), min_size=2, max_size=6)


@given(vectors)
def test_spread_is_one_minus_the_mean_cosine_of_pairs(rows: np.ndarray) -> None:
    pairs = [float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))) for a, b in combinations(rows, 2)]
    assert spread(rows) == pytest.approx(max(0.0, 1 - sum(pairs) / len(pairs)), abs=1e-9)
    assert 0 <= spread(rows) <= len(rows) / (len(rows) - 1) + 1e-9


@given(st.lists(st.floats(-1, 1).filter(lambda x: abs(x) > 0.01), min_size=2, max_size=5), st.integers(2, 6))
def test_one_text_repeated_has_no_spread_and_counts_once(row: list[float], count: int) -> None:
    assert spread([row] * count) == pytest.approx(0, abs=1e-9)
    for order in (0, 0.5, 1, 2, math.inf):
        assert vendi(cosines([row] * count), order) == pytest.approx(1, abs=1e-6)


@given(st.integers(2, 8))
def test_what_shares_nothing_is_highest(count: int) -> None:
    assert spread(np.eye(count)) == pytest.approx(1)
    for order in (0, 0.5, 1, 2, math.inf):
        assert vendi(np.eye(count), order) == pytest.approx(count)
    apart = [[f"{i}-{j}" for j in range(6)] for i in range(count)]
    assert vendi(ngram_kernel(apart)) == pytest.approx(count)
    assert vendi(ngram_kernel([apart[0]] * count)) == pytest.approx(1)


@given(vectors, st.randoms())
def test_order_does_not_matter(rows: np.ndarray, rng: random.Random) -> None:
    turned = rows[rng.sample(range(len(rows)), len(rows))]
    assert spread(turned) == pytest.approx(spread(rows), abs=1e-9)
    for order in (0.5, 1, 2, math.inf):
        assert vendi(cosines(turned), order) == pytest.approx(vendi(cosines(rows), order), rel=1e-6)


@given(texts)
def test_vendi_lies_between_one_and_n_and_falls_with_the_order(draws: list[list[str]]) -> None:
    kernel = ngram_kernel(draws)
    found = [vendi(kernel, order) for order in (0, 0.5, 1, 2, math.inf)]
    assert all(1 - 1e-9 <= value <= len(draws) + 1e-9 for value in found)
    assert all(a >= b - 1e-6 for a, b in pairwise(found))


@given(texts)
def test_vendi_of_order_two_by_its_closed_form(draws: list[list[str]]) -> None:
    """Σ λ² of K/n is the squared Frobenius norm of K over n²."""
    kernel = ngram_kernel(draws)
    assert vendi(kernel, 2) == pytest.approx(len(draws) ** 2 / (kernel**2).sum())


def test_vendi_of_two_groups_by_hand() -> None:
    """Three copies of one text and one of another: eigenvalues 3/4 and 1/4."""
    kernel = np.array([[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 1]], dtype=float)
    assert vendi(kernel) == pytest.approx(math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25)))
    assert vendi(kernel, 0) == pytest.approx(2)
    assert vendi(kernel, 2) == pytest.approx(16 / 10)
    assert vendi(kernel, math.inf) == pytest.approx(4 / 3)


def test_vendi_grows_when_a_copy_becomes_another_text() -> None:
    same, other = words("the red fox ran over the hill"), words("a blue hen sat under one stone")
    assert vendi(ngram_kernel([same, same, same])) < vendi(ngram_kernel([same, same, other]))


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ([[1.0, 0.5]], "square"),
        ([[1.0, 0.2], [0.7, 1.0]], "symmetric"),
        ([[2.0, 0.0], [0.0, 1.0]], "ones"),
        ([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]], "semi-definite"),
    ],
)
def test_a_kernel_that_is_none_is_refused(kernel: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vendi(kernel)


def test_vectors_without_direction_are_refused() -> None:
    for rows in ([[0.0, 0.0], [1.0, 0.0]], [[math.nan, 0.0], [1.0, 0.0]], [[1.0, 0.0]]):
        with pytest.raises(ValueError, match="vector"):
            spread(rows)


def test_the_fast_jackknife_of_spread_is_the_plain_one() -> None:
    rows = np.random.default_rng(0).standard_normal((7, 5))
    wanted = jackknife(spread(rows), [spread(np.delete(rows, i, axis=0)) for i in range(7)], 7)
    found = spread_interval(rows)
    assert (found.value, found.low, found.high) == pytest.approx((wanted.value, wanted.low, wanted.high))


def test_the_interval_of_vendi_covers() -> None:
    """Sets of 60 drawn from 12 equal groups: the interval holds the mean score of such sets in nearly all of 60."""
    rng = np.random.default_rng(0)

    def drawn() -> np.ndarray:
        groups = rng.integers(0, 12, 60)
        return np.equal.outer(groups, groups).astype(float)

    scores = [vendi(drawn()) for _ in range(300)]
    mean = sum(scores) / len(scores)
    held = 0
    for _ in range(60):
        found = vendi_interval(drawn())
        assert found.low is not None
        assert found.high is not None
        held += found.low <= mean <= found.high
    assert held >= 51


def judged(entailment: float, neutral: float, contradiction: float) -> dict[str, float]:
    return {"entailment": entailment, "neutral": neutral, "contradiction": contradiction}


def test_the_sign_of_nli() -> None:
    assert nli_value(judged(0.1, 0.2, 0.7)) == pytest.approx(0.7)
    assert nli_value(judged(0.7, 0.2, 0.1)) == pytest.approx(-0.7)
    assert nli_value(judged(0.2, 0.6, 0.2)) == 0
    assert nli_value(judged(0.5, 0.0, 0.5)) == 0
    assert nli_value({"entailment": 0.3, "contradiction": 0.7}) == pytest.approx(0.7)
    # A repeated text entails itself: the lowest value; texts that deny each other: the highest.
    assert nli_diversity([judged(1, 0, 0)] * 12) == -1
    assert nli_diversity([judged(0, 0, 1)] * 12) == 1
    with pytest.raises(ValueError, match="no pair"):
        nli_diversity([])


@given(st.lists(st.tuples(st.floats(0.01, 1), st.floats(0.01, 1), st.floats(0.01, 1)), min_size=1, max_size=12))
def test_nli_diversity_by_the_published_rule(raw: list[tuple[float, float, float]]) -> None:
    """Likeliest class times (+1 contradiction, 0 neutral, −1 entailment), mean over pairs."""
    rows = [judged(*(x / sum(row) for x in row)) for row in raw]
    signs = {"contradiction": 1, "neutral": 0, "entailment": -1}
    wanted = [signs[max(row, key=lambda k: row[k])] * max(row.values()) for row in rows if len(set(row.values())) == 3]
    if len(wanted) == len(rows):
        assert nli_diversity(rows) == pytest.approx(sum(wanted) / len(wanted))
    assert -1 <= nli_diversity(rows) <= 1


def test_pairs_and_sentences() -> None:
    assert ordered_pairs(3) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    text = "Dr. Ames left at 5 p.m. in the rain. Nobody saw her."
    found = {one_sentence(text, random.Random(i)) for i in range(20)}
    assert found == {"Dr. Ames left at 5 p.m. in the rain.", "Nobody saw her."}
    assert one_sentence("", random.Random(0)) == ""
