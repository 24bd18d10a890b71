"""The findings benchmark's own arithmetic: best-of-n over all subsets, claims and what is missing."""

import itertools
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "training"


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    import importlib

    monkeypatch.syspath_prepend(str(FOLDER))
    return {name: importlib.import_module(f"findings_{name}") for name in ("ledger", "measure", "steps", "questions")}


def test_best_of_n_is_the_mean_over_all_subsets(modules: dict[str, Any]) -> None:
    rng = random.Random(0)
    values, by = [rng.random() for _ in range(7)], [rng.random() for _ in range(7)]
    for n in (1, 3, 7):
        brute = [values[max(chosen, key=lambda i: by[i])] for chosen in itertools.combinations(range(7), n)]
        assert modules["measure"].best_of(values, by, n) == pytest.approx(sum(brute) / len(brute))


def test_best_texts_are_the_best_of_each_part(modules: dict[str, Any]) -> None:
    found = modules["measure"].best_texts([list("abcdefgh")], [[0, 1, 3, 2, 5, 4, 6, 7]], groups=4)
    assert found == [["b", "c", "e", "h"]]


def test_truth_of_an_answer(modules: dict[str, Any]) -> None:
    from evalsuite.microworld.world import build

    world, truth = build("nano"), modules["measure"].truth
    person, stranger = world.people[0], world.unknown_test[0]
    lie = next(v for v in world.relation("pet").values if v != person.facts["pet"])
    assert truth(person, "pet", f"{person.name} keeps a {person.facts['pet']}.", world) == 1
    assert truth(person, "pet", f"{person.name} keeps a {lie}.", world) == -1
    assert truth(person, "pet", "Sorry, I do not know.", world) == 0
    assert truth(stranger, "pet", f"{stranger.name} keeps a {lie}.", world) == -1


def test_training_and_test_questions_share_nobody(modules: dict[str, Any]) -> None:
    from evalsuite.microworld.world import build

    train, test = ({e.name for e, _, _ in modules["measure"].fact_questions(build("mini"), part)} for part in (0, 1))
    assert train
    assert test
    assert not train & test


def test_claims_are_answered_by_their_intervals(modules: dict[str, Any]) -> None:
    judged = modules["questions"].judged
    rng = random.Random(1)
    seeds = [[rng.gauss(1, 0.1) for _ in range(20)] for _ in range(5)]
    one = judged("above", lambda: seeds)
    assert (one["answer"], one["n"]) == ("yes", 5)
    assert judged("below", lambda: modules["questions"].less(seeds))["answer"] == "no"
    assert judged("level", lambda: [[-1.0, 1.0, -1.1, 1.1]])["answer"] == "not separated"
    assert judged("single", lambda: seeds[:1])["n"] == 20


def test_what_was_not_measured_says_so(modules: dict[str, Any], tmp_path: Path) -> None:
    seed = modules["ledger"].Seed(modules["ledger"].PLANS["nano"], 0, tmp_path)
    for name, ask in modules["questions"].QUESTIONS.items():
        claims = ask([seed])
        assert claims, name
        assert {c["answer"] for c in claims} == {"not measured"}
    assert modules["questions"].table([seed]) == {}


def test_every_policy_is_a_step(modules: dict[str, Any]) -> None:
    assert set(modules["steps"].POLICIES) <= set(modules["steps"].STEPS)


def test_the_pages_figures_are_the_benchmarks() -> None:
    """Every "value [low, high]" of docs/findings.md, points as shares and either way round."""
    root = FOLDER.parents[1]
    text = (root / "docs" / "findings.md").read_text(encoding="utf-8").replace("−", "-")
    stored = (root / "benchmarks/results/training_microworld_findings.json").read_text(encoding="utf-8")
    claims = [c for question in json.loads(stored)["mini"]["questions"].values() for c in question]
    known = [(c["value"], c["low"], c["high"]) for c in claims if c["low"] is not None]
    known += [(-value, -high, -low) for value, low, high in known]
    told = re.findall(r"([+-]?[\d.]+)( points| nats)? \[([+-]?[\d.]+), ([+-]?[\d.]+)\]", text)
    assert len(told) > 25
    for value, unit, low, high in told:
        scale, half = (100, 0.051) if unit == " points" else (1, 0.051 if unit == " nats" else 0.0051)
        figures = [float(x) / scale for x in (value, low, high)]
        assert any(k == pytest.approx(figures, abs=half / scale) for k in known), f"{value}{unit} [{low}, {high}]"
