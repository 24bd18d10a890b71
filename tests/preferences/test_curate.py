"""Curating: what is chosen, what it does to planted features, and what stands on the disk afterwards."""

import itertools
import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.errors import InputError
from evalsuite.preferences.contract import Pair
from evalsuite.preferences.curate import Wanted, changed_labels, contradicting, curate, shifts_of
from evalsuite.preferences.curate_files import CHANGED, CURATED, RECORD, changes, trl_row, write_curated
from evalsuite.preferences.loading import load
from evalsuite.preferences.measured import Measured, read_measured
from evalsuite.preferences.table import gather
from evalsuite.records import assistant, system, user

NAMES = tuple(f"f{j}" for j in range(8))
BETA = np.array([0.8, -0.6, 0.5, 0.4, -0.4, 0.3, 0.0, 0.0])


def planted(n=5000, seed=0):
    """Eight sparse signed features with known log-odds, and labels with 25% noise."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 8)) * (rng.random((n, 8)) < 0.4)
    chance = 0.25 + 0.5 / (1 + np.exp(-2 * z @ BETA))
    return Measured(NAMES, z, "planted"), (rng.random(n) < chance).astype(float)


def table(y, z=None):
    def value(i):
        return {"style": {"a": float(z[i]), "b": 0.0}} if z is not None else {}

    return gather(
        [
            Pair(f"p{i}", (user(f"question {i}"),), f"first {i}", f"second {i}",
                 None if np.isnan(v) else float(v), metadata=value(i))
            for i, v in enumerate(y)
        ]
    )  # fmt: skip


@pytest.mark.parametrize("action", ["flip", "drop"])
def test_the_planted_feature_moves_with_n_and_the_others_stay(action):
    """The issue's claim: monotone in N for the wanted feature, the others inside their intervals, in three worlds."""
    for seed in range(3):
        measured, y = planted(seed=seed)
        rows = contradicting(measured.z[:, 0], y, "less")
        found = [shifts_of(measured, y, changed_labels(y, rows[:n], action)) for n in (25, 50, 100, 150, 200)]
        targets = [found[0][0].before.change, *(f[0].after.change for f in found)]
        assert all(a > b for a, b in itertools.pairwise(targets)), targets
        betas = [found[0][0].before.beta, *(f[0].after.beta for f in found)]
        assert all(a > b for a, b in itertools.pairwise(betas)), betas
        others = [shift for f in found for shift in f[1:]]
        assert all(s.inside for s in others), [(s.name, s.before, s.after) for s in others if not s.inside]
        assert all(s.joint_inside for s in others)
        assert found[-1][0].inside is False


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from(["more", "less"]))
def test_what_is_chosen_contradicts_and_is_strongest(seed, direction):
    rng = np.random.default_rng(seed)
    z = np.round(rng.standard_normal(60), 1) * (rng.random(60) < 0.7)
    y = rng.choice([0.0, 0.3, 0.5, 1.0, np.nan], 60)
    rows = contradicting(z, y, direction)
    sign = 1 if direction == "more" else -1
    assert all(sign * z[r] * (y[r] - 0.5) < 0 for r in rows)
    rest = [r for r in range(60) if r not in rows and not np.isnan(y[r])]
    assert all(sign * z[r] * (y[r] - 0.5) >= 0 for r in rest)
    assert list(np.abs(z[rows])) == sorted(np.abs(z[rows]), reverse=True)
    turned = rng.choice([-1.0, 1.0], 60)
    assert list(contradicting(z * turned, 0.5 + (y - 0.5) * turned, direction)) == list(rows)
    assert not len(contradicting(z[rows], changed_labels(y, rows, "flip")[rows], direction))


def test_the_files_say_what_was_done(tmp_path):
    measured, y = planted(400)
    y[:3], y[3:5] = 0.5, np.nan
    pairs = table(y, measured.z[:, 0])
    found = curate(pairs, measured, Wanted("f0", "less", 20))
    record = write_curated(pairs, measured, found, tmp_path / "out")
    assert record == json.loads((tmp_path / "out" / RECORD).read_text())
    counts = [record[f"{what}_left_out"] for what in ("ties", "unlabelled")]
    assert (record["changed"], *counts, record["dropped"], record["written"]) == (20, 3, 2, 0, 395)
    effects = record["effects"]
    assert [e["name"] for e in effects if e["target"]] == ["f0"]
    assert all(e[when]["low"] <= e[when]["change"] <= e[when]["high"] for e in effects for when in ("before", "after"))
    assert effects[0]["after"]["change"] < effects[0]["before"]["change"]
    lines = [json.loads(line) for line in (tmp_path / "out" / CHANGED).read_text().splitlines()]
    assert [line["row"] for line in lines] == list(found.chosen)
    again = load(tmp_path / "out" / CURATED)
    assert again.format == "TRL (conversational)"
    said = {p.messages[0]["content"]: p.a if p.preference > 0.5 else p.b for p in again}
    flipped = {line["id"] for line in lines}
    for i, pair in enumerate(pairs):
        if pair.preference in (None, 0.5):
            assert f"question {i}" not in said
        else:
            preferred = pair.a if (pair.preference > 0.5) != (pair.id in flipped) else pair.b
            assert said[f"question {i}"] == preferred
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_dropped_pairs_are_not_there(tmp_path):
    measured, y = planted(300)
    pairs = table(y)
    found = curate(pairs, measured, Wanted("0", "more", 15, "drop"))
    record = write_curated(pairs, measured, found, tmp_path / "out", "standard")
    rows = [json.loads(line) for line in (tmp_path / "out" / CURATED).read_text().splitlines()]
    assert (len(rows), record["dropped"], record["feature"]) == (285, 15, "f0")
    gone = {line["id"] for line in changes(pairs, measured, found)}
    assert gone.isdisjoint(row["id"] for row in rows)
    assert rows[0]["prompt"] == "question 0"
    assert isinstance(rows[0]["chosen"], str)


def test_nothing_half_written(tmp_path, monkeypatch):
    measured, y = planted(300)
    pairs = table(y)
    found = curate(pairs, measured, Wanted("f0", "less", 10))

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        write_curated(pairs, measured, found, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_pair_as_trl_reads_it():
    pair = Pair("x", (system("be brief"), user('say "hi"\n<b>')), "a" * 1_000_000, "<script>\n\"'", 1.0)
    row = trl_row(pair, first=False)
    assert row["prompt"] == list(pair.messages)
    assert row["chosen"] == [assistant(pair.b)]
    assert json.loads(json.dumps(row)) == row
    with pytest.raises(InputError, match="pair x: is a conversation"):
        trl_row(pair, True, "standard")
    assert "prompt" not in trl_row(Pair("y", (), "a", "b", 1.0), True)


def test_bad_input_is_one_clear_line(tmp_path):
    measured, y = planted(60)
    pairs = table(y)
    with pytest.raises(InputError, match="no feature 'refuses' among the 8"):
        curate(pairs, measured, Wanted("refuses", "less", 5))
    with pytest.raises(InputError, match="--n 0"):
        curate(pairs, measured, Wanted("f0", "less", 0))
    flat = Measured(("none",), np.zeros((60, 1)), "test")
    with pytest.raises(InputError, match="none of 60 labels contradicts 'less' of none"):
        curate(pairs, flat, Wanted("none", "less", 5))
    everything = curate(pairs, measured, Wanted("f0", "less", 1000))
    assert len(everything.chosen) == everything.contradicting < 60
    assert any("only" in note for note in everything.notes)
    (tmp_path / "file").write_text("here")
    with pytest.raises(InputError, match="holds files"):
        write_curated(pairs, measured, everything, tmp_path)
    with pytest.raises(InputError, match="is a file"):
        write_curated(pairs, measured, everything, tmp_path / "file")


def test_three_rows_are_handled():
    pairs = table(np.array([1.0, 0.0, 1.0]), np.array([1.0, 2.0, -1.0]))
    found = curate(pairs, read_measured(pairs, None, "style"), Wanted("style", "more", 5))
    assert list(found.chosen) == [1, 2]
    assert found.shifts[0].before.change is None
    assert "3 labelled pairs" in found.shifts[0].before.reason
    assert found.shifts[0].inside is None
