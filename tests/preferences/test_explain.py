"""explain, end to end: given embeddings and columns, its folder, laws of symmetry, data that cannot be explained."""

import json

import numpy as np
import pytest

from evalsuite.errors import InputError
from evalsuite.preferences.contract import Pair
from evalsuite.preferences.explain import Engines, Options, run_explain
from evalsuite.preferences.explain_files import read_activations
from evalsuite.preferences.table import Table, gather
from evalsuite.records import user

QUICK = {"width": 4, "active": 1, "epochs": 30}


def world(n: int = 600, seed: int = 0) -> tuple[list[Pair], np.ndarray]:
    """Pairs whose first two embedded directions are a politeness that is preferred, and a shouting that is not."""
    rng = np.random.default_rng(seed)
    polite, loud = rng.integers(0, 2, (n, 2)), rng.integers(0, 2, (n, 2))
    x = 0.02 * rng.standard_normal((n, 8)).astype(np.float32)
    x[:, 0] += polite[:, 0] - polite[:, 1]
    x[:, 1] += loud[:, 0] - loud[:, 1]
    y = (rng.random(n) < 1 / (1 + np.exp(-1.5 * (polite[:, 0] - polite[:, 1])))).astype(float)
    filler = rng.integers(3, 15, (n, 2))

    def text(i: int, side: int) -> str:
        said = "would you kindly " if polite[i, side] else ""
        return said + "word " * int(filler[i, side]) + ("stop it now" if loud[i, side] else "")

    metadata = [{"polite": {"a": int(p[0]), "b": int(p[1])}, "topic": "x"} for p in polite]
    made = [
        Pair(str(i), (user(f"q {i}"),), text(i, 0), text(i, 1), float(y[i]), metadata=metadata[i]) for i in range(n)
    ]
    return made, x


def embedded(path, x):
    np.save(path, x)
    return path


def explained(tmp_path, made: list[Pair], x: np.ndarray, name: str = "out", **options):
    file = embedded(tmp_path / f"{name}.npy", x)
    return run_explain(gather(made), tmp_path / name, Options(embeddings=file, sae=QUICK, **options))


def test_explain_finds_what_is_rewarded_and_writes_its_folder(tmp_path):
    made, x = world()
    found = explained(tmp_path, made, x)
    best = max(found.features, key=lambda f: abs(f.effects["alone"].change or 0))
    assert best.effects["alone"].significant_bonferroni
    assert "kindly" in best.description
    assert best.how == "extractive"
    # The side that says "kindly" is the preferred one.
    says = next(score for term, score in best.terms if "kindly" in term)
    assert (says > 0) == (best.effects["alone"].change > 0)
    # Shouting is measured as well, and it is not rewarded.
    z = read_activations(tmp_path / "out", 600)
    shouting = int(np.abs(x[:, 1] @ z).argmax())
    assert shouting != best.index
    assert not found.features[shouting].effects["joint"].significant_bonferroni
    assert {p.name: p.auc is not None for p in found.predicted} == {"features": True, "length": True, "embedding": True}
    folder = tmp_path / "out"
    assert z.shape == (600, 4)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["n"], manifest["tests"]) == (600, found.tests)
    rows = [json.loads(line) for line in (folder / "examples.jsonl").read_text().splitlines()]
    assert {row["feature"] for row in rows} == {f.index for f in found.features if f.prevalence}
    with pytest.raises(InputError, match="explain the same pairs"):
        read_activations(folder, 5)
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(folder / "features.parquet").to_pylist()
    assert [row["alone_change"] for row in table] == [f.effects["alone"].change for f in found.features]


def test_swapping_every_pair_negates_activations_and_leaves_effects(tmp_path):
    made, x = world(300)
    swapped = [Pair(p.id, p.messages, p.b, p.a, 1 - p.preference) for p in made]
    one, other = explained(tmp_path, made, x, "one"), explained(tmp_path, swapped, -x, "other")
    assert np.array_equal(read_activations(tmp_path / "one"), -read_activations(tmp_path / "other"))
    for a, b in zip(one.features, other.features, strict=True):
        for kind in ("raw", "alone", "joint"):
            figures = [(e.change, e.low, e.high, e.p) for e in (a.effects[kind], b.effects[kind])]
            np.testing.assert_allclose(*(np.array(f, dtype=float) for f in figures), rtol=1e-6)
        assert a.terms == b.terms
    assert [p.auc for p in one.predicted] == pytest.approx([p.auc for p in other.predicted], abs=1e-3)


def test_a_confounder_stands_beside_the_unadjusted_effect(tmp_path):
    made, x = world()
    found = explained(tmp_path, made, x, adjust=("polite",))
    best = max(found.features, key=lambda f: abs(f.effects["alone"].change or 0))
    adjusted = best.effects["adjusted"]
    assert adjusted.change is None or adjusted.low < 0 < adjusted.high
    assert found.adjusted_for == ("polite",)
    with pytest.raises(InputError, match="says something of the pair"):
        explained(tmp_path, made, x, adjust=("topic",))


def test_given_columns_are_features(tmp_path):
    made, _ = world()
    found = run_explain(gather(made), tmp_path, Options(columns=("polite",)))
    (feature,) = found.features
    assert (feature.how, feature.name) == ("given", "polite")
    assert feature.effects["alone"].low > 0.1


def test_what_cannot_be_explained_is_one_line(tmp_path):
    made, x = world(60)
    table: Table = gather(made)
    broken = x.copy()
    broken[7, 2] = np.nan
    cases = [
        (table, Options(), "needs embeddings"),
        (gather(made[:3]), Options(columns=("polite",)), "3 of 3 pairs are labelled"),
        (table, Options(embeddings=embedded(tmp_path / "nan.npy", broken)), "row 7 .* NaN"),
        (table, Options(embeddings=embedded(tmp_path / "few.npy", x[:9])), "9 rows, and the dataset 60"),
        (gather([Pair(p.id, p.messages, p.a, p.b, 0.5) for p in made]), Options(columns=("polite",)), "are ties"),
        (table, Options(columns=("nothing",)), "no row has"),
        (table, Options(columns=("polite",), adjust=("position", "model")), "no pair says|which answer"),
        (table, Options(embeddings=embedded(tmp_path / "x.npy", x), sae={"breadth": 3}), "breadth"),
    ]
    for pairs, options, message in cases:
        with pytest.raises(InputError, match=message) as error:
            run_explain(pairs, tmp_path / "out", options, Engines())
        assert "\n" not in str(error.value)


def test_one_class_only_is_explained_as_no_order_is_told(tmp_path):
    made, x = world()
    flip = np.array([1.0 if p.preference == 1 else -1.0 for p in made])
    chosen = [p if p.preference == 1 else Pair(p.id, p.messages, p.b, p.a, 1.0) for p in made]
    file = embedded(tmp_path / "first.npy", (x * flip[:, None]).astype(np.float32))
    found = run_explain(gather(chosen), tmp_path / "first", Options(embeddings=file, sae=QUICK))
    assert max(abs(f.effects["alone"].change or 0) for f in found.features) > 0.2
