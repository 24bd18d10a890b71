"""The `ray` backend on this machine: two workers of one thread each beside one, and one of the two killed in mid-run.

    python benchmarks/engine/ray_scaling.py [--quick] [--models smollm2,5m]     # wants two free cores

1. Log-likelihoods of MMLU questions (four letters each), 2. answers to IFEval prompts; each by the `hf` backend in this
process (one thread), by one worker, by two, and by two of which one is killed on the way. Workers are up and have the
weights before the clock starts; planning, the journal and the start of the one that replaces the dead count.

Printed and written to benchmarks/results/engine_ray.json: seconds, speed-up of two workers over one, whether each run
gave the bits of one worker's, how far it is from the plain process, and that the journal holds every request once. Exit
status 1 where a result differs, a request is lost, or two workers are less than 1.5 times as fast.
"""

import csv
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import common
from common import Row, goal, spaced

from evalsuite.models import ModelOptions, resolve
from evalsuite.records import Completion, Request, Sampling, user
from evalsuite.running import Engine, answer

COUNTS = {
    "smollm2": {"score": 48, "generate": 24},
    "98m": {"score": 96, "generate": 48},
    "5m": {"score": 1200, "generate": 256},
}
QUICK = {
    "smollm2": {"score": 16, "generate": 8},
    "98m": {"score": 16, "generate": 8},
    "5m": {"score": 400, "generate": 96},
}
TOKENS = 32
CHUNKS = {"score": "1024", "generate": "2048"}
"""--model-args chunk: small, because the work is."""
SPEEDUP, SAME = 1.5, 1e-4
Answers = list[tuple[Completion, ...]]


def scoring(data: Path, count: int) -> list[Request]:
    """MMLU questions as raw text, the four letters behind."""
    rows = []
    for file in sorted((data / "mmlu").glob("*_test.csv")):
        with file.open(newline="", encoding="utf-8") as lines:
            rows += [row for row in csv.reader(lines) if len(row[0]) < 400][:30]
    texts = [
        "\n".join(
            (row[0], *(f"{letter}. {choice}" for letter, choice in zip("ABCD", row[1:5], strict=True)), "Answer:")
        )
        for row in spaced(rows, count)
    ]
    return [Request("loglikelihood", (user(t),), continuations=(" A", " B", " C", " D"), raw=True) for t in texts]


def generation(data: Path, count: int) -> list[Request]:
    lines = (data / "ifeval" / "input_data.jsonl").read_text(encoding="utf-8").splitlines()
    prompts = [json.loads(line)["prompt"] for line in lines]
    sampling = Sampling(max_tokens=TOKENS)
    return [
        Request("generate", (user(p),), sampling=sampling) for p in spaced([p for p in prompts if len(p) < 600], count)
    ]


class Runner:
    """One model behind one backend, asked again and again, each time with an empty journal."""

    def __init__(self, address: str, args: dict[str, str] | None) -> None:
        options = ModelOptions(dtype="float32", device="cpu", args=args or {})
        self.model = resolve(address, options, backend=None if args is None else "ray")
        self.workers = int(args["workers"]) if args is not None else 0
        self.backend: Any = None

    def warm(self, request: Request) -> None:
        """Loads the weights; for a cluster until every worker is there."""
        engine = Engine(self.model, Path(tempfile.mkdtemp()))
        answer(engine, [request])
        self.backend, engine._backend = engine.backend(), None
        engine.close()
        while self.workers and len(self.backend.workers) < self.workers:
            time.sleep(0.1)

    def ask(self, requests: Sequence[Request]) -> tuple[Answers, Row]:
        with tempfile.TemporaryDirectory() as folder:
            engine = Engine(self.model, Path(folder))
            engine._backend = self.backend
            before = dict(self.backend.counts)
            begun = time.perf_counter()
            answers = answer(engine, requests)
            row: Row = {"seconds": time.perf_counter() - begun}
            asked = engine.counts["units"]
            row |= {"requests": asked, "journaled": engine.responses.size()["rows"]}
            row["redone_chunks"] = self.backend.counts.get("retries", 0) - before.get("retries", 0)
            engine._backend = None
            engine.close()
        return answers, row

    def kill_one(self, after_s: float) -> None:
        """Kills a worker some seconds from now."""
        pid = self.backend.workers[0].pid
        threading.Timer(after_s, os.kill, (pid, signal.SIGKILL)).start()


def distance(found: Answers, wanted: Answers) -> Row:
    """How far two lists of answers are apart: log-probabilities by token, texts by share."""
    pairs = [(a, b) for one, other in zip(found, wanted, strict=True) for a, b in zip(one, other, strict=True)]
    apart = [abs(x - y) for a, b in pairs for x, y in zip(a.logprobs, b.logprobs, strict=True)]
    return {
        "bits_equal": found == wanted,
        "largest_difference_per_token": max(apart, default=0.0),
        "same_text": sum(a.text == b.text for a, b in pairs) / len(pairs),
    }


def measure(kind: str, name: str, address: str, args: common.argparse.Namespace) -> Row:
    count = (QUICK if args.quick else COUNTS)[name][kind]
    requests = (scoring if kind == "score" else generation)(args.data, count)
    print(f"{kind} on {name}: {count} requests", flush=True)
    shared = {"cpus": "1", "chunk": CHUNKS[kind], "address": "local"}
    rows: dict[str, Row] = {}
    answers: dict[str, Answers] = {}
    for label, given in (("process", None), ("one", {**shared, "workers": "1"}), ("two", {**shared, "workers": "2"})):
        runner = Runner(address, given)
        runner.warm(requests[0])
        answers[label], rows[label] = runner.ask(requests)
        if label == "two":
            runner.kill_one(0.4 * rows["two"]["seconds"])
            answers["killed"], rows["killed"] = runner.ask(requests)
        runner.backend.close()
    for label, row in rows.items():
        row |= {f"{key}_from_one": value for key, value in distance(answers[label], answers["one"]).items()}
        row |= {f"{key}_from_process": value for key, value in distance(answers[label], answers["process"]).items()}
        print(f"  {label}: {row['seconds']:.2f} s, {row['redone_chunks']:.0f} chunks redone", flush=True)
    title = f"{kind}, {name}"
    goals = [
        goal(f"{title}: speed-up of two workers", rows["one"]["seconds"] / rows["two"]["seconds"], least=SPEEDUP),
        goal(f"{title}: two and one worker, equal bits", float(rows["two"]["bits_equal_from_one"]), least=1),
        goal(f"{title}: one killed, equal bits", float(rows["killed"]["bits_equal_from_one"]), least=1),
        goal(f"{title}: one killed, chunks done again", rows["killed"]["redone_chunks"], least=1),
        goal(f"{title}: same text as the process", rows["killed"]["same_text_from_process"], least=0.99),
    ]
    if kind == "score":
        apart = rows["killed"]["largest_difference_per_token_from_process"]
        goals.append(goal(f"{title}: difference per token from the process", apart, most=SAME))
    for label in ("two", "killed"):
        lost = rows[label]["requests"] - rows[label]["journaled"]
        goals.append(goal(f"{title}: {label}, requests lost or doubled", float(abs(lost)), most=0))
    return {"task": kind, "model": name, "count": count, "runs": rows, "goals": goals}


def main() -> int:
    parser = common.parser(__doc__)
    parser.add_argument("--models", help="of smollm2, 5m, 98m (default: smollm2,5m; quick: 5m)")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    rows = []
    for name in (args.models or ("5m" if args.quick else "smollm2,5m")).split(","):
        address = name if name == "smollm2" else str(common.random_llama(name, args))
        rows += [measure(kind, name, address, args) for kind in ("score", "generate")]
    common.record("ray", {"dtype": "float32", "threads_of_a_worker": 1, "rows": rows}, args)
    return common.status([g for row in rows for g in row["goals"]])


if __name__ == "__main__":
    sys.exit(main())
