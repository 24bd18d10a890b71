"""SelfCheckGPT's measures: the worked example of the unigram model, matching of vectors, areas against scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.scoring.selfcheck import (
    nearest,
    ngram_scores,
    prompt_value,
    prompt_value_official,
    sentences,
    similarity,
    tokens,
)
from evalsuite.scoring.selfcheck_figures import Passage, areas, figures, prevalence

# The words of the project's example replaced one for one: counts, and so figures, stay.
FIRST = "Ada Mary Brook (seen April 12, 1842) is an Irish harp maker."
PASSAGE = f"{FIRST} She is the maker of The Silver Lantern."
DRAWS = [
    f"{FIRST} She is the maker of The Silver Anchor.",
    "Ada Mary Brook (seen June 25, 1860) is a Danish harp maker. She works at The Old Stone House.",
    f"{FIRST} She obtained her degree from Leiden.",
]


def test_worked_example_of_the_unigram_model() -> None:
    given = sentences(PASSAGE)
    assert given == [FIRST, "She is the maker of The Silver Lantern."]
    scores = ngram_scores(given, PASSAGE, DRAWS)
    assert [mean for mean, _ in scores] == pytest.approx([3.184312, 3.279774], abs=1e-6)  # printed cut off
    assert [highest for _, highest in scores] == pytest.approx([3.476098, 4.574710], abs=1e-6)
    sizes = [len(tokens(sentence)) for sentence in given]
    whole = sum(mean * size for (mean, _), size in zip(scores, sizes, strict=True)) / sum(sizes)
    assert whole == pytest.approx(3.218678904916201, abs=1e-12)
    assert sum(highest for _, highest in scores) / 2 == pytest.approx(4.025404834169327, abs=1e-12)


def test_words_that_occur_nowhere_cost_everything() -> None:
    assert ngram_scores(["Zanzibar", "..."], "a b", [])[0] == (math.inf, math.inf)
    assert ngram_scores([""], "a b", []) == [(0.0, 0.0)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Ada was born in 1815. She wrote notes!", ["Ada was born in 1815.", "She wrote notes!"]),
        ("Dr. A. B. Smith met Mr. Jones. They spoke.", ["Dr. A. B. Smith met Mr. Jones.", "They spoke."]),
        ("It cost 3.5 euros. 1815 was cold.", ["It cost 3.5 euros.", "1815 was cold."]),
        ('He said "No." Then he left.', ['He said "No.', "Then he left."]),
        ("One line\n\nAnother line", ["One line", "Another line"]),
        ("no end", ["no end"]),
        ("  \n ", []),
    ],
)
def test_sentences(text: str, found: list[str]) -> None:
    assert sentences(text) == found


@given(st.text(alphabet="aB1.!? \n\"')", max_size=60))
def test_sentences_lose_no_word(text: str) -> None:
    assert "".join(tokens(" ".join(sentences(text)))).replace('"', "").replace("'", "").replace(")", "") == "".join(
        tokens(text)
    ).replace('"', "").replace("'", "").replace(")", "")


def test_similarity_is_symmetric_and_one_for_equal_texts() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 8)).tolist(), rng.normal(size=(3, 8)).tolist()
    assert similarity(a, a) == pytest.approx(1.0)
    assert similarity(a, b) == pytest.approx(similarity(b, a))
    assert similarity(a, b) == pytest.approx(similarity(a[::-1], (np.array(b) * 7).tolist()))
    assert similarity([[1.0, 0.0]], [[-1.0, 0.0]]) == -1.0
    assert similarity([[0.0, 0.0]], [[1.0, 0.0]]) == 0.0
    # Greedy matching by hand: recall (1 + 0) / 2, precision 1.
    assert similarity([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0]]) == pytest.approx(2 / 3)


def test_nearest_sentence_of_each_draw() -> None:
    x, y = [[1.0, 0.0]], [[0.0, 1.0]]
    assert nearest(x, [[y, x], [y]]) == pytest.approx(0.5)
    assert nearest(x, [[], []]) is None


@pytest.mark.parametrize(
    ("reply", "ours", "official"),
    [
        ("Yes.", 0.0, 0.0),
        ("no", 1.0, 1.0),
        ("Nobody knows", None, 1.0),
        ("**Yes**", 0.0, 0.5),
        ("I cannot say", None, 0.5),
        ("", None, 0.5),
    ],
)
def test_replies(reply: str, ours: float | None, official: float) -> None:
    assert (prompt_value(reply), prompt_value_official(reply)) == (ours, official)


SCORED = st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=30)


@given(SCORED)
def test_areas_are_those_of_scikit_learn(rows: list[tuple[bool, int, int]]) -> None:
    from sklearn.metrics import auc, average_precision_score, precision_recall_curve

    positive, scores, weights = (np.array(column) for column in zip(*rows, strict=True))
    found = [float(area[0]) for area in areas(positive, scores.astype(float), weights[None, :].astype(float))]
    drawn = positive[weights > 0]
    if not 0 < drawn.sum() < len(drawn):
        assert np.isnan(found).all()
        return
    kept = (drawn, scores[weights > 0])
    precision, recall, _ = precision_recall_curve(*kept, sample_weight=weights[weights > 0])
    average = average_precision_score(*kept, sample_weight=weights[weights > 0])
    assert found == pytest.approx([auc(recall, precision), average])


def test_figures_of_a_perfect_and_a_reversed_ranking() -> None:
    good = [Passage((0.0, 0.5, 1.0), (0.0, 0.5, 1.0)), Passage((0.0, 0.0, 1.0), (0.1, 0.1, 0.9)), Passage((1.0,), (1,))]
    found = figures(good)
    areas_of = [name for name in found if name.startswith(("auc", "ap"))]
    assert len(areas_of) == 6
    assert all(found[name].value == pytest.approx(1.0) for name in areas_of)
    assert found["spearman"].value == pytest.approx(1.0)
    worse = figures([Passage(p.labels, tuple(-s for s in p.scores)) for p in good])
    assert worse["auc_pr_nonfact"].value < 0.7
    # NonFact*: the passage that is all major takes no part.
    assert prevalence(good) == {"ap_nonfact": 4 / 7, "ap_nonfact_star": 2 / 6, "ap_factual": 3 / 7}


def test_figures_of_nothing() -> None:
    assert figures([]) == {}
    assert "auc_pr_nonfact" not in figures([Passage((1.0, 1.0), (0.2, 0.4))])


def test_equal_means_tie() -> None:
    """Means that differ by rounding only: 0.1 three times and 0.3, 0, 0."""
    passages = [
        Passage((0.0, 0.0, 0.0), (0.1, 0.1, 0.1)),
        Passage((1.0, 0.0, 0.5), (0.3, 0.0, 0.0)),
        Passage((1.0, 1.0, 1.0), (0.9, 0.9, 0.9)),
    ]
    assert figures(passages)["spearman"].value == pytest.approx(math.sqrt(3) / 2)
