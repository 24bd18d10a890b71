"""Diversity: laws (identical lowest, disjoint highest, order does not matter) and measured reference figures."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.scoring.diversity import (
    counted,
    distinct,
    distinct_interval,
    ead,
    ead_interval,
    equalise,
    head,
    jackknife,
    ngrams,
    rarefied,
    rarefied_interval,
    self_bleu,
    truncate,
    words,
)
from evalsuite.statistics import mean_interval

word = st.sampled_from("the a red fox hill moon ran slept under over stone".split())  # noqa: SIM905
texts = st.lists(st.lists(word, max_size=12), min_size=2, max_size=5)
whole = st.lists(word, min_size=1, max_size=12)


def test_words() -> None:
    assert words("Don’t  stop, the RED fox!") == ["don't", "stop", "the", "red", "fox"]
    assert words("end.\nStart") == ["end", "start"]
    assert words("東京 is big") == ["東", "京", "is", "big"]
    assert words("...") == []


def test_ngrams_of_short_texts() -> None:
    assert ngrams(["a", "b", "c"], 2) == [("a", "b"), ("b", "c")]
    assert ngrams(["a"], 2) == [("a",)]
    assert ngrams([], 2) == [()]


def test_hand_computed() -> None:
    draws = [["a", "b", "c"], ["a", "b", "d"]]
    assert distinct(draws, 1) == 4 / 6
    assert distinct(draws, 2) == 3 / 4
    # Each text: 2 of 3 words, (1 + 1) of (2 + 1) bigrams, (0 + 1) of (1 + 1) trigrams; no brevity penalty.
    assert self_bleu(draws) == pytest.approx((2 / 3 * 2 / 3 * 1 / 2) ** (1 / 3))


def test_ead_of_distinct_words_is_the_published_expectation() -> None:
    tokens = [str(i) for i in range(100)]
    assert ead([tokens[:50], tokens[50:]], orders=(1,)) == pytest.approx(1.00099, abs=1e-5)


def test_ead_of_uniform_words() -> None:
    """Uniform random words: 1.00 for words at any C, but bigrams pass 1 as C grows, for V stays the unigrams'."""
    rng = random.Random(0)
    drawn = [str(rng.randrange(50_257)) for _ in range(25_000)]
    assert ead([drawn[:12_500], drawn[12_500:]], orders=(1,)) == pytest.approx(1.0, abs=0.01)
    assert ead([drawn[:12_500], drawn[12_500:]], orders=(2,)) == pytest.approx(1.27, abs=0.01)
    assert ead([drawn[:800], drawn[800:1_600]], orders=(2,)) == pytest.approx(1.016, abs=0.005)


@given(whole, st.integers(2, 5))
def test_identical_texts_are_lowest(text: list[str], count: int) -> None:
    draws = [text] * count
    assert self_bleu(draws) == pytest.approx(1)
    assert distinct(draws, 2) == pytest.approx(distinct([text, text], 2) * 2 / count)
    other = [*draws[1:], [w + "x" for w in text]]
    assert distinct(other, 2) > distinct(draws, 2)
    assert ead(other) > ead(draws)
    assert self_bleu(other) < self_bleu(draws)


@given(texts, st.randoms())
def test_order_does_not_matter(draws: list[list[str]], rng: random.Random) -> None:
    shuffled = rng.sample(draws, len(draws))
    assert distinct(shuffled, 2) == distinct(draws, 2)
    assert ead(shuffled) == pytest.approx(ead(draws))
    assert self_bleu(shuffled) == pytest.approx(self_bleu(draws))


@given(texts)
def test_bounds(draws: list[list[str]]) -> None:
    assert 0 < distinct(draws, 1) <= 1
    assert 0 < ead(draws) < 1.01
    assert 0 <= self_bleu(draws) <= 1 + 1e-9


@given(st.integers(2, 5), st.integers(1, 30))
def test_disjoint_texts_are_highest(count: int, length: int) -> None:
    draws = [[f"{i}-{j}" for j in range(length)] for i in range(count)]
    assert distinct(draws, 1) == distinct(draws, 2) == 1
    assert self_bleu(draws) == 0
    assert ead(draws) >= 1


def test_equal_lengths() -> None:
    draws = [words("one two three four"), words("five six")]
    assert truncate(draws, 3) == [["one", "two", "three"], ["five", "six"]]
    assert counted(truncate(draws, 3)) == 5


def test_the_two_scopes_separate() -> None:
    """One fixed text per prompt: lowest among the draws of a prompt, high across prompts."""
    prompts = [[f"p{i}w{j}" for j in range(20)] for i in range(10)]
    assert max(ead([text] * 4) for text in prompts) < 0.3 < 0.99 < ead(prompts)


def test_one_text_has_no_diversity() -> None:
    with pytest.raises(ValueError, match="two texts"):
        distinct([["a"]], 1)


def test_head_keeps_the_spelling() -> None:
    assert head("Don’t  stop, the RED fox!", 3) == "Don’t  stop, the"
    assert head("one two", 5) == "one two"


def test_ways_to_equal_length() -> None:
    draws = [words("one two three four"), words("five six"), []]
    assert equalise(draws, 3) == [["one", "two", "three"], ["five", "six"], []]
    assert equalise(draws, "shortest") == [["one", "two"], ["five", "six"], []]
    assert equalise(draws, "full") == draws
    for wrong in ("longest", 0):
        with pytest.raises(ValueError, match="equal length"):
            equalise(draws, wrong)


@given(texts.filter(lambda t: sum(len(x) for x in t) > 4), st.integers(1, 2), st.data())
def test_rarefied_is_the_mean_over_subsets(draws: list[list[str]], n: int, data: st.DataObject) -> None:
    """Against drawing: the mean over random subsets of n-grams; at the full count it is the distinct share."""
    grams = [gram for text in draws for gram in ngrams(text, n)]
    assert rarefied(draws, n, len(grams)) == pytest.approx(distinct(draws, n))
    assert rarefied(draws, n, 1) == pytest.approx(1)
    count = data.draw(st.integers(1, len(grams)))
    rng = random.Random(0)
    drawn = [len(set(rng.sample(grams, count))) / count for _ in range(400)]
    assert rarefied(draws, n, count) == pytest.approx(sum(drawn) / len(drawn), abs=0.1)


def test_rarefied_refuses_more_than_there_is() -> None:
    with pytest.raises(ValueError, match="cannot be drawn"):
        rarefied([["a"], ["b"]], 1, 3)
    assert rarefied_interval([["a", "b"], ["b", "c"]], 1, 3) is None


def test_rarefied_takes_size_out() -> None:
    """A set twice as large of the same source: distinct falls, the rarefied share does not."""
    rng = random.Random(0)
    vocabulary = [f"w{i}" for i in range(300)]
    small = [rng.choices(vocabulary, k=20) for _ in range(20)]
    large = [rng.choices(vocabulary, k=20) for _ in range(80)]
    assert distinct(small, 1) > distinct(large, 1) + 0.2
    assert rarefied(small, 1, 200) == pytest.approx(rarefied(large, 1, 200), abs=0.03)


@given(st.lists(st.lists(word, min_size=1, max_size=8), min_size=3, max_size=6))
def test_fast_jackknife_is_the_plain_one(draws: list[list[str]]) -> None:
    rest = [draws[:i] + draws[i + 1 :] for i in range(len(draws))]
    wanted = jackknife(ead(draws), [ead(r) for r in rest], len(draws))
    found = ead_interval(draws)
    assert (found.value, found.low, found.high) == pytest.approx((wanted.value, wanted.low, wanted.high))
    plain = jackknife(distinct(draws, 2), [distinct(r, 2) for r in rest], len(draws))
    fast = distinct_interval(draws, 2)
    assert (fast.value, fast.low, fast.high) == pytest.approx((plain.value, plain.low, plain.high))
    count = min(sum(len(ngrams(t, 1)) for t in r) for r in rest)
    at = rarefied_interval(draws, 1, count)
    assert at is not None
    slow = jackknife(rarefied(draws, 1, count), [rarefied(r, 1, count) for r in rest], len(draws))
    assert (at.value, at.low, at.high) == pytest.approx((slow.value, slow.low, slow.high))


def test_jackknife_of_a_mean_is_its_t_interval() -> None:
    values = [0.2, 0.5, 0.9, 0.4, 0.7]
    total = sum(values)
    found = jackknife(total / 5, [(total - v) / 4 for v in values], 5)
    wanted = mean_interval(values)
    assert (found.value, found.low, found.high) == pytest.approx((wanted.value, wanted.low, wanted.high))


def test_uniform_bigrams_at_the_largest_count() -> None:
    """Uniform bigrams pass 1 by far: 1.58 at C = 50,000."""
    rng = random.Random(1)
    drawn = [str(rng.randrange(50_257)) for _ in range(50_000)]
    assert ead([drawn[:25_000], drawn[25_000:]], orders=(2,)) == pytest.approx(1.58, abs=0.02)


@given(texts)
def test_against_the_formulas_written_out(draws: list[list[str]]) -> None:
    """EAD by its definition, distinct by counting."""
    bigrams = [tuple(t[i : i + 2]) if len(t) > 1 else tuple(t) for t in draws for i in range(max(1, len(t) - 1))]
    assert distinct(draws, 2) == pytest.approx(len(set(bigrams)) / len(bigrams))
    v, c = 50_257, len(bigrams)
    assert ead(draws, orders=(2,)) == pytest.approx(len(set(bigrams)) / (v * (1 - ((v - 1) / v) ** c)))


@given(st.lists(st.lists(word, min_size=4, max_size=12), min_size=2, max_size=4))
def test_self_bleu_is_nltks(draws: list[list[str]]) -> None:
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    method = SmoothingFunction().method2
    found = [sentence_bleu(draws[:i] + draws[i + 1 :], text, smoothing_function=method) for i, text in enumerate(draws)]
    assert self_bleu(draws) == pytest.approx(sum(found) / len(found), abs=1e-9)
