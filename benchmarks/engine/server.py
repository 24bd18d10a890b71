"""How busy the `openai` backend keeps a server: ours and bare asyncio loops in turn, on a stub that fails and on vLLM.

* stub (stub_server.py): 50 ms a call, faults in 10% of calls, time-out 1 s. Goals: every request answered exactly once;
  useful throughput, while there is work for every slot, at least 95% of concurrency x (1 - fault share) / mean time of
  an attempt, where a hang counts its time-out; and the whole run no slower than a bare loop that retries at once.
* `--vllm`: vLLM's own server, no faults. Goal: at least 95% of the bare loop.

The bare loop is aiohttp and as many tasks as there are slots; a second one uses the openai client, as most code does.
`cpu_ms` is the client's own time for one call: one core makes 1000 / cpu_ms calls a second at most.

    python benchmarks/engine/server.py [--quick] [--vllm]
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from argparse import Namespace
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from common import HERE, Row, environment, goal, parser, random_llama, record, status, versions

from evalsuite.backends.openai.backend import OpenAIBackend
from evalsuite.models import ModelOptions, resolve
from evalsuite.records import Completion, Sampling, Unit, user

LATENCY, FAULTS, TIMEOUT = 0.05, 0.1, 1.0
MODEL = "served"
PLAIN = "{% for m in messages %}{{ m.content }}\n{% endfor %}"
EXTRA = {"ignore_eos": True}  # vLLM: so that every client asks for the same tokens
Body = dict[str, Any]
Post = Callable[[Body], Awaitable[Body]]


# -- clients ----------------------------------------------------------------------------------------------------------


def ours(url: str, bodies: Sequence[Body], slots: int, **more: str) -> Row:
    args = {"concurrency": str(slots), "timeout": f"{TIMEOUT if 'extra' not in more else 300}", **more}
    engine = OpenAIBackend(resolve(f"openai:{MODEL}@{url}", ModelOptions(args=args)))
    units = [
        Unit(str(i), "generate", tuple(body["messages"]), sampling=Sampling(max_tokens=body["max_tokens"]))
        for i, body in enumerate(bodies)
    ]
    told: list[int] = []
    with measured(len(units), slots) as (found, answered):

        def done(place: int, _: Completion) -> None:
            told.append(place)
            answered()

        answers = engine.generate(units, done)
    engine.close()
    found |= {"texts": [a.text for a in answers], "tokens": sum(a.tokens for a in answers), "counts": engine.counts}
    found["each_told_once"] = sorted(told) == list(range(len(units)))
    found["limit_at_end"] = engine._gate.pace.limit
    return found


def bare(url: str, bodies: Sequence[Body], slots: int, timeout: float) -> Row:
    """As many tasks as slots over one session; what fails is sent again at once."""

    async def main() -> Row:
        whole = aiohttp.ClientTimeout(total=timeout)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=whole) as session:

            async def post(body: Body) -> Body:
                async with session.post(f"{url}/v1/chat/completions", json=body) as reply:
                    reply.raise_for_status()
                    return await reply.json()

            return await spread(post, bodies, slots, (aiohttp.ClientError, TimeoutError, ValueError))

    return asyncio.run(main())


def bare_openai(url: str, bodies: Sequence[Body], slots: int, timeout: float) -> Row:
    """The same with the openai client, its own retries off."""

    async def main() -> Row:
        import openai  # a peer: `peers.sh` brings it with vLLM

        http = openai.DefaultAsyncHttpxClient(trust_env=False)
        client = openai.AsyncOpenAI(api_key="none", base_url=f"{url}/v1", max_retries=0, http_client=http)

        async def post(body: Body) -> Body:
            known = {key: value for key, value in body.items() if key not in EXTRA}
            more = {key: body[key] for key in EXTRA if key in body}
            async with asyncio.timeout(timeout):
                return (await client.chat.completions.create(**known, extra_body=more)).model_dump()

        try:
            return await spread(post, bodies, slots, (openai.OpenAIError, TimeoutError, ValueError))
        finally:
            await client.close()

    return asyncio.run(main())


async def spread(post: Post, bodies: Sequence[Body], slots: int, passing: tuple[type[Exception], ...]) -> Row:
    answers: list[Body] = [{}] * len(bodies)
    rest = iter(enumerate(bodies))

    with measured(len(bodies), slots) as (found, answered):

        async def work() -> None:
            for place, body in rest:
                while not answers[place]:
                    with contextlib.suppress(*passing):
                        answers[place] = await post(body)
                answered()

        await asyncio.gather(*(work() for _ in range(slots)))
    found["texts"] = [a["choices"][0]["message"]["content"] for a in answers]
    found["tokens"] = sum(a["usage"]["completion_tokens"] for a in answers)
    return found


@contextlib.contextmanager
def measured(requests: int, slots: int) -> Iterator[tuple[Row, Callable[[], None]]]:
    """Times the block, whose second value is called at each answer. `rate` is of the whole run; `busy_rate` of its part
    in which there was work for every slot: until as many answers were missing as there are slots."""
    found: Row = {"requests": requests}
    times: list[float] = []
    begun, cpu = time.perf_counter(), time.process_time()
    yield found, lambda: times.append(time.perf_counter())
    found["wall_s"], used = time.perf_counter() - begun, time.process_time() - cpu
    found["rate"], found["cpu_ms"] = requests / found["wall_s"], 1000 * used / requests
    found["busy_rate"] = (requests - slots) / (times[-slots - 1] - begun)


# -- the stub ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def stub(seed: int, faults: float, reply: str = "") -> Iterator[str]:
    command = [
        sys.executable,
        str(HERE / "stub_server.py"),
        f"--latency={LATENCY}",
        f"--faults={faults}",
        f"--seed={seed}",
        f"--reply={reply}",
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.stdin.close()


def stats(url: str) -> Row:
    with urllib.request.urlopen(f"{url}/stats", timeout=10) as reply:
        return json.loads(reply.read())


def possible(seen: Row, slots: int) -> float:
    """Answers a second of perfect slots: what the stub's own waits leave, nothing counted for anybody's work."""
    calls, fates = seen["calls"], seen["fates"]
    hangs = fates.get("hang", 0)
    mean = ((calls - hangs) * LATENCY + hangs * TIMEOUT) / calls
    return slots * (fates["ok"] / calls) / mean


def on_stub(slots: int, requests: int, rounds: int) -> Row:
    bodies = [{"model": MODEL, "messages": [user(f"request number {i} " + "word " * 20)], "max_tokens": 64}
              for i in range(requests)]  # fmt: skip
    sides: dict[str, Callable[[str], Row]] = {
        "ours": lambda url: ours(url, bodies, slots),
        "ours, adaptive=false": lambda url: ours(url, bodies, slots, adaptive="false"),
        "bare aiohttp": lambda url: bare(url, bodies, slots, TIMEOUT),
        "bare openai": lambda url: bare_openai(url, bodies, slots, TIMEOUT),
    }
    rows: list[Row] = []
    for seed in range(rounds):
        for name, run in sides.items():
            with stub(seed, FAULTS) as url:
                found = run(url)
                seen = stats(url)
            right = found.pop("texts") == [b["messages"][0]["content"] for b in bodies]
            once = right and found.get("each_told_once", True) and not seen["answered_twice"]
            share = found["busy_rate"] / possible(seen, slots)
            rows.append({"side": name, "seed": seed, **found, "stub": seen, "share": share, "exactly_once": once})
            print(
                f"  {slots:4d} slots, seed {seed}, {name:21s} {found['rate']:7.1f}/s, "
                f"while busy {found['busy_rate']:.1f}/s ({share:.1%} of the possible), "
                f"{found['cpu_ms']:.2f} ms CPU a call, once each: {once}",
                flush=True,
            )
    return {"slots": slots, "requests": requests, "rows": rows}


def median(table: Row, side: str, key: str) -> float:
    return statistics.median(row[key] for row in table["rows"] if row["side"] == side)


# -- vLLM -------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def vllm_server(folder: Path, args: Namespace, window: int = 512, template: str | None = PLAIN) -> Iterator[str]:
    """The server's address; `template` None is the checkpoint's own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(args.vllm_python), "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
    command += ["--served-model-name", MODEL, "--dtype", "float32", "--max-model-len", str(window), "--enforce-eager"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--generation-config", "vllm", "--max-num-seqs", "64"]
    command += ["--disable-uvicorn-access-log", *(["--chat-template", template] if template else [])]
    args.work.mkdir(parents=True, exist_ok=True)
    log = args.work / "vllm_server.log"
    # Development mode: it can forget its prefixes.
    settings = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_SERVER_DEV_MODE": "1", **environment()}
    with log.open("wb") as lines:
        # A session of its own: its worker processes must end with it.
        process = subprocess.Popen(command, stdout=lines, stderr=lines, env=settings, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/health", process, log)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path, seconds: float = 420.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError, urllib.error.URLError), urllib.request.urlopen(url, timeout=2):
            return
        time.sleep(0.5)
    raise SystemExit(f"vllm's server did not come up ({log}):\n{log.read_text(errors='replace')[-2000:]}")


def on_vllm(args: Namespace, slots: int, requests: int, rounds: int) -> Row:
    words = ["the", "a", "of", "model", "answers", "question", "truth", "number", "city", "river", "seven"]
    bodies = []
    for i in range(requests):
        text = " ".join(words[(i * 7 + j * (i % 5 + 1)) % len(words)] for j in range(10 + i * 13 % 60))
        bodies.append({"model": MODEL, "messages": [user(f"{i}: {text}")], "max_tokens": 16 + i * 29 % 64,
                       "temperature": 0.0, "top_p": 1.0, **EXTRA})  # fmt: skip
    sides: dict[str, Callable[[str], Row]] = {
        "bare aiohttp": lambda url: bare(url, bodies, slots, 300),
        "ours": lambda url: ours(url, bodies, slots, extra=json.dumps(EXTRA)),
        "bare openai": lambda url: bare_openai(url, bodies, slots, 300),
    }
    rows: list[Row] = []
    with vllm_server(random_llama("5m", args), args) as url:
        bare(url, bodies[:slots], slots // 2, 300)  # warm
        first: list[str] = []
        for number in range(rounds):
            for name, run in sides.items():
                # vLLM keeps prefixes: none of an earlier side's may help.
                urllib.request.urlopen(urllib.request.Request(f"{url}/reset_prefix_cache", method="POST"), timeout=10)
                found = run(url)
                texts = found.pop("texts")
                first = first or texts
                found["same_texts"] = sum(x == y for x, y in zip(texts, first, strict=True)) / requests
                found["tokens_s"] = found["tokens"] / found["wall_s"]
                rows.append({"side": name, "round": number, **found})
                print(f"  {slots:4d} slots, round {number}, {name:14s} {found['tokens_s']:7.1f} tokens/s, "
                      f"{found['rate']:6.2f} requests/s, {found['cpu_ms']:.2f} ms CPU a call, "
                      f"same texts {found['same_texts']:.1%}", flush=True)  # fmt: skip
    return {"slots": slots, "requests": requests, "rows": rows}


def main() -> int:
    made = parser(__doc__)
    made.add_argument("--no-stub", action="store_true", help="vLLM only")
    made.add_argument("--vllm", action="store_true", help="vLLM's own server too (its CPU build will do)")
    args = made.parse_args()
    # Two runs of one loop differ by 1 to 2%: "not below" is read with that.
    goals, result = [], {"stub": [], "timeout_s": TIMEOUT, "latency_s": LATENCY, "fault_share": FAULTS}
    for slots in () if args.no_stub else (32, 64):
        print(f"stub: {LATENCY * 1000:g} ms a call, faults in {FAULTS:.0%} of calls, time-out {TIMEOUT:g} s")
        table = on_stub(slots, slots * (60 if args.quick else 150), 1 if args.quick else 2)
        result["stub"].append(table)
        mine = [row for row in table["rows"] if row["side"].startswith("ours")]
        goals.append(goal(f"{slots} slots: answered exactly once", statistics.mean(r["exactly_once"] for r in mine), 1))
        goals.append(goal(f"{slots} slots: share of the possible", median(table, "ours", "share"), least=0.95))
        ratio = median(table, "ours", "rate") / median(table, "bare aiohttp", "rate")
        goals.append(goal(f"{slots} slots: ours over the bare loop", ratio, least=1.0))
    if args.vllm:
        print("vLLM's own server, 5M Llama, float32")
        result["vllm"] = on_vllm(args, 64, 128 if args.quick else 384, 1 if args.quick else 2)
        ratio = median(result["vllm"], "ours", "tokens_s") / median(result["vllm"], "bare aiohttp", "tokens_s")
        goals.append(goal("vLLM: ours over the bare loop", ratio, least=0.95))
    extra = versions(names=("aiohttp", "openai"))
    vllm = versions(args.vllm_python, ("vllm", "vllm-cpu")) if args.vllm else {}
    record("server", {**result, "clients": extra, "vllm_versions": vllm, "goals": goals}, args)
    return status(goals)


if __name__ == "__main__":
    sys.exit(main())
