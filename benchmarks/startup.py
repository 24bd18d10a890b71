"""Start-up against lm-eval in one run: `--help` at most half of theirs, `list tasks` at most a twentieth of `ls tasks`.

    benchmarks/lm_eval_env.sh                  # once: lm-eval in an environment of its own
    python benchmarks/startup.py [--quick] [--peer .venv-lmeval/bin/lm_eval]

Each command is started anew several times, ours and theirs in turn; medians and their ratio are printed and written to
benchmarks/results/startup.json. Exit status 1 where a goal is missed.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
GOALS = {"help": (["--help"], ["--help"], 0.5), "list": (["list", "tasks"], ["ls", "tasks"], 0.05)}


def seconds(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", default=str(HERE.parent / ".venv-lmeval" / "bin" / "lm_eval"))
    parser.add_argument("--quick", action="store_true", help="two rounds instead of seven")
    args = parser.parse_args()
    ours = str(Path(sys.executable).parent / "evalsuite")
    results: dict[str, dict[str, float]] = {}
    for name, (own, peer, goal) in GOALS.items():
        rounds = 2 if args.quick else (3 if name == "list" else 7)
        seconds([ours, *own])  # warm the disk cache for both
        seconds([args.peer, *peer])
        pairs = [(seconds([ours, *own]), seconds([args.peer, *peer])) for _ in range(rounds)]
        a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
        results[name] = {"evalsuite_s": a, "lm_eval_s": b, "ratio": a / b, "goal": goal, "rounds": rounds}
        print(f"{name:5} evalsuite {a:.3f} s, lm_eval {b:.3f} s, ratio {a / b:.3f} (goal {goal})")
    bare = statistics.median(seconds([sys.executable, "-c", "pass"]) for _ in range(7))
    results["bare_python"] = {"seconds": bare}
    print(f"bare python {bare:.3f} s")
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "startup.json").write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    return int(any(r["ratio"] > r["goal"] for r in results.values() if "goal" in r))


if __name__ == "__main__":
    sys.exit(main())
