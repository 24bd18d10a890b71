"""The loop closed, on known truth: shifts, their intervals and tests, the correlation with the reward, the reading."""

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from evalsuite.cli import main
from evalsuite.comparison.shift import Asked, feature_shift
from evalsuite.comparison.shift_folder import read_explained
from evalsuite.errors import InputError
from evalsuite.preferences.contract import Pair
from evalsuite.preferences.explain import Engines, Options, run_explain
from evalsuite.preferences.table import gather
from evalsuite.records import user
from evalsuite.statistics.errors_in_both import contrast, correlated, mean_draws, normal_draws

_spec = importlib.util.spec_from_file_location("shift_world", Path(__file__).with_name("shift_world.py"))
world = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(world)

SHIFT = np.array([0.5, 0.3, 0.2, 0.0, 0.35, 0.0, -0.3, -0.5])
"""Along the reward, but for f4, which nothing rewards, and f5, which is punished and stays."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return world.explained(tmp_path_factory.mktemp("explained") / "pairs")


def asked(store, **more):
    return Asked(measure=world.measure, store=store, **more)


# --- the correlation ---


def simulated(rng, features, rho, noise, draws=400):
    """Estimates of both sides with this noise, draws around them, and the correlation of what is true."""
    x = rng.standard_normal(features)
    y = rho * x + (1 - rho**2) ** 0.5 * rng.standard_normal(features) if rho is not None else np.zeros(features)
    seen = [side + noise * rng.standard_normal(features) for side in (x, y)]
    found = [s + noise * rng.standard_normal((draws, features)) for s in seen]
    return correlated(*seen, *found), float(np.corrcoef(x, y)[0, 1]) if rho is not None else 0.0


@pytest.mark.parametrize(("rho", "noise"), [(0.0, 0.3), (0.5, 0.3), (0.9, 0.1), (0.9, 0.7)])
def test_the_interval_of_a_correlation_covers_however_noisy_both_sides_are(rho, noise):
    rng = np.random.default_rng(3)
    made = [simulated(rng, 12, rho, noise) for _ in range(250)]
    assert np.mean([c.low <= truth <= c.high for c, truth in made]) > 0.92


def test_a_side_that_is_only_noise_leads_to_no_finding():
    rng = np.random.default_rng(4)
    made = [simulated(rng, 12, None, 0.5)[0] for _ in range(250)]
    assert np.mean([c.low > 0 or c.high < 0 for c in made]) < 0.09  # 5%, and three standard errors


def test_few_features_and_constant_sides_have_no_correlation():
    draws = np.zeros((10, 3))
    assert correlated([1, 2, 3], [1, 2, 3], draws, draws).value is None
    flat = correlated([1, 1, 1, 1, 1], [1, 2, 3, 4, 5], np.ones((10, 5)), np.ones((10, 5)))
    assert (flat.value, flat.low, flat.features) == (None, None, 5)


def test_two_runs_on_the_same_draws_differ_by_what_they_differ():
    rng = np.random.default_rng(0)
    x = np.arange(8.0)
    along, across = x + 0.1 * rng.standard_normal(8), rng.standard_normal(8)
    x_draws = normal_draws(x, np.full(8, 0.2), np.eye(8), 500, rng)
    draws = [y + 0.1 * rng.standard_normal((500, 8)) for y in (along, across)]
    found = contrast(x, (along, across), x_draws, tuple(draws))
    assert found.low > 0.3
    same = contrast(x, (along, along), x_draws, (draws[0], draws[0]))
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)


def test_draws_have_the_errors_that_they_were_asked_for():
    rng = np.random.default_rng(0)
    alike = np.array([[1.0, 0.8], [0.8, 1.0]])
    drawn = normal_draws([1.0, -1.0], [0.5, 2.0], alike, 20_000, rng)
    assert drawn.std(axis=0) == pytest.approx([0.5, 2.0], rel=0.03)
    assert np.corrcoef(drawn.T)[0, 1] == pytest.approx(0.8, abs=0.02)
    rows = rng.standard_normal((200, 2))
    means = mean_draws(rows, 4000, rng)
    assert means.std(axis=0) == pytest.approx(rows.std(axis=0) / 200**0.5, rel=0.05)


# --- shifts ---


def test_shifts_cover_and_what_did_not_move_is_seldom_flagged(folder, tmp_path):
    store, prompts = tmp_path / "store", 60
    parent = world.numbers_run(store, "sft", np.zeros(8), prompts, 1, parent=None)
    runs = [world.numbers_run(store, f"run{k}", SHIFT, prompts, 100 + k) for k in range(40)]
    scales = np.array([f.scale for f in read_explained(folder).features])
    held, false = [], []
    for k in range(0, 40, 8):  # some at a time: any two runs of a call are contrasted
        others = [
            world.numbers_run(store, f"base{i}", np.zeros(8), prompts, 500 + i, parent=None) for i in range(k, k + 8)
        ]
        for run, base in zip(runs[k : k + 8], others, strict=True):
            (one,) = feature_shift([run], folder, asked(store, baseline=base)).runs
            held += [s.low <= t <= s.high for s, t in zip(one.features, SHIFT / scales, strict=True)]
            false.append(any(s.verdict in ("up", "down") for s, t in zip(one.features, SHIFT, strict=True) if not t))
    assert 0.91 < np.mean(held) < 0.99  # 320 intervals at 95%
    assert sum(false) <= 6  # of 40, two of eight features free to err at 5% together
    (one,) = feature_shift([runs[0]], folder, asked(store, baseline=parent)).runs
    assert (one.prompts, one.rows, one.parent, one.method) == (60, 60, "sft", "dpo")


def test_every_feature_is_set_beside_its_reward(folder, tmp_path):
    store = tmp_path / "store"
    sft = world.numbers_run(store, "sft", np.zeros(8), 300, 1, parent=None)
    dpo, idle = (world.numbers_run(store, n, s, 300, k) for n, s, k in (("dpo", SHIFT, 2), ("idle", 0 * SHIFT, 3)))
    found = feature_shift([sft, dpo, idle], folder, asked(store))
    assert [f.reward.verdict for f in found.features[:3]] == ["rewarded"] * 3
    assert [f.reward.verdict for f in found.features[5:]] == ["punished"] * 3
    assert [(r.run, r.parent) for r in found.runs] == [("dpo", "sft"), ("idle", "sft")]
    relations = [s.relation for s in found.runs[0].features]
    assert relations == ["followed"] * 3 + ["open", "unrewarded", "unmoved", "followed", "followed"]
    assert {s.relation for s in found.runs[1].features} <= {"open", "unmoved"}
    scales = np.array([f.scale for f in read_explained(folder).features])
    truth = float(np.corrcoef(world.WEIGHTS * scales, SHIFT / scales)[0, 1])
    c = found.runs[0].correlation
    assert c.features == 8
    assert c.low <= truth <= c.high
    assert c.low > 0.5
    assert c.sample_low < c.low  # of features like these less is known than of these
    (difference,) = found.contrasts
    assert (difference.first, difference.second) == ("dpo", "idle")
    assert found.runs[0].features[0].examples[0].activation > 0


def test_repeats_of_a_prompt_are_one_observation(folder, tmp_path):
    store = tmp_path / "store"
    rows = {n: [] for n in ("sft", "dpo")}
    rng = np.random.default_rng(0)
    for i in range(40):
        for name, shift in (("sft", 0.0), ("dpo", 0.4)):
            said = world.text(rng.standard_normal(8) + shift)
            rows[name].append([world.row_of(i, repeat, said) for repeat in range(5)])
    once = [world.text_run(store, f"{n}1", [r[0] for r in lines], None) for n, lines in rows.items()]
    often = [world.text_run(store, f"{n}5", [r for five in lines for r in five], None) for n, lines in rows.items()]
    one, five = (feature_shift(pair, folder, asked(store)).runs[0] for pair in (once, often))
    assert (one.prompts, five.prompts, five.rows) == (40, 40, 200)
    for a, b in zip(one.features, five.features, strict=True):
        assert (a.low, a.high, a.p) == pytest.approx((b.low, b.high, b.p))


def test_who_is_called_the_run_only_turns_the_sign(folder, tmp_path):
    store = tmp_path / "store"
    a, b = (world.numbers_run(store, n, s, 50, k, parent=None) for n, s, k in (("a", 0 * SHIFT, 1), ("b", SHIFT, 2)))
    there, back = (feature_shift([x], folder, asked(store, baseline=y)).runs[0] for x, y in ((b, a), (a, b)))
    for x, y in zip(there.features, back.features, strict=True):
        assert x.shift == pytest.approx(-y.shift)
        assert (x.low, x.high) == pytest.approx((-y.high, -y.low))
    assert there.correlation.value == pytest.approx(-back.correlation.value)


def test_few_prompts_are_never_called_a_shift(folder, tmp_path):
    store = tmp_path / "store"
    a, b = (
        world.numbers_run(store, n, s, 10, k, parent=None) for n, s, k in (("a", 0 * SHIFT, 1), ("b", 9 + SHIFT, 2))
    )
    (one,) = feature_shift([a, b], folder, asked(store)).runs
    assert {s.verdict for s in one.features} == {"open"}
    assert "too few" in one.notes[-1]


# --- the reading ---


def test_what_cannot_be_read_as_it_was_is_refused_in_one_line(folder, tmp_path):
    store = tmp_path / "store"
    a, b = (world.numbers_run(store, n, 0 * SHIFT, 30, k, parent=None) for n, k in (("a", 1), ("b", 2)))
    with pytest.raises(InputError, match="'f0' is a column of the training pairs; say what measures it"):
        feature_shift([a, b], folder, Asked(store=store))
    with pytest.raises(InputError, match="gives no 'f0'"):
        feature_shift([a, b], folder, Asked(store=store, measure=lambda q, t, m: {"other": 1.0}))
    half = asked(store).measure
    with pytest.raises(InputError, match="otherwise than explain did"):
        feature_shift(
            [a, b], folder, Asked(store=store, measure=lambda q, t, m: {k: v / 2 for k, v in half(q, t, m).items()})
        )
    with pytest.raises(InputError, match="is no explained dataset"):
        feature_shift([a, b], tmp_path, asked(store))
    with pytest.raises(InputError, match="has no such effect"):
        feature_shift([a, b], folder, asked(store, effect="adjusted"))
    newer = world.numbers_run(store, "newer", 0 * SHIFT, 30, 3, parent=None, version=2)
    with pytest.raises(InputError, match="task version 2 against 1"):
        feature_shift([a, newer], folder, asked(store))


@pytest.fixture(scope="module")
def embedder():
    from evalsuite.features.embed import minilm

    try:
        return str(minilm())
    except InputError as error:
        pytest.skip(str(error))


def say(i: int, sport: bool) -> str:
    """What an embedding tells apart at once; the beginnings differ much less."""
    when = ("On Monday", "Last Monday", "This Monday", "Next Monday")[i % 4]
    rest = (
        "the football team scored and the stadium cheered" if sport else "the doctor wrote a prescription for a patient"
    )
    return f"{when} {rest}."


def test_an_sae_reads_what_it_learnt_and_no_other_model_passes_for_its_own(embedder, tmp_path):
    """Labels like football, and one run speaks of it."""
    from evalsuite.models import ModelOptions, resolve
    from evalsuite.running.engine import Engine

    rng = np.random.default_rng(0)
    sport = rng.integers(0, 2, (240, 2)).astype(bool)
    wins = rng.random(240) < 1 / (1 + np.exp(-1.5 * (sport[:, 0].astype(float) - sport[:, 1])))
    pairs = [
        Pair(str(i), (user(f"q {i}"),), say(rng.integers(99), a), say(rng.integers(99), b), float(w))
        for i, ((a, b), w) in enumerate(zip(sport, wins, strict=True))
    ]
    store, out = tmp_path / "store", tmp_path / "explained"
    engine = Engine(resolve(embedder, ModelOptions()), store)
    options = Options(embedder="minilm", sae={"width": 2, "active": 1, "epochs": 60}, controls=())
    run_explain(gather(pairs), out, options, Engines(engine))
    engine.close()
    rows = {"sft": [say(i, False) for i in range(40)], "fan": [say(i, i % 3 != 0) for i in range(40)]}
    sft, fan = (
        world.text_run(store, n, [world.row_of(i, 0, t) for i, t in enumerate(texts)], None)
        for n, texts in rows.items()
    )
    (run,) = feature_shift([fan], out, Asked(baseline=sft, store=store)).runs
    about = {f.index: f for f in read_explained(out).features}
    best = max(run.features, key=lambda s: abs(s.shift or 0))
    assert best.relation == "followed"
    assert best.shift * about[best.index].reward.beta > 0
    # The manifest says which model it was: another layer of the same weights is another model.
    other = tmp_path / "other"
    shutil.copytree(out, other)
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["settings"]["embedding_model"]["args"] = {"layer": "1"}
    (other / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="number format or engine arguments differ"):
        feature_shift([fan], other, Asked(baseline=sft, store=store))
    # A folder that does not say is told by what it shows.
    manifest["settings"]["embedding_model"] = {"args": {"layer": "1"}}
    (other / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="otherwise than explain did"):
        feature_shift([fan], other, Asked(baseline=sft, store=store))


def test_embeddings_of_a_file_need_the_model_that_made_them(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    pairs = [Pair(str(i), (user("q"),), f"a {i}", f"b {i}", float(x[i, 0] > 0)) for i in range(200)]
    options = Options(embeddings=tmp_path / "x.npy", sae={"width": 4, "active": 1, "epochs": 5}, held_out=0.2)
    run_explain(gather(pairs), tmp_path / "out", options)
    a, b = (world.numbers_run(tmp_path / "s", n, 0 * SHIFT, 30, 1, parent=None) for n in ("a", "b"))
    with pytest.raises(InputError, match=r"embeddings of x\.npy; name the model that made them by --embedder"):
        feature_shift([a, b], tmp_path / "out", Asked(store=tmp_path / "s"))


# --- the command ---


def test_the_command_prints_everything_and_measures_by_a_file(folder, tmp_path, capsys):
    store = tmp_path / "store"
    for name, shift, seed, parent in (("sft", 0 * SHIFT, 1, None), ("dpo", SHIFT, 2, "f-sft")):
        world.numbers_run(store, name, shift, 60, seed, parent=parent)
    script = tmp_path / "mine.py"
    script.write_text("def numbers(q, a, m):\n    return {f'f{j}': float(v) for j, v in enumerate(a.split())}\n")
    given = [
        "compare",
        "dpo",
        "sft",
        "--store",
        str(store),
        "--features",
        str(folder),
        "--measure",
        f"{script}:numbers",
    ]
    assert main([*given, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["features"]
    assert [s["relation"] for s in told["runs"][0]["features"]].count("followed") >= 4
    assert main(given) == 0
    said = capsys.readouterr().out
    assert "dpo moved along what the data reward" in said
    assert main([*given[:-1], f"{script}:nothing"]) == 2
    assert "has no function 'nothing'" in capsys.readouterr().err
    for wrong, line in ((["--kl"], "--kl has no meaning"), (["--out", "page.txt"], "ends in .html")):
        assert main([*given, *wrong]) == 2
        assert line in capsys.readouterr().err
    assert main(["compare", "dpo", "sft", "--store", str(store), "--effect", "raw"]) == 2
    assert "belongs to --features" in capsys.readouterr().err


# --- the benchmark ---


def test_the_benchmark_counts_seeds_not_prompts():
    path = Path(__file__).parents[2] / "benchmarks" / "comparison" / "feature_shift.py"
    spec = importlib.util.spec_from_file_location("feature_shift", path)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)

    def seed(r, control):
        values = {"dpo": r, "ppo": r, "control": control}
        runs = {n: {"correlation": {"value": v}, "moved": 8, "with_sign": 7} for n, v in values.items()}
        return {reading: {"runs": runs} for reading in benchmark.READINGS}

    found = benchmark.over_seeds([seed(0.90, 0.1), seed(0.93, -0.2), seed(0.88, 0.0)])["measured"]
    z = [np.arctanh(r) for r in (0.90, 0.93, 0.88)]
    half = 4.302653 * np.std(z, ddof=1) / 3**0.5
    assert found["dpo"]["correlation"]["low"] == pytest.approx(np.tanh(np.mean(z) - half), rel=1e-4)
    assert found["dpo"]["z_over_control"]["low"] > 0
    assert (found["dpo"]["with_sign"], "z_over_control" in found["control"]) == ([7, 7, 7], False)
    alone = benchmark.over_seeds([seed(0.9, 0.1)])["own"]["dpo"]["correlation"]
    assert (alone["low"], alone["seeds"]) == (None, 1)
