"""Answers of a server: stored and scored as they come, in any order, from any thread; what goes wrong loses none."""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evalsuite.errors import BackendError
from evalsuite.models import ModelOptions, resolve
from evalsuite.planning import Stage
from evalsuite.records import Completion, Done, Unit, user
from evalsuite.running import Engine
from evalsuite.running.arrivals import Arrivals
from evalsuite.store import Responses


class Server:
    """A backend that answers from threads of its own, the last unit first, and may fail on the way."""

    def __init__(self, fails_after: int | None = None, error: str | None = None) -> None:
        self.counts: dict[str, float] = {}
        self.limits: dict[str, int] = {}
        self.fails_after, self.error, self.calls = fails_after, error, 0

    def generate(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]:
        assert done is not None
        self.calls += 1
        made = [Completion(f"answer {u.fingerprint}", error=self.error) for u in units]
        with ThreadPoolExecutor(1) as thread:
            for count, place in enumerate(reversed(range(len(units)))):
                if self.fails_after == count:
                    raise BackendError("the budget is spent")
                thread.submit(done, place, made[place]).result()
        return made

    def close(self) -> None: ...


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.answers: dict[str, Completion] = {}
        self.threads: set[int] = set()
        self.steps = 0

    def hear(self, answers: Mapping[str, Completion]) -> None:
        self.threads.add(threading.get_ident())
        self.answers.update(answers)

    def step(self) -> bool:
        self.threads.add(threading.get_ident())
        self.steps += 1
        return self.steps < len(self.answers)


def stage(count: int) -> Stage:
    units = {f"{i:03d}": Unit(f"{i:03d}", "generate", (user(str(i)),)) for i in range(count)}
    return Stage(units, [list(units)[i : i + 8] for i in range(0, count, 8)], count)


def engine_of(store: Path, server: Server, monkeypatch: pytest.MonkeyPatch, max_errors: int = 0) -> Engine:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    engine = Engine(resolve("openai:m@http://127.0.0.1:9", ModelOptions()), store, max_errors)
    engine._backend = server  # type: ignore[assignment]
    return engine


def test_all_units_are_one_call_and_each_answer_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server, heard = Server(), Heard()
    found = engine_of(tmp_path, server, monkeypatch).run(stage(50), listener=heard)
    assert server.calls == 1
    assert {key: c.text for key, c in found.items()} == {f"{i:03d}": f"answer {i:03d}" for i in range(50)}
    assert heard.answers == found
    assert heard.steps >= 50


def test_what_arrived_before_a_failure_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendError, match="budget"):
        engine_of(tmp_path, Server(fails_after=20), monkeypatch).run(stage(50))
    kept = Responses(tmp_path).get(stage(50).units)
    assert set(kept) == {f"{i:03d}" for i in range(30, 50)}
    server = Server()
    assert len(engine_of(tmp_path, server, monkeypatch).run(stage(50))) == 50
    assert server.calls == 1


def test_too_many_failures_stop_the_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendError, match="4 requests failed, the last: boom"):
        engine_of(tmp_path, Server(error="boom"), monkeypatch, max_errors=3).run(stage(50))


def test_an_error_of_scoring_is_raised_and_answers_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Heard):
        def step(self) -> bool:
            raise ValueError("scoring broke")

    with pytest.raises(ValueError, match="scoring broke"):
        engine_of(tmp_path, Server(), monkeypatch).run(stage(20), listener=Broken())
    assert len(Responses(tmp_path).get(stage(20).units)) > 0


def test_scoring_never_waits_for_the_last_answer() -> None:
    """The listener works on the first answers while the backend still waits for others."""
    units = list(stage(2).units.values())
    heard, stepped = Heard(), threading.Event()
    real = heard.step

    def step() -> bool:
        stepped.set()
        return real()

    heard.step = step  # type: ignore[method-assign]
    with Arrivals(units, lambda pairs: {u.fingerprint: c for u, c in pairs}, heard) as arrivals:
        arrivals.done(0, Completion("first"))
        assert stepped.wait(10)
        assert set(heard.answers) == {"000"}
        arrivals.done(1, Completion("second"))
    assert set(arrivals.kept) == {"000", "001"}


def test_an_answer_told_twice_counts_once() -> None:
    stored: list[str] = []

    def keep(pairs: Sequence[tuple[Unit, Completion]]) -> dict[str, Completion]:
        stored.extend(u.fingerprint for u, _ in pairs)
        time.sleep(0.001)
        return {u.fingerprint: c for u, c in pairs}

    units = list(stage(30).units.values())
    with Arrivals(units, keep, None) as arrivals:
        for place in [*range(30), *range(30)]:
            arrivals.done(place, Completion(str(place)))
        arrivals.rest([Completion(str(place)) for place in range(30)])
    assert sorted(stored) == sorted(u.fingerprint for u in units)
