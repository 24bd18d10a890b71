"""SmolLM2 through every public task in full: the figures, and how fast the `hf` backend made them.

    EVALSUITE_DATA=DIR python benchmarks/full_smollm2.py [--quick] [--dtype float32|bfloat16] [--out FILE]

Prints one line per metric with n and interval and writes them with tokens, seconds and hardware to
benchmarks/results/full_smollm2_<device>.json. `--quick` takes 20 samples of each task.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import evalsuite

TASKS = ("truthfulqa/mc1@logprob", "truthfulqa/mc2@logprob", "halueval/qa", "rm_bench/chat@logprob", "ifeval", "own")
OWN = ("nonexistent", "plain_facts", "checkable", "open_prompts/own", "plain_pairs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument(
        "--model-args", action="append", default=[], metavar="KEY=VALUE", help="batch_tokens, group, ..."
    )
    parser.add_argument("--tasks", help="only these of the benchmark's tasks, comma-separated")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    more = {"args": dict(text.split("=", 1) for text in args.model_args)}
    limit = {"limit": 20} if args.quick else {}
    lines = []
    device = "cpu"
    with tempfile.TemporaryDirectory() as store:
        for task in args.tasks.split(",") if args.tasks else TASKS:
            begun = time.perf_counter()
            names = OWN if task == "own" else (task,)
            run = evalsuite.run(args.model, names, store_dir=store, dtype=args.dtype, **limit, **more)
            wall = time.perf_counter() - begun
            device = run.manifest["hardware"]["device"]
            spent = run.manifest["tokens"]
            speed = (spent["prompt_tokens"] + spent["completion_tokens"]) / wall
            print(f"{task}: {wall:.1f} s, {spent['prompt_tokens']} prompt and {spent['completion_tokens']} new tokens")
            for row in run.metrics.to_dict("records"):
                lines.append(row | {"wall_s": wall, "tokens_per_s": speed, **spent})
                print(f"  {row['task']} {row['name']} {row['value']} [{row['low']}, {row['high']}] n={row['n']}")
            print(run.health.to_string(index=False))
        packages = run.manifest["packages"]
    name = "cpu" if device == "cpu" else device.lower().replace(" ", "_")
    out = args.out or Path(__file__).resolve().parent / "results" / f"full_smollm2_{name}_{args.dtype}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    result = {"device": device, "dtype": args.dtype, "quick": args.quick, "packages": packages, "metrics": lines}
    out.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
