"""A small OpenAI-compatible server on loopback: canned or real (transformers) answers, and faults on demand."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Server:
    """`faults` are served first, one for each request: {"status", "headers", "body"}, "drop", "cut", "html", or
    ("slow", seconds). Then `reply(body)` gives a text, an answer or a fault. `seen` holds (path, headers, body)."""

    def __init__(self) -> None:
        self.faults: list[Any] = []
        self.reply: Callable[[dict[str, Any]], Any] = lambda body: body["messages"][-1]["content"]
        self.seen: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.times: list[float] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.url = ""


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    http.daemon_threads = True
    http.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that hung up is part of the tests
    server.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with server.lock:
                server.seen.append((self.path, dict(self.headers), body))
                server.times.append(time.monotonic())
                fault = server.faults.pop(0) if server.faults else None
                server.at_once += 1
                server.most_at_once = max(server.most_at_once, server.at_once)
            try:
                self._answer(fault, body)
            finally:
                with server.lock:
                    server.at_once -= 1

        def _answer(self, fault: Any, body: dict[str, Any]) -> None:
            if fault is None and isinstance(made := server.reply(body), dict) and "status" in made:
                fault = made
            if fault == "drop":
                self.close_connection = True
                self.connection.close()
            elif fault == "html":
                self._send(200, b"<html>gateway</html>", {"Content-Type": "text/html"})
            elif fault == "cut":
                self.close_connection = True
                self._send(200, b'{"choices": [{"mess', {"Content-Length": "900"})
            elif isinstance(fault, dict):
                self._send(fault["status"], json.dumps(fault.get("body", {})).encode(), fault.get("headers", {}))
            else:
                if isinstance(fault, tuple):
                    time.sleep(fault[1])
                self._send(200, json.dumps(_whole(server.reply(body))).encode(), {})

        def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(data)

    return Handler


def _whole(reply: Any) -> Any:
    if not isinstance(reply, str):
        return reply
    choice = {"index": 0, "message": {"role": "assistant", "content": reply}, "finish_reason": "stop"}
    return {"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": len(reply.split())}}


def error(status: int, message: str, headers: dict[str, str] | None = None, code: str | None = None) -> dict[str, Any]:
    body = {"error": {"message": message, "type": "error", "param": None, "code": code}}
    return {"status": status, "headers": headers or {}, "body": body}


def tiny_model(folder: Path) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A `reply` that serves a real checkpoint greedily: chat with top_logprobs, and completions with echo."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokens, lock = AutoTokenizer.from_pretrained(folder), threading.Lock()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def reply(body: dict[str, Any]) -> dict[str, Any]:
        with lock, torch.no_grad():
            return _score(body) if "prompt" in body else _chat(body)

    def _chat(body: dict[str, Any]) -> dict[str, Any]:
        ids = tokens.apply_chat_template(body["messages"], add_generation_prompt=True, return_dict=False)
        made: list[int] = []
        steps = []
        for _ in range(body["max_tokens"]):
            logprobs = model(torch.tensor([ids + made])).logits[0, -1].log_softmax(-1)
            best = logprobs.topk(max(1, body.get("top_logprobs", 1)))
            table = [
                {"token": tokens.decode([i]), "logprob": v}
                for v, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)
            ]
            made.append(int(best.indices[0]))
            steps.append({**table[0], "top_logprobs": table})
        choice = {"message": {"role": "assistant", "content": tokens.decode(made)}, "finish_reason": "length"}
        if body.get("logprobs"):
            choice["logprobs"] = {"content": steps}
        return {"choices": [choice], "usage": {"prompt_tokens": len(ids), "completion_tokens": len(made)}}

    def _score(body: dict[str, Any]) -> dict[str, Any]:
        ids = tokens(body["prompt"]).input_ids
        table = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        values = [None] + [float(table[i - 1, token]) for i, token in enumerate(ids) if i]
        tops: list[Any] = [None]
        for i in range(1, len(ids)):
            tops.append({"best": float(table[i - 1].max()), tokens.decode([ids[i]]): values[i]})
        pieces = [tokens.decode([i]) for i in ids]
        steps = {"tokens": pieces, "token_logprobs": values, "top_logprobs": tops, "text_offset": _offsets(pieces)}
        choice = {"text": body["prompt"], "finish_reason": "length", "logprobs": steps}
        return {"choices": [choice], "usage": {"prompt_tokens": len(ids), "completion_tokens": 0}}

    return reply


def _offsets(pieces: list[str]) -> list[int]:
    return [sum(map(len, pieces[:i])) for i in range(len(pieces))]
