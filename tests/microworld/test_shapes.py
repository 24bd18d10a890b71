"""Ranked lists, unpaired answers, prompts: the orders follow the tastes that pairwise labels follow; files are read."""

import itertools
import json
import math
import random
from pathlib import Path

import pytest

from evalsuite.microworld import annotators, shapes
from evalsuite.microworld.annotators import Pair, annotate, crowd, prefers_first, sample_asks
from evalsuite.microworld.features import GOLD, features
from evalsuite.microworld.instructions import write
from evalsuite.microworld.shapes import Answers, paired, prompts, rank, unpaired
from evalsuite.microworld.world import build
from evalsuite.training import data
from evalsuite.training.contract import Kind

WORLD = build("mini")
GOLDEN = [annotators.Person("gold", dict(GOLD))]


def written_lists(n: int, k: int, seed: int = 0) -> list[Answers]:
    rng = random.Random(seed)
    return [Answers(ask, tuple(write(ask, WORLD, rng) for _ in range(k))) for ask in sample_asks(WORLD, n, seed)]


@pytest.mark.parametrize("flip", [0.0, 0.3])
def test_any_two_answers_of_a_list_are_ordered_as_a_pair_would_be(flip: float) -> None:
    """One list, ranked often: each pair's share equals the pairwise probability (Luce's choice axiom)."""
    made = next(m for m in written_lists(40, 3) if len(set(m.texts)) == 3)
    n = 4000
    rows = rank([made] * n, GOLDEN, WORLD, flip=flip, seed=2)
    assert len(rows) == n
    read = [features(t, made.ask.entity, made.ask.constraints, WORLD) for t in made.texts]
    for i, j in itertools.combinations(range(3), 2):
        first = sum(r["responses"].index(made.texts[i]) < r["responses"].index(made.texts[j]) for r in rows) / n
        expected = prefers_first(read[i], read[j], GOLD, flip=flip)
        assert first == pytest.approx(expected, abs=4 * math.sqrt(0.25 / n))


def test_ranked_rows_hold_grades_from_one_to_nought_and_gold_in_the_same_order() -> None:
    rows = rank(written_lists(50, 4), crowd(0), WORLD)
    for row in rows:
        k = len(row["responses"])
        assert row["labels"] == [1 - i / (k - 1) for i in range(k)]
        assert len(row["gold"]) == k == len(set(row["responses"]))
    rises = [row["gold"][0] > row["gold"][-1] for row in rows]
    assert sum(rises) / len(rises) > 0.8


def test_lists_of_equal_answers_are_left_out() -> None:
    ask = sample_asks(WORLD, 1)[0]
    assert rank([Answers(ask, ("same", "same"))], crowd(0), WORLD) == []


def test_empty_answers_are_left_out_of_lists() -> None:
    """A model may end at once; trainers refuse an answer without a token."""
    ask = sample_asks(WORLD, 1)[0]
    (row,) = rank([Answers(ask, ("", "one.", "two."))], crowd(0), WORLD)
    assert sorted(row["responses"]) == ["one.", "two."]
    assert rank([Answers(ask, ("", "one."))], crowd(0), WORLD) == []


def test_all_pairs_of_a_list_keep_its_order() -> None:
    row = rank([m for m in written_lists(20, 4) if len(set(m.texts)) == 4][:1], crowd(0), WORLD)[0]
    found = paired([row])
    assert len(found) == 6
    place = {text: i for i, text in enumerate(row["responses"])}
    assert all(place[p["chosen"][0]["content"]] < place[p["rejected"][0]["content"]] for p in found)


def test_every_shape_is_read_by_the_trainers(tmp_path: Path) -> None:
    rng = random.Random(0)
    pairs = [Pair(ask, write(ask, WORLD, rng), "No.") for ask in sample_asks(WORLD, 5)]
    rows = annotate(pairs, crowd(0), WORLD)
    shaped: list[tuple[Kind, list[dict[str, object]], int]] = [
        ("unpaired", unpaired(rows), 10),
        ("completions", shapes.chosen(rows), 5),
        ("lists", rank(written_lists(5, 4), crowd(0), WORLD), 5),
        ("prompts", prompts(WORLD, 5), 5),
        ("pairs", [dict(row) for row in rows], 5),
    ]
    for kind, made, n in shaped:
        path = tmp_path / f"{kind}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")
        assert len(data.read(path, kind)) == n
    labelled = data.read(tmp_path / "pairs.jsonl", "pairs")
    assert [row.columns["p"] for row in labelled] == pytest.approx([row["p"] for row in rows])
    read = data.read(tmp_path / "unpaired.jsonl", "unpaired")
    assert [row.labels for row in read[:2]] == [(1.0,), (0.0,)]
    assert read[0].answers[0] == rows[0]["chosen"][0]["content"]


def test_prompts_are_not_those_of_pairs() -> None:
    asked = {row["prompt"][0]["content"] for row in prompts(WORLD, 200)}
    assert len(asked & {ask.prompt for ask in sample_asks(WORLD, 200)}) < 40
