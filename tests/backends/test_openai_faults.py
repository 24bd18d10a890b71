"""The openai backend against a server that fails: retries, errors as data, and keys that never show."""

import json
import logging
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from openai_server import Server, error, serving

from evalsuite.backends.openai import retry
from evalsuite.backends.openai.backend import OpenAIBackend, check_ready
from evalsuite.backends.openai.retry import Fault
from evalsuite.errors import BackendError, ModelError
from evalsuite.models import ModelOptions, resolve
from evalsuite.records import Completion, Unit, user

STUB = Path(__file__).parents[2] / "benchmarks" / "engine" / "stub_server.py"
KEY = "sk-test-7f3a9c51d2e84b60"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, float | None]]:
    """Waits become short; what would have been waited for is noted."""
    waits: list[tuple[int, float | None]] = []

    def pause(attempt: int, fault: Fault) -> float:
        waits.append((attempt, fault.retry_after))
        return 0.001

    monkeypatch.setattr("evalsuite.backends.openai.backend.pause", pause)
    return waits


def generate(server: Server, n: int = 1, **args: str) -> list[Completion]:
    engine = OpenAIBackend(resolve(f"openai:tiny@{server.url}", ModelOptions(args=args)))
    try:
        return engine.generate([Unit(str(i), "generate", (user(f"text {i}"),)) for i in range(n)])
    finally:
        engine.close()


FAULTS: list[Any] = [
    error(429, "slow down", {"Retry-After": "7"}),
    error(500, "oops"),
    error(503, "loading", {"retry-after-ms": "1500"}),
    error(408, "timeout"),
    "drop",
    "cut",
    "html",
    {"status": 200, "body": {"error": {"message": "upstream failed", "code": 502}}},
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_passing_faults_are_retried(server: Server, quick: list[tuple[int, float | None]], fault: Any) -> None:
    server.faults = [fault, fault]
    assert [a.text for a in generate(server)] == ["text 0"]
    assert len(server.seen) == 3
    wanted = {"7": 7.0}.get(fault.get("headers", {}).get("Retry-After", "")) if isinstance(fault, dict) else None
    if isinstance(fault, dict) and "retry-after-ms" in fault.get("headers", {}):
        wanted = 1.5
    assert quick == [(0, wanted), (1, wanted)]


def test_every_request_survives_a_storm(server: Server, quick: list[tuple[int, float | None]]) -> None:
    server.faults = FAULTS * 3
    assert [a.text for a in generate(server, 20)] == [f"text {i}" for i in range(20)]
    assert len(server.seen) == 20 + 3 * len(FAULTS)


@pytest.mark.parametrize("adaptive", ["true", "false"])
def test_every_request_is_answered_exactly_once(adaptive: str) -> None:
    """The stub of the benchmark in a process of its own, with a fault in each fifth call: 429, 500, a cut body, a hang.
    Every text comes back in its place, is told once, and is never asked again after its answer."""
    command = [sys.executable, str(STUB), "--latency=0.01", "--faults=0.2", "--seed=3"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as stub:
        assert stub.stdout is not None
        url = f"http://127.0.0.1:{stub.stdout.readline().strip()}"
        args = {"timeout": "0.5", "concurrency": "24", "adaptive": adaptive, "max_retries": "20"}
        engine = OpenAIBackend(resolve(f"openai:tiny@{url}", ModelOptions(args=args)))
        told: list[int] = []
        units = [Unit(str(i), "generate", (user(f"text {i}"),)) for i in range(300)]
        answers = engine.generate(units, lambda place, _: told.append(place))
        engine.close()
        with urllib.request.urlopen(f"{url}/stats", timeout=10) as reply:
            seen = json.loads(reply.read())
        assert stub.stdin is not None
        stub.stdin.close()
    assert [a.text for a in answers] == [f"text {i}" for i in range(300)]
    assert sorted(told) == list(range(300))
    assert (seen["texts"], seen["answered_twice"]) == (300, 0)
    assert seen["fates"]["ok"] == 300
    assert set(seen["fates"]) == {"ok", "429", "500", "cut", "hang"}
    failed = {name: engine.counts[name] for name in ("rejected", "broken", "timeouts")}
    assert failed == {
        "rejected": seen["fates"]["429"],
        "broken": seen["fates"]["500"] + seen["fates"]["cut"],
        "timeouts": seen["fates"]["hang"],
    }
    assert engine.counts["calls"] == seen["calls"] == 300 + sum(failed.values())
    assert engine.counts["retries"] == sum(failed.values())


def test_retry_after_is_honoured_on_the_clock(server: Server) -> None:
    server.faults = [error(429, "slow down", {"Retry-After": "1"})]
    assert generate(server)[0].text == "text 0"
    assert 1.0 <= server.times[1] - server.times[0] < 3.0


def test_slow_answers_time_out_and_are_retried(server: Server, quick: list[tuple[int, float | None]]) -> None:
    server.faults = [("slow", 1.5)]
    assert generate(server, timeout="1")[0].text == "text 0"
    assert len(server.seen) == 2


def test_a_lost_request_becomes_an_error_and_others_go_on(
    server: Server, quick: list[tuple[int, float | None]]
) -> None:
    def reply(body: dict[str, Any]) -> Any:
        text = body["messages"][0]["content"]
        return {"error": {"message": "always fails"}} if text == "text 1" else text

    server.reply = reply
    answers = generate(server, 3, max_retries="2")
    assert [a.text for a in answers] == ["text 0", "", "text 2"]
    assert answers[1].finish_reason == "error"
    assert answers[1].error is not None
    assert answers[1].error.startswith("backend_error: ")
    assert len(server.seen) == 2 + 3


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (error(400, "This model's maximum context length is 512 tokens.", code="context_length_exceeded"), "too_long"),
        ({"status": 400, "body": {"object": "error", "message": "prompt is too long: 600 > 512"}}, "too_long"),
        (error(400, "Filtered by our content management policy.", code="content_filter"), "backend_error"),
    ],
)
def test_a_content_fault_is_that_requests_own(server: Server, fault: dict[str, Any], reason: str) -> None:
    server.faults = [fault]
    answers = generate(server, 2, concurrency="1")
    assert (answers[0].error or "").startswith(f"{reason}: status 400")
    assert answers[1].text == "text 1"


@pytest.mark.parametrize(
    "fault",
    [
        error(401, "Incorrect API key provided"),
        error(403, "forbidden"),
        error(404, "The model `tiny` does not exist", code="model_not_found"),
        error(400, "invalid model name"),
        error(429, "You exceeded your current quota", code="insufficient_quota"),
        error(429, "come back tomorrow", {"Retry-After": "86400"}),
        {"status": 422, "body": {"detail": [{"loc": ["seed"], "msg": "extra fields\nnot permitted"}]}},
    ],
    ids=lambda f: str(f["status"]),
)
def test_a_fault_of_all_stops_at_once(server: Server, fault: dict[str, Any]) -> None:
    server.faults = [fault] * 30
    with pytest.raises(BackendError, match=f"status {fault['status']}") as caught:
        generate(server, 12, concurrency="2")
    assert caught.value.status == 3
    assert "\n" not in str(caught.value)
    assert len(server.seen) <= 6


def test_no_server_is_one_clear_line(quick: list[tuple[int, float | None]]) -> None:
    with serving() as gone:
        url = gone.url
    engine = OpenAIBackend(resolve(f"openai:tiny@{url}"))
    with pytest.raises(BackendError, match="Connection error") as caught:
        engine.generate([Unit("a", "generate", (user("x"),))])
    engine.close()
    assert "\n" not in str(caught.value)
    assert len(quick) == 2


def test_retry_after_forms() -> None:
    assert retry.retry_after({}) is None
    assert retry.retry_after({"retry-after": "3"}) == 3
    assert retry.retry_after({"retry-after": "soon"}) is None
    later = retry.retry_after({"retry-after": formatdate(time.time() + 30, usegmt=True)})
    assert later == pytest.approx(30, abs=2)
    for fate in ("rejected", "broken"):
        waits = [retry.pause(20, Fault("x", fate=fate)) for _ in range(50)]
        assert 30 <= min(waits) < max(waits) <= 90
    assert retry.pause(0, Fault("x", fate="rejected", retry_after=5.0)) >= 5
    assert retry.pause(0, Fault("x", fate="timeout")) < retry.pause(3, Fault("x", fate="timeout"))


# -- keys -------------------------------------------------------------------------------------------------------------


def test_missing_key_fails_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards regression item 14: no key is an error at once, never another way of scoring."""
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    options = ModelOptions(key_env="JUDGE_KEY")
    with pytest.raises(ModelError, match="JUDGE_KEY is not set") as caught:
        check_ready(resolve("openai:m@https://api.example.com/v1", options))
    assert caught.value.status == 2
    with pytest.raises(ModelError, match="JUDGE_KEY"):
        OpenAIBackend(resolve("openai:m@https://api.example.com/v1", options)).check_ready()
    check_ready(resolve("openai:m@http://127.0.0.1:9/v1", options))
    monkeypatch.setenv("JUDGE_KEY", KEY)
    check_ready(resolve("openai:m@https://api.example.com/v1", options))


def test_the_key_shows_nowhere(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It reaches the server, and no log at any level, no exception (causes included), no repr, no stored completion."""
    monkeypatch.setenv("JUDGE_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    model = resolve(f"openai:tiny@{server.url}", ModelOptions(key_env="JUDGE_KEY", args={"max_retries": "1"}))
    engine = OpenAIBackend(model)
    shown = [repr(model), repr(engine)]
    unit = Unit("a", "generate", (user("x"),))
    shown += map(repr, engine.generate([unit]))
    assert server.seen[0][1]["Authorization"] == f"Bearer {KEY}"
    shown.append(repr(vars(engine)))
    server.faults = [error(400, f"content_filter tripped, key {KEY}")]
    shown += map(repr, engine.generate([unit]))
    for fault in (error(401, f"Incorrect API key provided: {KEY}"), error(404, f"no model for {KEY}")):
        server.faults = [fault]
        with pytest.raises(BackendError) as caught:
            engine.generate([unit])
        link: BaseException | None = caught.value
        while link is not None:
            shown += [repr(link), str(link), repr(vars(link))]
            link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    engine.close()
    shown += [record.getMessage() + repr(record.args) for record in caplog.records]
    assert caplog.records
    assert KEY not in "\n".join(shown)
