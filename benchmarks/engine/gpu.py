"""The same tables on a GPU, with a model of 1.24B random parameters in bfloat16, beside what the GPU could do at most.

    python benchmarks/engine/gpu.py [--quick]          # where no GPU is, it says so and ends

Limits are measured first: bytes a second of a copy inside the GPU's memory, FLOPs a second of a large bfloat16 product.
* generation: 512 requests of 128 tokens in, 128 out. At most: each decode step reads all weights and the cache of its
  rows, so tokens/s <= rows x bandwidth / (weights + cache of the rows).
* scoring: few-shot requests of the shape of TruthfulQA MC and five-shot MMLU, from random words. At most:
  FLOPs/s / (2 x parameters) forwarded tokens a second.
Peers: lm-eval's `hf` (its best batch of 8, 16, 32 and 128) and vLLM (with CUDA graphs), each where its environment is.
Written to benchmarks/results/engine_gpu.json.
"""

import random
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
from common import Row, side

REQUESTS, TOKENS_IN, TOKENS_OUT = 512, 128, 128
ROWS = 512
"""Rows in the making at once, at most: what the limit of generation is computed for."""


def limits(quick: bool) -> Row:
    """Measured: bytes/s of a device-to-device copy (read + written), FLOPs/s of an 8192-cube bfloat16 product."""
    import torch

    source = torch.empty(1 << (28 if quick else 31), dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    left = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    right = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    copied = seconds(lambda: target.copy_(source))
    multiplied = seconds(lambda: torch.mm(left, right))
    return {"bytes_per_s": 2 * (1 << (28 if quick else 31)) / copied, "flops_per_s": 2 * 8192**3 / multiplied}


def seconds(work: Callable[[], Any], times: int = 10) -> float:
    import torch

    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    for _ in range(3):
        work()
    start.record()
    for _ in range(times):
        work()
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end)) / 1e3 / times


def requests(shape: str, count: int) -> list[tuple[str, list[str]]]:
    """Few-shot requests of random words: "truthfulqa" (one prefix, 8 answers of 8 words), "mmlu" (7 prefixes)."""
    drawn = random.Random(5)

    def words(number: int) -> str:
        return " ".join("".join(drawn.choice("aeiobdfgklmnprst") for _ in range(4)) for _ in range(number))

    prefixes = [words(100 if shape == "truthfulqa" else 300) for _ in range(1 if shape == "truthfulqa" else 7)]
    tails = [" A", " B", " C", " D"]
    return [
        (
            f"{prefixes[i % len(prefixes)]}\n\nQ: {words(12 if shape == 'truthfulqa' else 50)}\nA:",
            tails if shape == "mmlu" else [f" {words(8)}" for _ in range(8)],
        )
        for i in range(count)
    ]


def peer(who: common.Side, module: str, job: Row, args: Namespace) -> Row | None:
    """A peer's output; None, said in a line, where its environment has no such package."""
    if module not in {name.replace("-", "_") for name in common.versions(who.python)}:
        print(f"  {who.name}: not installed for {who.python}")
        return None
    return side(who, job, args)


def scoring(shape: str, folder: Path, roof: Row, args: Namespace) -> Row:
    job: Row = {"verb": "score", "model": str(folder), "dtype": "bfloat16", "device": "cuda"}
    job["requests"] = requests(shape, 20 if args.quick else 400)
    ours = side(common.OURS, job, args)
    who = common.lm_eval(args)
    found: dict[int, float] = {}
    few = {**job, "requests": job["requests"][:20]}
    for batch in (8, 16, 32, 128):
        if (one := peer(who, "lm_eval", {**few, "batch": batch}, args)) is None:
            break
        found[batch] = one["calls_s"]
    theirs = side(who, {**job, "batch": min(found, key=lambda b: found[b])}, args) if found else None
    parameters = common.parameters(folder)
    forwarded = ours["counts"]["forwarded_tokens"]
    row: Row = {
        "shape": shape,
        "continuations": sum(len(t) for _, t in job["requests"]),
        "ours_s": ours["calls_s"],
        "forwarded_tokens": forwarded,
        "forwarded_over_distinct": forwarded / ours["distinct_tokens"],
        "tokens_per_s": forwarded / ours["calls_s"],
        "tokens_per_s_at_most": roof["flops_per_s"] / (2 * parameters),
        "gpu_busy": ours.get("gpu_busy"),
        "lm_eval_s": theirs["calls_s"] if theirs else None,
        "ratio": theirs["calls_s"] / ours["calls_s"] if theirs else None,
    }
    row["of_limit"] = row["tokens_per_s"] / row["tokens_per_s_at_most"]
    print(f"  {shape}: " + ", ".join(f"{k} {v:.4g}" for k, v in row.items() if isinstance(v, float)), flush=True)
    return row


def generation(folder: Path, roof: Row, args: Namespace) -> Row:
    from transformers import AutoConfig

    count = 32 if args.quick else REQUESTS
    drawn = random.Random(4)
    ids = [[drawn.randrange(10, 8000) for _ in range(TOKENS_IN)] for _ in range(count)]
    job: Row = {"verb": "generate", "model": str(folder), "dtype": "bfloat16", "device": "cuda", "ids": ids}
    job["max_tokens"] = [TOKENS_OUT] * count
    large = {**job, "args": {"group": str(2 * ROWS)}}
    config = AutoConfig.from_pretrained(folder)
    cache = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * 2  # bytes of a token
    rows = min(ROWS, count)
    step = 2 * common.parameters(folder) + rows * cache * (TOKENS_IN + TOKENS_OUT / 2)
    most = rows * roof["bytes_per_s"] / step
    sides = {
        "evalsuite": side(common.OURS, large, args),
        "vllm": peer(common.vllm(args), "vllm", {**job, "enforce_eager": False, "max_num_seqs": ROWS}, args),
        "transformers, static 128": side(common.PLAIN, {**job, "batch": 128}, args),
    }
    table: Row = {"requests": count, "tokens_per_s_at_most": most, "sides": {}}
    for name, one in sides.items():
        if one is not None:
            said = sum(a[0]["tokens"] if isinstance(a[0], dict) else len(a) for a in one["answers"])
            speed = said / one["calls_s"]
            figures = {"seconds": one["calls_s"], "tokens_per_s": speed, "of_limit": speed / most}
            table["sides"][name] = {**figures, "gpu_busy": one.get("gpu_busy")}
            print(f"  {name}: {speed:.0f} tokens/s, {speed / most:.1%} of the memory's limit", flush=True)
    return table


def main() -> int:
    args = common.parser(__doc__).parse_args()
    import torch

    if not torch.cuda.is_available():
        print("no GPU here: nothing measured")
        return 0
    roof = limits(args.quick)
    print(f"memory {roof['bytes_per_s'] / 1e12:.2f} TB/s, bfloat16 products {roof['flops_per_s'] / 1e12:.0f} TFLOP/s")
    folder = common.random_llama("1b", args, dtype="bfloat16")
    result = {
        "model": "llama 1.24B, random, bfloat16",
        "limits": roof,
        "generation": generation(folder, roof, args),
        "scoring": [scoring(shape, folder, roof, args) for shape in ("truthfulqa", "mmlu")],
    }
    common.record("gpu", result, args, [common.lm_eval(args), common.vllm(args)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
