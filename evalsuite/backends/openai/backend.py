"""The `openai` backend: any server that speaks OpenAI's protocol, kept as busy as it can be, and retried.

`openai:NAME@URL`: requests go to URL/chat/completions, for log-likelihoods to URL/completions and for embeddings to
URL/embeddings. A URL without a path gets `/v1`; one with a path stays. Arguments (`--model-args KEY=VALUE`):

* `concurrency` (128): calls in flight at most; how many there are follows the server (`openai.pace`): from few on, or
  from this number on where it is given; with `adaptive=false` it is always this many
* `max_retries` (6): for each request; `timeout` (300): seconds for one call in all, fractions allowed
* `max_calls`, `max_tokens_total`, `max_cost`: ceilings of one command; `price_in`, `price_out`: money for a million
  tokens. At a ceiling the run stops, what is answered is kept, and the same command goes on (`openai.budget`)
* `embed_batch` (32): texts in one call for embeddings
* `image_urls` (false): whether images may be fetched from URLs (they then travel in the request, like all others)
* `omit` (none): comma-separated fields that a fussy server refuses and that are then never sent, such as `seed`
* `extra` (none): a JSON object that is added to every request, such as `{"repetition_penalty": 1.0}`

Sampling is sent in full (`top_p` also where it is 1), because servers fill gaps from a checkpoint's own settings. vLLM
fills more gaps (repetition penalty, top-k): start it with `--generation-config vllm`, or name them in `extra`.

>>> OpenAIBackend(resolve("openai:my-model@http://localhost:8000")).generate(units)[0].text
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from evalsuite.backends.base import BaseBackend
from evalsuite.backends.openai import wire
from evalsuite.backends.openai.args import arguments
from evalsuite.backends.openai.budget import Budget, Need
from evalsuite.backends.openai.http import Http, base_url, check_ready
from evalsuite.backends.openai.pace import Call, Exhausted, Gate, Pace
from evalsuite.backends.openai.retry import Fault, pause
from evalsuite.data.images import urls_allowed
from evalsuite.errors import BackendError
from evalsuite.models import Model
from evalsuite.records import Capabilities, Completion, Done, Unit

ALIVE = 1024
"""Requests that are begun and not finished, at least: those that wait for another try, and many times the slots."""

Answering = Callable[[Sequence[Unit]], Awaitable[list[Completion]]]


class OpenAIBackend(BaseBackend):
    """Answers units with one served model (`evalsuite.records.Backend`). Requests run on a thread of their own, so the
    backend also works inside a notebook's running event loop; `done` is called from that thread.

    `counts`: calls (tries included), retries, rejected, timeouts, broken (calls that ended so), prefill_tokens and
    decode_tokens as the server counts them, cost (where prices are given), model_s (seconds with a call in flight).
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.capabilities = Capabilities(
            kinds=model.kinds, input="messages", images=True, seeds=True, top_logprobs=True
        )
        given = arguments(model)
        self._given = given
        urls = urls_allowed(model.options.args)
        self._dialect = wire.Dialect(model.remote_name or "", given.omit, given.extra, urls)
        self._budget = Budget(given.ceilings)
        self._gate = Gate(Pace(given.concurrency, given.adaptive, given.start), self._budget)
        self._http = Http(model, given.timeout)
        self._answers = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def check_ready(self) -> None:
        """See the function of this name."""
        check_ready(self.model)

    def generate(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        """Text for each unit, in order. A request that the server refuses for its content, or that fails after every
        retry, becomes a completion with `error`; a wrong key, name or parameter, or a ceiling, raises BackendError."""
        return self._run(units, self._generate, done)

    def loglikelihood(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        """Log-probabilities of each unit's continuation after its prompt's text. Raises BackendError where the server
        cannot echo a prompt with log-probabilities."""
        return self._run(units, self._score, done)

    def embed(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        """One pooled row of numbers for each unit's text, `embed_batch` texts in a call."""
        return self._run(units, self._embed, done, self._given.embed_batch)

    def close(self) -> None:
        """Ends connections and the thread. Safe to call twice."""
        if self._loop is None:
            return
        loop, self._loop = self._loop, None
        asyncio.run_coroutine_threadsafe(self._http.close(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        if self._thread is not None:
            self._thread.join(timeout=10)
        if not loop.is_running():
            loop.close()

    # -- one request --------------------------------------------------------------------------------------------------

    async def _generate(self, units: Sequence[Unit]) -> list[Completion]:
        (unit,) = units
        need = wire.need(unit, unit.sampling.max_tokens + unit.sampling.reasoning_tokens)
        if unit.messages:
            return [
                wire.from_chat(await self._ask("chat/completions", need, lambda: wire.chat_body(unit, self._dialect)))
            ]
        return [wire.from_text(await self._ask("completions", need, lambda: wire.text_body(unit, self._dialect)))]

    async def _score(self, units: Sequence[Unit]) -> list[Completion]:
        (unit,) = units
        if unit.prompt is None:
            raise BackendError(f"{self.model.address}: a server scores plain text only, and this prompt holds images")
        try:
            answer = await self._echo(unit)
            try:
                return [wire.from_score(answer, unit.prompt, unit.continuation, None, self._dialect.echo_tokens)]
            except wire.Unaligned:
                alone = await self._echo(replace(unit, continuation=""))
                return [wire.from_score(answer, unit.prompt, unit.continuation, alone, self._dialect.echo_tokens)]
        except (Fault, ValueError) as error:
            if isinstance(error, Fault) and (error.transient or error.reason):
                raise
            raise BackendError(
                f"{self.model.address}: cannot score log-likelihoods ({error}); this needs "
                f"{base_url(self.model.url or '')}/completions with echo and logprobs, or use a local model"
            ) from None

    async def _echo(self, unit: Unit) -> dict[str, Any]:
        return await self._ask("completions", wire.need(unit, 1), lambda: wire.score_body(unit, self._dialect))

    async def _embed(self, units: Sequence[Unit]) -> list[Completion]:
        needs = [wire.need(unit, 0) for unit in units]
        need = Need(sum(need.bytes for need in needs), messages=len(units))
        try:
            answer = await self._ask("embeddings", need, lambda: wire.embed_body(units, self._dialect))
            return wire.from_embeddings(answer, units)
        except Fault as fault:
            if not fault.reason or len(units) == 1:
                raise
            # One text's own fault is no fault of those beside it.
            halves = units[: len(units) // 2], units[len(units) // 2 :]
            return [found for half in halves for found in await self._settled(half, self._embed)]
        except ValueError as error:
            raise BackendError(f"{self.model.address}: cannot read its embeddings ({error})") from None

    async def _ask(self, path: str, need: Need, body: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The server's answer as plain JSON. Retries what may pass; raises Fault for what does not, and Exhausted."""
        attempt = 0
        while True:
            before = self._answers
            try:
                answer = await self._try(path, need, body, attempt)
                await asyncio.sleep(0)  # first the next request is sent, then this answer is read
                return answer
            except Fault as fault:
                last = attempt >= self._given.max_retries or (fault.unreachable and not self._answers and attempt >= 2)
                if not fault.transient or last:
                    raise
                # While others are answered, a wait need not grow. No slot is held here: other work goes on.
                await asyncio.sleep(pause(attempt if self._answers == before else min(attempt, 1), fault))
                attempt += 1

    async def _try(self, path: str, need: Need, body: Callable[[], dict[str, Any]], attempt: int) -> dict[str, Any]:
        """One call, or another at once where its fault teaches how this server wants to be spoken to."""
        call = await self._gate.enter(need, again=attempt > 0)
        self.count("calls", 1)
        self.count("retries", attempt > 0)
        try:
            sent = await asyncio.to_thread(body) if need.images else body()
            answer = await self._http.post(path, sent)
            self._answered_call(call, answer)
            return answer
        except Fault as fault:
            self._failed_call(call, fault)
            if not self._dialect.learn(fault.message, sent):
                raise
        finally:
            self._gate.leave(call)
        return await self._try(path, need, body, attempt)

    def _answered_call(self, call: Call, answer: dict[str, Any]) -> None:
        self._answers += 1
        usage = answer.get("usage") or {}
        call.fate = "ok"
        if usage:
            call.prompt, call.answer = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
            self.count("prefill_tokens", call.prompt)
            self.count("decode_tokens", call.answer)

    def _failed_call(self, call: Call, fault: Fault) -> None:
        call.fate, call.asked = fault.fate, fault.retry_after
        call.prompt = None if fault.charged else 0
        if fault.transient:
            self.count({"rejected": "rejected", "timeout": "timeouts"}.get(fault.fate, "broken"), 1)

    # -- many requests ------------------------------------------------------------------------------------------------

    def _run(self, units: Sequence[Unit], answer: Answering, done: Done | None, batch: int = 1) -> list[Completion]:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="evalsuite-openai", daemon=True)
            self._thread.start()
        jobs = [range(start, min(start + batch, len(units))) for start in range(0, len(units), batch)]
        found: dict[int, Completion] = {}

        async def one(job: range) -> None:
            for place, completion in zip(job, await self._settled([units[i] for i in job], answer), strict=True):
                found[place] = completion
                if done is not None:
                    done(place, completion)

        future = asyncio.run_coroutine_threadsafe(self._all(jobs, one), self._loop)
        try:
            reached = future.result()
        except BaseException:
            future.cancel()  # Ctrl-C must not leave requests running (and costing)
            raise
        finally:
            self.counts["model_s"] = self._gate.busy_s
            if self._given.ceilings.price_in or self._given.ceilings.price_out:
                self.counts["cost"] = self._budget.cost
        if reached is not None:
            raise BackendError(
                f"{self.model.address}: the ceiling {reached} is reached after {self._budget.calls} calls, with "
                f"{len(units) - len(found)} requests open (answers are kept: the same command goes on from there)"
            )
        return [found[place] for place in range(len(units))]

    async def _all(self, jobs: Sequence[range], one: Callable[[range], Awaitable[None]]) -> str | None:
        """Does all jobs; the first exception ends the others. Returns the ceiling that stopped it, if one did."""
        alive = asyncio.Semaphore(max(ALIVE, 8 * self._given.concurrency))
        reached: list[str] = []

        async def guarded(job: range) -> None:
            try:
                await one(job)
            except Exhausted as ceiling:
                reached.append(str(ceiling))
            finally:
                alive.release()

        try:
            async with asyncio.TaskGroup() as tasks:
                for job in jobs:
                    await alive.acquire()
                    if reached:
                        break
                    tasks.create_task(guarded(job))
                    await asyncio.sleep(0)  # it is sent before the next one is made
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        return reached[0] if reached else None

    async def _settled(self, units: Sequence[Unit], answer: Answering) -> list[Completion]:
        """The answers, or, where a fault concerns these units alone, what they failed of."""
        try:
            return await answer(units)
        except Fault as fault:
            if not fault.reason and (not fault.transient or (fault.unreachable and not self._answers)):
                raise BackendError(f"{self.model.address}: {fault.message}") from None
            error = f"{fault.reason or 'backend_error'}: {fault.message}"
            return [Completion(finish_reason="error", error=error)] * len(units)
