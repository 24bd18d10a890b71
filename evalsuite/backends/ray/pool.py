"""A pool of Ray actors that pull chunks of work: an idle worker takes the next one, a lost worker's chunk is redone.

One thread owns all state and sleeps until something happens; callers hand in chunks and hold futures, so several
threads may ask at once. What a chunk holds never depends on the pool: only who computes it, and when, does. Of engines
that measure their machine, what the first one found holds for all: else equal chunks would be batched differently here
and there.
"""

import logging
import queue
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from evalsuite.backends.ray.worker import Answered, Setup, Started
from evalsuite.errors import BackendError, EvalsuiteError
from evalsuite.records import Kind, Unit

log = logging.getLogger("evalsuite")

TRIES = 3
"""Workers that may be lost over one chunk, or (times the pool's size) fail to start in a row, before a run stops."""

START_S = 900.0
"""Longest wait for a first worker: a cluster that grows on demand may have to start a machine."""


COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(eq=False)
class Chunk:
    """Units that one worker answers in one call."""

    kind: Kind
    units: Sequence[Unit]
    limits: Mapping[str, int]
    answered: "Future[Answered]" = field(default_factory=Future)
    tries: int = 0


@dataclass(eq=False)
class Slot:
    """One worker: its actor, the setup that it was given, and the chunk that it computes (none: it starts or idles)."""

    actor: Any
    setup: Setup | None = None
    chunk: Chunk | None = None
    busy: bool = False
    started: Started | None = None


class Pool:
    """`size` workers made by `make` (which returns an actor's handle) and ended by `end`."""

    def __init__(self, size: int, setup: Setup, make: Callable[[], Any], end: Callable[[Any], None]) -> None:
        self.size, self._make, self._end = size, make, end
        self._setup = setup
        self._slots: list[Slot] = []
        self._waiting: deque[Chunk] = deque()
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._limits: Mapping[str, int] | None = None  # None until a caller or a worker knows them
        self._stillborn = 0  # workers in a row that ended before they had the model
        self._lively = time.monotonic()  # when a worker last said something
        self.counts = {"loads": 0.0, "retries": 0.0}
        self._thread = threading.Thread(target=self._run, name="ray-pool", daemon=True)
        self._thread.start()

    def submit(self, kind: Kind, units: Sequence[Unit], limits: Mapping[str, int]) -> "Future[Answered]":
        """Queues a chunk. The future raises what the engine raised, or BackendError where workers keep dying over it;
        cancelling it takes a chunk back that no worker has begun."""
        chunk = Chunk(kind, units, limits)

        def wait() -> None:
            self._lively = time.monotonic() if not self._waiting else self._lively
            self._waiting.append(chunk)
            if limits and not self._limits:
                self._limits = limits

        self._inbox.put(wait)
        return chunk.answered

    def switch(self, setup: Setup) -> None:
        """Another model: each worker is told before its next chunk."""

        def change() -> None:
            self._setup = setup

        self._inbox.put(change)

    @property
    def workers(self) -> list[Started]:
        """The workers that are there now."""
        return [slot.started for slot in list(self._slots) if slot.started is not None]

    def close(self) -> None:
        """Ends all workers; chunks that still wait fail."""
        self._inbox.put(None)
        self._thread.join()

    # -- inside: the one thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while True:
                try:
                    event = self._inbox.get(timeout=1.0)
                except queue.Empty:
                    self._check_life()
                    continue
                if event is None:
                    self._fail(BackendError("the ray backend was closed"))
                    return
                event()
                self._dispatch()
        except BaseException as error:  # whoever waits for a future must hear of it
            self._fail(error)
            raise
        finally:
            for slot in self._slots:
                self._end(slot.actor)
            self._slots.clear()

    def _dispatch(self) -> None:
        """Every idle worker gets the model, then the next chunk."""
        while self._waiting and len(self._slots) < self.size:
            self._slots.append(Slot(self._make()))
        for slot in self._slots:
            if slot.busy or not self._waiting:
                continue
            if slot.setup is not self._setup:
                slot.setup, slot.busy = self._setup, True
                self._call(slot, slot.actor.start.remote(self._setup, _probe(self._waiting[0].units[0])))
            elif (chunk := self._next()) is not None:
                slot.chunk, slot.busy = chunk, True
                chunk.tries += 1
                self._call(slot, slot.actor.answer.remote(chunk.kind, chunk.units, chunk.limits or self._limits or {}))

    def _next(self) -> Chunk | None:
        while self._waiting:
            chunk = self._waiting.popleft()
            if chunk.tries or chunk.answered.set_running_or_notify_cancel():
                return chunk
        return None

    def _call(self, slot: Slot, reference: Any) -> None:
        # Ray's own thread reports; the work is done in ours.
        reference.future().add_done_callback(lambda future: self._inbox.put(lambda: self._heard(slot, future)))

    def _heard(self, slot: Slot, future: "Future[Any]") -> None:
        self._lively = time.monotonic()
        chunk, slot.chunk, slot.busy = slot.chunk, None, False
        error = future.exception()
        cause = getattr(error, "cause", None) or error  # Ray wraps what an actor raised
        if isinstance(cause, EvalsuiteError):  # for the user to mend: another worker would say the same
            if chunk is not None:
                _settle(chunk, cause)
            else:
                slot.setup = None
                self._fail(cause)
        elif cause is not None:
            self._lost(slot, chunk, cause)
        elif chunk is not None:
            _settle(chunk, future.result())
        else:
            slot.started = future.result()
            self._stillborn = 0
            self.counts["loads"] += slot.started.loaded
            self._limits = slot.started.limits if self._limits is None else self._limits

    def _lost(self, slot: Slot, chunk: Chunk | None, error: BaseException) -> None:
        """A worker died, or its engine broke: another one takes its place and its chunk."""
        self._end(slot.actor)
        self._slots.remove(slot)
        reason = _reason(error)
        if chunk is not None and chunk.tries >= TRIES:
            count = len(chunk.units)
            _settle(
                chunk, BackendError(f"{TRIES} workers were lost over the same {count} requests, the last: {reason}")
            )
            return
        log.warning("a worker was lost (%s); another one takes its place", reason)
        if chunk is not None:
            self.counts["retries"] += 1
            self._waiting.appendleft(chunk)
            return
        self._stillborn += 1
        if self._stillborn >= TRIES * self.size:
            self._fail(BackendError(f"{self._stillborn} workers in a row could not be started, the last: {reason}"))

    def _check_life(self) -> None:
        computing = any(slot.chunk is not None for slot in self._slots)
        if self._waiting and not computing and time.monotonic() - self._lively > START_S:
            self._fail(
                BackendError(
                    f"no worker could be started in {START_S:.0f} s: the cluster has no room for it (ray status)"
                )
            )

    def _fail(self, error: BaseException) -> None:
        """Everything that waits or runs ends with `error`."""
        self._stillborn = 0
        running = [slot.chunk for slot in self._slots if slot.chunk is not None]
        for chunk in (*running, *self._waiting):
            if chunk.tries or chunk.answered.set_running_or_notify_cancel():
                _settle(chunk, error)
        self._waiting.clear()


def _reason(error: BaseException) -> str:
    """One line of an error: Ray's have many, in colour, the cause in the last where an actor could not be made."""
    lines = [line.strip() for line in COLOUR.sub("", str(error)).splitlines() if line.strip()]
    if not lines:
        return error.__class__.__name__
    return lines[-1 if "creation task" in lines[0] else 0][:300]


def _probe(unit: Unit) -> Unit:
    """A unit that takes as little time as may be."""
    return replace(unit, sampling=replace(unit.sampling, max_tokens=1, reasoning_tokens=0))


def _settle(chunk: Chunk, outcome: Answered | BaseException) -> None:
    if chunk.answered.done():  # it failed with the rest, and its worker went on
        return
    if isinstance(outcome, BaseException):
        chunk.answered.set_exception(outcome)
    else:
        chunk.answered.set_result(outcome)
