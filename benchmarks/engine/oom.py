"""Out of memory: a run under a ceiling below its first batch's need ends well, and says what was halved.

    python benchmarks/engine/oom.py [--quick]

A Llama of 5M random parameters scores TruthfulQA and answers IFEval prompts through `evalsuite.api`, with far too large
batches asked for (`--model-args batch_tokens=... slot_tokens=...`). First without a ceiling, with these and with the
smallest batches: how far does address space rise above the loaded model? Then in a new process with RLIMIT_AS between
the two. Printed and written to benchmarks/results/engine_oom.json: the ceiling, what the log says was halved, and
whether figures and texts are equal. Exit status 1 where a goal is missed. Linux only.
"""

import json
import os
import subprocess
import sys
import tempfile
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import common
from common import Row, goal

TASKS = {"loglikelihood": ("truthfulqa/mc1@logprob", 120), "generate": ("ifeval", 64)}
LARGE = {"batch_tokens": "16384", "slot_tokens": "65536"}
SMALL = {"batch_tokens": "64", "slot_tokens": "2048"}
SHARE, TOLERANCE, SAME = 0.4, 1e-6, 0.99


def child(job: Row) -> Row:
    """Runs one task in this process: compiled, weights loaded, then the ceiling, then executed. The same run with
    the smallest batches goes before, so that what is loaded late (libraries, threads) is there when memory is measured.
    """
    import resource

    from evalsuite import api
    from evalsuite.models import ModelOptions
    from evalsuite.planning import Options

    options = ModelOptions(dtype="float32", device="cpu", args=job["args"])
    chosen = Options(limit=job["limit"], max_tokens=job["max_tokens"], data={job["task"].split("/")[0]: job["data"]})
    with tempfile.TemporaryDirectory() as store:
        first = replace(chosen, max_tokens=2), Path(store) / "first"
        api.execute(api.prepare([job["model"]], [job["task"]], replace(options, args=SMALL), *first), first[1])
        jobs = api.prepare([job["model"]], [job["task"]], options, chosen, Path(store), "drill")
        backend: Any = jobs[0].engine.backend()
        backend.net  # noqa: B018
        loaded = memory("VmSize")
        if job["spare"] is not None:
            ceiling = loaded + job["spare"]
            resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
        run = api.Run(api.execute(jobs, Path(store))[0])
        metrics = {f"{m.task} {m.name}": m.value for m in run.stored.metrics}
        answers = [str(row["answer"]) for row in run.stored.rows()]
        limits = dict(backend.limits)
    return {"loaded": loaded, "peak": memory("VmPeak"), "metrics": metrics, "answers": answers, "limits": limits}


def memory(name: str) -> int:
    """Bytes, as Linux counts them: VmSize (address space now), VmPeak (at most so far)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(name)


def drill(kind: str, args: Namespace) -> Row:
    task, limit = TASKS[kind]
    limit = limit // 2 if args.quick else limit
    job = {
        **{"task": task, "limit": limit, "args": LARGE, "max_tokens": 64, "spare": None},
        **{"model": str(common.random_llama("5m", args)), "data": str(args.data / task.split("/")[0])},
    }
    free, _ = run(job, args, f"oom-{kind}-free")
    small, _ = run({**job, "args": SMALL}, args, f"oom-{kind}-small")
    need, least = (found["peak"] - found["loaded"] for found in (free, small))
    spare = least + int(SHARE * (need - least))
    ceiled, log = run({**job, "spare": spare}, args, f"oom-{kind}-ceiling")
    halved = [line for line in log.splitlines() if "halved" in line]
    mib = {"asked": need / 2**20, "smallest": least / 2**20, "ceiling": spare / 2**20}
    print(f"{kind}: MiB above the loaded model: " + ", ".join(f"{k} {v:.0f}" for k, v in mib.items()), flush=True)
    for line in halved:
        print(f"    {line}")
    far = max((abs(ceiled["metrics"][k] - v) for k, v in free["metrics"].items() if v is not None), default=0.0)
    same = sum(a == b for a, b in zip(free["answers"], ceiled["answers"], strict=True)) / len(free["answers"])
    return {
        "task": task,
        "samples": limit,
        "args": LARGE,
        "mib_above_the_model": mib,
        "halved": halved,
        "limits": ceiled["limits"],
        "goals": [
            goal(f"{kind}: times the log says 'halved'", len(halved), least=1),
            goal(f"{kind}: largest difference of a figure", far, most=TOLERANCE),
            goal(f"{kind}: share of equal answers", same, least=SAME),
        ],
    }


def run(job: Row, args: Namespace, name: str) -> tuple[Row, str]:
    folder = args.work.resolve() / "jobs"
    folder.mkdir(parents=True, exist_ok=True)
    given, out = folder / f"{name}.json", folder / f"{name}.out.json"
    given.write_text(json.dumps(job), encoding="utf-8")
    # Each arena of glibc reserves address space of its own, which a ceiling counts and nobody uses.
    environment = {**common.environment(), "MALLOC_ARENA_MAX": "1"}
    command = [sys.executable, __file__, "--child", str(given), str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name}: ended with status {done.returncode}\n{done.stderr[-3000:]}")
    return json.loads(out.read_text(encoding="utf-8")), done.stderr


def main() -> int:
    if sys.argv[1:2] == ["--child"]:
        job = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
        Path(sys.argv[3]).write_text(json.dumps(child(job)), encoding="utf-8")
        return 0
    args = common.parser(__doc__).parse_args()
    if not os.path.exists("/proc/self/status"):
        print("oom: needs Linux (RLIMIT_AS, /proc)")
        return 0
    rows = [drill(kind, args) for kind in TASKS]
    common.record("oom", {"model": "llama 5M, random", "rows": rows}, args)
    return common.status([g for row in rows for g in row["goals"]])


if __name__ == "__main__":
    sys.exit(main())
