"""The openai backend against a real server on loopback: requests, answers, order, log-likelihoods."""

import asyncio
import base64
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from checkpoints import build
from openai_server import Server, error, serving, tiny_model

from evalsuite.backends.openai.backend import OpenAIBackend
from evalsuite.backends.openai.http import base_url, is_loopback
from evalsuite.errors import BackendError, InputError, ModelError
from evalsuite.models import ModelOptions, resolve
from evalsuite.records import Completion, Message, Sampling, Unit, user


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def backend(server: Server, **args: str) -> OpenAIBackend:
    return OpenAIBackend(resolve(f"openai:tiny@{server.url}", ModelOptions(args=args)))


def ask(text: str = "hello", **sampling: Any) -> Unit:
    return Unit("f", "generate", (user(text),), sampling=Sampling(**sampling), seed=7)


def generate(server: Server, units: list[Unit], **args: str) -> list[Completion]:
    engine = backend(server, **args)
    try:
        return engine.generate(units)
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1"),
        ("http://localhost:8000/", "http://localhost:8000/v1"),
        ("http://localhost:8000/v1/", "http://localhost:8000/v1"),
        ("https://host/openai/v2", "https://host/openai/v2"),
        ("https://host/v1/chat/completions", "https://host/v1"),
    ],
)
def test_base_url(given: str, used: str) -> None:
    assert base_url(given) == used


def test_loopback() -> None:
    local = ["http://localhost:1", "http://127.0.0.1", "http://[::1]:80", "http://127.9.9.9"]
    assert all(is_loopback(u) for u in local)
    assert not any(is_loopback(u) for u in ["http://10.0.0.1", "https://api.example.com", "http://localhost.evil.com"])


def test_answers_come_in_the_order_of_the_units(server: Server) -> None:
    server.faults = [("slow", 0.3), ("slow", 0.1), None, ("slow", 0.2)]
    answers = generate(server, [ask(f"number {i}") for i in range(12)])
    assert [a.text for a in answers] == [f"number {i}" for i in range(12)]
    assert answers[0].prompt_tokens == 3
    assert answers[0].tokens == 2


def test_concurrency_is_bounded(server: Server) -> None:
    server.faults = [("slow", 0.05)] * 12
    generate(server, [ask(str(i)) for i in range(12)], concurrency="3")
    assert server.most_at_once == 3


def test_sampling_is_sent_in_full(server: Server) -> None:
    """Sampling parameters of one unit never leak into another's request (regression item 19's flavour)."""
    generate(
        server,
        [ask("a"), ask("b", temperature=0.7, top_p=0.9, top_k=5, max_tokens=9, stop=("X",), top_logprobs=3)],
        extra='{"repetition_penalty": 1.0}',
    )
    bodies = {body["messages"][0]["content"]: body for _, _, body in server.seen}
    common = {"model": "tiny", "repetition_penalty": 1.0}
    greedy = {"messages": [user("a")], "temperature": 0.0, "top_p": 1.0, "max_tokens": 512}
    drawn = {"messages": [user("b")], "temperature": 0.7, "top_p": 0.9, "top_k": 5, "max_tokens": 9, "stop": ["X"]}
    assert bodies["a"] == {**common, **greedy}
    assert bodies["b"] == {**common, **drawn, "seed": 7, "logprobs": True, "top_logprobs": 3}


def test_fields_may_be_omitted(server: Server) -> None:
    generate(server, [ask(temperature=1.0)], omit="seed,top_p")
    assert not {"seed", "top_p"} & server.seen[0][2].keys()


def test_token_limit_is_renamed_where_the_server_says_so(server: Server) -> None:
    complaint = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    server.reply = lambda body: error(400, complaint) if "max_tokens" in body else body["messages"][-1]["content"]
    answers = generate(server, [ask(str(i), max_tokens=5) for i in range(6)], concurrency="3")
    assert [a.text for a in answers] == [str(i) for i in range(6)]
    assert server.seen[-1][2]["max_completion_tokens"] == 5
    assert "max_tokens" not in server.seen[-1][2]


def test_other_complaints_about_parameters_stop_the_run(server: Server) -> None:
    """The backend never drops a parameter by itself: what was asked for would silently change."""
    server.faults = [error(400, "Unsupported value: 'temperature' does not support 0 with this model.")] * 4
    with pytest.raises(BackendError, match="temperature") as caught:
        generate(server, [ask()])
    assert "\n" not in str(caught.value)


def test_finish_reasons_reasoning_and_refusal(server: Server) -> None:
    messages = {
        "cut": ({"content": "half"}, "length"),
        "think": ({"content": "Four.", "reasoning_content": "2+2"}, "stop"),
        "lost": ({"content": None, "reasoning": "2+2 is"}, "length"),
        "filter": ({"content": ""}, "content_filter"),
        "refuse": ({"content": None, "refusal": "I can't."}, "stop"),
    }

    def reply(body: dict[str, Any]) -> dict[str, Any]:
        message, finish = messages[body["messages"][0]["content"]]
        return {"choices": [{"message": message, "finish_reason": finish}], "usage": {"completion_tokens": 8}}

    server.reply = reply
    cut, think, lost, filtered, refuse = generate(server, [ask(name) for name in messages])
    assert (cut.text, cut.finish_reason) == ("half", "length")
    assert (think.text, think.reasoning, think.reasoning_tokens, think.tokens) == ("Four.", "2+2", 3, 5)
    assert (lost.text, lost.reasoning, lost.reasoning_closed) == ("", "2+2 is", False)
    assert filtered.finish_reason == "error"
    assert filtered.error is not None
    assert refuse.text == "I can't."


def test_images_travel_as_data_uris(server: Server, tmp_path: Path) -> None:
    from PIL import Image

    server.reply = lambda body: "seen"
    Image.new("RGB", (3, 2), "red").save(tmp_path / "dot.png")
    data = (tmp_path / "dot.png").read_bytes()
    uri = "data:image/png;base64," + base64.b64encode(data).decode()
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image", "image": str(tmp_path / "dot.png")},
        {"type": "image", "image": uri},
    ]
    generate(server, [Unit("f", "generate", (Message(role="user", content=parts),))])
    sent = server.seen[0][2]["messages"][0]["content"]
    assert sent[0] == {"type": "text", "text": "What is it?"}
    assert sent[1:] == [{"type": "image_url", "image_url": {"url": uri}}] * 2
    for image, what in (("no.png", r"no\.png"), ("https://host/cat.jpg", "image_urls=true")):
        lost = Message(role="user", content=[{"type": "image", "image": image}])
        with pytest.raises(InputError, match=what) as caught:
            generate(server, [Unit("f", "generate", (lost,))])
        assert "\n" not in str(caught.value)


def test_works_inside_a_running_event_loop(server: Server) -> None:
    """A notebook already runs a loop in its thread."""

    async def notebook() -> str:
        return generate(server, [ask("inside")])[0].text

    assert asyncio.run(notebook()) == "inside"


def test_wrong_arguments_are_named(server: Server) -> None:
    with pytest.raises(InputError, match="concurency"):
        backend(server, concurency="3")
    with pytest.raises(InputError, match="temprature"):
        backend(server, omit="temprature")
    with pytest.raises(ModelError, match="extra"):
        backend(server, extra="{")
    with pytest.raises(ModelError, match="concurrency=0"):
        backend(server, concurrency="0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("served") / "tiny")


CONTEXTS = ["Q: What is the capital of France?\nA:", "The quick brown", "Москва and 東京 are", "Once upon a time, "]
CONTINUATIONS = [" Paris", " fox jumps over the lazy dog.", " cities; so is Αθήνα. 🙂", "there were 12 naïve cafés"]


def test_log_likelihoods_equal_a_plain_computation(server: Server, folder: Path) -> None:
    """The boundary between prompt and continuation, on a byte-level tokenizer with a BOS in front, unicode included."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    server.reply = tiny_model(folder)
    tokens = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    units = [Unit("f", "loglikelihood", (user(c),), prompt=c, continuation=t) for c in CONTEXTS for t in CONTINUATIONS]
    engine = backend(server)
    answers = engine.loglikelihood(units)
    engine.close()
    for unit, answer in zip(units, answers, strict=True):
        text = (unit.prompt or "") + unit.continuation
        encoded = tokens(text, return_offsets_mapping=True)
        ids = encoded.input_ids
        first = next(i for i, (_, end) in enumerate(encoded.offset_mapping) if end > len(unit.prompt or ""))
        with torch.no_grad():
            table = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        plain = [float(table[i - 1, ids[i]]) for i in range(first, len(ids))]
        best = all(int(table[i - 1].argmax()) == ids[i] for i in range(first, len(ids)))
        assert answer.logprob == pytest.approx(sum(plain), abs=1e-4), unit
        assert len(answer.logprobs) == len(plain)
        assert answer.greedy == best


def test_a_server_that_must_generate_one_token(server: Server, folder: Path) -> None:
    """Some servers refuse `max_tokens` 0: the one generated token is no part of the continuation."""
    real = tiny_model(folder)

    def reply(body: dict[str, Any]) -> dict[str, Any]:
        if body["max_tokens"] == 0:
            return error(400, "max_tokens must be at least 1, got 0.")
        answer = real(body)
        steps = answer["choices"][0]["logprobs"]
        for name, more in {"tokens": "!", "token_logprobs": -3.0, "top_logprobs": {"!": -3.0}}.items():
            steps[name].append(more)
        answer["usage"]["completion_tokens"] = 1
        return answer

    unit = Unit("f", "loglikelihood", (user("Q"),), prompt="The quick", continuation=" brown fox")
    engine = backend(server)
    server.reply = reply
    (forced,) = engine.loglikelihood([unit])
    server.reply = real
    (plain,) = backend(server).loglikelihood([unit])
    assert forced.logprobs == plain.logprobs
    engine.close()


def test_top_logprobs_of_generated_tokens(server: Server, folder: Path) -> None:
    server.reply = tiny_model(folder)
    (answer,) = generate(server, [ask(max_tokens=4, top_logprobs=5)])
    assert len(answer.top_logprobs) == 4
    assert answer.finish_reason == "length"
    for chosen, table in zip(answer.logprobs, answer.top_logprobs, strict=True):
        assert chosen == pytest.approx(max(table.values()), abs=0.1)
        assert sum(map(math.exp, table.values())) <= 1.0001


@pytest.mark.parametrize(
    "reply",
    [
        {"choices": [{"text": " Paris", "finish_reason": "length", "logprobs": None}]},
        {"choices": [{"text": "x", "logprobs": {"tokens": ["x"], "token_logprobs": [-1.0], "text_offset": [0]}}]},
    ],
)
def test_a_server_that_cannot_score_says_so_in_one_line(server: Server, reply: dict[str, Any]) -> None:
    server.reply = lambda body: reply
    engine = backend(server)
    unit = Unit("f", "loglikelihood", (user("a"),), prompt="The capital", continuation=" Paris")
    with pytest.raises(BackendError, match="cannot score log-likelihoods") as caught:
        engine.loglikelihood([unit])
    assert "\n" not in str(caught.value)
    server.faults = [error(404, "Not Found")]
    with pytest.raises(BackendError, match="Not Found"):
        engine.loglikelihood([unit])
    with pytest.raises(BackendError, match="not reward requests"):
        engine.reward([unit])
    engine.close()
