"""The same answers from every engine: `vllm`, and its server through `openai`, against `hf`. SmolLM2, float32, greedy.

    python benchmarks/engine/parity.py [--quick] [--only vllm|openai]

200 prompts (IFEval and TruthfulQA questions, half each) through the chat template, and the choices of 40 TruthfulQA
questions scored as continuations. vLLM's environment needs evalsuite in it (peers.sh sees to it). Printed and written
to benchmarks/results/engine_parity.json: the share of equal completions (goal: 99%), each divergence with the gap
between the two next tokens where it began, the largest difference of a token's log-probability (goal: 1e-3). Exit
status 1 where a goal is missed.
"""

import socket
import subprocess
import sys
import time
import urllib.request
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import common
from common import Row, goal, side, spaced
from divergence import Next, divergences, largest_gap

PROMPTS, QUESTIONS, TOKENS = 200, 40, 64
SAME, DIFFERENCE, GAP = 0.99, 1e-3, 1e-3
STARTS_WITHIN, SERVED = 600, "smollm2"
VLLM_ARGS = {"enforce_eager": "true", "max_model_len": "2048"}


def jobs(args: Namespace) -> dict[str, Row]:
    """What every engine answers: prompts to speak after, continuations to score."""
    from evalsuite.data import read_rows

    half, questions, tokens = (5, 3, 24) if args.quick else (PROMPTS // 2, QUESTIONS, TOKENS)
    asked = read_rows(args.data / "truthfulqa" / "mc_task_v1.json")
    prompts = [row["prompt"] for row in spaced(read_rows(args.data / "ifeval" / "input_data.jsonl"), half)]
    prompts += [row["question"] for row in spaced(asked, half)]
    scored = [
        (f"Q: {row['question']}\nA:", [f" {choice}" for choice in row["mc1_targets"]])
        for row in spaced(asked, questions)
    ]
    return {
        "generate": {"verb": "generate", "prompts": prompts, "max_tokens": tokens},
        "score": {"verb": "score", "requests": scored},
    }


@contextmanager
def server(python: str | Path, model: Path, log: Path) -> Iterator[str]:
    """vLLM's OpenAI server on loopback; yields its URL. Raises SystemExit with the end of its log."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", model, "--served-model-name", SERVED]
    command += ["--dtype", "float32", "--max-model-len", "2048", "--enforce-eager", "--generation-config", "vllm"]
    command += ["--host", "127.0.0.1", "--port", port]
    environment = {"VLLM_CPU_KVCACHE_SPACE": "2", **common.environment()}
    with log.open("wb") as lines:
        running = subprocess.Popen([str(c) for c in command], stdout=lines, stderr=lines, env=environment)
    try:
        end = time.monotonic() + STARTS_WITHIN
        while not healthy(f"http://127.0.0.1:{port}/health"):
            if running.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"vLLM's server did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        running.terminate()
        try:
            running.wait(timeout=60)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def compare(name: str, base: dict[str, Row], other: dict[str, Row], scorer: Next) -> Row:
    """One engine against `hf`: equal texts, divergences with their gaps, the largest difference of a score."""
    answered = [a for verb in other.values() for row in verb["answers"] for a in row]
    failed = [a["error"] for a in answered if "error" in a]
    if failed:
        raise SystemExit(f"{name}: {len(failed)} requests failed, the first: {failed[0]}")
    prompts = [tuple(ids[0][0]) for ids in base["generate"]["ids"]]
    texts = [
        (one.get("text", ""), two.get("text", ""))
        for (one,), (two,) in zip(base["generate"]["answers"], other["generate"]["answers"], strict=True)
    ]
    parted = divergences(scorer, prompts, texts)
    for one in parted:
        print(f"    prompt {one['row']} parts at token {one['token']}, gap {one['gap']}")
    pairs = [
        (a["logprobs"], b["logprobs"])
        for left, right in zip(base["score"]["answers"], other["score"]["answers"], strict=True)
        for a, b in zip(left, right, strict=True)
    ]
    lengths = sum(len(a) != len(b) for a, b in pairs)
    worst = max(abs(x - y) for a, b in pairs for x, y in zip(a, b, strict=False))
    same = 1 - len(parted) / len(texts)
    seconds = {verb: other[verb]["calls_s"] for verb in other}
    print(f"  {name}: {seconds['generate']:.1f} s speaking, {seconds['score']:.1f} s scoring", flush=True)
    return {
        "engine": name,
        "prompts": len(texts),
        "scored": len(pairs),
        "seconds": seconds,
        "same_completions": same,
        "divergences": parted,
        "largest_difference": worst,
        "goals": [
            goal(f"{name}: share of equal completions", same, least=SAME),
            goal(f"{name}: largest gap where texts part", largest_gap(parted), most=GAP),
            goal(f"{name}: continuations of other lengths", lengths, most=0),
            goal(f"{name}: largest difference of a token's score", worst, most=DIFFERENCE),
        ],
    }


def main() -> int:
    parser = common.parser(__doc__)
    parser.add_argument("--only", choices=("vllm", "openai"))
    args = parser.parse_args()
    asked = jobs(args)
    folder = common.model_path("smollm2")
    there = replace(common.OURS, name="evalsuite-vllm", python=str(args.vllm_python))
    base = {verb: side(common.OURS, {**job, "model": "smollm2", "with_ids": True}, args) for verb, job in asked.items()}
    print(f"  hf: {base['generate']['calls_s']:.1f} s speaking, {base['score']['calls_s']:.1f} s scoring", flush=True)
    scorer, rows = Next("smollm2"), []
    if args.only in (None, "vllm"):
        more = {"model": str(folder), "backend": "vllm", "args": VLLM_ARGS}
        found = {verb: side(there, {**job, **more}, args) for verb, job in asked.items()}
        rows.append(compare("vllm", base, found, scorer))
    if args.only in (None, "openai"):
        with server(args.vllm_python, folder, args.work / "vllm-server.log") as url:
            more = {"model": f"openai:{SERVED}@{url}", "args": {"concurrency": "32"}}
            found = {verb: side(common.OURS, {**job, **more}, args) for verb, job in asked.items()}
        rows.append(compare("openai", base, found, scorer))
    result = {"model": "smollm2", "dtype": "float32", "max_tokens": asked["generate"]["max_tokens"], "rows": rows}
    common.record("parity", result, args, [common.vllm(args)])
    return common.status([g for row in rows for g in row["goals"]])


if __name__ == "__main__":
    sys.exit(main())
