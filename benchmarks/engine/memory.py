"""Peak memory of runs of many samples: answers from a file, scored and written, nothing held.

    python benchmarks/engine/memory.py            # 100,000 and 1,000,000 samples
    python benchmarks/engine/memory.py --quick    # 10,000 and 100,000

Each run is a process of its own (`evalsuite.api.run` on a plug-in task that reads its samples one by one, the answers
in a JSON Lines file); its peak resident set comes from getrusage. Prints both, what they differ by for each sample, and
the ratio, and writes benchmarks/results/engine_memory.json. Exit status 1 where a million samples take more than
100 MB beyond a hundred thousand: the arrays of twenty-odd bytes for each sample and score are all that may grow.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent.parent / "results" / "engine_memory.json"
GROWTH_MB = 100.0

TASK = '''"""Many questions."""
from evalsuite.records import Sample, user
TASK = {"version": 1}
def load(setup):
    for row in setup.each("data.jsonl"):
        yield Sample(row["id"], (user(row["question"]),), target=row["answer"], metadata={"topic": row["id"][-1]})
def score(sample, completions):
    return {"acc": completions.text == sample.target, "length": len(completions.text) / 100}
'''


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="10,000 and 100,000 samples")
    parser.add_argument("--sizes", help="numbers of samples, comma-separated")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)  # a folder of `prepare`'s: run it in this process
    args = parser.parse_args()
    if args.one is not None:
        print(json.dumps(measure(args.one)))
        return 0
    sizes = [int(s) for s in args.sizes.split(",")] if args.sizes else None
    sizes = sizes or ([10_000, 100_000] if args.quick else [100_000, 1_000_000])
    runs = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            prepare(Path(folder), size)
            command = [sys.executable, __file__, "--one", folder]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            runs.append({"samples": size, **json.loads(done.stdout.splitlines()[-1])})
        last = runs[-1]
        print(
            f"{size:>9,} samples: {last['wall_s']:.1f} s, {1e6 * last['wall_s'] / size:.0f} us each, "
            f"peak {last['peak_mb']:.0f} MB ({last['start_mb']:.0f} MB before the run)",
            flush=True,
        )
    small, large = runs[0], runs[-1]
    growth = large["peak_mb"] - small["peak_mb"]
    each = 1e6 * growth / (large["samples"] - small["samples"])
    ratio = large["peak_mb"] / small["peak_mb"]
    print(f"peak x{ratio:.2f}: {growth:.0f} MB more for {large['samples'] / small['samples']:.0f} times the samples")
    print(f"{each:.0f} bytes for each further sample")
    write({"runs": runs, "ratio": round(ratio, 3), "growth_mb": round(growth, 1), "bytes_each": round(each, 1)})
    return int(growth > GROWTH_MB)


def prepare(folder: Path, size: int) -> None:
    """A task folder, its data and a file of answers; every tenth sample has none."""
    (folder / "tasks" / "many").mkdir(parents=True)
    (folder / "tasks" / "many" / "task.py").write_text(TASK)
    with (folder / "data.jsonl").open("w") as data, (folder / "answers.jsonl").open("w") as answers:
        for i in range(size):
            question = f"Question {i}: what does {i} plus {i % 97} come to, and why should anybody care about it?"
            data.write(json.dumps({"id": f"s{i}", "question": question, "answer": str(i + i % 97)}) + "\n")
            if i % 10:
                text = str(i + i % 97) if i % 3 else "I do not know, and nobody has told me."
                answers.write(json.dumps({"prompt": question, "response": text}) + "\n")


def measure(folder: Path) -> dict[str, Any]:
    from evalsuite import api, registry

    registry.add_plugins([folder / "tasks"])
    before, started = peak_mb(), time.perf_counter()
    run = api.run(
        f"responses:{folder / 'answers.jsonl'}", "many", store_dir=folder / "store", data={"many": str(folder)}
    )
    wall, peak = time.perf_counter() - started, peak_mb()
    metric = run.stored.metrics[0]
    rows = (run.path / "samples.parquet").stat().st_size
    return {
        "wall_s": round(wall, 2),
        "start_mb": round(before, 1),
        "peak_mb": round(peak, 1),
        "n": metric.n,
        "missing": metric.missing,
        "samples_parquet_mb": round(rows / 1e6, 1),
    }


def peak_mb() -> float:
    """Peak resident set of this process in MB (getrusage: kilobytes on Linux, bytes on macOS)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def write(result: dict[str, Any]) -> None:
    packages = {name: metadata.version(name) for name in ("evalsuite", "numpy", "pyarrow")}
    about = {"date": datetime.now(UTC).date().isoformat(), "cpu": cpu(), "cores": os.cpu_count()}
    RESULTS.parent.mkdir(exist_ok=True)
    made = {**about, "python": platform.python_version(), "packages": packages, **result}
    RESULTS.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n")


def cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    sys.exit(main())
