"""How many calls to a server are in flight at once: a law (`Pace`) and the slots that obey it (`Gate`).

The law, in words of TCP (Chiu and Jain 1989; Jacobson 1988). It starts with few, or with as many as the user has said
that the server takes, and doubles after each round trip (slow start); then it adds a sixteenth of the bound for each
two (additive increase). Rejections (429, 503, no connection) and time-outs are a sign of overload where they are more
than 3 in 10 of the last calls: single ones happen on any server, and a law that shrinks at each would idle it. Overload
takes three tenths away (multiplicative decrease), at most once for a round trip, and closes the gate for everybody
until the time that the server's Retry-After names. Growth that brings no more answers a second ends growth; after a
while it is tried again.

A slot belongs to one call, never to a wait: a request that backs off comes back to the front of the queue.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from evalsuite.backends.openai.budget import Budget, Need
from evalsuite.backends.openai.retry import Fate

START = 16
STEPS = 16  # from nothing to the bound, in additive increase
CUT = 0.7
TOLERATED = 0.3
WINDOW = 16  # calls that the share of overload is taken over, at least
GAIN = 1.05  # a rate that is worth another step
DOUBLING_GAIN = 1.15  # and another doubling
SPREAD = 1.5  # levels that are nearer than this are not told apart: rates are noisy
HOLD = 12  # epochs without growth, after growth brought nothing


class Pace:
    """The law alone: told of each call's end, it moves `limit` between 1 and `bound`. Knows no loop and no clock."""

    def __init__(self, bound: int, adaptive: bool = True, start: int = START) -> None:
        self.bound = bound
        self.adaptive = adaptive
        self.limit = min(start, bound) if adaptive else bound
        self.closed_until = float("-inf")
        self.cuts = 0
        self._doubling = self.limit < bound
        self._since = float("-inf")  # of the last cut
        self._recent: deque[bool] = deque()  # was it a sign of overload?
        self._asked = 0.0
        self._base: tuple[int, float] | None = None  # the last level that brought more, and its answers a second
        self._flat = 0
        self._hold = 0
        self._epoch: tuple[float, int, int, bool] | None = None  # begin, calls, answers, all slots wanted

    def ended(self, started: float, now: float, fate: Fate, wanted: bool, asked: float | None = None) -> None:
        """One call ended. `wanted`: others wait for its slot. `asked`: seconds that the server asks to stay away."""
        if started < self._since:
            return  # sent at the old pace: says nothing about the new one
        overload = fate in ("rejected", "timeout")
        if fate == "timeout" and not wanted:
            return  # where work runs short, hangs are what is left
        self._recent.append(overload)
        while len(self._recent) > max(WINDOW, self.limit):
            self._recent.popleft()
        if overload:
            self._asked = max(self._asked, asked or 0.0)
            if sum(self._recent) > TOLERATED * max(WINDOW, self.limit):
                self._cut(now)
                return
        if self.adaptive:
            self._count(started, now, fate == "ok", wanted)

    def _cut(self, now: float) -> None:
        self.cuts += 1
        self.closed_until = max(self.closed_until, now + self._asked)
        self._since, self._asked = now, 0.0
        self._recent.clear()
        self._epoch = self._base = None
        self._flat = self._hold = 0
        if self.adaptive:
            self.limit = max(1, int(self.limit * CUT))
            self._doubling = False

    def _count(self, started: float, now: float, ok: bool, wanted: bool) -> None:
        begin, calls, answers, full = self._epoch or (started, 0, 0, True)
        calls, answers, full = calls + 1, answers + ok, full and wanted
        if calls < self.limit * (1 if self._doubling else 2):
            self._epoch = (begin, calls, answers, full)
            return
        self._epoch = (now, 0, 0, True)
        if full and now > begin:  # where work ran short, the rate says nothing about the server
            self._judge(answers / (now - begin))

    def _judge(self, rate: float) -> None:
        if self._hold:
            self._hold -= 1
            self._base = (self.limit, rate)
            return
        level, best = self._base or (self.limit, 0.0)
        if rate >= (DOUBLING_GAIN if self._doubling else GAIN) * best:
            self._base, self._flat = (self.limit, rate), 0
        elif self.limit >= SPREAD * level:
            self._flat += 1
            if self._flat == 1:
                return  # measured once more at this level
            if not self._doubling:
                self.limit = level  # a trial that brought nothing
            self._doubling, self._flat, self._hold = False, 0, HOLD
            return
        grown = 2 * self.limit if self._doubling else self.limit + max(1, self.bound // STEPS)
        self.limit = min(self.bound, grown)


@dataclass
class Call:
    """One call in flight. Whoever makes it says how it ended: `fate`, what the server asked for, and what it cost
    (`prompt` None: unknown)."""

    need: Need
    started: float
    fate: Fate | None = None
    asked: float | None = None
    prompt: int | None = None
    answer: int = 0


class Exhausted(Exception):
    """A ceiling is reached; the text names it."""


class Gate:
    """Slots of one event loop, given out first come, first served, but to those first that come back."""

    def __init__(self, pace: Pace, budget: Budget, clock: Callable[[], float] = time.monotonic) -> None:
        self.pace = pace
        self.budget = budget
        self.in_flight = 0
        self.busy_s = 0.0  # seconds with a call in flight
        self._clock = clock
        self._busy_since = 0.0
        self._waiting: tuple[deque[_Waiter], deque[_Waiter]] = (deque(), deque())
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self, need: Need, again: bool = False) -> Call:
        """A slot for one call, when there is one: `leave` must follow. Raises Exhausted where a ceiling forbids the
        call for good."""
        await self._wait(need, again)
        return Call(need, self._clock())

    def leave(self, call: Call) -> None:
        """The call has ended, or was given up (no fate)."""
        self.budget.settle(call.need, call.prompt, call.answer)
        now = self._clock()
        if call.fate is not None:
            self.pace.ended(call.started, now, call.fate, any(self._waiting), call.asked)
        self._left(now)

    async def _wait(self, need: Need, again: bool) -> None:
        waiter = _Waiter(asyncio.get_running_loop().create_future(), need)
        self._waiting[0 if again else 1].append(waiter)
        self._admit()
        try:
            await waiter.admitted
        except asyncio.CancelledError:
            if waiter.admitted.done() and not waiter.admitted.cancelled():  # admitted and cancelled at once
                self.budget.settle(need, 0, 0)
                self._left(self._clock())
            raise

    def _left(self, now: float) -> None:
        self.in_flight -= 1
        if not self.in_flight:
            self.busy_s += now - self._busy_since
        self._admit()

    def _admit(self) -> None:
        """Lets in as many as there are slots for, while the gate is open and no ceiling is in the way."""
        while any(self._waiting) and self.in_flight < self.pace.limit:
            queue = self._waiting[0] or self._waiting[1]
            if queue[0].admitted.done():
                queue.popleft()  # cancelled while it waited
                continue
            now = self._clock()
            if now < self.pace.closed_until:
                self._open_later(self.pace.closed_until - now)
                return
            obstacle = self.budget.obstacle(queue[0].need)
            if obstacle is not None:
                if not self.in_flight:
                    queue.popleft().admitted.set_exception(Exhausted(obstacle))
                    continue
                return  # those in flight may give back what they reserved
            waiter = queue.popleft()
            self.budget.take(waiter.need)
            if not self.in_flight:
                self._busy_since = now
            self.in_flight += 1
            waiter.admitted.set_result(None)

    def _open_later(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._admit)


@dataclass(frozen=True)
class _Waiter:
    admitted: "asyncio.Future[None]"
    need: Need
