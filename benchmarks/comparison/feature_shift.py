"""The loop closed, on known truth: eight rewarded features → pairs → DPO, PPO → what moved, and was that rewarded?

    python benchmarks/comparison/feature_shift.py --quick              # nano, one seed: three minutes
    python benchmarks/comparison/feature_shift.py                      # mini, three seeds
    python benchmarks/comparison/feature_shift.py --size nano --seeds 3

Twenty simulated people with known weights of eight features of style compare answers of sft. DPO learns from their
labels, PPO from a reward model of their labels; as a control DPO learns from labels of which half were turned round,
which say nothing. All answer the same instructions at temperature 1, and `compare --features` reads three explained
folders of the very pairs on their answers: the true features (measured by the world's own rules), an SAE over MiniLM,
and an SAE over sft's own hidden states. Everything is the command line's own path.

Over seeds: how many of the eight moved (Holm), each with the sign of its weight; the correlation of reward and shift,
and what it has over the control's. Intervals of single seeds count prompts and labels; over seeds they are Student's
of the seeds' Fisher z (of their differences, for the contrast). Checkpoints are those of
`benchmarks/training/microworld_findings.py`: what is there already is not trained again.

Written: benchmarks/results/comparison_feature_shift.json (a quick run: --out, else nowhere); pages lie in --work.
"""

import argparse
import contextlib
import datetime
import io
import json
import math
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "results" / "comparison_feature_shift.json"
for room in (HERE.parent / "training", HERE.parent.parent):
    sys.path.insert(0, str(room))

if TYPE_CHECKING:
    from findings_ledger import Seed

POLICIES = ("dpo", "ppo", "control")
READINGS = ("measured", "minilm", "own")
TASK = "microworld_instructions"
Row = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="nano, one seed")
    parser.add_argument("--size", default="mini", choices=("nano", "mini"))
    parser.add_argument("--seeds", type=int, default=3, metavar="N")
    parser.add_argument("--readings", default=",".join(READINGS), metavar="A,B", help="measured, minilm, own")
    parser.add_argument("--work", type=Path, metavar="DIR", help="default: feature-shift in evalsuite's cache")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    from evalsuite.models.fingerprint import cache_folder

    size, seeds = ("nano", 1) if args.quick else (args.size, args.seeds)
    work = args.work or cache_folder() / "feature-shift"
    readings = [r for r in args.readings.split(",") if r in READINGS]
    found = [of_seed(size, seed, ledger_of(size, seed, work).folder, readings) for seed in range(seeds)]
    result = {**head(size, seeds), "over_seeds": over_seeds(found, readings), "seeds": found}
    show(result)
    out = args.out or (None if args.quick else RESULTS)
    if out is not None:
        out.write_text(json.dumps(rounded(result), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"written: {out}")
    return 0


def ledger_of(size: str, seed: int, work: Path) -> "Seed":
    """The findings' own account of a seed: where its results lie, by what was trained for them."""
    from findings_ledger import PLANS, Seed

    return Seed(PLANS[size], seed, work)


def of_seed(size: str, seed: int, work: Path, readings: Sequence[str]) -> Row:
    """Everything of one seed; what was computed before is read."""
    work.mkdir(parents=True, exist_ok=True)
    missing = [r for r in readings if not (work / f"{r}.json").is_file()]
    if missing:
        answered(size, seed, work, missing)
    told_before = {r: json.loads((work / f"{r}.json").read_text(encoding="utf-8")) for r in readings}
    return {"seed": seed, "world": f"{size}@{seed}", **told_before}


def answered(size: str, seed: int, work: Path, readings: Sequence[str]) -> None:
    """Trains, runs, explains and compares; one result for each reading."""
    pairs, policies = made(size, seed, work)
    world = f"{size}@{seed}"
    for name, folder in policies.items():
        if not (work / "store" / "runs" / name).is_dir():
            data = [part for axis in axes() for part in ("--data", f"{TASK}/{axis}={world}")]
            told(["run", str(folder), "--tasks", TASK, *data, "--gen", "temperature=1", "--name", name], work)
    for reading in readings:
        folder = work / reading
        if not (folder / "manifest.json").is_file():
            told(["preferences", "explain", str(pairs), "--out", str(folder), *source(reading, policies)], work)
        names = [n for n in policies if n != "sft"]
        measure = ["--measure", f"microworld:{world}"] if reading == "measured" else []
        page = ["--out", str(work / f"{reading}.html")]
        shown = told(["compare", *names, "--baseline", "sft", "--features", str(folder), *measure, *page], work)
        beside = work / f"{reading}.partial"
        beside.write_text(json.dumps(summary(shown["features"], reading)) + "\n", encoding="utf-8")
        beside.replace(work / f"{reading}.json")
        print(f"{world} {reading}: done", file=sys.stderr, flush=True)


def made(size: str, seed: int, work: Path) -> tuple[Path, dict[str, Path]]:
    """The pairs, and the checkpoints by name: those of the findings, and the control."""
    import findings_steps

    from evalsuite.microworld.supply import Supply, supply

    ledger = ledger_of(size, seed, work)
    pairs = supply(Supply("pairs", size, seed, ledger.plan.pairs))
    policies = {
        "sft": ledger.checkpoint("sft"),
        "dpo": findings_steps.dpo("sigmoid", 0.0, 1, ledger),
        "control": findings_steps.dpo("sigmoid", 0.5, 1, ledger),
        "ppo": findings_steps.online("ppo", ledger),
    }
    return pairs, {name: policies[name] for name in ("sft", *POLICIES)}


def axes() -> list[str]:
    from evalsuite.microworld.items import SUBSETS

    return list(SUBSETS["instructions"])


def source(reading: str, policies: dict[str, Path]) -> list[str]:
    """Where explain's features come from. Length is held fixed; format is not, being one of the eight."""
    from evalsuite.microworld.features import STYLE

    fixed = ["--controls", "length"]
    if reading == "measured":
        return [*fixed, "--columns", ",".join(f"features.{name}" for name in STYLE)]
    if reading == "minilm":
        return [*fixed, "--embedder", "minilm"]
    return [*fixed, "--embedder", str(policies["sft"]), "--model-args", "layer=0", "--model-args", "pooling=mean"]


def told(arguments: list[str], work: Path) -> Row:
    from evalsuite.cli import main as evalsuite

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = evalsuite([*arguments, "--store", str(work / "store"), "--json"])
    if status:
        raise SystemExit(f"evalsuite {' '.join(arguments[:3])}: exit status {status}")
    text = out.getvalue().strip()
    return dict(json.loads(text)) if text else {}


def summary(found: Row, reading: str) -> Row:
    """What is kept of one reading: every feature's reward and shift, counts, correlations."""
    from evalsuite.microworld.features import GOLD, STYLE

    about = {f["index"]: f for f in found["features"]}
    runs: Row = {}
    for run in found["runs"]:
        shifts = [
            {
                "name": about[s["index"]]["description"][:80],
                "beta": about[s["index"]]["reward"]["beta"],
                "change": about[s["index"]]["reward"]["change"],
                "paid": about[s["index"]]["reward"]["verdict"],
                **{key: s[key] for key in ("shift", "low", "high", "raw", "q", "verdict", "relation")},
            }
            for s in run["features"]
        ]
        runs[run["run"]] = {
            "prompts": run["prompts"],
            "correlation": run["correlation"],
            "relations": {
                r: sum(s["relation"] == r for s in shifts) for r in dict.fromkeys(s["relation"] for s in shifts)
            },
            "features": shifts,
        }
        if reading == "measured":
            signs = {name: math.copysign(1, GOLD[name]) for name in STYLE}
            moved = {n: s for n, s in zip(STYLE, shifts, strict=True) if s["verdict"] in ("up", "down")}
            right = [n for n, s in moved.items() if s["shift"] * signs[n] > 0]
            weights = {name: GOLD[name] for name in STYLE}
            runs[run["run"]] |= {"moved": len(moved), "with_sign": len(right), "right": right, "weights": weights}
    contrasts = {f"{c['first']} − {c['second']}": c["difference"] for c in found["contrasts"]}
    return {"runs": runs, "contrasts": contrasts, "notes": found["notes"]}


def over_seeds(found: Sequence[Row], readings: Sequence[str] = READINGS) -> Row:
    """Student's intervals over seeds, of Fisher's z and of its differences to the control."""
    told: Row = {}
    for reading in readings:
        z = {
            policy: [fisher(seed[reading]["runs"][policy]["correlation"]["value"]) for seed in found]
            for policy in POLICIES
        }
        rows: Row = {}
        for policy in POLICIES:
            rows[policy] = {"correlation": student(z[policy], back=True)}
            if policy != "control":
                rows[policy]["z_over_control"] = student([a - b for a, b in zip(z[policy], z["control"], strict=True)])
            if reading == "measured":
                runs = [seed[reading]["runs"][policy] for seed in found]
                rows[policy] |= {"moved": [r["moved"] for r in runs], "with_sign": [r["with_sign"] for r in runs]}
        told[reading] = rows
    return told


def rounded(value: Any) -> Any:
    """Floats to four digits behind the point; small ones to four that count."""
    if isinstance(value, float):
        return float(f"{value:.4g}") if abs(value) < 0.001 else round(value, 4)
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return [rounded(inner) for inner in value] if isinstance(value, list) else value


def fisher(r: float | None) -> float:
    return math.atanh(max(-0.999, min(0.999, r or 0.0)))


def student(values: list[float], back: bool = False) -> Row:
    """Mean with a 95% interval over seeds (none of a single one); `back`: from z to a correlation."""
    from evalsuite.statistics.intervals import t_quantile

    turn = math.tanh if back else float
    mean = statistics.fmean(values)
    if len(values) < 2:
        return {"value": turn(mean), "low": None, "high": None, "seeds": len(values)}
    half = t_quantile(len(values) - 1, 0.95) * statistics.stdev(values) / len(values) ** 0.5
    return {"value": turn(mean), "low": turn(mean - half), "high": turn(mean + half), "seeds": len(values)}


def head(size: str, seeds: int) -> Row:
    from importlib import metadata

    return {
        "benchmark": "comparison/feature_shift",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "size": size,
        "number_of_seeds": seeds,
        "machine": platform.machine(),
        "versions": {name: metadata.version(name) for name in ("torch", "transformers", "numpy")},
    }


def show(result: Row) -> None:
    for seed in result["seeds"]:
        print(f"\n{seed['world']}")
        for reading in result["over_seeds"]:
            for policy, run in seed[reading]["runs"].items():
                c = run["correlation"]
                moved = (
                    f", {run['moved']} of 8 moved, {run['with_sign']} with their weight's sign"
                    if "moved" in run
                    else ""
                )
                span = f"[{c['low']:+.2f}, {c['high']:+.2f}]" if c["low"] is not None else "[–]"
                value = f"{c['value']:+.2f}" if c["value"] is not None else "–"
                over = f"over {c['features']} features"
                print(f"  {reading:9} {policy:8} r {value} {span} {over}{moved}; {run['relations']}")
            for name, d in seed[reading]["contrasts"].items():
                if d["value"] is not None:
                    print(f"  {reading:9} {name}: {d['value']:+.2f} [{d['low']:+.2f}, {d['high']:+.2f}]")
    print("\nover seeds")
    for reading, rows in result["over_seeds"].items():
        for policy, row in rows.items():
            print(f"  {reading:9} {policy:8} {json.dumps(row)}")


if __name__ == "__main__":
    sys.exit(main())
