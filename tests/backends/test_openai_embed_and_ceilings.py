"""The openai backend's embeddings and ceilings, and what it tells early, against a real server on loopback."""

import array
import base64
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai_server import Server, error, serving

from evalsuite.backends.openai.backend import OpenAIBackend
from evalsuite.errors import BackendError, InputError, ModelError
from evalsuite.models import ModelOptions, resolve
from evalsuite.models.model import NEUTRAL_ARGS
from evalsuite.records import Completion, Message, Request, Sampling, Unit, user
from evalsuite.running.engine import Engine, answer


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def backend(server: Server, **args: str) -> OpenAIBackend:
    return OpenAIBackend(resolve(f"openai:tiny@{server.url}", ModelOptions(args=args)))


def embed(server: Server, *texts: str) -> list[Completion]:
    engine = backend(server)
    try:
        return engine.embed([Unit("f", "embed", (user(text),)) for text in texts])
    finally:
        engine.close()


def asks(count: int, **sampling: Any) -> list[Unit]:
    return [Unit(str(i), "generate", (user(f"text {i}"),), sampling=Sampling(**sampling)) for i in range(count)]


# -- embeddings -------------------------------------------------------------------------------------------------------


def numbers(text: str) -> list[float]:
    return [float(len(text)), -0.5, float(text.count("e")) / 3]


def embeds(server: Server, honour: bool = True) -> None:
    """Rows come back in another order than they were asked for, as the protocol allows."""

    def reply(body: dict[str, Any]) -> dict[str, Any]:
        rows: list[dict[str, Any]] = []
        for index, text in enumerate(body["input"]):
            row: Any = numbers(text)
            if honour and body["encoding_format"] == "base64":
                row = base64.b64encode(array.array("f", row).tobytes()).decode()
            rows.insert(0, {"index": index, "embedding": row})
        return {"data": rows, "usage": {"prompt_tokens": 7 * len(rows) + 3}}

    server.reply = reply


@pytest.mark.parametrize("honour", [True, False])
def test_embeddings_come_in_order_by_batches(server: Server, honour: bool) -> None:
    embeds(server, honour)
    texts = ["e" * i for i in range(1, 24)]
    engine = backend(server, embed_batch="5")
    told: dict[int, Completion] = {}
    found = engine.embed([Unit("f", "embed", (user(text),)) for text in texts], told.__setitem__)
    engine.close()
    assert [path for path, _, _ in server.seen] == ["/v1/embeddings"] * 5
    assert sorted(len(body["input"]) for _, _, body in server.seen) == [3, 5, 5, 5, 5]
    for text, completion in zip(texts, found, strict=True):
        assert completion.embedding == (pytest.approx(tuple(numbers(text)), rel=1e-6),)
    assert [told[i] for i in range(len(texts))] == found
    assert sum(c.prompt_tokens for c in found) == 7 * 23 + 3 * 5
    assert engine.counts["prefill_tokens"] == 7 * 23 + 3 * 5


def test_a_server_without_base64_is_learnt(server: Server) -> None:
    embeds(server)
    good = server.reply
    server.reply = lambda b: (
        error(400, "encoding_format: base64 unknown") if b["encoding_format"] != "float" else good(b)
    )
    (found,) = embed(server, "eel")
    assert found.embedding == (tuple(numbers("eel")),)


def test_one_text_that_is_too_long_spoils_no_other(server: Server) -> None:
    embeds(server)
    good = server.reply
    long = "maximum context length is 8 tokens"
    server.reply = lambda body: error(400, long) if any(len(t) > 9 for t in body["input"]) else good(body)
    found = embed(server, "a", "bb", "much too long", "dddd", "eeeee")
    assert [c.error is None for c in found] == [True, True, False, True, True]
    assert (found[2].error or "").startswith("too_long")
    assert found[3].embedding[0][0] == 4.0


@pytest.mark.parametrize("rows", [[], [{"index": 1, "embedding": [1.0]}], [{"index": 0, "embedding": [float("nan")]}]])
def test_embeddings_that_cannot_be_read_are_one_line(server: Server, rows: list[Any]) -> None:
    server.reply = lambda body: {"data": rows or [{"index": 0, "embedding": []}]}
    with pytest.raises(BackendError, match="cannot read its embeddings") as caught:
        embed(server, "a")
    assert "\n" not in str(caught.value)


def test_images_are_not_embedded(server: Server) -> None:
    engine = backend(server)
    with pytest.raises(InputError, match="plain text only"):
        engine.embed([Unit("f", "embed", (Message(role="user", content=[{"type": "image", "image": "x"}]),))])
    engine.close()


# -- ceilings ---------------------------------------------------------------------------------------------------------


def test_calls_never_exceed_their_ceiling_and_answers_are_kept(server: Server) -> None:
    """Retries are calls too. What was answered has been told before the error comes; the rest takes another command."""
    server.faults = [error(500, "oops"), None, "drop"]
    engine = backend(server, max_calls="10", concurrency="4")
    kept: dict[int, Completion] = {}
    units = asks(20)
    with pytest.raises(
        BackendError, match=r"ceiling max_calls=10 is reached after 10 calls, with 12 requests"
    ) as caught:
        engine.generate(units, kept.__setitem__)
    engine.close()
    assert caught.value.status == 3
    assert len(server.seen) == 10
    assert len(kept) == 8
    assert all(kept[i].text == f"text {i}" for i in kept)
    rest = [unit for i, unit in enumerate(units) if i not in kept]
    again = backend(server, max_calls="12")
    assert [c.text for c in again.generate(rest)] == [f"text {i}" for i in range(20) if i not in kept]
    again.close()


@pytest.mark.parametrize(
    "args", [{"max_tokens_total": "400"}, {"max_cost": "0.0004", "price_in": "1", "price_out": "1"}]
)
def test_tokens_and_money_stay_below_their_ceiling(server: Server, args: dict[str, str]) -> None:
    """The server answers with as many tokens as it may; 16 calls are in flight, and none breaks the ceiling."""

    def reply(body: dict[str, Any]) -> dict[str, Any]:
        choice = {"message": {"content": "x"}, "finish_reason": "length"}
        return {"choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": body["max_tokens"]}}

    server.reply = reply
    engine = backend(server, **args)
    kept: dict[int, Completion] = {}
    with pytest.raises(BackendError, match=next(iter(args))):
        engine.generate(asks(50, max_tokens=30), kept.__setitem__)
    spent = engine.counts["prefill_tokens"] + engine.counts["decode_tokens"]
    assert 300 < spent <= 400
    assert spent == 40 * len(kept)
    if "max_cost" in args:
        assert engine.counts["cost"] == pytest.approx(spent / 1e6)
    engine.close()


def test_cost_is_counted_by_the_servers_own_numbers(server: Server) -> None:
    engine = backend(server, price_in="2.5", price_out="10")
    engine.generate(asks(4))
    assert engine.counts["cost"] == pytest.approx(4 * (3 * 2.5 + 2 * 10) / 1e6)
    assert engine.counts["calls"] == 4
    assert engine.counts["model_s"] > 0
    engine.close()


@pytest.mark.parametrize(
    ("args", "what"),
    [
        ({"max_cost": "3"}, "give price_in and price_out"),
        ({"max_cost": "-1", "price_in": "1"}, "max_cost=-1: a number above 0"),
        ({"max_calls": "many"}, "max_calls=many"),
        ({"timeout": "0"}, "timeout=0"),
        ({"timeout": "nan"}, "timeout=nan"),
        ({"adaptive": "maybe"}, "adaptive=maybe: true or false"),
    ],
)
def test_arguments_are_checked_in_one_line(server: Server, args: dict[str, str], what: str) -> None:
    with pytest.raises(ModelError, match=what) as caught:
        backend(server, **args)
    assert "\n" not in str(caught.value)


def test_pace_and_ceilings_move_no_answer() -> None:
    plain, other = (
        resolve("openai:m@http://localhost:1", ModelOptions(args=args)).identity
        for args in ({}, {"max_calls": "5", "adaptive": "false", "price_in": "1", "timeout": "0.5", "concurrency": "9"})
    )
    assert plain == other
    assert "extra" not in NEUTRAL_ARGS


# -- told early -------------------------------------------------------------------------------------------------------


def test_answers_are_told_while_others_are_awaited(server: Server) -> None:
    """The last request is answered only after the first has been told."""
    first, told = threading.Event(), []

    def reply(body: dict[str, Any]) -> str:
        text = str(body["messages"][-1]["content"])
        if text == "text 2":
            assert first.wait(20)
        return text

    def done(place: int, completion: Completion) -> None:
        told.append((place, completion.text))
        if place == 0:
            first.set()

    server.reply = reply
    engine = backend(server)
    answers = engine.generate(asks(3), done)
    engine.close()
    assert sorted(told) == [(i, f"text {i}") for i in range(3)]
    assert told.index((0, "text 0")) < told.index((2, "text 2"))
    assert [a.text for a in answers] == ["text 0", "text 1", "text 2"]


def test_a_backoff_holds_no_slot(server: Server) -> None:
    """With one slot, nine requests pass while the tenth waits for what Retry-After asks."""
    server.faults = [error(429, "slow down", {"Retry-After": "1"})]
    order: list[int] = []
    engine = backend(server, concurrency="1")
    engine.generate(asks(10), lambda place, _: order.append(place))
    engine.close()
    assert order == [*range(1, 10), 0]
    assert server.most_at_once == 1


def test_a_storm_pauses_the_whole_client(server: Server) -> None:
    """Rejections by the dozen: after the first handful nobody calls until the time that the server named."""
    server.faults = [error(429, "slow down", {"Retry-After": "1"})] * 16
    engine = backend(server, concurrency="16")
    answers = engine.generate(asks(40))
    engine.close()
    assert [a.text for a in answers] == [f"text {i}" for i in range(40)]
    assert len(server.seen) == 56
    times = sorted(server.times)
    # 16 slots, and those that took a slot before the sixth rejection closed the gate.
    later = [t for t in times if t - times[0] < 0.9]
    assert len(later) <= 16 + 6
    assert engine.counts["rejected"] == 16


def test_the_same_command_goes_on_after_a_ceiling(server: Server, tmp_path: Path) -> None:
    """Through the engine and its store: a ceiling stops with exit status 3, and nothing that was answered, and paid
    for, is asked again."""
    requests = [Request("generate", (user(f"text {i}"),)) for i in range(20)]

    def run(**args: str) -> list[tuple[Completion, ...]]:
        engine = Engine(resolve(f"openai:tiny@{server.url}", ModelOptions(args=args)), tmp_path)
        try:
            return answer(engine, requests)
        finally:
            engine.close()

    with pytest.raises(BackendError, match="max_calls=8") as caught:
        run(max_calls="8", concurrency="4")
    assert caught.value.status == 3
    with pytest.raises(BackendError, match="max_calls=5"):
        run(max_calls="5")
    assert [found.text for (found,) in run()] == [f"text {i}" for i in range(20)]
    assert sorted(body["messages"][0]["content"] for _, _, body in server.seen) == sorted(
        f"text {i}" for i in range(20)
    )
