"""Rankings against what the field computes them with, in one run: same numbers, less time.

    benchmarks/judging/peers.sh                        # once: the alpaca-eval package in an environment of its own
    python benchmarks/judging/rank_speed.py [--quick]  # EVALSUITE_DATA: folder of arena_hard/, alpaca_eval/

1. Bradley–Terry with 1,000 bootstraps, style-controlled and plain, on 54 models' verdicts under Arena-Hard's rule,
   against the plain loop: scikit-learn's LogisticRegression with the settings of Arena-Hard v0.1 once for each draw, on
   the doubled list of battles, its matrices made beforehand. The loop stops when it has taken 20 times as long as all
   our draws: the goal is then reached without scaling anything (--quick: three rounds, scaled, and nothing is kept).
   Its tolerance stops early, so equality is shown on draws that both fitted to convergence, and what that tolerance
   does to scores is printed beside it.
2. Win rate and length-controlled win rate of AlpacaEval 2's annotations against the package's own functions, with its
   download of gamed rows replaced by a file (benchmarks/judging/peer_alpaca_eval.py): as it ships (L1 path, penalty by
   cross-validation) and without a penalty, where the maximum is the same one.

Writes benchmarks/results/judging_rank_speed.json; exit status 1 where a goal is missed.
"""

import argparse
import csv
import datetime
import gzip
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalsuite.statistics import (
    Battles,
    GamedRows,
    RatingScale,
    battles,
    bradley_terry,
    bradley_terry_bootstrap,
    fit_length_control,
    preference_rate,
    style_difference,
)

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BASELINE = "claude-3.7-sonnet"
FEATURES = ("token_len", "header", "list", "bold")
LETTERS = {"a": (1.0, 3), "b": (1.0, 1), "c": (0.5, 1), "d": (0.0, 1), "e": (0.0, 3)}  # for the answer shown first
GOAL = 20.0
GAMED = ("surrogate_preference", "tanh_std_delta_len", "instruction_difficulty")
Row = dict[str, Any]
Floats = NDArray[np.float64]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rounds, the loop's time scaled; nothing is kept")
    parser.add_argument("--rounds", type=int, default=1000, help="bootstrap draws of ours")
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("EVALSUITE_DATA") or ROOT.parent / "shared/data")
    )
    parser.add_argument("--alpaca-python", type=Path, default=ROOT / ".venv-alpaca" / "bin" / "python")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "judging_rank_speed.json")
    args = parser.parse_args()
    if not (args.data / "arena_hard").is_dir():
        parser.error(f"no arena_hard/ in {args.data}: set EVALSUITE_DATA or --data")
    if not args.alpaca_python.exists():
        parser.error(f"{args.alpaca_python} is not there: run benchmarks/judging/peers.sh, or give --alpaca-python")
    rounds = min(args.rounds, 50) if args.quick else args.rounds
    found: Row = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": {"processor": _processor(), "cores": os.cpu_count(), "threads": os.environ.get("OMP_NUM_THREADS")},
        "versions": {
            "python": platform.python_version(),
            **{p: version(p) for p in ("numpy", "scipy", "scikit-learn")},
        },
        "bradley_terry": [against_the_loop(args.data, style, rounds, args.quick) for style in (True, False)],
        "alpaca_eval": against_alpaca_eval(args.data, args.alpaca_python, 1 if args.quick else 5),
    }
    missed = [goal for part in (*found["bradley_terry"], *found["alpaca_eval"]["parts"]) for goal in part["missed"]]
    if not args.quick:
        args.out.parent.mkdir(exist_ok=True)
        args.out.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print("\n".join(["", *(f"missed: {goal}" for goal in missed)] if missed else ["", "every goal is reached"]))
    return int(bool(missed))


# -- 1. Bradley–Terry --------------------------------------------------------------------------------------------------


def against_the_loop(data: Path, style: bool, rounds: int, quick: bool) -> Row:
    begun = time.perf_counter()
    rows = arena_rows(data, style)
    reading = time.perf_counter() - begun
    penalty, scale = (0.5 if style else 0.0), RatingScale(anchor=BASELINE)
    begun = time.perf_counter()
    table = battles(**rows)
    fit = bradley_terry(table, scale, penalty)
    draws = bradley_terry_bootstrap(table, scale, penalty, rounds=rounds, unit="copies")
    ours = time.perf_counter() - begun

    design = doubled_design(table)
    copy = np.repeat(np.arange(len(table.score)), table.weight.astype(int))  # a battle of weight 3 stands three times
    plain: Row = {"C": 1.0, "tol": 1e-4} if style else {"C": np.inf, "tol": 1e-8}
    # Converged: Newton's method; it needs some penalty where none determines the level of all ratings together.
    tight = {"C": plain["C"] if style else 1e10, "tol": 1e-10, "solver": "newton-cholesky"}
    rng = np.random.default_rng(0)
    worst = _apart(100 * fit.probabilities(BASELINE), logistic_scores(design, table, copy, tight))
    loose, scores, spent = 0.0, [], 0.0
    while len(scores) < 3 or (spent < GOAL * ours and len(scores) < rounds and not quick):
        drawn = copy[rng.integers(len(copy), size=len(copy))]
        begun = time.perf_counter()
        scores.append(logistic_scores(design, table, drawn, plain))
        spent += time.perf_counter() - begun
        if len(scores) <= 3:  # the same draw, fitted by us and, converged, by the loop's solver
            weights = np.bincount(drawn, minlength=len(table.score)).astype(float)
            mine = 100 * bradley_terry(battles(**{**rows, "weights": weights}), scale, penalty).probabilities(BASELINE)
            worst = max(worst, _apart(mine, logistic_scores(design, table, drawn, tight)))
            loose = max(loose, _apart(mine, scores[-1]))
    bounds = np.quantile(100 * draws.probabilities(BASELINE), [0.025, 0.975], axis=0)
    result: Row = {
        "name": "style-controlled" if style else "plain",
        "models": len(table.models),
        "battles": len(table.score),
        "weighted_battles": float(table.weight.sum()),
        "rounds": rounds,
        "reading_s": reading,
        "ours_s": ours,
        "loop_rounds": len(scores),
        "loop_s": spent,
        "loop_s_per_round": spent / len(scores),
        "times_faster_measured": spent / ours,
        "times_faster_for_equally_many_rounds_scaled": spent / len(scores) * rounds / ours,
        "difference_of_converged_fits_points": worst,
        "difference_at_the_loops_own_tolerance_points": loose,
        "bounds_apart_mean_points": float(np.abs(np.quantile(scores, [0.025, 0.975], axis=0) - bounds).mean()),
        "interval_width_mean_points": float((bounds[1] - bounds[0]).mean()),
        "undetermined_draws": draws.undetermined,
        "missed": [],
    }
    reached = result["times_faster_for_equally_many_rounds_scaled" if quick else "times_faster_measured"]
    if reached < GOAL:
        result["missed"].append(f"{result['name']}: {reached:.1f} times faster, not {GOAL:g}")
    if worst > 1e-3:
        result["missed"].append(f"{result['name']}: scores differ by {worst:.2g} points")
    print(
        f"Bradley–Terry, {result['name']}: {len(table.models)} models, {table.weight.sum():.0f} weighted battles\n"
        f"  evalsuite     {rounds:5} draws and the fit {ours:9.2f} s\n"
        f"  scikit-learn  {len(scores):5} rounds            {spent:9.2f} s ({spent / len(scores):.2f} s each): "
        f"{spent / ours:.1f} times ours{'' if len(scores) == rounds else ' already'}, "
        f"{result['times_faster_for_equally_many_rounds_scaled']:.0f} times scaled to equally many\n"
        f"  scores of the same draws differ by at most {worst:.1e} points where both have converged, "
        f"by {loose:.2g} at the loop's own tolerance",
        flush=True,
    )
    return result


def logistic_scores(design: tuple[Floats, Floats], table: Battles, drawn: NDArray[np.int64], settings: Row) -> Floats:
    """Scores (per cent) of scikit-learn's fit of the drawn battles, on the list that stands doubled."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(fit_intercept=False, **settings)
    x, y = design
    index = np.concatenate([drawn, drawn + len(table.score)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says at each draw that it stopped before it had converged
        ratings = model.fit(x[index], y[index]).coef_[0][: len(table.models)]
    return np.asarray(100 / (1 + 10 ** (ratings[table.models.index(BASELINE)] - ratings)))


def arena_rows(data: Path, style: bool) -> Row:
    """Arguments of `battles`: two games for each prompt, the baseline first; letters as in the data's SOURCE.md."""
    counts = {row["model"]: row for row in _lines(data / "arena_hard" / "ko_style.jsonl.gz")}
    models, prompts, scores, weights = [], [], [], []
    for row in _lines(data / "arena_hard" / "ko_verdicts.jsonl.gz"):
        for game in ("game1", "game2"):
            for prompt, letter in enumerate(row[game]):
                if letter in LETTERS and (style or row["model"] != BASELINE):
                    score, weight = LETTERS[letter]
                    models.append(row["model"])
                    prompts.append(prompt)
                    scores.append(score if game == "game1" else 1 - score)
                    weights.append(weight)
    rows: Row = {"a": [BASELINE] * len(models), "b": models, "scores": scores, "weights": weights}
    if style:
        pairs = list(zip(models, prompts, strict=True))
        rows["covariates"] = {
            name: style_difference(
                [counts[BASELINE][name][p] for p in prompts], [counts[m][name][p] for m, p in pairs], weights
            )
            for name in FEATURES
        }
        rows["self_battles"] = "one_sided"  # a judged copy of the baseline enters the penalised fit as published
    return rows


def doubled_design(table: Battles) -> tuple[Floats, Floats]:
    """Arena-Hard's matrices of all battles, each standing twice: ±ln 10 and the style columns; a tie won and lost."""
    rows, k = len(table.score), len(table.models)
    x = np.zeros((rows, k + table.covariates.shape[1]))
    x[np.arange(rows), table.a] = np.log(10)
    x[np.arange(rows), table.b] = -np.log(10)  # after the line above: of a model against itself this one stays
    x[:, k:] = table.covariates
    return np.concatenate([x, x]), np.concatenate([table.score > 0.25, table.score > 0.75]).astype(float)


# -- 2. AlpacaEval -----------------------------------------------------------------------------------------------------


def against_alpaca_eval(data: Path, python: Path, repeats: int) -> Row:
    folder = data / "alpaca_eval"
    difficulty = {
        int(r["index"]): float(r["instruction_difficulty"]) for r in _csv(folder, "derived_instruction_difficulty")
    }
    gamed = _csv(folder, "derived_gamed_baseline_surrogate")
    files = sorted((folder / "annotations_compact").glob("*.jsonl.gz"))
    models = {path.name.removesuffix(".jsonl.gz"): _lines(path) for path in files if "gpt4_1106" not in path.name}
    with tempfile.TemporaryDirectory() as work:
        job, answer = Path(work) / "job.json", Path(work) / "answer.json"
        job.write_text(json.dumps({"models": models, "gamed": gamed, "repeats": repeats}), encoding="utf-8")
        subprocess.run([str(python), str(HERE / "peer_alpaca_eval.py"), str(job), str(answer)], check=True)
        theirs = json.loads(answer.read_text(encoding="utf-8"))
    block = GamedRows(*(np.array([float(r[name]) for r in gamed]) for name in GAMED))
    prepared = {name: alpaca_columns(rows, difficulty) for name, rows in models.items()}
    rates, rate_s = timed(lambda: {m: preference_rate(c[0]) for m, c in prepared.items()}, repeats)
    fits, fit_s = timed(lambda: {m: fit_length_control(*c, block) for m, c in prepared.items()}, repeats)
    win = max(abs(100 * r.value - theirs["win_rate"][m]["win_rate"]) for m, r in rates.items() if r.value is not None)
    win = max(win, *(abs(100 * (r.error or 0) - theirs["win_rate"][m]["standard_error"]) for m, r in rates.items()))
    parts = [_part("win rate", rate_s, theirs["win_rate_s"], len(models), win, 1e-9)]
    for name, tolerance in (("unpenalised", 1e-3), ("as_shipped", None)):
        apart = [abs(100 * f.value - theirs[name][m]["length_controlled_winrate"]) for m, f in fits.items()]
        label = f"length control, theirs {name.replace('_', ' ')}"
        parts.append(_part(label, fit_s, theirs[f"{name}_s"], len(models), max(apart), tolerance))
    return {"versions": theirs["versions"], "models": len(models), "repeats": repeats, "parts": parts}


def alpaca_columns(rows: list[Row], difficulty: dict[int, float]) -> tuple[Any, ...]:
    """(preferences, (model's, baseline's lengths), difficulties) of a compact annotations file."""
    tie = {None: None, 0: 0.5}
    preferences = [tie[p] if (p := row["preference"]) in tie else p - 1 for row in rows]
    lengths = ([row["len_output_2"] for row in rows], [row["len_output_1"] for row in rows])
    return preferences, lengths, [difficulty[row["index"]] for row in rows]


def _part(name: str, ours: float, theirs: float, models: int, apart: float, tolerance: float | None) -> Row:
    missed = [f"{name}: slower than the package"] if ours > theirs else []
    if tolerance is not None and apart > tolerance:
        missed.append(f"{name}: differs by {apart:.2g} points")
    print(
        f"{name}, {models} models: evalsuite {1000 * ours:.1f} ms, alpaca-eval {1000 * theirs:.1f} ms "
        f"({theirs / ours:.0f} times), largest difference {apart:.1e} points",
        flush=True,
    )
    return {
        "name": name,
        "ours_s": ours,
        "alpaca_eval_s": theirs,
        "times_faster": theirs / ours,
        "largest_difference_points": apart,
        "missed": missed,
    }


def timed(work: Callable[[], Any], repeats: int) -> tuple[Any, float]:
    """What it gives and the median of its seconds, after one call that is not counted."""
    found, seconds = work(), []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return found, float(np.median(seconds))


def _apart(a: Floats, b: Floats) -> float:
    return float(np.abs(a - b).max())


def _lines(path: Path) -> list[Row]:
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        return [json.loads(line) for line in file]


def _csv(folder: Path, name: str) -> list[Row]:
    with open(folder / f"{name}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    sys.exit(main())
