"""Roll-up over a tree: unions, ranks and their intervals, and the check of a printed table."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.statistics import check_table, leaf_paths, rollup

PATHS = [("math", "sets"), ("math", "sums"), ("prose",), ("prose", "verse", "odes")]
samples = st.lists(st.tuples(st.floats(0, 5), st.sets(st.sampled_from(PATHS))), min_size=1, max_size=15)


@settings(max_examples=40)
@given(samples)
def test_a_node_is_the_mean_of_the_union_below_it(rows):
    nodes = {n.path: n for n in rollup({"m": [s for s, _ in rows]}, [p for _, p in rows], rounds=0)}
    for path, node in nodes.items():
        below = [s for s, own in rows if any(p[: len(path)] == path for p in own) or not path]
        assert node.n == len(below)
        assert node.values[0] == pytest.approx(float(np.mean(below)))
    assert {p[:1] for _, own in rows for p in own} <= set(nodes)


def test_a_sample_with_two_leaves_counts_once_above_them():
    nodes = rollup({"m": [4.0, 1.0]}, [[("math", "sets"), ("math", "sums")], [("math", "sums")]], rounds=0)
    assert [(n.path, n.n, n.values[0]) for n in nodes] == [
        ((), 2, 2.5),
        (("math",), 2, 2.5),
        (("math", "sets"), 1, 4.0),
        (("math", "sums"), 2, 2.5),
    ]


def test_missing_scores_are_counted_and_a_model_without_any_has_no_rank():
    (root, leaf) = rollup({"a": [None, 1.0], "b": [2.0, 0.0]}, [[("x",)], []], rounds=50)
    assert (root.values, root.counts, root.ranks) == ((1.0, 1.0), (1, 2), (1, 1))
    assert (leaf.values, leaf.counts, leaf.ranks) == ((None, 2.0), (0, 1), (None, 1))
    assert leaf.bounds == (None, (1, 1))


def test_rank_intervals_are_paired_and_narrow_with_samples():
    rng = np.random.default_rng(0)
    hard = rng.normal(size=400) * 5  # what all models share
    scores = {
        name: (hard + shift + rng.normal(size=400) * 0.2).tolist()
        for name, shift in {"a": 0.2, "b": 0.1, "c": 0}.items()
    }
    paths = [[("few",)] if i < 8 else [] for i in range(400)]
    root, few = rollup(scores, paths, rounds=500)
    assert root.ranks == (1, 2, 3)
    assert root.bounds == ((1, 1), (2, 2), (3, 3))
    widths = [high - low for low, high in few.bounds]
    assert max(widths) >= 1


def test_leaves_of_a_tree():
    tree = {"math": {"sets": {}, "sums": {}}, "prose": {}}
    assert list(leaf_paths(tree)) == [("math", "sets"), ("math", "sums"), ("prose",)]


def test_a_printed_overall_that_is_not_the_weighted_mean_is_flagged():
    parts = {"good": [1.0, 3.0], "bad": [1.0, 3.0]}
    good, bad = check_table(parts, [3, 1], {"good": 1.505, "bad": 1.6})
    assert (good.agrees, bad.agrees) == (True, False)
    assert bad.difference == pytest.approx(-0.1)
    with pytest.raises(ValueError, match="good has 2 parts"):
        check_table(parts, [1, 1, 1], {"good": 1, "bad": 1})


def test_feedbackers_printed_table(public_data):
    """Its overall is the mean over all questions, but for one model whose printed figure is 0.295 off."""
    counts = {"Coding": 636, "Knowledge": 540, "Mathematics": 344, "Reasoning": 245, "Roleplay": 470, "Writing": 1108}
    lines = public_data("feedbacker/ranked_scores_table.txt").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip().split("(")[0] for cell in line.strip("|").split("|")] for line in lines if "---" not in line]
    header, rows = cells[0], cells[1:]
    found = check_table(
        {row[0]: [float(x) for x in row[2:]] for row in rows},
        [counts[name] for name in header[2:]],
        {row[0]: float(row[1]) for row in rows},
    )
    assert len(found) == 17
    wrong = [c for c in found if not c.agrees]
    assert [c.model for c in wrong] == ["claude3.7-sonnet-20250219"]
    assert wrong[0].difference == pytest.approx(0.295, abs=5e-4)
