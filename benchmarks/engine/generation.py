"""Generation against lm-eval's `hf` backend and against vLLM. All sides float32, same threads, same prompts.

    benchmarks/engine/peers.sh                                   # once: the peers' environments
    python benchmarks/engine/generation.py [--quick] [--fresh] [--only ifeval|mixed]

ifeval: 100 IFEval prompts through SmolLM2's chat template, greedy, up to 128 tokens; lm-eval at its best batch size of
8, 16 and 32, chosen on 32 of the prompts. Ours runs before and after it; the mean counts.
mixed: 64 requests of mixed lengths (4000 tokens in, 3296 out, in all) on a Llama of 99M random parameters; vLLM's
engine in its own process, start-up excluded; transformers' static batches beside them, for context.

Printed and written to benchmarks/results/engine_generation.json: seconds, tokens a second, ratios, the share of equal
texts, and for those that differ the gap between the log-probabilities of the two next tokens. Exit status 1 where a
goal is missed.
"""

import random
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

import common
from common import Row, goal, lm_eval, side, spaced, vllm
from divergence import Next, divergences, largest_gap

PROMPTS, TOKENS, CHOSEN_ON = 100, 128, 32
REQUESTS, TOKENS_IN, TOKENS_OUT = 64, 4000, 3296
SPEED, BEHIND_VLLM, SAME, GAP = 2.0, 1.5, 0.99, 1e-3


def ifeval(args: Namespace) -> Row:
    from evalsuite.data import read_rows

    rows = read_rows(args.data / "ifeval" / "input_data.jsonl")
    prompts = [row["prompt"] for row in spaced(rows, 8 if args.quick else PROMPTS)]
    limit = 32 if args.quick else TOKENS
    folder, peer = common.model_path("smollm2"), lm_eval(args)
    job: Row = {"verb": "generate", "model": str(folder), "prompts": prompts, "max_tokens": limit}
    print(f"ifeval on smollm2: {len(prompts)} prompts, up to {limit} tokens", flush=True)
    few = {**job, "prompts": spaced(prompts, CHOSEN_ON), "max_tokens": limit // 2}
    batch = common.best_batch(peer, few, args)
    mine = [side(common.OURS, {**job, "model": "smollm2", "with_ids": True}, args)]
    theirs = side(peer, {**job, "batch": batch}, args)
    mine.append(side(common.OURS, {**job, "model": "smollm2", "with_ids": True}, args))
    calls, ours = sum(m["calls_s"] for m in mine) / 2, mine[-1]
    texts = [answer["text"] for (answer,) in with_text(ours["answers"])]
    parted = divergences(
        Next("smollm2"), [tuple(ids[0][0]) for ids in ours["ids"]], list(zip(texts, theirs["answers"], strict=True))
    )
    said = sum(answer["tokens"] for (answer,) in ours["answers"])
    row: Row = {
        "model": "smollm2",
        "prompts": len(prompts),
        "max_tokens": limit,
        "ours_s": calls,
        "ours_each_s": [m["calls_s"] for m in mine],
        "ours_wall_s": sum(m["wall_s"] for m in mine) / 2,
        "ours_tokens": said,
        "ours_tokens_per_s": said / calls,
        "lm_eval_s": theirs["calls_s"],
        "lm_eval_wall_s": theirs["wall_s"],
        "lm_eval_batch": batch,
        "lm_eval_tokens_per_s": sum(theirs["tokens"]) / theirs["calls_s"],
        "ratio": theirs["calls_s"] / calls,
        "same_text": 1 - len(parted) / len(prompts),
        "repeats_itself": mine[0]["answers"] == mine[1]["answers"],
        "divergences": parted,
        "counts": ours["counts"],
    }
    print(
        f"  ours {calls:.1f} s ({said / calls:.0f} tokens/s), lm-eval {theirs['calls_s']:.1f} s; {len(parted)} differ"
    )
    for one in parted:
        print(f"    prompt {one['row']} parts at token {one['token']}, gap {one['gap']}")
    row["goals"] = [
        goal("ifeval: times faster", row["ratio"], least=SPEED),
        goal("ifeval: share of equal texts", row["same_text"], least=SAME),
        goal("ifeval: largest gap where texts part", largest_gap(parted), most=GAP),
    ]
    return row


def with_text(answers: Sequence[Sequence[Row]]) -> list[list[Row]]:
    return [[{"text": "", **answer} for answer in row] for row in answers]


def mixed_lengths(count: int, total: int, seed: int) -> list[int]:
    """`count` lengths with a long tail (log-normal, as prompts and answers have them) that sum to `total`."""
    drawn = random.Random(seed)
    raw = [drawn.lognormvariate(0, 0.7) for _ in range(count)]
    lengths = [max(4, round(x * total / sum(raw))) for x in raw]
    lengths[lengths.index(max(lengths))] += total - sum(lengths)
    return lengths


def mixed_job(args: Namespace, model: str, vocabulary: int) -> Row:
    """The mixed requests as token ids and limits."""
    share = 8 if args.quick else 1
    count = REQUESTS // share
    drawn = random.Random(3)
    prompts = mixed_lengths(count, TOKENS_IN // share, seed=1)
    return {
        "verb": "generate",
        "model": model,
        "ids": [[drawn.randrange(10, vocabulary) for _ in range(n)] for n in prompts],
        "max_tokens": mixed_lengths(count, TOKENS_OUT // share, seed=2),
    }


def mixed(args: Namespace) -> Row:
    folder = common.random_llama("98m", args)
    job = mixed_job(args, str(folder), vocabulary=8000)
    out = sum(job["max_tokens"])
    print(f"mixed on 98m: {len(job['ids'])} requests, {sum(map(len, job['ids']))} tokens in, {out} out", flush=True)
    mine = [side(common.OURS, job, args)]
    row: Row = {"model": "llama 99M, random", "requests": len(job["ids"]), "tokens_out": out, "sides": {}}
    found: dict[str, Any] = {"vllm": side(vllm(args), job, args)}
    for batch in (32, 8):
        found[f"transformers static {batch}, sorted by limit"] = side(common.PLAIN, {**job, "batch": batch}, args)
    mine.append(side(common.OURS, job, args))
    calls = sum(m["calls_s"] for m in mine) / 2
    said = sum(answer["tokens"] for (answer,) in mine[0]["answers"])
    row["sides"]["evalsuite"] = {"seconds": calls, "tokens_per_s": said / calls, "startup_s": mine[0]["startup_s"]}
    row["ours_each_s"] = [m["calls_s"] for m in mine]
    row["counts"] = mine[0]["counts"]
    for name, one in found.items():
        tokens = sum(len(ids) for ids in one["answers"])
        row["sides"][name] = {"seconds": one["calls_s"], "tokens_per_s": tokens / one["calls_s"]}
        row["sides"][name]["startup_s"] = one["startup_s"]
    for name, one in row["sides"].items():
        print(f"  {name}: {one['seconds']:.1f} s, {one['tokens_per_s']:.0f} tokens/s", flush=True)
    row["goals"] = [
        goal("mixed: tokens said / tokens asked", said / out, least=1.0),
        goal("mixed: our time / vLLM's", calls / found["vllm"]["calls_s"], most=BEHIND_VLLM),
    ]
    return row


def main() -> int:
    parser = common.parser(__doc__)
    parser.add_argument("--only", choices=("ifeval", "mixed"))
    args = parser.parse_args()
    rows = {name: part(args) for name, part in (("ifeval", ifeval), ("mixed", mixed)) if args.only in (None, name)}
    common.record("generation", {"dtype": "float32", **rows}, args, [lm_eval(args), vllm(args)])
    return common.status([g for row in rows.values() for g in row["goals"]])


if __name__ == "__main__":
    sys.exit(main())
