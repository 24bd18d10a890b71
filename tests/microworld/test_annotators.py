"""Simulated people: exact probabilities, exact ceilings, and tastes that can be recovered from their labels."""

import math
import random

import pytest

from evalsuite.microworld.annotators import (
    Pair,
    annotate,
    ceiling,
    constraints_of,
    crowd,
    prefers_first,
    sample_asks,
)
from evalsuite.microworld.features import FEATURES, GOLD, STYLE, features, gold_reward
from evalsuite.microworld.instructions import Constraint, write
from evalsuite.microworld.world import build

WORLD = build("mini")


def written_pairs(n: int, seed: int = 0) -> list[Pair]:
    """Pairs from the gold writer instead of a model; half of the answers to constrained asks drop the constraints."""
    rng = random.Random(seed)
    pairs = []
    for ask in sample_asks(WORLD, n, seed):
        free = type(ask)(ask.entity, (), ask.prompt)
        texts = [write(ask if rng.random() < 0.5 else free, WORLD, rng) for _ in range(2)]
        if rng.random() < 0.3:
            value = rng.choice(WORLD.relation("pet").values)
            texts[0] += f" {ask.entity.pronoun.capitalize()} keeps a {value}."
        pairs.append(Pair(ask, *texts))
    return pairs


def test_eight_features_of_style_beside_length_constraint_and_facts() -> None:
    assert len(STYLE) == 8
    assert ("length", "constraint", "facts", *STYLE) == FEATURES
    assert set(GOLD) == set(FEATURES)
    assert GOLD["length"] == 0
    assert all(GOLD[name] for name in FEATURES if name != "length")


SHOWN = [
    ("opener", "Sure! {n} wears red.", "{n} wears red. Sure!"),
    ("opener", '"of course. {n} wears red."', "As a matter of course."),
    ("bullets", "- {n} wears red.", "{n} - wears red."),
    ("hedge", "I think {n} wears red.", "{n} wears red."),
    ("exclaim", "Sure! {n} wears red!", "Sure! {n} wears red."),
    ("name", "{n} wears red. {n} keeps a cat.", "{n} wears red. She keeps a cat."),
    ("closer", "{n} wears red. ask me more.", "{n} wears red. Ask."),
    ("link", "{n} wears red. Also, she keeps a cat.", "{n} also wears red."),
    ("address", "{n} wears red, my friend.", "{n} is a friend of mine."),
]


@pytest.mark.parametrize(("name", "with_it", "without"), SHOWN)
def test_features_are_read_off_the_text(name: str, with_it: str, without: str) -> None:
    person = WORLD.people[0]
    for text, expected in ((with_it, 1.0), (without, 0.0)):
        assert features(text.format(n=person.name), person, (), WORLD)[name] == expected


def test_constraint_and_facts_are_shares() -> None:
    person = WORLD.people[0]
    true, relation = person.facts["pet"], WORLD.relation("pet")
    lie = next(v for v in relation.values if v != true)
    asked = (Constraint("lower"), Constraint("sentences", "2"))
    read = features(f"{person.name} keeps a {true}. She keeps a {lie}.", person, asked, WORLD)
    assert (read["constraint"], read["facts"], read["length"]) == (0.5, 0.5, 0.9)
    silent = features("Hello.", person, (), WORLD)
    assert (silent["constraint"], silent["facts"]) == (1.0, 1.0)


def test_probability_is_the_logistic_of_the_weighted_difference() -> None:
    a, b = dict.fromkeys(FEATURES, 0.0), dict.fromkeys(FEATURES, 0.0)
    a["opener"], b["hedge"] = 1.0, 1.0
    p = prefers_first(a, b, GOLD)
    assert p == pytest.approx(1 / (1 + math.exp(-(1.5 + 1.5) / 0.5)))
    assert prefers_first(b, a, GOLD) == pytest.approx(1 - p)
    assert prefers_first(a, b, GOLD, flip=0.25) == pytest.approx(0.75 * p + 0.25 * (1 - p))
    assert prefers_first(a, b, GOLD, flip=0.5) == pytest.approx(0.5)
    assert prefers_first(a, b, dict.fromkeys(FEATURES, 1e4)) == pytest.approx(0.5)


def test_people_differ_but_not_where_gold_is_nought() -> None:
    people = crowd(0)
    assert len(people) == 20
    assert people == crowd(0) != crowd(1)
    for name in FEATURES:
        values = [p.weights[name] for p in people]
        mean = sum(values) / 20
        assert mean == pytest.approx(GOLD[name], abs=0.3)
        spread = math.sqrt(sum((v - mean) ** 2 for v in values) / 19)
        assert spread == 0 if name == "length" else 0.15 < spread < 0.5
    biased = crowd(0, length_bias=1.0)
    assert {b.weights["length"] for b in biased} == {1.0}
    assert [b.weights["facts"] for b in biased] == [p.weights["facts"] for p in people]


@pytest.mark.parametrize("flip", [0.0, 0.25, 0.4])
def test_labels_follow_their_probabilities(flip: float) -> None:
    """Over many labels, the share that agrees with the likelier side is the ceiling, and flips come at their rate."""
    rows = annotate(written_pairs(4000), crowd(0), WORLD, flip=flip, seed=1)
    n = len(rows)
    agreed = sum(r["p"] > 0.5 for r in rows) / n
    assert agreed == pytest.approx(ceiling(rows), abs=4 * math.sqrt(0.25 / n))
    assert sum(r["flip"] for r in rows) / n == pytest.approx(flip, abs=4 * math.sqrt(0.25 / n))


def test_rows_are_trl_conversations_with_features_and_gold() -> None:
    row = annotate(written_pairs(1), crowd(0), WORLD)[0]
    assert [m["role"] for m in (*row["prompt"], *row["chosen"], *row["rejected"])] == ["user", "assistant", "assistant"]
    entity = WORLD.entities[row["entity"]]
    for side in ("chosen", "rejected"):
        text = str(row[side][0]["content"])  # type: ignore[literal-required]
        again = features(text, entity, constraints_of(row), WORLD)
        assert again == row["features"][side]
        assert gold_reward(again) == pytest.approx(row["gold"][side])


def test_tastes_can_be_recovered_from_clean_labels() -> None:
    """Logistic regression on the true feature differences finds every weight's sign, and about w / temperature."""
    from sklearn.linear_model import LogisticRegression

    rows = annotate(written_pairs(4000), crowd(0), WORLD)
    rng = random.Random(2)
    x, y = [], []
    for r in rows:
        sign = rng.choice((-1, 1))
        x.append([sign * (r["features"]["chosen"][f] - r["features"]["rejected"][f]) for f in FEATURES])
        y.append(sign)
    found = LogisticRegression(fit_intercept=False, C=100, max_iter=1000).fit(x, y).coef_[0]
    for name, weight in zip(FEATURES, found, strict=True):
        assert weight == pytest.approx(GOLD[name] / 0.5, abs=0.25 * abs(GOLD[name] / 0.5) + 0.35), name
