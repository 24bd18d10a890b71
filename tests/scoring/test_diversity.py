"""Diversity: laws (identical lowest, disjoint highest, order does not matter) and measured reference figures."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.scoring.diversity import counted, distinct, ead, ngrams, self_bleu, truncate, words

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
