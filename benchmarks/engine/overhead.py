"""What stands around the model: wall time minus time inside the model, for many short requests.

    python benchmarks/engine/overhead.py            # 10,000 requests, 32 tokens in, 8 out, a random 5M Llama
    python benchmarks/engine/overhead.py --quick    # 1,000 requests

One run of a plug-in task through `evalsuite.api.run`: samples are read, prompts rendered and tokenised, units
fingerprinted and grouped, answers decoded, stored, scored and written. Time inside the model is the backend's own count
(`model_s`: seconds in the network). Imports and the loading of weights are start-up: a run of one sample comes first.
Prints the share of overhead and where it goes (a second run under the profiler, so its figures are relative), and
writes benchmarks/results/engine_overhead.json. Exit status 1 where overhead is more than a tenth of the wall time.
"""

import cProfile
import pstats
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import common

TASK = '''"""Short questions of about 32 tokens."""
from evalsuite.records import Request, Sample, Sampling, user
TASK = {"version": 1}
WORDS = "river stone lamp forest window garden silver hammer cloud bread morning paper engine violin harbour".split()
def load(setup):
    for i in range(int(setup.data)):
        words = " ".join(WORDS[(i * (k + 3) + k) % len(WORDS)] for k in range(21))
        yield Sample(str(i), (user(f"{i} {words}"),), target=i % 2)
def prompt(sample):
    return [Request("generate", sample.messages, sampling=Sampling(max_tokens=8))]
def score(sample, completions):
    return {"acc": len(completions.text) % 2 == sample.target}
'''
PHASES = {
    "samples": "planning/task.py:bind",
    "prompts, tokens, units, groups": "planning/plan.py:compile_plan",
    "inside the backend": "running/engine.py:_ask",
    "finishing and storing answers": "running/engine.py:_keep",
    "scoring": "running/scored.py:step",
    "figures and rows": "running/sink.py:add",
    "metrics and files": "running/sink.py:write",
}
GOAL = 0.10


def main() -> int:
    parser = common.parser(__doc__)
    parser.add_argument("--requests", type=int)
    parser.add_argument("--no-profile", action="store_true", help="leave the profiled run out")
    args = parser.parse_args()
    count = args.requests or (1000 if args.quick else 10_000)
    folder = common.random_llama("5m", args)
    from evalsuite import registry

    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        (home / "tasks" / "short").mkdir(parents=True)
        (home / "tasks" / "short" / "task.py").write_text(TASK)
        registry.add_plugins([home / "tasks"])
        start = measure(folder, 1, home / "warm")
        result = measure(folder, count, home / "run")
        profile = {} if args.no_profile else profiled(folder, max(1, count // 5), home / "profiled")
    print(f"start-up and one request {start['wall_s']:.1f} s")
    print(
        f"{count} requests, {result['prompt_tokens'] / count:.1f} tokens in, "
        f"{result['completion_tokens'] / count:.1f} out: "
        f"{result['wall_s']:.1f} s, inside the model {result['model_s']:.1f} s, "
        f"the rest {1e6 * result['rest_s'] / count:.0f} us a request"
    )
    for phase, seconds in profile.items():
        print(f"  {phase}: {seconds:.2f} s of {profile['all']:.2f} s under the profiler")
    goals = [common.goal("overhead / wall", result["overhead"], most=GOAL)]
    common.record("overhead", {**result, "requests": count, "profile_s": profile, "goals": goals}, args)
    return common.status(goals)


def measure(model: Path, count: int, store: Path) -> dict[str, Any]:
    from evalsuite import api

    started = time.perf_counter()
    run = api.run(str(model), "short", store_dir=store, data={"short": str(count)}, template="raw")
    wall, tokens = time.perf_counter() - started, run.manifest["tokens"]
    model_s = float(tokens["model_s"])
    return {
        "wall_s": wall,
        "model_s": model_s,
        "rest_s": wall - model_s,
        "overhead": 1 - model_s / wall,
        "prompt_tokens": tokens["prompt_tokens"],
        "completion_tokens": tokens["completion_tokens"],
        "n": run.stored.metrics[0].n,
    }


def profiled(model: Path, count: int, store: Path) -> dict[str, float]:
    """Seconds of each phase, everything that it calls included, under the profiler."""
    profile = cProfile.Profile()
    profile.enable()
    measure(model, count, store)
    profile.disable()
    stats: dict[Any, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    found = {"all": max(entry[3] for entry in stats.values())}
    for phase, where in PHASES.items():
        file, _, name = where.partition(":")
        found[phase] = sum(e[3] for (path, _, function), e in stats.items() if path.endswith(file) and function == name)
    return found


if __name__ == "__main__":
    sys.exit(main())
