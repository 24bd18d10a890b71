"""The `openai` backend: any server that speaks OpenAI's protocol, asked concurrently and retried.

`openai:NAME@URL`: requests go to URL/chat/completions and, for log-likelihoods, to URL/completions. A URL without a
path gets `/v1`; one with a path stays as it is. Engine arguments (`--model-args KEY=VALUE`):

* `concurrency` (8): requests in flight; `max_retries` (6): for each request; `timeout` (300): seconds for one attempt
* `omit` (none): comma-separated fields that a fussy server refuses and that are then never sent, such as `seed`
* `extra` (none): a JSON object that is added to every request, such as `{"repetition_penalty": 1.0}`

Sampling is sent in full (`top_p` also where it is 1), because servers fill gaps from a checkpoint's own settings. vLLM
fills more gaps (repetition penalty, top-k): start it with `--generation-config vllm`, or name them in `extra`.

>>> OpenAIBackend(resolve("openai:my-model@http://localhost:8000")).generate(units)[0].text
"""

import asyncio
import ipaddress
import json
import os
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from evalsuite.backends import openai_wire as wire
from evalsuite.backends.base import BaseBackend
from evalsuite.backends.openai_retry import Fault, fault_of, pause
from evalsuite.errors import BackendError, ModelError, unknown
from evalsuite.models import Model
from evalsuite.records import Capabilities, Completion, Done, Unit

ARGS = ("concurrency", "max_retries", "timeout", "omit", "extra", "context_window")
OMITTABLE = ("seed", "top_p", "temperature", "stop", "logprobs", "top_logprobs")


def base_url(url: str) -> str:
    """The address that endpoints are appended to: `/v1` is added where the URL has no path."""
    url = url.rstrip("/").removesuffix("/chat/completions")
    return url if urlsplit(url).path.strip("/") else f"{url}/v1"


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def check_ready(model: Model) -> None:
    """Raises ModelError where the server needs a key and the environment has none. Asks the server nothing."""
    _key(model)


def _key(model: Model) -> str:
    key = os.environ.get(model.options.key_env, "").strip()
    if key:
        return key
    if is_loopback(model.url or ""):
        return "none"  # servers on this machine seldom want a key; the client insists on some text
    raise ModelError(
        f"{model.address}: the environment variable {model.options.key_env} is not set; put the server's key into it, "
        "or name another variable with --key-env"
    )


class OpenAIBackend(BaseBackend):
    """Answers units with one served model (`evalsuite.records.Backend`). Requests run on a thread of their own, so the
    backend also works inside a notebook's running event loop."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.capabilities = Capabilities(
            kinds=model.kinds, input="messages", images=True, seeds=True, top_logprobs=True
        )
        self._model = model
        for name in model.options.args:
            if name not in ARGS:
                raise unknown("model argument", name, ARGS)
        self._concurrency = model.options.number("concurrency", 8)
        self._timeout = model.options.number("timeout", 300)
        self._retries = _whole(model, "max_retries", 6)
        self._dialect = wire.Dialect(
            model=model.remote_name or "", omit=_omitted(model), extra=_json_object(model, "extra")
        )
        self._answered = False
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def check_ready(self) -> None:
        """See the function of this name."""
        check_ready(self._model)

    def generate(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        """Text for each unit, in order. A request that the server refuses for its content, or that fails after every
        retry, becomes a completion with `error`; a wrong key, name or parameter raises BackendError."""
        return self._run(units, self._generate_one)

    def loglikelihood(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        """Log-probabilities of each unit's continuation after its prompt's text. Raises BackendError where the server
        cannot echo a prompt with log-probabilities."""
        return self._run(units, self._score_one)

    def close(self) -> None:
        """Ends connections and the thread. Safe to call twice."""
        if self._loop is None:
            return
        loop, client, self._loop, self._client = self._loop, self._client, None, None
        if client is not None:
            asyncio.run_coroutine_threadsafe(client.close(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        if self._thread is not None:
            self._thread.join(timeout=10)
        if not loop.is_running():
            loop.close()

    # -- one request --------------------------------------------------------------------------------------------------

    async def _generate_one(self, unit: Unit) -> Completion:
        if unit.messages:
            return wire.from_chat(await self._ask(lambda: wire.chat_body(unit, self._dialect)))
        return wire.from_text(await self._ask(lambda: wire.text_body(unit, self._dialect)))

    async def _score_one(self, unit: Unit) -> Completion:
        if unit.prompt is None:
            raise BackendError(f"{self._model.address}: a server scores plain text only, and this prompt holds images")
        try:
            answer = await self._ask(lambda: wire.score_body(unit, self._dialect))
            try:
                return wire.from_score(answer, unit.prompt, unit.continuation, None, self._dialect.echo_tokens)
            except wire.Unaligned:
                bare = replace(unit, continuation="")
                alone = await self._ask(lambda: wire.score_body(bare, self._dialect))
                return wire.from_score(answer, unit.prompt, unit.continuation, alone, self._dialect.echo_tokens)
        except (Fault, ValueError) as error:
            if isinstance(error, Fault) and (error.transient or error.reason):
                raise
            raise BackendError(
                f"{self._model.address}: cannot score log-likelihoods ({error}); this needs "
                f"{base_url(self._model.url or '')}/completions with echo and logprobs, or use a local model"
            ) from None

    async def _ask(self, body: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The server's answer as plain JSON. Retries what may pass; raises Fault for what does not."""
        attempt = 0
        while True:
            sent = body()
            try:
                answer = await self._post(sent)
            except Fault as fault:
                if self._dialect.learn(fault.message, sent):
                    continue
                last = attempt >= self._retries or (fault.unreachable and not self._answered and attempt >= 2)
                if not fault.transient or last:
                    raise
                await asyncio.sleep(pause(attempt, fault.retry_after))
                attempt += 1
            else:
                self._answered = True
                return answer

    async def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        client = self._client.chat.completions if "messages" in body else self._client.completions
        named = {key: body[key] for key in ("model", "messages", "prompt") if key in body}
        extra = {key: value for key, value in body.items() if key not in named}
        try:
            raw = await client.with_raw_response.create(**named, extra_body=extra)
            answer = json.loads(raw.http_response.content)
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                raise
            fault.message = self._clean(fault.message)
            fault.args = (fault.message,)
            raise fault from None  # the client's exception holds the request and with it the key
        if not isinstance(answer, dict) or not answer.get("choices"):
            raise Fault(f"no choices in the answer: {self._clean(str(answer))[:200]}", transient=True)
        return answer

    # -- many requests ------------------------------------------------------------------------------------------------

    def _run(self, units: Sequence[Unit], one: Callable[[Unit], Awaitable[Completion]]) -> list[Completion]:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="evalsuite-openai", daemon=True)
            self._thread.start()
        future = asyncio.run_coroutine_threadsafe(self._gather(units, one), self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # Ctrl-C must not leave requests running (and costing)
            raise

    async def _gather(self, units: Sequence[Unit], one: Callable[[Unit], Awaitable[Completion]]) -> list[Completion]:
        if self._client is None:
            self._client = _client(self._model, self._timeout)
        slots = asyncio.Semaphore(self._concurrency)

        async def bounded(unit: Unit) -> Completion:
            async with slots:
                try:
                    return await one(unit)
                except Fault as fault:
                    return self._failed(fault)

        tasks = [asyncio.ensure_future(bounded(unit)) for unit in units]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()

    def _failed(self, fault: Fault) -> Completion:
        if fault.reason:
            return Completion(finish_reason="error", error=f"{fault.reason}: {fault.message}")
        if not fault.transient or (fault.unreachable and not self._answered):
            raise BackendError(f"{self._model.address}: {fault.message}")
        return Completion(finish_reason="error", error=f"backend_error: {fault.message}")

    def _clean(self, message: str) -> str:
        """One line without the key, which some servers repeat in their messages."""
        line = " ".join(message.split())
        key = os.environ.get(self._model.options.key_env, "").strip()
        return (line.replace(key, "[key]") if key else line)[:500]


def _client(model: Model, timeout: int) -> Any:
    import openai

    url = base_url(model.url or "")
    # A proxy of the environment must not stand between this machine and itself.
    http = openai.DefaultAsyncHttpxClient(trust_env=False) if is_loopback(url) else None
    return openai.AsyncOpenAI(api_key=_key(model), base_url=url, max_retries=0, timeout=timeout, http_client=http)


def _whole(model: Model, key: str, default: int) -> int:
    """Like ModelOptions.number, and 0 is allowed."""
    return 0 if str(model.options.args.get(key)) == "0" else model.options.number(key, default)


def _omitted(model: Model) -> frozenset[str]:
    fields = frozenset(f.strip() for f in model.options.args.get("omit", "").split(",") if f.strip())
    for field in sorted(fields - set(OMITTABLE)):
        raise unknown("field for omit", field, OMITTABLE)
    return fields


def _json_object(model: Model, key: str) -> dict[str, Any]:
    try:
        value = json.loads(model.options.args.get(key, "{}"))
    except json.JSONDecodeError as error:
        raise ModelError(f"--model-args {key}: not JSON ({error.msg} at column {error.colno})") from error
    if not isinstance(value, dict):
        raise ModelError(f"--model-args {key}: expected a JSON object, found {type(value).__name__}")
    return value
