"""Builds microworlds from nothing, measures every gate with n and interval, and what each step costs.

    python benchmarks/microworld_gates.py             # nano and mini, seeds 0, 1, 2: about 15 CPU minutes
    python benchmarks/microworld_gates.py --quick     # nano, seed 0: about one

One thread, so that CPU seconds mean the same on a busy machine. Writes results/microworld_gates.json after each world;
exit status 1 where a gate does not hold.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
RESULTS = Path(__file__).parent / "results" / "microworld_gates.json"
PAIRS = 2000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="nano, seed 0 only")
    parser.add_argument("--sizes", default="nano,mini")
    parser.add_argument("--seeds", type=int, default=3, metavar="N")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    sizes, seeds = (["nano"], 1) if args.quick else (args.sizes.split(","), args.seeds)
    worlds: dict[str, Any] = {}
    for size in sizes:
        for seed in range(seeds):
            worlds[f"{size}@{seed}"] = measure_world(size, seed)
            write(args.out, worlds)
            show(f"{size}@{seed}", worlds[f"{size}@{seed}"])
    return 0 if all(g["holds"] for w in worlds.values() for g in w["gates"]) else 1


def measure_world(size: str, seed: int) -> dict[str, Any]:
    """Builds one world in a folder of its own and measures it."""
    from evalsuite.microworld import annotators, gates
    from evalsuite.microworld.checkpoints import resolve
    from evalsuite.microworld.folders import load
    from evalsuite.microworld.recipes import CHECKPOINTS
    from evalsuite.microworld.world import build
    from evalsuite.training.machine import thread_count

    world, seconds, measured = build(size, seed), {}, {}
    with tempfile.TemporaryDirectory() as cache, thread_count(1):
        os.environ["EVALSUITE_CACHE"] = cache
        for name in CHECKPOINTS:
            started = time.process_time()
            folder = resolve(f"{size}/{name}@{seed}", threads=1)
            seconds[name] = round(time.process_time() - started, 1)
            measured[name] = json.loads((folder / "measured.json").read_text(encoding="utf-8"))
        started = time.process_time()
        figures = gates.measure(folder.parent / "base", folder.parent / "sft", world)
        figures |= gates.measure_contexts(folder.parent / "sft", world)
        seconds["evaluation of base and sft"] = round(time.process_time() - started, 1)
        started = time.process_time()
        model, tokenizer = load(folder.parent / "sft")
        pairs = annotators.sample_pairs(model, tokenizer, world, PAIRS, seed=seed + 1000)
        seconds[f"{PAIRS} pairs"] = round(time.process_time() - started, 1)
    people = annotators.crowd(seed)
    rows = annotators.annotate(pairs, people, world)
    figures |= gates.measure_features(rows)
    right, n = measured["reward"]["heldout_accuracy"], measured["reward"]["heldout_n"]
    figures["reward_heldout"] = gates.share([i < round(right * n) for i in range(n)])
    ceilings = {
        str(flip): round(annotators.ceiling(annotators.annotate(pairs, people, world, flip=flip)), 3)
        for flip in (0.0, 0.25, 0.4)
    }
    return {
        "gates": [
            {"name": g.name, "value": round(g.value, 3), "bound": g.bound, "holds": g.holds}
            for g in gates.gates(figures, size)
        ],
        "figures": {
            name: {
                "value": round(f.value or 0, 3),
                "low": round(f.low or 0, 3),
                "high": round(f.high or 0, 3),
                "n": f.n,
            }
            for name, f in figures.items()
        },
        "ceiling by flip rate": ceilings,
        "base steps": measured["base"]["steps"],
        "cpu seconds": seconds,
    }


def write(path: Path, worlds: dict[str, Any]) -> None:
    packages = {name: metadata.version(name) for name in ("torch", "transformers", "tokenizers")}
    about = {"python": platform.python_version(), "machine": platform.machine(), "threads": 1, "packages": packages}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"about": about, "worlds": worlds}, indent=1) + "\n", encoding="utf-8")


def show(name: str, world: dict[str, Any]) -> None:
    print(f"{name}: {world['base steps']} base steps; CPU seconds {world['cpu seconds']}")
    for gate in world["gates"]:
        print(f"  {'holds' if gate['holds'] else 'FAILS'}  {gate['name']}: {gate['value']} ({gate['bound']})")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
