"""A server of OpenAI's chat protocol that waits, echoes, and fails on schedule, and counts what a client does about it.

Every call is answered after `--latency` seconds, but for `--faults` of them (drawn by `--seed` and the call's number,
so the same for every client): a 429 with Retry-After, a 500, a body that is cut off, or nothing at all. An answer
repeats the last message, or says `--reply`. GET /stats tells what was seen: calls, fates, most calls at once, texts
answered twice.

    python benchmarks/engine/stub_server.py --latency 0.05 --faults 0.1     # prints its port, serves until stdin closes
"""

import argparse
import asyncio
import json
import random
import sys
from collections import Counter

FAULTS = ("429", "500", "cut", "hang")
RETRY_AFTER = "0.1"


class Stub:
    """What all connections share."""

    def __init__(self, latency: float, faults: float, seed: int, reply: str = "") -> None:
        self.latency, self.faults, self.seed, self.reply = latency, faults, seed, reply
        self.fates: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.calls = self.at_once = self.most = 0

    def fate(self) -> str:
        """The next call's: a fault for one in `1 / faults`, each kind as often."""
        draw = random.Random(f"{self.seed} {self.calls}").random()
        self.calls += 1
        chosen = FAULTS[int(draw / self.faults * len(FAULTS))] if draw < self.faults else "ok"
        self.fates[chosen] += 1
        return chosen

    def stats(self) -> dict[str, object]:
        twice = sum(count > 1 for count in self.answered.values())
        return {"calls": self.calls, "fates": self.fates, "most_at_once": self.most, "texts": len(self.answered),
                "answered_twice": twice}  # fmt: skip


class Connection(asyncio.Protocol):
    """One client's connection: HTTP/1.1, kept alive, one call at a time."""

    def __init__(self, stub: Stub) -> None:
        self.stub = stub
        self.buffer = b""
        self.open = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        self.stub.at_once -= self.open
        self.open = 0

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        if head.startswith(b"GET"):
            self.send(200, json.dumps(self.stub.stats()).encode())
            return
        text = json.loads(rest[:length])["messages"][-1]["content"]
        self.stub.at_once += 1
        self.open += 1
        self.stub.most = max(self.stub.most, self.stub.at_once)
        fate = self.stub.fate()
        if fate != "hang":  # a hang lasts until the client hangs up
            asyncio.get_running_loop().call_later(self.stub.latency, self.answer, fate, text)

    def answer(self, fate: str, text: str) -> None:
        self.stub.at_once -= self.open
        self.open = 0
        if self.transport.is_closing():
            return
        if fate in ("429", "500"):
            body = json.dumps({"error": {"message": f"a planned {fate}", "code": None}}).encode()
            self.send(int(fate), body, b"Retry-After: %s\r\n" % RETRY_AFTER.encode() if fate == "429" else b"")
            return
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": self.stub.reply or text},
            "finish_reason": "stop",
        }
        words = len(text.split())
        usage = {"prompt_tokens": words, "completion_tokens": words, "total_tokens": 2 * words}
        body = json.dumps({"id": "stub", "object": "chat.completion", "choices": [choice], "usage": usage}).encode()
        if fate == "cut":
            self.send(200, body, cut=len(body) // 2)
            self.transport.close()
            return
        self.stub.answered[text] += 1
        self.send(200, body)

    def send(self, status: int, body: bytes, headers: bytes = b"", cut: int | None = None) -> None:
        head = b"HTTP/1.1 %d x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % (status, len(body))
        self.transport.write(head + headers + b"\r\n" + body[:cut])


async def serve(args: argparse.Namespace) -> None:
    stub, loop = Stub(args.latency, args.faults, args.seed, args.reply), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(stub), "127.0.0.1", args.port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await loop.run_in_executor(None, sys.stdin.read)  # ends with whoever started it


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--latency", type=float, default=0.05)
    options.add_argument("--faults", type=float, default=0.1)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--reply", default="", help="what every answer says (default: the last message)")
    options.add_argument("--port", type=int, default=0)
    asyncio.run(serve(options.parse_args()))
