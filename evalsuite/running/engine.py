"""One model, ready to answer: its renderer, its backend (made at the first call), and the cache in front of it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, overload

from evalsuite.backends.base import backend_class
from evalsuite.errors import BackendError
from evalsuite.models import Model, Renderer, renderer
from evalsuite.models.reasoning import split_reasoning
from evalsuite.planning import Options, Planner, Stage
from evalsuite.planning.groups import group, group_size
from evalsuite.records import Backend, Completion, Progress, Request, Unit
from evalsuite.store import Responses

DEFAULT_MARKS = ("<think>", "</think>")


class Engine:
    """Answers units of one model: from the cache where it can, else from the backend, whole groups at a time.

    The backend is loaded at the first group that the cache cannot answer, so a repeated command loads no weights.
    """

    def __init__(self, model: Model, store: Path, max_errors: int = 0) -> None:
        self.model = model
        self.renderer: Renderer | None = renderer(model)
        self.store = store
        self.max_errors = max_errors
        self.counts = {"units": 0, "cached": 0, "prompt_tokens": 0, "completion_tokens": 0, "errors": 0}
        self._backend: Backend | None = None
        self._spare: Backend | None = None  # loaded for another model
        self._known_prompts: dict[str, str] = {}

    @cached_property
    def responses(self) -> Responses:
        """The cache and journal, opened at the first use: a command that only plans, or ends at bad input, writes
        nothing."""
        return Responses(self.store)

    def check_ready(self) -> None:
        """Fails early (a missing key, say) before anything has been computed."""
        if not self.model.local:
            check = getattr(self.backend(), "check_ready", None)
            if check is not None:
                check()

    def tell_prompts(self, prompts: Mapping[str, str]) -> None:
        """Sample id → the user's last words, for answer files that are keyed by id."""
        self._known_prompts.update(prompts)

    def run(self, stage: Stage, progress: Progress | None = None) -> dict[str, Completion]:
        """Completions of every unit of a stage, by fingerprint.

        Raises BackendError when more than `max_errors` units failed; finished groups are kept, so that the same
        command goes on from there.
        """
        done = self.responses.get(stage.units)
        self.counts["units"] += len(stage.units)
        self.counts["cached"] += len(done)
        if progress is not None:
            progress(len(done), len(stage.units), self.model.name)
        groups = [[stage.units[p] for p in prints if p not in done] for prints in stage.groups]
        for units, answers in self._answered([units for units in groups if units]):
            done.update(self._keep(units, answers))
            if progress is not None:
                progress(len(done), len(stage.units), self.model.name)
        return done

    def _answered(self, groups: Sequence[list[Unit]]) -> Iterator[tuple[list[Unit], list[Completion]]]:
        """Each group with its answers, as many groups at a time as the backend has lanes for (a cluster: else it would
        idle at the end of every group)."""
        lanes = getattr(self.backend(), "lanes", 1) if groups else 1
        if lanes == 1 or len(groups) == 1:
            yield from ((units, self._ask(units)) for units in groups)
            return
        pool = ThreadPoolExecutor(lanes, thread_name_prefix="lane")
        try:
            asked = {pool.submit(self._ask, units): units for units in groups}
            for future in as_completed(asked):
                yield asked[future], future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, units: list[Unit]) -> list[Completion]:
        answers: list[Completion] = getattr(self.backend(), units[0].kind)(units)
        return answers

    def _keep(self, units: list[Unit], answers: list[Completion]) -> dict[str, Completion]:
        if len(answers) != len(units):
            raise BackendError(f"backend {self.model.backend}: {len(answers)} answers to {len(units)} requests")
        group = {u.fingerprint: self._finished(u, c) for u, c in zip(units, answers, strict=True)}
        # A file of answers is its own store: caching it would only copy it.
        if self.model.backend != "responses":
            self.responses.put(self.model.name, group)
            # Another process may have answered the same units meanwhile: what is stored is everybody's answer.
            group.update(self.responses.get(group))
        for completion in group.values():
            self.counts["prompt_tokens"] += completion.prompt_tokens
            self.counts["completion_tokens"] += completion.tokens + completion.reasoning_tokens
            if completion.error is not None and completion.error.partition(":")[0] not in ("no_answer", "too_long"):
                self.counts["errors"] += 1
                if self.counts["errors"] > self.max_errors:
                    raise BackendError(
                        f"{self.model.address}: {self.counts['errors']} requests failed, the last: {completion.error} "
                        "(finished work is kept: the same command resumes; --max-errors N allows more)"
                    )
        return group

    def _finished(self, unit: Unit, completion: Completion) -> Completion:
        """Splits a thinking model's reasoning off, by the template's own marks; no parser ever reads inside it.

        Log-probabilities and rewards that are no numbers (a broken checkpoint, an overflow) are a failure and no
        answer: a comparison with nan is false, so choices made out of them would look like real ones.
        """
        completion = replace(completion, text=whole(completion.text), reasoning=whole(completion.reasoning))
        if any(math.isnan(v) for v in (*completion.logprobs, *completion.rewards.values())):
            return Completion(
                finish_reason="error", error=f"backend_error: the model gave nan for a {unit.kind} request"
            )
        if unit.kind == "loglikelihood" and not completion.text:
            return replace(completion, text=whole(unit.continuation))  # so that a stored row says what was scored
        if unit.kind != "generate" or completion.reasoning is not None or completion.error is not None:
            return completion
        marks = self.renderer.reasoning_marks if self.renderer is not None else None
        opened = bool(self.renderer and unit.prompt and self.renderer.opens_reasoning(unit.prompt))
        if marks is None and completion.text.lstrip().startswith(DEFAULT_MARKS[0]):
            marks = DEFAULT_MARKS
        if marks is None or not (opened or marks[0] in completion.text or marks[1] in completion.text):
            return completion
        reasoning, text, closed = split_reasoning(completion.text, marks, opened=opened)
        if reasoning is None:
            return completion
        # Tokens are shared out by characters: exact counts would need the ids, which servers do not give.
        share = len(reasoning) / max(1, len(reasoning) + len(text))
        tokens = round(completion.tokens * share)
        return replace(
            completion,
            text=text,
            reasoning=reasoning,
            reasoning_tokens=tokens,
            tokens=completion.tokens - tokens,
            reasoning_closed=closed,
        )

    def backend(self) -> Backend:
        """The backend itself, made at the first call: an inherited one where it can switch to this model."""
        if self._backend is None:
            spare, self._spare = self._spare, None
            if spare is not None:
                spare.counts.clear()  # they are the other model's
                spare.limits.clear()
                if spare.switch(self.model, self.renderer):
                    self._backend = spare
                    return spare
                spare.close()
            more: tuple[Any, ...] = (self.renderer,) if self.model.local else ()
            more = (self._known_prompts,) if self.model.backend == "responses" else more
            self._backend = backend_class(self.model.backend)(self.model, *more)
        assert self._backend is not None
        return self._backend

    def inherit(self, other: "Engine") -> None:
        """Takes over what another engine has loaded, so that a model of the same shape, or an adapter of the same base,
        need not be loaded from nothing. A model that the cache answers leaves it as it is, for the next one."""
        if other.model.backend == self.model.backend:
            self._spare = other._backend or other._spare
            other._backend = other._spare = None

    def close(self) -> None:
        for backend in (self._backend, self._spare):
            if backend is not None:
                backend.close()
        self._backend = self._spare = None
        if "responses" in self.__dict__:
            self.__dict__.pop("responses").close()


@overload
def whole(text: str) -> str: ...
@overload
def whole(text: None) -> None: ...
def whole(text: str | None) -> str | None:
    """A text without halves of surrogate pairs, which no file can hold (a server's or a file's cut emoji)."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def answer(
    engine: Engine, requests: Sequence[Request], options: Options | None = None, progress: Progress | None = None
) -> list[tuple[Completion, ...]]:
    """Answers free-standing requests (a judge's, say) with the same deduplication, cache and journal as a run.

    Returns for each request its completions: one, or one for each continuation; none where it does not fit.
    """
    planner = Planner(engine.model, engine.renderer, options or Options())
    planned = [planner.plan(request) for request in requests]
    units = {u.fingerprint: u for p in planned for u in p.units}
    groups = group(list(units.values()), group_size(engine.model))
    done = engine.run(Stage(units, groups, len(requests)), progress)
    return [tuple(done[u.fingerprint] for u in p.units) for p in planned]
