"""Cases → an annotations file, by one judge and one or several models; what that will take, before it is done.

Every reply goes through the engine's cache and journal, under what was asked: a command that was stopped or killed, run
again, asks only for what it had not got and writes the same file.
"""

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from evalsuite.backends.base import backend_class
from evalsuite.errors import JudgeError
from evalsuite.judging import Annotation, Case, How, Judge, annotate, write_annotations
from evalsuite.judging.asking import Verdicts, first_requests
from evalsuite.judging.summary import slim
from evalsuite.models import Model
from evalsuite.planning import Options, Planner
from evalsuite.planning.estimate import Costs, costs_of, estimate
from evalsuite.records import Capabilities, Completion, Progress, Request, Unit
from evalsuite.running.engine import Engine, answer
from evalsuite.running.judged import ReadyJudge

Wanted = Literal["auto", "logprobs", "likelihood", "text"]
Meter = Callable[[str], Progress]
TOGETHER = 2048
"""Cases that are planned at one time."""


def judge_files(
    ready: Sequence[ReadyJudge],
    cases: Sequence[Case],
    how: How,
    options: Options,
    out: Path,
    wanted: Wanted = "auto",
    meter: Meter | None = None,
) -> list[Annotation]:
    """Writes the rows of all judge models, one model after the other and then what they say together (a jury), and
    returns them without their replies.

    The file is replaced at the end, in one step. Raises JudgeError where a case lacks what the judge needs, or a model
    cannot answer what the judge asks.
    """
    for one in ready:
        if len(ready) < (least := int(one.judge.spec.get("models", 1))):
            raise JudgeError(f"judge {one.judge.name}: needs {least} judge models: --judge-model M1 --judge-model M2")
        for case in cases:
            one.judge.check(case)
        one.engine.check_ready()
    kept: list[Annotation] = []

    def rows() -> Iterator[Annotation]:
        for one in ready:
            chosen = replace(how, verdicts=verdicts_of(one.engine.model, wanted), prices=prices_of(one.engine.model))
            progress = meter(one.engine.model.name) if meter else None
            try:
                for row in annotate(
                    cases, one.judge, asking(one.engine, options, progress), one.engine.model.name, chosen
                ):
                    kept.append(slim(row))
                    yield row
            finally:
                one.engine.learn()
                one.engine.close()
        together = ready[0].judge.convened(kept) if ready else []
        kept.extend(together)
        yield from together

    write_annotations(out, rows())
    return kept


def asking(
    engine: Engine, options: Options | None = None, progress: Progress | None = None
) -> Callable[[list[Request]], list[tuple[Completion, ...]]]:
    """What a judge asks with: the engine, its progress counted over all rounds. Raises JudgeError for requests of a
    kind that the model does not answer."""
    before = 0

    def ask(requests: list[Request]) -> list[tuple[Completion, ...]]:
        nonlocal before
        able(engine.model, requests)
        start = before

        def shown(done: int, total: int, what: str) -> None:
            nonlocal before
            before = start + total
            if progress is not None:
                progress(start + done, start + total, what)

        with _unswept():
            return answer(engine, requests, options, shown)

    return ask


@contextmanager
def _unswept() -> Iterator[None]:
    """What lives now is left out of garbage collection meanwhile: in a large process each full sweep takes tens of
    milliseconds, in which no call is sent (measured: 1 to 4% of a server's throughput)."""
    if gc.get_freeze_count():  # somebody else's
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def able(model: Model, requests: Iterable[Request]) -> None:
    """Raises JudgeError where the model cannot answer one of the requests."""
    lacking = sorted({request.kind for request in requests} - set(model.kinds))
    if lacking:
        can = ", ".join(sorted(model.kinds))
        raise JudgeError(f"--judge-model {model.address}: this judge asks for {lacking[0]}; the model answers {can}")


def verdicts_of(model: Model, wanted: Wanted = "auto") -> Verdicts:
    """How verdicts are read: as wanted; by itself from log-probabilities where the backend gives them, else from
    likelihoods where it scores, else from text. Raises JudgeError for a way that the backend has not."""
    capabilities = getattr(backend_class(model.backend), "capabilities", None)
    given = not isinstance(capabilities, Capabilities) or capabilities.top_logprobs
    scores = "loglikelihood" in model.kinds
    if wanted == "likelihood" and not scores:
        raise JudgeError(f"--verdicts likelihood: {model.address} scores no given texts; use logprobs or text")
    if wanted == "logprobs" and not given:
        raise JudgeError(f"--verdicts logprobs: {model.address} gives no log-probabilities; use text")
    if wanted != "auto":
        return wanted
    return "logprobs" if given else "likelihood" if scores else "text"


def prices_of(model: Model) -> tuple[float, float] | None:
    """Money for a million tokens read and written, of `--model-args price_in=... price_out=...`; None without them."""
    million = 1_000_000
    costs = Costs(1, prompt_tokens=million), Costs(1, max_new_tokens=million)
    prices = [estimate(model, cost, ())["cost"] for cost in costs]
    return None if prices[0] is None else (prices[0], prices[1])


@dataclass(frozen=True)
class JudgePlan:
    """What judging will take, as far as it is known before the first reply.

    `unasked`: draws of cases that need no model. `calls`: distinct first requests that no earlier command has had
    answered (`cached` has been). `later_calls` and `later` are estimates of a judge's later stages: so many calls for
    each case (the judge's `later`), as long as a first request is on average. Tokens to write are ceilings.
    """

    judge: str
    judge_model: str
    verdicts: str
    cases: int
    unasked: int
    too_long: int
    requests: int
    calls: int
    cached: int
    costs: Costs
    later_calls: int
    later: Costs
    seconds: float | None
    cost: float | None

    def json(self) -> dict[str, Any]:
        return asdict(self)


def plan_judging(
    one: ReadyJudge, cases: Sequence[Case], how: How, options: Options, wanted: Wanted = "auto"
) -> JudgePlan:
    """The plan of one judge model's work. Asks nothing and writes nothing."""
    model = one.engine.model
    chosen = replace(how, verdicts=verdicts_of(model, wanted))
    planner = Planner(model, one.engine.renderer, options)
    known: set[str] = set()
    costs, calls, cached, requests, unasked, too_long, asked_about = Costs(), 0, 0, 0, 0, 0, 0
    drawn = (replace(case, repeat=case.repeat + i) for case in cases for i in range(how.repeats))
    while part := list(islice(drawn, TOGETHER)):
        asked = [first_requests(case, one.judge, chosen) for case in part]
        unasked += sum(not found for found in asked)
        asked_about += sum(bool(found) for found in asked)
        wanted_now = [(request, 0) for found in asked for request in found]
        able(model, (request for request, _ in wanted_now))
        requests += len(wanted_now)
        planned = list(planner.plan_all(wanted_now))
        too_long += sum(not p.units for p in planned)
        fresh = {u.fingerprint: u for p in planned for u in p.units if u.fingerprint not in known}
        known |= fresh.keys()
        answered = _answered(one.engine, fresh)
        cached += len(answered)
        calls += len(fresh) - len(answered)
        costs += costs_of(unit for name, unit in fresh.items() if name not in answered)
    later_calls = int(asked_about * _later(one.judge))
    later = _scaled(costs, later_calls / calls) if calls else Costs()
    known_speeds = one.engine.known_speeds()
    told = estimate(model, costs + later, known_speeds)
    return JudgePlan(
        judge=one.judge.identity,
        judge_model=model.name,
        verdicts=chosen.verdicts,
        cases=len(cases),
        unasked=unasked,
        too_long=too_long,
        requests=requests,
        calls=calls,
        cached=cached,
        costs=costs,
        later_calls=later_calls,
        later=later,
        seconds=told["seconds"],
        cost=told["cost"],
    )


def _later(judge: Judge) -> float:
    """Requests of later stages for each case: what the judge says, else one where it has later stages."""
    return float(judge.spec.get("later", 1 if hasattr(judge.functions, "follow_up") else 0))


def _answered(engine: Engine, units: dict[str, Unit]) -> set[str]:
    """Those that earlier commands had answered; a store that is not there yet is not made."""
    if not (engine.stores and (engine.store / "responses.sqlite").is_file()):
        return set()
    return set(engine.responses.get(units))


def _scaled(costs: Costs, factor: float) -> Costs:
    return Costs(**{name: round(value * factor) for name, value in asdict(costs).items()})
